"""Pictures that are made together are those that are made alone, to the byte; what harms one harms no other."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import FakePerceptor, Recorder, fake_models, guided_by, plan
from PIL import Image
from test_loop import knows_three_colours
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome
from clipgen.engine.models import Models
from clipgen.engine.optimise import Result, Task, fit_together, optimise, optimise_together
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import ClipgenError, DivergedError
from clipgen.generators import GENERATORS

every_backend = pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=pytest.mark.slow) if name == "strokes" else name for name in GENERATORS]
)
every_backend_slowly = pytest.mark.parametrize(
    "backend", [name if name == "vqgan" else pytest.param(name, marks=pytest.mark.slow) for name in GENERATORS]
)
"""Where what is shown does not depend on the backend."""
PROMPTS = ("red", "blue:2|red:-1|white", "green:-1", "|".join(f"white:0.{k}:0.4|black:-0.{k}" for k in range(1, 9)))


class Keeper:
    """Keeps every snapshot."""

    def __init__(self) -> None:
        self.kept: list[Snapshot] = []

    def is_due(self, done: int, total: int) -> bool:
        return True

    def keep(self, snapshot: Snapshot) -> None:
        self.kept.append(snapshot)


def exactly(tensors: Sequence[Tensor]) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in tensors]


def seen(recorder: Recorder) -> list[list[bytes]]:
    """All that a sink can see of each step."""
    return [exactly([step.image, step.loss, step.score, *step.terms.values()]) for step in recorder.steps]


def kept(keeper: Keeper) -> list[tuple[int, bool, float, list[bytes]]]:
    return [(each.done, each.grown, each.lr, exactly([*each.tensors.values()])) for each in keeper.kept]


def together(plans: Sequence[Plan], models: Models, inits: Sequence[Image.Image | None]) -> list[tuple[object, ...]]:
    """All that there is to know of the run of each picture."""
    watchers = [(Recorder(), Keeper()) for _ in plans]
    tasks = [Task(p, i, [r], k) for p, i, (r, k) in zip(plans, inits, watchers, strict=True)]
    made = optimise_together(tasks, models)
    return [
        (one.image.tobytes() if isinstance(one, Result) else str(one), recorder.outcomes, seen(recorder), kept(keeper))
        for one, (recorder, keeper) in zip(made, watchers, strict=True)
    ]


@every_backend
@pytest.mark.parametrize("init", [False, True])
def test_pictures_made_together_are_those_made_alone_with_all_frames_and_snapshots(backend: str, init: bool) -> None:
    models = fake_models(backend, perceptors=2)
    settings = {"init": "a.png", "init_weight": 0.5} if init else {}
    plans = [plan(text, backend=backend, seed=3 * k, cutouts=16, **settings) for k, text in enumerate(PROMPTS)]
    inits = [Image.new("RGB", (48, 32), name) if init else None for name in ("blue", "gray", "green", "red")]
    alone = [together([one], models, [image])[0] for one, image in zip(plans, inits, strict=True)]
    made = together(plans, models, inits)
    assert made == alone
    assert len({picture for picture, *_ in made}) == len(PROMPTS)


READINGS = [
    ("red|blue", (("red", ""), ("", "zebra"))),
    ("white:2|green:-1|black:0.3:0.2", (("white", "green", ""), ("banana", "zebra", "goldfish"))),
    ("goldfish", (("blue",), ("goldfish",))),
]


@every_backend
@pytest.mark.parametrize("init", [False, True])
def test_pictures_whose_perceptors_take_other_parts_of_other_prompts_are_those_made_alone(
    backend: str, init: bool
) -> None:
    models = guided_by(FakePerceptor(), knows_three_colours(), backend=backend)
    settings = {"init": "a.png", "init_weight": 0.5} if init else {}
    asked = [plan(text, backend=backend, seed=3 * k, **settings) for k, (text, _) in enumerate(READINGS)]
    plans = [replace(one, readings=readings) for one, (_, readings) in zip(asked, READINGS, strict=True)]
    others = [("contrast", 0.5), ("layout", 5.0)] if init else [("contrast", 0.5)]
    for name, weight in others:
        plans = [one.with_loss(name, weight) for one in plans]
    inits = [Image.new("RGB", (48, 32), name) if init else None for name in ("blue", "gray", "green")]
    alone = [together([one], models, [image])[0] for one, image in zip(plans, inits, strict=True)]
    assert together(plans, models, inits) == alone
    assert len({picture for picture, *_ in alone}) == len(READINGS)
    unread = replace(plans[0], readings=(("red", "blue"), ("goldfish", "zebra")))
    assert together([unread], models, inits[:1]) != alone[:1]


def test_plans_whose_perceptors_weigh_otherwise_are_not_made_together() -> None:
    first = plan()
    rows = tuple(replace(row, weight=2.0) for row in first.perceptors)
    assert fit_together(first, replace(first, readings=(("red",), ("red",))))
    assert not fit_together(first, replace(first, perceptors=rows))
    assert not fit_together(first, replace(first, perceptors=first.perceptors[:1]))


class Choosy(FakePerceptor):
    """Sees no numbers in pictures that are greener than red."""

    def encode_images(self, cutouts: Tensor) -> Tensor:
        red, green, _ = cutouts.detach().mean((0, 2, 3))
        return super().encode_images(cutouts) * (float("nan") if green > red + 0.1 else 1)


@every_backend_slowly
def test_a_picture_that_diverges_harms_no_neighbour(backend: str) -> None:
    plans = [plan(text, backend=backend, seed=k, steps=100) for k, text in enumerate(("red", "green", "red:2|black"))]
    none: list[Image.Image | None] = [None] * 3
    models = guided_by(Choosy(), backend=backend)
    first, bad, third = together(plans, models, none)
    assert [first] == together([plans[0]], models, none[:1])
    assert [third] == together([plans[2]], models, none[:1])
    message, outcomes, steps, _ = bad
    assert f"--lr below {plans[0].lr:g}" in str(message)
    assert outcomes == [Outcome.DIVERGED]
    assert isinstance(steps, list)
    assert 1 < len(steps) < 100
    made = optimise_together([Task(one) for one in plans], models)
    assert [type(one) for one in made] == [Result, DivergedError, Result]


def test_when_all_diverge_the_run_ends_early() -> None:
    plans = [plan("green", seed=k, steps=1000) for k in range(2)]
    recorders = [Recorder(), Recorder()]
    made = optimise_together(
        [Task(one, sinks=[sink]) for one, sink in zip(plans, recorders, strict=True)], guided_by(Choosy())
    )
    assert all(isinstance(one, DivergedError) for one in made)
    assert all(len(recorder.steps) < 100 for recorder in recorders)
    assert [recorder.outcomes for recorder in recorders] == [[Outcome.DIVERGED]] * 2


def test_a_sink_that_cannot_be_closed_leaves_the_other_pictures_their_results() -> None:
    class Stuck(Recorder):
        def close(self, outcome: Outcome) -> None:
            super().close(outcome)
            raise ClipgenError("the disk is full")

    sinks = [[Recorder()], [Recorder(), Stuck(), Recorder()], [Recorder()]]
    plans = [plan(text, seed=k) for k, text in enumerate(("red", "green", "blue"))]
    first, stuck, third = optimise_together(
        [Task(one, sinks=own) for one, own in zip(plans, sinks, strict=True)], fake_models()
    )
    assert isinstance(stuck, ClipgenError)
    assert str(stuck) == "the disk is full"
    for made, alone in ((first, plans[0]), (third, plans[2])):
        assert isinstance(made, Result)
        assert made.image.tobytes() == optimise(alone, fake_models()).image.tobytes()
    assert [sink.outcomes for own in sinks for sink in own] == [[Outcome.FINISHED]] * 5


def test_each_picture_is_watched_by_its_own_sinks_only() -> None:
    recorders = [Recorder(), Recorder()]
    plans = [plan("red"), plan("blue", seed=1)]
    optimise_together([Task(one, sinks=[r]) for one, r in zip(plans, recorders, strict=True)], fake_models())
    red, blue = (recorder.steps[-1].image for recorder in recorders)
    assert red.shape == (3, 32, 48)
    assert not torch.equal(red, blue)


@every_backend
def test_computed_in_one_batch_as_on_a_gpu_they_differ_by_rounding_only(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = fake_models(backend, perceptors=2)
    plans = [plan(text, backend=backend, seed=3 * k, steps=6) for k, text in enumerate(PROMPTS)]
    alone = [optimise(one, models) for one in plans]
    for place in ("core.loop", "util.batches"):
        monkeypatch.setattr(f"clipgen.{place}.rows_together", lambda batch: [slice(0, len(batch))])
    for one, result in zip(alone, optimise_together([Task(each) for each in plans], models), strict=True):
        assert isinstance(result, Result)
        difference = np.abs(np.asarray(one.image, dtype=int) - np.asarray(result.image, dtype=int))
        assert difference.max() <= (2 if backend == "strokes" else 1)
        assert (difference > 1).mean() < 0.001  # at the edges of strokes
        assert result.score == pytest.approx(one.score, abs=1e-4)
