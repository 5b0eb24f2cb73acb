"""Each recipe computes what the peer's loop does, written again in `peer_references`, on the same random networks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import peer_references as peers
import pytest
import torch
from peer_runs import TEXT, Compared, compared, plan_of, small_networks
from torch import Tensor

from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.schedules import Schedule
from clipgen.engine import peer_cutouts
from clipgen.util.randomness import generator_for

SHAPES = [("nerdyrodent", (64, 64)), ("eleuther", (64, 96)), ("codebook-sampling", (64, 64))]
SHAPES += [("pixray", size) for size in ((64, 64), (96, 64), (64, 96))]


@contextmanager
def in_double() -> Iterator[None]:
    """New tensors are of double precision, in which equal algorithms differ by 1e-13, and others do not."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def run(
    recipe: str, size: tuple[int, int] = (64, 64), plan: Plan | None = None, steps: int = 5, **changed: Any
) -> list[Compared]:
    backend = PEER_RECIPES[recipe].backends[0]
    settings = {"banned": "2,3,6"} if backend == "dvae" else {}
    both = small_networks(backend, torch.get_default_dtype())
    return list(compared(plan or plan_of(recipe, size, 5, **settings), both, steps, **changed))


def worst(found: list[Compared]) -> float:
    return max(max(each.loss, each.gradient, each.latent) for each in found)


@pytest.mark.parametrize(("recipe", "size"), SHAPES)
def test_loss_gradient_and_latent_are_those_of_the_peer(recipe: str, size: tuple[int, int]) -> None:
    with in_double():
        assert worst(run(recipe, size)) < 1e-11


def test_those_of_the_dvae_are_too_in_the_single_precision_that_it_insists_on() -> None:
    assert worst(run("dvae-notebook")) < 1e-5


def test_they_agree_as_far_as_single_precision_can() -> None:
    assert worst(run("nerdyrodent")) < 1e-4


@pytest.mark.parametrize(
    ("recipe", "change"),
    [
        ("nerdyrodent", {"lr": 0.1001}),
        ("eleuther", {"lr_schedule": Schedule("cosine", 1.0, 0.999)}),
        ("codebook-sampling", {"lr": 0.0501}),
        ("pixray", {"augmentations.rescaled": False}),
        ("nerdyrodent", {"generator.optimizer": "adamw"}),
        ("pixray", {"generator.restart_at": ()}),
        ("eleuther", {"prompts": parse_prompts(TEXT.replace("-0.6", "-2"))}),
        ("eleuther", {"prompts": parse_prompts(TEXT.replace("house:2", "house:2.01"))}),
    ],
    ids=str,
)
def test_any_other_constant_is_found(recipe: str, change: dict[str, Any]) -> None:
    [(name, value)] = change.items()
    plan = plan_of(recipe, (64, 64), 5)
    outer, _, inner = name.rpartition(".")
    value = replace(getattr(plan, outer), **{inner: value}) if outer else value
    with in_double():
        changed = replace(plan, **{outer or inner: value})
        assert worst(run(recipe, plan=changed, steps=5 if inner == "restart_at" else 2)) > 1e-6


def test_a_loss_that_is_off_by_a_thousandth_is_found() -> None:
    with in_double():
        [first] = run("eleuther", spherical=2.002, steps=1)
        assert first.loss == pytest.approx(1e-3, rel=0.01)
        assert first.gradient == pytest.approx(1e-3, rel=0.01)


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (64, 96)])
def test_what_is_drawn_are_the_numbers_that_kornia_draws_for_the_constants_of_the_peer(size: tuple[int, int]) -> None:
    """From the same state of a generator, which clipgen takes from seed and step, and the peer from torch."""
    side, aspect = 32, size[0] / size[1]
    shape = int(side / min(aspect, 1)), int(side * max(aspect, 1))

    def same(recipe: str, draw: Callable[[float], list[list[dict[str, Tensor]]]]) -> list[tuple[int, int, int]]:
        own = plan_of(recipe, size, 5).augmentations
        ours = peer_cutouts.draw(3, 2, 5, size, side, own, torch.device("cpu"))
        with torch.random.fork_rng():
            torch.set_rng_state(generator_for(3, 2, "views").get_state())
            theirs = draw(float(torch.rand(())))
        for group, chain in zip(ours.groups, theirs, strict=True):
            for mine, yours in zip(group.chain, chain, strict=False):
                assert mine.keys() == yours.keys()
                assert all(torch.equal(mine[name], yours[name]) for name in mine)
            assert len(group.chain) == len(chain)
        return [crop for group in ours.groups for crop in group.crops]

    square = (side, side)
    same("nerdyrodent", lambda _: [drawn_by(peers.nerdyrodent_chain(), 5, [square] * 4)])
    cropped = [[shape, shape, square], [shape, shape, square, square]]
    same(
        "pixray",
        lambda grey: [
            drawn_by(chain, count, shapes)
            for chain, count, shapes in zip(peers.pixray_chains(side, aspect, 2, grey), (3, 2), cropped, strict=True)
        ],
    )
    crops: list[tuple[int, int, int]] = []
    assert same("eleuther", lambda _: crops.extend(peers.drawn_crop(*size, side) for _ in range(5)) or [[]]) == crops


def drawn_by(chain: Sequence[Any], count: int, shapes: Sequence[tuple[int, int]]) -> list[dict[str, Tensor]]:
    """What augmentations draw for cutouts of these heights and widths, by torch's global generator."""
    return [each.forward_parameters(torch.Size((count, 3, *shape))) for each, shape in zip(chain, shapes, strict=True)]


def test_the_resampling_of_crops_is_a_low_pass() -> None:
    """A pattern finer than the cutout can show leaves grey, where a bicubic resize alone would alias."""
    fine = (torch.arange(64) % 2).double().expand(1, 3, 64, 64)
    assert (peers.resampled(fine, 16) - 0.5).abs().max() < 0.05
