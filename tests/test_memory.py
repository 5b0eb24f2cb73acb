"""Where memory is short a run looks at fewer cutouts together: the picture stays the same."""

import gc

import numpy as np
import psutil
import pytest
import torch
from fakes import FakePerceptor, Recorder, fake_loop, fake_models, guided_by, plan, with_generator
from torch import Tensor

from clipgen.core.loop import Measured
from clipgen.engine import run
from clipgen.engine.cost import CostEstimate
from clipgen.engine.memory import MicroBatches, kept_bytes, room
from clipgen.engine.microbatch import decoding, embedding
from clipgen.engine.optimise import optimise
from clipgen.errors import OutOfMemoryError
from clipgen.generators import GENERATORS

every_backend = pytest.mark.parametrize("backend", GENERATORS)


class Greedy(FakePerceptor):
    """Runs out of memory with more than so many cutouts."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.most = room, 0

    def encode_images(self, cutouts: Tensor) -> Tensor:
        if len(cutouts) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.most = max(self.most, len(cutouts))
        return super().encode_images(cutouts)


@pytest.mark.parametrize(
    ("backend", "room", "at_once"),
    [
        pytest.param(name, *each, marks=() if name == "vqgan" or each == (5, 3) else pytest.mark.slow)
        for name in GENERATORS
        for each in ((6, 6), (5, 3), (2, 2), (1, 1))
    ],
)
def test_where_memory_runs_out_fewer_cutouts_are_looked_at_together(backend: str, room: int, at_once: int) -> None:
    perceptor, recorder, free = Greedy(room), Recorder(), Recorder()
    result = optimise(plan(backend=backend), guided_by(perceptor, backend=backend), [recorder])
    whole = optimise(plan(backend=backend), fake_models(backend), [free])
    assert perceptor.most == at_once
    assert {step.cutouts_at_once for step in recorder.steps} == {at_once}
    assert [step.index for step in recorder.steps] == list(range(13))
    difference = np.asarray(result.image, dtype=int) - np.asarray(whole.image, dtype=int)
    assert np.abs(difference).max() <= 1


def test_a_run_for_which_there_is_no_memory_at_all_says_so() -> None:
    with pytest.raises(OutOfMemoryError, match=r"smaller --size or fewer --cutouts"):
        optimise(plan(), guided_by(Greedy(0)))


@every_backend
@pytest.mark.parametrize("batches", [MicroBatches(5), MicroBatches(4), MicroBatches(1), MicroBatches(2, True)])
def test_a_step_in_parts_has_the_same_loss_and_gradient(backend: str, batches: MicroBatches) -> None:
    plans = [plan(text, backend=backend, cutouts=5, seed=seed) for seed, text in enumerate(("red|blue:-0.3", "white"))]

    def found(in_parts: bool) -> tuple[Measured, list[Tensor]]:
        loop = fake_loop(plans[0], fake_models(backend, perceptors=2), plans[1])
        if in_parts:
            loop.decode, loop.embed = decoding(batches), embedding(batches)
        measured = loop.find_gradients()
        return measured, [latent.grad for latent in loop.generator.parameters()]

    (whole, gradients), (parts, others) = found(False), found(True)
    torch.testing.assert_close(parts.losses, whole.losses)
    torch.testing.assert_close(parts.scores, whole.scores)
    for gradient, other in zip(gradients, others, strict=True):
        assert (other - gradient).norm() <= 1e-5 * gradient.norm()


def test_a_step_that_would_not_fit_spares_memory_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = plan(size=(64, 64), cutouts=16, steps=1)
    cost = CostEstimate(asked, fake_models()).memory(1)
    assert cost.decoder > 0 < cost.cutout
    for batches in (MicroBatches(16), MicroBatches(4), MicroBatches(1), MicroBatches(1, decode_twice=True)):
        monkeypatch.setattr(run, "room", lambda _device, batches=batches: cost.bytes(batches))
        recorder = Recorder()
        optimise(asked, fake_models(), [recorder])
        assert {step.cutouts_at_once for step in recorder.steps} == {batches.cutouts_at_once}


def test_two_pictures_need_the_memory_of_two() -> None:
    estimate = CostEstimate(plan(), fake_models())
    one, two = estimate.memory(1), estimate.memory(2)
    assert two.decoder == pytest.approx(2 * one.decoder, rel=0.01)
    assert two.cutout == 2 * one.cutout


@pytest.mark.parametrize(("pictures", "fit"), [(0.5, 1), (1, 1), (3.5, 3), (99, 8)])
def test_so_many_pictures_are_made_together_as_fit_at_full_speed(
    monkeypatch: pytest.MonkeyPatch, pictures: float, fit: int
) -> None:
    estimate = CostEstimate(plan(), fake_models())
    each = estimate.memory(1).bytes(MicroBatches(plan().cutouts))
    monkeypatch.setattr("clipgen.engine.cost.room", lambda _device: int(pictures * each))
    assert estimate.pictures_that_fit(8) == fit


def test_a_picture_for_which_there_is_no_room_is_refused_with_the_size_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = with_generator(plan(size=(256, 256)), small_until=0.0)
    cost = CostEstimate(asked, fake_models()).memory(1)
    monkeypatch.setattr(run, "room", lambda _device: cost.bytes(MicroBatches(1, decode_twice=True)) // 4)
    with pytest.raises(OutOfMemoryError, match=r"--size 256x256 needs about .* try --size 1[0-2][0-9]x1[0-2][0-9]"):
        optimise(asked, fake_models())


def test_what_a_computation_keeps_is_counted_once_and_without_the_weights() -> None:
    weight = torch.ones(10, 1000, requires_grad=True)
    inputs = torch.ones(7, 10, requires_grad=True)

    def compute() -> list[Tensor]:
        outputs = (inputs @ weight).exp()
        return [outputs * outputs]

    assert kept_bytes(compute, [weight]) == 4 * (7 * 10 + 7 * 1000)


def test_what_is_measured_is_let_go() -> None:
    """An output that its own graph saves, as sigmoid's is, would hold itself."""
    weight = torch.ones(10, requires_grad=True)
    kept_bytes(lambda: [weight.sigmoid()], [weight])
    gc.collect()
    before = sum(type(each) is Tensor for each in gc.get_objects())
    for _ in range(5):
        kept_bytes(lambda: [weight.sigmoid()], [weight])
    gc.collect()
    assert sum(type(each) is Tensor for each in gc.get_objects()) == before


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
