"""Where memory is short a run looks at fewer views together: the picture stays the same."""

from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from fakes import FakePerceptor, Recorder, fake_models, job, scheduled
from torch import Tensor

from clipgen.config.job import parse_prompts
from clipgen.config.presets import CutoutSettings
from clipgen.core.guidance import Guide, ViewPlan
from clipgen.engine import scene
from clipgen.engine.cost import Sample
from clipgen.engine.memory import Thrift, kept_bytes, room
from clipgen.engine.runner import run
from clipgen.engine.scene import Scene
from clipgen.errors import OutOfMemoryError
from clipgen.generators import GENERATORS

every_backend = pytest.mark.parametrize("backend", GENERATORS)


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
