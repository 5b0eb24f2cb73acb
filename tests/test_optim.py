import pytest
import torch
from torch import Tensor

from clipgen.config import settings
from clipgen.core.optim import BETAS, EPSILON, RULES, LatentOptimizer
from clipgen.engine.rules import TORCH_RULES

every_rule = pytest.mark.parametrize("rule", RULES)


def move(optimizer: LatentOptimizer, losses: Tensor, scale: float = 1.0) -> None:
    optimizer.gather(losses)
    optimizer.step(scale)


def latents(pictures: int = 1) -> Tensor:
    return torch.randn(pictures, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()


def bowl(latent: Tensor) -> Tensor:
    """A loss (B,) with a gradient of its own for each number of each picture."""
    slopes = torch.linspace(-3, 3, latent[0].numel()).view(latent.shape[1:])
    return (latent.square().sin() * slopes).flatten(1).sum(1)


def test_the_rules_are_those_that_settings_can_name() -> None:
    assert (*RULES, *TORCH_RULES) == settings.OPTIMIZERS


def test_adam_is_that_of_torch_bit_for_bit() -> None:
    ours, theirs = latents(2), latents(2)
    optimizer = LatentOptimizer([ours], [0.1, 0.1], "adam")
    reference = torch.optim.Adam([theirs], lr=0.1, betas=BETAS, eps=EPSILON, foreach=False)
    for _ in range(20):
        move(optimizer, bowl(ours))
        reference.zero_grad()
        bowl(theirs).sum().backward()
        reference.step()
        assert torch.equal(ours, theirs)


def test_the_first_step_of_adam_has_the_length_of_the_rate() -> None:
    latent = torch.zeros(1, 3, requires_grad=True)
    move(LatentOptimizer([latent], [0.2], "adam"), (latent * torch.tensor([1.0, -10.0, 0.1])).sum(1), scale=0.5)
    torch.testing.assert_close(latent.detach(), torch.tensor([[-0.1, 0.1, -0.1]]))


def test_normalised_steps_keep_the_gradient_s_proportions_in_each_picture() -> None:
    latent = torch.zeros(2, 1, 2, requires_grad=True)
    gradient = torch.tensor([[[3.0, -4.0]], [[0.006, 0.008]]])
    move(LatentOptimizer([latent], [0.2, 0.2], "normalised"), (latent * gradient).sum((1, 2)), scale=0.5)
    torch.testing.assert_close(latent.detach(), 0.1 * 2**0.5 * torch.tensor([[[-0.6, 0.8]], [[-0.6, -0.8]]]))


def test_each_latent_moves_by_its_share_of_the_rate() -> None:
    levels = [torch.zeros(1, 2, side, requires_grad=True) for side in (3, 2, 1)]
    optimizer = LatentOptimizer(levels, [0.2])
    optimizer.shares = [1.0, 0.5, 0.0]
    move(optimizer, sum(level.sum((1, 2)) for level in levels))  # type: ignore[arg-type]
    assert [float(-level.detach().mean()) for level in levels] == pytest.approx([0.2, 0.1, 0.0])


@every_rule
def test_a_picture_without_a_gradient_stays_where_it_is(rule: str) -> None:
    latent = torch.ones(2, 3, requires_grad=True)
    move(LatentOptimizer([latent], [0.2, 0.2], rule), latent.sum(1) * torch.tensor([1.0, 0.0]))
    assert (latent[0] < 1).all()
    assert (latent[1] == 1).all()


@every_rule
def test_the_scale_of_the_loss_does_not_matter_down_to_tiny_gradients(rule: str) -> None:
    moved = []
    for scale in (1.0, 1e-7):
        latent = torch.ones(1, 4, requires_grad=True)
        optimizer = LatentOptimizer([latent], [0.1], rule)
        for _ in range(5):
            move(optimizer, scale * latent.square().sum(1))
        moved.append(latent.detach())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-3, atol=1e-3)


@every_rule
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_picture_without_numbers_stays_as_it_is_and_its_neighbour_moves_as_it_would_alone(
    rule: str, bad: float, where: str
) -> None:
    both, alone = latents(2), latents(2)[1:].detach().requires_grad_()
    together, single = LatentOptimizer([both], [0.1, 0.1], rule), LatentOptimizer([alone], [0.1], rule)

    def losses(step: int) -> Tensor:
        found = bowl(both)
        if step not in (2, 3):
            return found
        if where == "loss":
            return found * torch.tensor([bad, 1.0])
        root = (both[0] - both[0].detach()).square().sum().sqrt()  # 0, with a gradient that is no number
        return torch.stack([found[0] + root, found[1]])

    for step in range(6):
        kept = [both[0].detach().clone(), *(t[0].clone() for name, t in together.tensors().items() if name != "counts")]
        move(together, losses(step))
        move(single, bowl(alone))
        now = [both[0], *(t[0] for name, t in together.tensors().items() if name != "counts")]
        assert all(map(torch.equal, kept, now)) == (step in (2, 3))
        assert torch.equal(both[1:], alone)
        assert together.idle() == [max(step - 1, 0) if step in (2, 3) else 0, 0]


@every_rule
def test_each_picture_moves_at_its_own_rate_as_it_would_alone(rule: str) -> None:
    both = latents(2)
    singles = [latents(2)[row : row + 1].detach().requires_grad_() for row in range(2)]
    together = LatentOptimizer([both], [0.1, 0.3], rule)
    alone = [LatentOptimizer([each], [rate], rule) for each, rate in zip(singles, (0.1, 0.3), strict=True)]
    for _ in range(5):
        move(together, bowl(both), scale=0.7)
        for optimizer, latent in zip(alone, singles, strict=True):
            move(optimizer, bowl(latent), scale=0.7)
    assert torch.equal(both, torch.cat(singles))


@every_rule
def test_what_is_remembered_of_a_picture_can_be_put_into_another_place(rule: str) -> None:
    first, second = latents(2), latents(2)
    source, target = LatentOptimizer([first], [0.1, 0.1], rule), LatentOptimizer([second], [0.1, 0.1], rule)
    for _ in range(3):
        move(source, bowl(first))
    with torch.no_grad():
        second[0] = first[1]
    target.load_({name: tensor[1] for name, tensor in source.tensors().items()}, row=0)
    move(source, bowl(first))
    move(target, bowl(second))
    assert torch.equal(first[1], second[0])


@every_rule
def test_latents_and_moments_are_changed_in_place(rule: str) -> None:
    latent = latents(2)
    optimizer = LatentOptimizer([latent], [0.1, 0.2], rule)

    def places() -> list[int]:
        return [latent.data_ptr(), *(t.data_ptr() for name, t in optimizer.tensors().items() if name != "counts")]

    before = places()
    for _ in range(3):
        move(optimizer, bowl(latent))
    assert places() == before
