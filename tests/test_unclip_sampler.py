import pytest
import torch
from torch import Tensor

from clipgen.config import settings
from clipgen.starter.unclip.sampler import SOLVERS, Method, guided, noise_levels, sample


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_of_what_is_normal_is_normal(solver: str) -> None:
    """Of numbers of mean 0.3 and deviation 0.5 the best denoiser is known."""

    def denoise(noisy: Tensor, sigma: Tensor) -> Tensor:
        share = 0.25 / (0.25 + sigma[:, None] ** 2)
        return share * noisy + (1 - share) * 0.3

    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample(denoise, 20.0 * noise, noise_levels(20.0, 0.02, 12), solver)
    assert drawn.mean().item() == pytest.approx(0.3, abs=0.05)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(drawn[:, 0].argsort(), noise[:, 0].argsort())


@pytest.mark.parametrize(("solver", "calls"), [("heun", 23), ("dpm++2m", 12)])
def test_a_solver_denoises_this_often_and_comes_near_the_exact_flow(solver: str, calls: int) -> None:
    """Of numbers of deviation 1 the flow from noise of deviation s scales by 1 / sqrt(1 + s^2)."""
    seen: list[float] = []

    def denoise(noisy: Tensor, sigma: Tensor) -> Tensor:
        seen.append(float(sigma[0]))
        return noisy / (1 + sigma[:, None] ** 2)

    start = torch.tensor([[20.0], [-7.0]])
    found = sample(denoise, start, noise_levels(20.0, 0.02, 12), solver)
    torch.testing.assert_close(found, start / (1 + 20.0**2) ** 0.5, rtol=0.06, atol=0)
    assert len(seen) == calls


def test_both_solvers_are_known_to_the_settings() -> None:
    assert tuple(SOLVERS) == settings.SOLVERS


def test_texts_count_by_their_weights_and_the_guidance_scale() -> None:
    def denoise(noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        return noisy + texts

    texts, weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, -0.5])
    changed = guided(denoise, texts, weights, Method(2.0))(torch.zeros(3, 2), torch.ones(3))
    torch.testing.assert_close(changed, torch.tensor([[2.0, -1.0]]).expand(3, -1))


@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
def test_guidance_goes_beyond_what_is_denoised_without_conditioning(guidance_scale: float) -> None:
    def denoise(noisy: Tensor, sigma: Tensor, texts: Tensor) -> Tensor:
        return noisy + texts + 10

    texts, noisy = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.zeros(3, 2)
    for weights, mixed in (([0.5, 0.5], [10.5, 10.5]), ([1.0, -0.5], [11.0, 9.5])):
        changed = guided(denoise, texts, torch.tensor(weights), Method(guidance_scale), lambda noisy, sigma: noisy - 1)
        beyond = guidance_scale * torch.tensor([mixed]) + guidance_scale - 1
        torch.testing.assert_close(changed(noisy, torch.ones(3)), beyond.expand(3, -1))
