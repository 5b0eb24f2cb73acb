"""The sizes at which a run draws its picture, what a proposal has a say in, and what is drawn only when looked at."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fakes import (
    FakeProposal,
    FakeVQGAN,
    Recorder,
    colour,
    fake_models,
    plan,
    with_generator,
)
from PIL import Image
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.config.presets import PRESETS
from clipgen.core.contracts import Loss, Moment, Step
from clipgen.engine import run
from clipgen.engine.optimise import Task, optimise, optimise_together
from clipgen.errors import UsageError
from clipgen.generators import GENERATORS
from clipgen.generators.vqgan import VQGANGenerator
from clipgen.util.images import resized

every_backend = pytest.mark.parametrize("backend", GENERATORS)
UNCLIP = PRESETS["starter"].guidance["unclip"].unclip


class Measured(FakeVQGAN):
    """Keeps the width and height of what it draws; the first is that by which the need of memory is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def decode(self, codes: Tensor) -> Tensor:
        images = super().decode(codes)
        self.sizes.append((images.shape[3], images.shape[2]))
        return images


def sizes_of(asked: Plan, recorder: Recorder, **settings: Any) -> list[tuple[int, ...]]:
    network = Measured()
    optimise(asked, replace(fake_models(), network=network), [recorder], **settings)
    return network.sizes[1:]


def test_pictures_from_noise_are_small_at_first_and_shown_large() -> None:
    recorder = Recorder()
    asked = with_generator(plan(steps=20), small_until=0.5, reencode_at=(0.75,))
    sizes = sizes_of(asked, recorder)
    # Twice at the step at which it grows, and once more at full size where it is encoded again.
    assert sizes == [(24, 16)] * 11 + [(48, 32)] * 12
    assert {tuple(step.image.shape) for step in recorder.steps} == {(3, 32, 48)}


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_even_a_short_run_ends_at_its_own_size(steps: int) -> None:
    assert sizes_of(plan(steps=steps), Recorder())[-2:] == [(48, 32)] * 2


def test_pictures_from_an_init_image_are_large_from_the_start() -> None:
    asked = with_generator(plan(init="a.png"), small_until=0.5)
    assert set(sizes_of(asked, Recorder(), init=Image.new("RGB", (48, 32)))) == {(48, 32)}


def test_a_picture_is_encoded_again_when_the_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, seen = Recorder(), []

    class Watched(VQGANGenerator):
        def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
            seen.append(len(recorder.steps))
            return super().reencode_(images, rest)

    monkeypatch.setattr("clipgen.generators.vqgan.VQGANGenerator", Watched)
    for moments, steps in (((), []), ((0.5, 0.75), [6, 9])):
        recorder.steps.clear()
        seen.clear()
        optimise(with_generator(plan(), reencode_at=moments), fake_models(), [recorder])
        assert seen == steps


