"""The resolutions of a latent: how much each moves, how they are asked for, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import Cli, Recorder, fake_models, plan, with_generator
from PIL import Image
from test_run_resume import frames, made, stopped

from clipgen.config.job import Job
from clipgen.config.levels import LEVELLED, MAX_LEVELS, shares_of_rate
from clipgen.config.plan import Plan
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.settings import GeneratorSettings
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.reading_plans import job_of

SMALL = ("--size", "32x32", "--steps", "4", "--cutouts", "2", "--seed", "1")
every_levelled = pytest.mark.parametrize("backend", LEVELLED)
SIDES = (64, 32, 16, 8)


def shares(progress: float, **settings: float) -> list[float]:
    return shares_of_rate(GeneratorSettings("", 1, 4, **settings), SIDES, progress)  # type: ignore[arg-type]


def test_resolutions_finer_than_sixteen_cells_a_side_move_less() -> None:
    assert shares(0.3, fall=0.5) == pytest.approx([0.5, 0.5**0.5, 1.0, 1.0])
    assert shares(0.3) == [1.0] * 4


def test_the_bump_goes_from_the_coarsest_resolution_to_the_finest() -> None:
    tenth, half = 0.1353352832366127, 0.6065306597126334  # of a normal density, two and one widths from its centre
    assert shares(0.0, coarse_to_fine=1.0) == pytest.approx([0.011108996538242306, tenth, half, 1.0])
    assert shares(1.0, coarse_to_fine=1.0) == pytest.approx([1.0, half, tenth, 0.011108996538242306])
    middle = shares(0.5, coarse_to_fine=2.0)
    assert middle == pytest.approx(middle[::-1])
    assert [max(range(4), key=shares(k / 3, coarse_to_fine=1.0).__getitem__) for k in range(4)] == [3, 2, 1, 0]


def test_the_bump_and_the_fall_are_multiplied() -> None:
    pairs = zip(shares(0.4, coarse_to_fine=1.5), shares(0.4, fall=0.5), strict=True)
    assert shares(0.4, coarse_to_fine=1.5, fall=0.5) == pytest.approx([bump * fall for bump, fall in pairs])


@every_levelled
def test_coarse_levels_move_first_and_fine_ones_last(backend: str) -> None:
    settings = {"levels": 3, "coarse_to_fine": 0.5, "optimizer": "adam", "small_until": 0.0, "reencode_at": ()}
    asked = with_generator(plan(backend=backend), **settings)
    run = Run([replace(asked, steps=9)], fake_models(backend))
    moved = []
    while run.done < run.total:
        before = [level.detach().clone() for level in run.loop.generator.parameters()]
        run.find_gradients()
        run.update()
        pairs = zip(before, run.loop.generator.parameters(), strict=True)
        moved.append([float((now.detach() - then).abs().mean()) for then, now in pairs])
    first, last = moved[0], moved[-1]
    assert first[2] > 5 * first[1] > 25 * first[0]
    assert last[0] > 2 * last[1] > 4 * last[2]


@every_levelled
def test_a_run_with_a_bump_goes_on_as_if_it_had_never_stopped(backend: str) -> None:
    asked = with_generator(plan(backend=backend), levels=3, coarse_to_fine=1.0)
    whole, rest = Recorder(), Recorder()
    made(asked, whole)
    snapshot, before = stopped(asked, 6)
    made(asked, rest, snapshot=snapshot)
    assert before + frames(rest) == frames(whole)


@every_levelled
def test_levels_are_typed_recorded_replayed_and_changed(cli: Cli, backend: str) -> None:
    flags = ("--backend", backend, "--preset", "starter", "--start", "noise")
    result = cli("red", *SMALL, *flags, "--levels", "3", "--coarse-to-fine", "1.5")
    assert result.exit_code == 0, result.stderr
    picture = Path(result.stdout.strip())
    told = read_recipe(picture).plan
    usual = PRESETS["starter"].guidance["noise"].generators[backend].settings
    assert told.generator == replace(usual, levels=3, coarse_to_fine=1.5)
    redone = cli("replay", str(picture))
    assert redone.exit_code == 0, redone.stderr
    again = Path(redone.stdout.strip())
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    other = Path(cli("replay", str(picture), "--coarse-to-fine", "0").stdout.strip())
    assert Image.open(other).tobytes() != Image.open(picture).tobytes()
    assert read_recipe(other).plan == replace(told, generator=replace(usual, levels=3))
    seeded = Path(cli("replay", str(picture), "--prompt", "green").stdout.strip())
    assert read_recipe(seeded).plan.generator == told.generator


def test_the_job_of_a_plan_asks_for_its_levels_only_where_they_are_unusual() -> None:
    usual = resolve(Job(parse_prompts("red"), "pixels", "draft"))[0]
    assert not {"levels", "coarse_to_fine"} & job_of(usual).to_dict().keys()
    asked = replace(usual, generator=replace(usual.generator, levels=4, coarse_to_fine=2.0))
    job = Job.from_json(job_of(asked).to_json())
    assert (job.levels, job.coarse_to_fine) == (4, 2.0)
    assert resolve(job)[0] == asked
    assert Plan.from_json(asked.to_json()) == asked


def test_a_job_file_holds_levels(cli: Cli) -> None:
    lines = [
        'prompt = "red"',
        'size = "32x32"',
        "steps = 2",
        "levels = 2",
        "coarse-to-fine = 1.5",
        'preset = "starter"',
    ]
    Path("job.toml").write_text("\n".join(lines))
    result = cli("run", "job.toml")
    assert result.exit_code == 0, result.stderr
    assert read_recipe(Path(result.stdout.strip())).plan.generator.coarse_to_fine == 1.5


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--coarse-to-fine", "2"), "--coarse-to-fine 2 needs a latent of several resolutions.*add --levels 6"),
        (("--coarse-to-fine", "2", "--levels", "1"), "--coarse-to-fine 2 needs a latent of several resolutions"),
        (("--coarse-to-fine", "0.1", "--levels", "3"), "--coarse-to-fine must be at least 0.5, or 0 for none, got 0.1"),
        (("--coarse-to-fine=-1", "--levels", "3"), "--coarse-to-fine must be a number from 0 to 16, got -1"),
        (("--coarse-to-fine", "nan", "--levels", "3"), "--coarse-to-fine must be a number from 0 to 16, got nan"),
        (("--levels", "0"), "--levels must be a whole number from 1 to 16, got 0"),
        (("--levels", "17"), "--levels must be a whole number from 1 to 16, got 17"),
    ],
)
def test_what_does_not_go_together_is_one_line(cli: Cli, flags: tuple[str, ...], message: str) -> None:
    result = cli("red", *SMALL, "--preset", "draft", *flags)
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert message.split(".*")[0] in line
    assert message.split(".*")[-1] in line
    assert not list(Path().iterdir())


@pytest.mark.parametrize("fields", [{"levels": "3"}, {"levels": True}, {"levels": MAX_LEVELS + 1}])
def test_a_job_of_impossible_levels_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--levels must be a whole number"):
        Job.from_json(json.dumps({"prompts": [{"text": "red"}], **fields}))
