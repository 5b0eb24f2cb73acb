"""The number of cutouts can change over a run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import Cli, fake_models, plan
from PIL import Image
from torch import Tensor

from clipgen.config.schedules import Schedule
from clipgen.core.cutouts import AugmentationParameters
from clipgen.engine.optimise import Task, optimise, optimise_together
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe

RISING = Schedule("linear", 0.25, 1.0)


def asked(steps: int = 4, **settings: Any) -> Any:
    return replace(plan("red", start="noise", cutouts=8, steps=steps, **settings), cutout_schedule=RISING)


def counts(run: Run) -> list[int]:
    """The number of cutouts in each step of a run."""
    found, embed = [], run.loop.embed

    def counted(images: Tensor, parameters: AugmentationParameters, *rest: Any) -> Sequence[Tensor]:
        found.append(len(parameters.noise))
        return embed(images, parameters, *rest)

    run.loop.embed = counted  # type: ignore[assignment]
    for _ in range(run.total):
        run.find_gradients()
        run.update()
    run.finish()
    return found


def test_the_number_of_cutouts_follows_its_schedule() -> None:
    assert counts(Run([asked()], fake_models())) == [2, 4, 5, 6, 8]
    assert counts(Run([replace(asked(), cutout_schedule=Schedule.constant(1.0))], fake_models())) == [8] * 5
    assert counts(Run([replace(asked(), cutouts=1)], fake_models())) == [1] * 5


def test_pictures_in_lockstep_are_those_made_alone() -> None:
    plans = [asked(), replace(asked(), seed=2)]
    together = optimise_together([Task(each) for each in plans], fake_models())
    for made, each in zip(together, plans, strict=True):
        assert made.image.tobytes() == optimise(each, fake_models()).image.tobytes()


def test_a_run_that_is_continued_has_the_cutouts_that_were_left() -> None:
    whole = Run([asked()], fake_models())
    for _ in range(2):
        whole.find_gradients()
        whole.update()
    rest = Run([asked()], fake_models(), snapshots=[whole.snapshot(0)])
    for run in (whole, rest):
        while run.done < run.total:
            run.find_gradients()
            run.update()
    assert torch.equal(whole.finish()[0].image, rest.finish()[0].image)


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_of_the_cutouts_is_from_0_to_1(share: float) -> None:
    with pytest.raises(UsageError, match="plan: the share of the cutouts must be a number from 0 to 1"):
        replace(asked(), cutout_schedule=Schedule("linear", share, 1.0))


def test_a_rising_number_is_typed_recorded_and_replayed(cli: Cli) -> None:
    small = ("--size", "32x32", "--steps", "4", "--seed", "1", "--start", "noise", "--preset", "starter")
    made = cli("red", *small, "--cutouts", "2..8")
    assert made.exit_code == 0, made.stderr
    picture = made.stdout.strip()
    recorded = read_recipe(Path(picture)).plan
    assert [recorded.cutouts_at(progress) for progress in (0.0, 0.5, 1.0)] == [2, 5, 8]
    assert "2..8" in cli("info", picture).stdout
    again = cli("replay", picture).stdout.strip()
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    flat = read_recipe(Path(cli("replay", picture, "--cutouts", "4").stdout.strip())).plan
    assert (flat.cutouts, flat.cutouts_at(0.0)) == (4, 4)
    other = read_recipe(Path(cli("replay", picture, "--backend", "pixels").stdout.strip())).plan
    assert other.cutouts == other.cutouts_at(0.0) != 8
    tiled = read_recipe(Path(cli("replay", picture, "--tile").stdout.strip())).plan
    assert (tiled.cutouts_at(0.0), tiled.cutouts) == (2, 8)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("8..2", "the first number of --cutouts must be a whole number from 1 to 2, got 8"),
        ("0..2", "the first number of --cutouts must be a whole number from 1 to 2, got 0"),
        ("..2", "--cutouts must be a whole number such as 16, or 4..16, got '..2'"),
        ("2.5", "--cutouts must be a whole number such as 16, or 4..16, got '2.5'"),
        ("1..9999", "--cutouts must be a whole number from 1 to 1024, got 9999"),
    ],
)
def test_numbers_that_are_none_are_refused(cli: Cli, typed: str, message: str) -> None:
    result = cli("red", "--cutouts", typed)
    assert (result.exit_code, result.stderr) == (2, f"error: {message}\n")