@every_backend
def test_a_picture_is_drawn_only_when_somebody_looks(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(Recorder):
        def on_step(self, step: Step) -> None:
            float(step.loss)

    drawn: list[int] = []

    def counted(images: Tensor, size: tuple[int, int]) -> Tensor:
        drawn.append(len(images))
        return resized(images, size)

    monkeypatch.setattr(run, "resized", counted)
    asked = with_generator(plan(backend=backend), small_until=0.0)
    optimise(asked, fake_models(backend), [Blind()])
    assert drawn == [1]  # that of the result
    recorder = Recorder()
    optimise(asked, fake_models(backend), [recorder])
    for step in recorder.steps[:3]:
        assert step.image is step.image
    assert drawn == [1] * 5  # the result, and three more


class Proposed(FakeProposal):
    """Proposes a colour to start at, a loss that pulls to it, and negatives for larger pictures."""

    def __init__(self, rows: Mapping[int, tuple[float, ...]], asked: SimpleNamespace) -> None:
        self.rows, self.asked = rows, asked

    def images(self) -> Mapping[int, Tensor]:
        return {row: torch.tensor(rgb)[:, None, None].expand(3, 8, 8) for row, rgb in self.rows.items()}

    def losses(self) -> Mapping[str, Loss]:
        def pull(moment: Moment) -> Tensor:
            self.asked.maps = {number: tuple(maps.shape) for number, maps in moment.maps.items()}
            return 10 * (moment.images - torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1)).square().mean((1, 2, 3))

        return {"colour": pull}

    def target_weights(self, weights: Tensor) -> Tensor:
        return 0 * weights

    def enlarge(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        return 1 - resized(images, size)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What a proposal of white for picture 0 was asked for."""
    found = SimpleNamespace(proposals=[], sizes=[], stages=[])

    def propose(unclip: Any, settings: Any, prompts: Any, seeds: Any, *rest: Any, on_stage: Any) -> Proposed:
        found.proposals.append((unclip, settings, [[p.text for p in row] for row in prompts], list(seeds)))
        on_stage("thinking")
        images = rest[1]
        found.sizes.append(rest[2])
        return Proposed({} if images is not None else {0: (1.0, 1.0, 1.0)}, found)

    monkeypatch.setattr(run, "proposal_module", lambda _kind: SimpleNamespace(propose=propose))
    return found


@every_backend
def test_a_run_starts_at_the_picture_that_is_proposed_unless_it_has_an_init_image(
    backend: str, asked: SimpleNamespace
) -> None:
    def first(**settings: Any) -> Tensor:
        recorder = Recorder()
        init = Image.new("RGB", (48, 32)) if settings else None
        wanted = replace(plan(backend=backend, steps=1, **settings), unclip=UNCLIP)
        optimise(wanted, replace(fake_models(backend), proposing="networks"), [recorder], init=init)
        return recorder.steps[0].image.mean((1, 2))

    assert first().min() > 0.7
    assert first(init="black.png").max() < 0.3
    assert asked.proposals == [("networks", UNCLIP[0], [["red"]], [0])] * 2
    assert asked.sizes == [plan(backend=backend).size] * 2


@every_backend
def test_a_picture_for_which_nothing_is_proposed_starts_at_its_noise_beside_one_that_has_a_start(
    backend: str, asked: SimpleNamespace
) -> None:
    plans = [plan(backend=backend, steps=1, seed=seed) for seed in (0, 1)]
    recorders, alone = [Recorder(), Recorder()], Recorder()
    tasks = [Task(replace(one, unclip=UNCLIP), sinks=[sink]) for one, sink in zip(plans, recorders, strict=True)]
    optimise_together(tasks, fake_models(backend))
    optimise(plans[1], fake_models(backend), [alone])
    first, second = (recorder.steps[0].image for recorder in recorders)
    assert first.mean() > 0.7
    assert torch.equal(second, alone.steps[0].image)


def test_what_is_proposed_pulls_in_place_of_the_texts_with_the_maps_that_it_needs(asked: SimpleNamespace) -> None:
    recorder = Recorder()
    wanted = replace(plan(steps=40), unclip=UNCLIP)
    result = optimise(wanted, fake_models(perceptors=2), [recorder])
    red, green, blue = colour(result)
    assert blue > 170 > 90 > max(red, green)
    assert list(recorder.steps[0].terms) == ["prompt", "colour"]
    assert all(float(step.terms["prompt"]) == 0 for step in recorder.steps)
    assert asked.maps == {0: (1, 6, 3, 2, 2), 1: (1, 6, 3, 2, 2)}
    assert result.score < 0  # as blue is not red, whatever was proposed


def test_a_picture_is_enlarged_by_what_proposed_it(asked: SimpleNamespace) -> None:
    recorder = Recorder()
    wanted = with_generator(replace(plan(steps=20, lr=1e-6), unclip=UNCLIP), small_until=0.5, reencode_at=())
    optimise(wanted, fake_models(), [recorder])
    before, after = recorder.steps[9].image, recorder.steps[10].image
    torch.testing.assert_close(after, 1 - before, atol=0.11, rtol=0)
    assert (after - before).abs().min() > 0.7


def test_a_generator_that_cannot_start_from_an_image_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class OneWay(VQGANGenerator):
        reencode_ = None  # type: ignore[assignment]

    monkeypatch.setattr("clipgen.generators.vqgan.VQGANGenerator", OneWay)
    with pytest.raises(UsageError, match="OneWay cannot start from an image; use another --backend"):
        optimise(plan(init="a.png"), fake_models(), init=Image.new("RGB", (48, 32)))
