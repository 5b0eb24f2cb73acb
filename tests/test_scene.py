"""A run survives being stopped, and numbers that are none: the picture stays the same."""

import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakePerceptor, Recorder, fake_models, job, scheduled
from PIL import Image
from torch import Tensor

from clipgen.config.job import Job
from clipgen.config.presets import PRESETS
from clipgen.core.contracts import Outcome
from clipgen.core.optim import LatentOptimizer
from clipgen.engine.cost import Models
from clipgen.engine.runner import run
from clipgen.engine.scene import Scene, Snapshot
from clipgen.errors import DivergedError, UsageError
from clipgen.generators import GENERATORS
from clipgen.generators.vqgan import VQGANGenerator

every_backend = pytest.mark.parametrize("backend", GENERATORS)
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8))


class Memory:
    """Keeps every snapshot, and presses Ctrl-C at one."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.kept: dict[int, Snapshot] = {}
        self.stop_at = stop_at

    def is_due(self, done: int, total: int) -> bool:
        return True

    def keep(self, snapshot: Snapshot) -> None:
        self.kept[snapshot.done] = snapshot
        if snapshot.done == self.stop_at:
            signal.raise_signal(signal.SIGINT)


def frames(recorder: Recorder) -> list[bytes]:
    return [step.image.numpy().tobytes() for step in recorder.steps]


def stopped(asked: Job, done: int, **settings: Any) -> tuple[Snapshot, list[bytes]]:
    """What is kept of a run that was stopped, and the frames until then."""
    memory, recorder = Memory(done), Recorder()
    with pytest.raises(KeyboardInterrupt):
        run(asked, fake_models(asked.backend), [recorder], keeper=memory, **settings)
    return memory.kept[done], frames(recorder)[:done]


@every_backend
@pytest.mark.parametrize("done", [1, 6, 10, 11])
@pytest.mark.parametrize("init", [None, PHOTO])
def test_a_run_that_goes_on_ends_as_if_it_had_never_stopped(backend: str, done: int, init: Image.Image | None) -> None:
    asked = job("red|blue:0.5", backend=backend, init="x.png" if init else None, init_weight=0.1 if init else 0.0)
    whole, rest = Recorder(), Recorder()
    result = run(asked, fake_models(backend), [whole], init=init)
    snapshot, before = stopped(asked, done, init=init)
    resumed = run(asked, fake_models(backend), [rest], init=init, snapshot=snapshot)
    assert resumed.image.tobytes() == result.image.tobytes()
    assert before + frames(rest) == frames(whole)
    assert [step.index for step in rest.steps] == list(range(done, 13))


@pytest.fixture
def one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of dVAEs never grow and are never restored: either makes much of them anew."""
    starter = PRESETS["starter"]
    row = replace(starter.generators["dvae"], small_until=0.0, restored=())
    monkeypatch.setitem(PRESETS, "starter", replace(starter, generators={**starter.generators, "dvae": row}))


def restored(moments: tuple[float, ...], **settings: Any) -> list[int]:
    """The steps before which a run of 12 steps restored its picture."""
    starter = PRESETS["starter"]
    rows = {name: replace(row, restored=moments) for name, row in starter.generators.items()}
    recorder, seen = Recorder(), []

    class Watched(VQGANGenerator):
        def restore_(self) -> None:
            seen.append(len(recorder.steps))
            super().restore_()

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "starter", replace(starter, generators=rows))
        patch.setattr("clipgen.generators.vqgan.VQGANGenerator", Watched)
        run(job(), fake_models(), [recorder], **settings)
    return seen


def test_a_picture_is_restored_when_the_preset_says_so() -> None:
    assert restored(()) == []
    assert restored((0.5, 0.75)) == [6, 9]
    snapshot, _ = stopped(job(), 7)
    assert restored((0.5, 0.75), snapshot=snapshot) == [2]


