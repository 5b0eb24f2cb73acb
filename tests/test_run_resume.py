"""A run that is stopped, or killed, goes on as if nothing had happened."""

import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes import Recorder, fake_models, plan, with_generator
from PIL import Image
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome
from clipgen.core.optim import LatentOptimizer
from clipgen.engine.optimise import Result, Task, optimise, optimise_together
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import ClipgenError, UsageError
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


def made(asked: Plan, *sinks: Recorder, **settings: Any) -> Result:
    [result] = optimise_together([Task(asked, sinks=sinks, **settings)], fake_models(asked.backend))
    assert not isinstance(result, ClipgenError), result
    return result


def stopped(asked: Plan, done: int, **settings: Any) -> tuple[Snapshot, list[bytes]]:
    """What is kept of a run that was stopped, and the frames until then."""
    memory, recorder = Memory(done), Recorder()
    with pytest.raises(KeyboardInterrupt):
        made(asked, recorder, keeper=memory, **settings)
    return memory.kept[done], frames(recorder)[:done]


def one_size(asked: Plan) -> Plan:
    """Pictures that never grow and are never encoded again: either makes much of them anew."""
    return with_generator(asked, small_until=0.0, reencode_at=())


def growing(**settings: Any) -> Plan:
    """Pictures that grow after half of the steps, which are a quarter as long from then on."""
    return with_generator(plan(lr=0.4, **settings), small_until=0.5, full_lr_share=0.25)


@every_backend
@pytest.mark.parametrize("done", [1, 6, 10, 11])
@pytest.mark.parametrize("init", [None, PHOTO])
def test_a_run_that_goes_on_ends_as_if_it_had_never_stopped(backend: str, done: int, init: Image.Image | None) -> None:
    asked = plan("red|blue:0.5", backend=backend, init="x.png" if init else None, init_weight=0.1 if init else 0.0)
    whole, rest = Recorder(), Recorder()
    result = made(asked, whole, inputs=init)
    snapshot, before = stopped(asked, done, inputs=init)
    resumed = made(asked, rest, inputs=init, snapshot=snapshot)
    assert resumed.image.tobytes() == result.image.tobytes()
    assert before + frames(rest) == frames(whole)
    assert [step.index for step in rest.steps] == list(range(done, 13))


@every_backend
def test_pictures_that_were_made_together_go_on_alone(backend: str) -> None:
    plans = [plan("red", backend=backend), plan("blue|white", backend=backend, seed=1)]
    memories = [Memory(), Memory(7)]
    with pytest.raises(KeyboardInterrupt):
        optimise_together(
            [Task(one, keeper=memory) for one, memory in zip(plans, memories, strict=True)], fake_models(backend)
        )
    for one, memory in zip(plans, memories, strict=True):
        resumed = made(one, snapshot=memory.kept[7])
        assert resumed.image.tobytes() == optimise(one, fake_models(backend)).image.tobytes()


def test_a_picture_that_goes_on_is_encoded_again_only_at_the_moments_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    asked, recorder = with_generator(plan(), reencode_at=(0.5, 0.75)), Recorder()
    snapshot, _ = stopped(asked, 7)

    class Watched(VQGANGenerator):
        def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
            seen.append(len(recorder.steps))
            return super().reencode_(images, rest)

    monkeypatch.setattr("clipgen.generators.vqgan.VQGANGenerator", Watched)
    made(asked, recorder, snapshot=snapshot)
    assert seen == [2]


def test_steps_are_shorter_from_when_a_picture_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Watched(LatentOptimizer):
        def step(self, scale: float) -> None:
            rates.extend(self.rates)
            super().step(scale)

    monkeypatch.setattr("clipgen.engine.between.LatentOptimizer", Watched)
    made(growing())
    assert rates == pytest.approx([0.4] * 6 + [0.1] * 6)


@pytest.mark.parametrize("done", [3, 6, 7, 9])
def test_a_run_that_grows_goes_on_as_if_it_had_never_stopped(done: int) -> None:
    result = made(growing())
    snapshot, _ = stopped(growing(), done)
    assert snapshot.grown == (done > 6)
    assert made(growing(), snapshot=snapshot).image.tobytes() == result.image.tobytes()


def test_a_picture_that_could_not_grow_for_want_of_memory_grows_on_the_second_try() -> None:
    class Tight(VQGANGenerator):
        refusals = 1

        def start_from_images_(self, images: Tensor) -> None:
            if Tight.refusals:
                Tight.refusals -= 1
                raise MemoryError
            super().start_from_images_(images)

    whole = Memory()
    result = made(growing(), keeper=whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clipgen.generators.vqgan.VQGANGenerator", Tight)
        tight = Memory()
        again = made(growing(), keeper=tight)
    assert Tight.refusals == 0
    assert tight.kept[12].lr == whole.kept[12].lr == pytest.approx(0.1)
    assert np.abs(np.asarray(again.image, float) - np.asarray(result.image, float)).max() < 3


def test_a_run_that_goes_on_without_its_moments_or_with_another_seed_ends_elsewhere() -> None:
    asked = one_size(plan(backend="dvae", lr=0.02))
    snapshot, _ = stopped(asked, 6)

    def last_logits(asked: Plan, snapshot: Snapshot | None) -> bytes:
        memory = Memory()
        made(asked, keeper=memory, snapshot=snapshot)
        return memory.kept[12].tensors["generator.level0"].numpy().tobytes()

    bare = {name: tensor for name, tensor in snapshot.tensors.items() if not name.startswith("optimizer.")}
    whole = last_logits(asked, None)
    assert last_logits(asked, snapshot) == whole
    assert last_logits(asked, replace(snapshot, tensors=bare)) != whole
    assert last_logits(replace(asked, seed=3), snapshot) != whole


def test_a_snapshot_is_of_one_picture_and_no_later_step_changes_it() -> None:
    memory = Memory()
    made(one_size(plan(backend="pixels")), keeper=memory)
    assert all(len(tensor) == 1 for tensor in memory.kept[3].tensors.values())
    pictures = {memory.kept[done].tensors["generator.level0"].numpy().tobytes() for done in range(1, 13)}
    assert len(pictures) == 12


def test_a_run_goes_on_for_more_steps_than_were_planned() -> None:
    snapshot, _ = stopped(plan(), 6)
    recorder = Recorder()
    made(plan(steps=20), recorder, snapshot=snapshot)
    assert [step.index for step in recorder.steps] == list(range(6, 21))
    assert recorder.outcomes == [Outcome.FINISHED]


def test_a_state_of_another_size_is_refused() -> None:
    snapshot, _ = stopped(plan(), 8)
    with pytest.raises(UsageError, match="does not belong to this plan"):
        made(plan(size=(64, 64)), snapshot=snapshot)


def test_a_state_that_was_kept_when_the_last_step_was_made_only_has_its_end_left() -> None:
    memory, recorder = Memory(), Recorder()
    result = made(plan(), keeper=memory)
    assert made(plan(), recorder, snapshot=memory.kept[12]).image.tobytes() == result.image.tobytes()
    assert [step.index for step in recorder.steps] == [12]
