import pytest
import torch

from clipgen.core.optim import FINAL_LR_SHARE, RULES, LatentOptimizer, learning_rate


def move(optimizer: LatentOptimizer, loss: torch.Tensor, progress: float) -> None:
    optimizer.gather(loss)
    optimizer.step(progress)


def test_the_rate_falls_from_the_base_to_a_tenth() -> None:
    rates = [learning_rate(0.2, step / 20) for step in range(21)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[-1] == pytest.approx(0.2 * FINAL_LR_SHARE)
    assert rates == sorted(rates, reverse=True)


def test_the_first_step_has_the_length_of_the_rate_at_that_progress() -> None:
    latent = torch.zeros(3, requires_grad=True)
    move(LatentOptimizer([latent], 0.2), (latent * torch.tensor([1.0, -10.0, 0.1])).sum(), progress=0.5)
    rate = learning_rate(0.2, 0.5)
    torch.testing.assert_close(latent.detach(), torch.tensor([-rate, rate, -rate]))


def test_normalised_steps_keep_the_gradient_s_proportions_in_each_picture() -> None:
    latent = torch.zeros(2, 1, 2, requires_grad=True)
    gradient = torch.tensor([[[3.0, -4.0]], [[0.006, 0.008]]])
    move(LatentOptimizer([latent], 0.2, "normalised"), (latent * gradient).sum(), progress=0.5)
    length = learning_rate(0.2, 0.5) * 2**0.5
    torch.testing.assert_close(latent.detach(), length * torch.tensor([[[-0.6, 0.8]], [[-0.6, -0.8]]]))


def test_a_picture_without_a_gradient_stays_where_it_is() -> None:
    latent = torch.ones(2, 3, requires_grad=True)
    move(LatentOptimizer([latent], 0.2, "normalised"), latent[0].sum(), progress=0)
    assert (latent[0] < 1).all()
    assert (latent[1] == 1).all()


@pytest.mark.parametrize("rule", RULES)
def test_the_scale_of_the_loss_does_not_matter_down_to_tiny_gradients(rule: str) -> None:
    moved = []
    for scale in (1.0, 1e-7):
        latent = torch.ones(4, requires_grad=True)
        optimizer = LatentOptimizer([latent], 0.1, rule)
        for step in range(5):
            move(optimizer, scale * latent.square().sum(), step / 5)
        moved.append(latent.detach())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-3, atol=1e-3)
