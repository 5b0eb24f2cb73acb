import pytest
import torch
from torch import Tensor

from clipgen.starter.unclip.sampler import guided, noise_levels, sample


def test_a_sample_of_what_is_normal_is_normal() -> None:
    """Of numbers of mean 0.3 and deviation 0.5 the best denoiser is known."""

    def denoise(noisy: Tensor, sigma: Tensor) -> Tensor:
        share = 0.25 / (0.25 + sigma[:, None] ** 2)
        return share * noisy + (1 - share) * 0.3

    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample(denoise, 20.0 * noise, noise_levels(20.0, 0.02, 12))
    assert drawn.mean().item() == pytest.approx(0.3, abs=0.05)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(drawn[:, 0].argsort(), noise[:, 0].argsort())


def test_texts_count_by_their_weights_and_the_guidance_scale() -> None:
    def denoise(noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        return noisy + texts

    texts, weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, -0.5])
    changed = guided(denoise, texts, weights, 2.0)(torch.zeros(3, 2), torch.ones(3))
    torch.testing.assert_close(changed, torch.tensor([[2.0, -1.0]]).expand(3, -1))


@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
def test_guidance_goes_beyond_what_is_denoised_without_conditioning(guidance_scale: float) -> None:
    def denoise(noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        return noisy + texts + 10

    texts, noisy = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.zeros(3, 2)
    for weights, mixed in (([0.5, 0.5], [10.5, 10.5]), ([1.0, -0.5], [11.0, 9.5])):
        changed = guided(denoise, texts, torch.tensor(weights), guidance_scale, lambda noisy, sigma: noisy - 1)
        beyond = guidance_scale * torch.tensor([mixed]) + guidance_scale - 1
        torch.testing.assert_close(changed(noisy, torch.ones(3)), beyond.expand(3, -1))
