"""Numbers that are none: a step without them is left out; a picture that stays without goes back, or is given up."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from fakes import FakePerceptor, Recorder, fake_models, guided_by, plan, with_generator
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome
from clipgen.engine.optimise import Task, optimise, optimise_together
from clipgen.engine.recovery import PATIENCE, RETREATS
from clipgen.engine.run import CHECKED, Run
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import DivergedError
from clipgen.generators import GENERATORS

every_backend = pytest.mark.parametrize("backend", GENERATORS)


class Fitful(FakePerceptor):
    """Sees no numbers in some looks, counted from 0."""

    def __init__(self, bad: Sequence[int] | range) -> None:
        super().__init__()
        self.bad, self.looks = bad, 0

    def encode_images(self, cutouts: Tensor) -> Tensor:
        seen = super().encode_images(cutouts)
        if len(cutouts) == 1:  # the one by which the need of memory is measured
            return seen
        self.looks += 1
        return seen * float("nan") if self.looks - 1 in self.bad else seen


def one_size(backend: str, steps: int) -> Plan:
    return with_generator(plan(backend=backend, steps=steps), small_until=0.0, reencode_at=())


@pytest.mark.parametrize(
    ("backend", "bad"),
    [
        pytest.param(name, bad, marks=() if name == "vqgan" or len(bad) > 2 else pytest.mark.slow)
        for name in GENERATORS
        for bad in ([0], [4], [4, 5], [2, 3, 4, 5, 6])
    ],
)
def test_steps_without_numbers_are_left_out(backend: str, bad: list[int]) -> None:
    recorder, asked = Recorder(), one_size(backend, 30)
    result = optimise(asked, guided_by(Fitful(bad), backend=backend), [recorder])
    assert recorder.outcomes == [Outcome.FINISHED]
    assert all(step.image.isfinite().all() for step in recorder.steps)
    assert [k for k, step in enumerate(recorder.steps) if not step.loss.isfinite()] == bad
    assert result.score > 0.8 * optimise(asked, fake_models(backend)).score


@every_backend
def test_a_step_without_numbers_changes_nothing_of_what_is_remembered(backend: str) -> None:
    run = Run([one_size(backend, 12)], guided_by(Fitful([2]), backend=backend))
    states = []
    for _ in range(4):
        run.find_gradients()
        run.update()
        states.append({k: v for k, v in run.snapshot(0).tensors.items() if k != "optimizer.counts"})
    same = [all(torch.equal(one[name], other[name]) for name in one) for one, other in pairwise(states)]
    assert same == [False, True, False]


class Rates:
    """Keeps the learning rates of snapshots."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def is_due(self, done: int, total: int) -> bool:
        return True

    def keep(self, snapshot: Snapshot) -> None:
        self.seen.append(snapshot.lr)


@every_backend
def test_a_run_that_stays_without_numbers_goes_back_to_smaller_steps_and_then_ends_with_its_last_good_picture(
    backend: str,
) -> None:
    recorder, rates = Recorder(), Rates()
    bad = guided_by(Fitful(range(5, 99)), backend=backend)
    [made] = optimise_together([Task(one_size(backend, 40), sinks=[recorder], keeper=rates)], bad)
    assert isinstance(made, DivergedError)
    lr = one_size(backend, 40).lr
    assert f"--lr below {lr:g}" in str(made)
    assert recorder.outcomes == [Outcome.DIVERGED]
    assert len(recorder.steps) == CHECKED * (2 + RETREATS)
    assert recorder.steps[-1].image.isfinite().all()
    assert PATIENCE <= CHECKED
    assert list(dict.fromkeys(rates.seen)) == [lr / 2**k for k in range(RETREATS + 1)]


@every_backend
def test_a_picture_that_goes_back_is_where_it_was_good(backend: str) -> None:
    run = Run([one_size(backend, 40)], guided_by(Fitful(range(5, 10)), backend=backend))
    states = {}
    for _ in range(10):
        run.find_gradients()
        run.update()
        states[run.done] = run.snapshot(0)
    lr = one_size(backend, 40).lr
    assert (states[5].lr, states[10].lr) == (lr, lr / 2)
    assert all(torch.equal(tensor, states[10].tensors[name]) for name, tensor in states[5].tensors.items())


class Broken(torch.nn.Module):
    """Draws pictures that are no numbers, from some look on."""

    def __init__(self, network: Any, since: int) -> None:
        super().__init__()
        self.network, self.since, self.looks = network, since, 0

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name == "network" else getattr(self.network, name)

    def decode(self, codes: Tensor) -> Tensor:
        self.looks += 1
        drawn: Tensor = self.network.decode(codes)
        return drawn * float("nan") if self.looks > self.since else drawn


@pytest.mark.parametrize(("since", "outcome"), [(9, Outcome.DIVERGED), (0, Outcome.FAILED)])
def test_no_picture_without_numbers_is_ever_shown_unless_there_was_no_other(since: int, outcome: Outcome) -> None:
    models, recorder = fake_models(), Recorder()
    with pytest.raises(DivergedError):
        optimise(plan(steps=40), replace(models, network=Broken(models.network, since)), [recorder])
    assert recorder.outcomes == [outcome]
    assert all(step.image.isfinite().all() for step in recorder.steps) == (since > 0)


class Scheduled(Fitful):
    """Sees no numbers in some steps of each of its pictures, which it looks at in turn."""

    def __init__(self, *bad: Sequence[int] | range) -> None:
        super().__init__([len(bad) * step + row for row, steps in enumerate(bad) for step in steps])


def test_a_picture_goes_back_as_it_would_alone_when_its_neighbour_has_no_numbers_either() -> None:
    plans = [one_size("pixels", 20), replace(one_size("pixels", 20), seed=1)]
    bad = range(3, 5), range(5, 10)

    def snapshots(plans: Sequence[Plan], *bad: range) -> list[Snapshot]:
        run = Run(plans, guided_by(Scheduled(*bad), backend="pixels"))
        for _ in range(20):
            run.find_gradients()
            run.update()
        return [run.snapshot(row) for row in range(len(plans))]

    together = snapshots(plans, *bad)
    alone = [snapshots([one], own)[0] for one, own in zip(plans, bad, strict=True)]
    assert [each.lr for each in together] == [0.1, 0.05]
    for one, other in zip(together, alone, strict=True):
        assert one.lr == other.lr
        assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)
