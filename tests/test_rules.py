"""The update rules that compute as torch's optimisers do."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_optim import bowl, latents, move

from clipgen.core.optim import LatentOptimizer
from clipgen.engine.rules import TORCH_RULES

OF_TORCH: dict[str, Callable[..., Any]] = {
    "torch-adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adagrad": torch.optim.Adagrad,
    "adamax": torch.optim.Adamax,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize("rule", OF_TORCH)
def test_a_rule_is_that_of_torch(rule: str) -> None:
    ours, theirs = latents(), latents()
    optimizer, reference = LatentOptimizer([ours], [0.1], TORCH_RULES[rule]), OF_TORCH[rule]([theirs], lr=0.1)
    for _ in range(12):  # of which the rectification of RAdam begins at the sixth
        move(optimizer, bowl(ours))
        reference.zero_grad()
        bowl(theirs).sum().backward()
        reference.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_diffgrad_is_adam_with_half_the_step_where_the_gradient_stays_the_same() -> None:
    """Its friction is the sigmoid of the change of the gradient; of none, 1/2."""
    pictures = {rule: torch.ones(1, 4, requires_grad=True) for rule in ("torch-adam", "diffgrad")}
    optimizers = {rule: LatentOptimizer([each], [0.1], TORCH_RULES[rule]) for rule, each in pictures.items()}
    steps = {}
    for _ in range(3):
        before = {rule: each.detach().clone() for rule, each in pictures.items()}
        for rule, each in pictures.items():
            move(optimizers[rule], each.sum(1))
        steps = {rule: float((each.detach() - before[rule]).mean()) for rule, each in pictures.items()}
    assert steps["diffgrad"] == pytest.approx(steps["torch-adam"] / 2, rel=1e-4)


@pytest.mark.parametrize("rule", TORCH_RULES)
def test_a_picture_without_numbers_stays_as_it_is_and_its_neighbour_moves_as_it_would_alone(rule: str) -> None:
    both, alone = latents(2), latents(2)[1:].detach().requires_grad_()
    together = LatentOptimizer([both], [0.1, 0.1], TORCH_RULES[rule])
    single = LatentOptimizer([alone], [0.1], TORCH_RULES[rule])
    for step in range(8):
        kept = [both[0].detach().clone(), *(t[0].clone() for name, t in together.tensors().items() if name != "counts")]
        move(together, bowl(both) * torch.tensor([float("nan") if step in (2, 6) else 1.0, 1.0]))
        move(single, bowl(alone))
        now = [both[0], *(t[0] for name, t in together.tensors().items() if name != "counts")]
        assert all(map(torch.equal, kept, now)) == (step in (2, 6))
        assert torch.equal(both[1:], alone)