@pytest.fixture
def growing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of VQGANs grow after half of the steps, which are a quarter as long from then on."""
    starter = PRESETS["starter"]
    row = replace(starter.generators["vqgan"], small_until=0.5, restored=(), full_lr_share=0.25)
    monkeypatch.setitem(PRESETS, "starter", replace(starter, generators={"vqgan": row}))


@pytest.mark.usefixtures("growing")
def test_steps_are_shorter_from_when_a_picture_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Watched(LatentOptimizer):
        def step(self, progress: float) -> None:
            rates.append(self.lr)
            super().step(progress)

    monkeypatch.setattr("clipgen.engine.scene.LatentOptimizer", Watched)
    run(job(lr=0.4), fake_models())
    assert rates == pytest.approx([0.4] * 6 + [0.1] * 6)


@pytest.mark.usefixtures("growing")
@pytest.mark.parametrize("done", [3, 6, 7, 9])
def test_a_run_that_grows_goes_on_as_if_it_had_never_stopped(done: int) -> None:
    result = run(job(lr=0.4), fake_models())
    snapshot, _ = stopped(job(lr=0.4), done)
    assert run(job(lr=0.4), fake_models(), snapshot=snapshot).image.tobytes() == result.image.tobytes()


@pytest.mark.usefixtures("growing")
def test_a_picture_that_could_not_grow_for_want_of_memory_grows_on_the_second_try() -> None:
    class Tight(VQGANGenerator):
        refusals = 1

        def start_from_images_(self, images: Tensor) -> None:
            if Tight.refusals:
                Tight.refusals -= 1
                raise MemoryError
            super().start_from_images_(images)

    whole = Memory()
    result = run(job(lr=0.4), fake_models(), keeper=whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clipgen.generators.vqgan.VQGANGenerator", Tight)
        tight = Memory()
        again = run(job(lr=0.4), fake_models(), keeper=tight)
    assert Tight.refusals == 0
    assert tight.kept[12].lr == whole.kept[12].lr == pytest.approx(0.1)
    assert np.abs(np.asarray(again.image, float) - np.asarray(result.image, float)).max() < 3


@pytest.mark.usefixtures("one_size")
def test_a_run_that_goes_on_without_its_moments_or_with_another_seed_ends_elsewhere() -> None:
    asked = job(backend="dvae", lr=0.02)
    snapshot, _ = stopped(asked, 6)

    def last_logits(asked: Job, snapshot: Snapshot | None) -> bytes:
        memory = Memory()
        run(asked, fake_models("dvae"), keeper=memory, snapshot=snapshot)
        return memory.kept[12].tensors["generator.level0"].numpy().tobytes()

    bare = {name: tensor for name, tensor in snapshot.tensors.items() if not name.startswith("optimizer.")}
    whole = last_logits(asked, None)
    assert last_logits(asked, snapshot) == whole
    assert last_logits(asked, replace(snapshot, tensors=bare)) != whole
    assert last_logits(replace(asked, seed=3), snapshot) != whole


def test_a_run_goes_on_for_more_steps_than_were_planned() -> None:
    snapshot, _ = stopped(job(), 6)
    recorder = Recorder()
    run(job(steps=20), fake_models(), [recorder], snapshot=snapshot)
    assert [step.index for step in recorder.steps] == list(range(6, 21))


def test_a_state_of_another_size_is_refused() -> None:
    snapshot, _ = stopped(job(), 8)
    with pytest.raises(UsageError, match="not of this job"):
        run(job(size=(64, 64)), fake_models(), snapshot=snapshot)


class Fitful(FakePerceptor):
    """Sees no numbers in some looks, counted from 0."""

    def __init__(self, bad: Sequence[int] | range) -> None:
        super().__init__()
        self.bad, self.looks = bad, 0

    def encode_images(self, views: Tensor) -> Tensor:
        seen = super().encode_images(views)
        if len(views) == 1:  # the one by which the need of memory is measured
            return seen
        self.looks += 1
        return seen * float("nan") if self.looks - 1 in self.bad else seen


def fitful_models(bad: Sequence[int] | range, backend: str) -> Models:
    return replace(fake_models(backend), perceptors=(scheduled(Fitful(bad)),))


@pytest.mark.usefixtures("one_size")
@every_backend
@pytest.mark.parametrize("bad", [[0], [4], [4, 5], [2, 3, 4, 5, 6]])
def test_steps_without_numbers_are_left_out(backend: str, bad: list[int]) -> None:
    recorder = Recorder()
    result = run(job(backend=backend, steps=30), fitful_models(bad, backend), [recorder])
    assert recorder.outcomes == [Outcome.FINISHED]
    assert all(step.image.isfinite().all() for step in recorder.steps)
    clean = run(job(backend=backend, steps=30), fake_models(backend))
    assert result.score > 0.9 * clean.score


def test_a_step_without_numbers_changes_nothing_of_what_is_remembered() -> None:
    asked = job(backend="dvae")
    made = Scene([asked], fitful_models([2], "dvae"))
    for _ in range(2):
        made.measure()
        made.update()
    before = made.snapshot().tensors
    made.measure()
    made.update()
    after = made.snapshot().tensors
    assert all(torch.equal(before[name], after[name]) for name in before if not name.endswith(".step"))


@every_backend
def test_a_run_that_stays_without_numbers_ends_with_its_last_good_picture(backend: str) -> None:
    recorder = Recorder()
    with pytest.raises(DivergedError, match=r"--lr below 0\.1"):
        run(job(backend=backend, steps=40), fitful_models(range(5, 99), backend), [recorder])
    assert recorder.outcomes == [Outcome.DIVERGED]
    assert len(recorder.steps) < 40
    assert recorder.steps[-1].image.isfinite().all()


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
    models = fake_models()
    recorder = Recorder()
    with pytest.raises(DivergedError):
        run(job(steps=40), replace(models, network=Broken(models.network, since)), [recorder])  # type: ignore[arg-type]
    assert recorder.outcomes == [outcome]
    assert all(step.image.isfinite().all() for step in recorder.steps) == (since > 0)
