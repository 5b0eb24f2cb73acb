"""A run survives being stopped, numbers that are none, and too little memory: the picture stays the same."""

import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from fakes import FakePerceptor, Recorder, fake_models, job, scheduled
from PIL import Image
from torch import Tensor

from clipgen import scene
from clipgen.errors import DivergedError, OutOfMemoryError, UsageError
from clipgen.generators import GENERATORS
from clipgen.generators.vqgan import VQGANGenerator
from clipgen.guidance import Guide, ViewPlan
from clipgen.job import Job, parse_prompts
from clipgen.memory import Thrift, kept_bytes, room
from clipgen.presets import PRESETS, CutoutSettings
from clipgen.runner import run
from clipgen.sample import Models, Sample
from clipgen.scene import Scene, Snapshot
from clipgen.sinks.base import Outcome

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


class Greedy(FakePerceptor):
    """Runs out of memory with more than so many views."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.most = room, 0

    def encode_images(self, views: Tensor) -> Tensor:
        if len(views) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.most = max(self.most, len(views))
        return super().encode_images(views)


@every_backend
@pytest.mark.parametrize(("room", "at_once"), [(6, 6), (5, 3), (2, 2), (1, 1)])
def test_where_memory_runs_out_fewer_views_are_looked_at_together(backend: str, room: int, at_once: int) -> None:
    perceptor, recorder, free = Greedy(room), Recorder(), Recorder()
    models = replace(fake_models(backend), perceptors=(scheduled(perceptor),))
    result = run(job(backend=backend), models, [recorder])
    whole = run(job(backend=backend), fake_models(backend), [free])
    assert perceptor.most == at_once
    assert {step.views_at_once for step in recorder.steps} == {at_once}
    assert [step.index for step in recorder.steps] == list(range(13))
    difference = np.asarray(result.image, dtype=int) - np.asarray(whole.image, dtype=int)
    assert np.abs(difference).max() <= 1


def test_a_run_for_which_there_is_no_memory_at_all_says_so() -> None:
    models = replace(fake_models(), perceptors=(scheduled(Greedy(0)),))
    with pytest.raises(OutOfMemoryError, match=r"smaller --size or fewer --cutouts"):
        run(job(), models)


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_looking_in_parts_gives_the_same_loss_and_gradient(size: int) -> None:
    prompts = [parse_prompts("red|blue:-0.3"), parse_prompts("white:1:-1")]
    plan = ViewPlan(5, (48, 32), CutoutSettings())
    guide = Guide([scheduled(FakePerceptor())] * 2, prompts, [1, 2], plan, torch.device("cpu"))
    found = []
    for at_once in (5, size):
        images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0), requires_grad=True)
        losses, scores = guide.compare(images, 3, 10, at_once)
        found.append((losses.detach(), scores, *torch.autograd.grad(losses.sum(), images)))
    for whole, parts in zip(*found, strict=True):
        assert (parts - whole).norm() <= 1e-6 * whole.norm()


def test_a_step_that_would_not_fit_spares_memory_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = job(size=(64, 64), cutouts=16)
    need = Sample(asked, fake_models()).need(1)
    assert need.decoder > 0 < need.view
    for thrift in (Thrift(16), Thrift(4), Thrift(1, decode_twice=True)):
        monkeypatch.setattr(scene, "room", lambda _device, thrift=thrift: need.bytes(thrift))
        assert Scene([asked], fake_models())._thrift == thrift


def test_a_picture_for_which_there_is_no_room_is_refused_with_the_size_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need = Sample(job(size=(256, 256)), fake_models()).need(1)
    monkeypatch.setattr(scene, "room", lambda _device: need.bytes(Thrift(1, decode_twice=True)) // 4)
    with pytest.raises(OutOfMemoryError, match=r"--size 256x256 needs about .* try --size 1[0-2][0-9]x1[0-2][0-9]"):
        run(job(size=(256, 256)), fake_models())


def test_what_a_computation_keeps_is_counted_once_and_without_the_weights() -> None:
    weight = torch.ones(10, 1000, requires_grad=True)
    inputs = torch.ones(7, 10, requires_grad=True)

    def compute() -> list[Tensor]:
        outputs = (inputs @ weight).exp()
        return [outputs * outputs]

    assert kept_bytes(compute, [weight]) == 4 * (7 * 10 + 7 * 1000)


def test_the_limit_of_the_process_counts() -> None:
    resource = pytest.importorskip("resource")
    limits, process = resource.getrlimit(resource.RLIMIT_AS), psutil.Process()
    before = room(torch.device("cpu"))
    resource.setrlimit(resource.RLIMIT_AS, (process.memory_info().vms + 200_000_000, limits[1]))
    try:
        limited = room(torch.device("cpu"))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert limited <= 200_000_000 < before
