"""A replay goes by the plan inside the picture, whatever the presets are today; what is changed changes that alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import Cli
from PIL import Image
from recipes import RECIPE, assert_refused, png_with, recipe_with
from test_recipe import SMALL, made, pixels, replayed

from clipgen.config.holding import held_unclips
from clipgen.config.loss_settings import LossSettings
from clipgen.config.plan import Plan
from clipgen.config.preset import INIT, NOISE, UNCLIP, GeneratorDefaults, Guidance, Preset
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import Prompt
from clipgen.config.schedules import Schedule
from clipgen.config.settings import CutoutSettings, PerceptorSettings
from clipgen.outputs.metadata import read_recipe


def changed_preset(preset: Preset) -> Preset:
    """A preset in which nothing is as it was."""

    def moved(row: GeneratorDefaults) -> GeneratorDefaults:
        settings = replace(row.settings, levels=2, small_until=0.25, full_lr_share=0.9, optimizer="adam")
        smoother = (LossSettings("total-variation", Schedule.constant(2.0)),)
        return GeneratorDefaults(settings, row.steps + 1, row.lr * 3, row.cutouts + 1, smoother)

    def guidance(old: Guidance) -> Guidance:
        generators = {backend: moved(row) for backend, row in old.generators.items()}
        return Guidance(generators, CutoutSettings(noise=0.9, degrees=90.0), ())

    return replace(
        preset,
        guidance={start: guidance(old) for start, old in preset.guidance.items()},
        perceptors=(PerceptorSettings("starter/judge", until=0.5), PerceptorSettings("starter/clip", since=0.5)),
        judges=(),
        size=(128, 64),
    )


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it, and the presets are those of another day."""
    return lambda: monkeypatch.setitem(PRESETS, "starter", changed_preset(PRESETS["starter"]))


@pytest.mark.parametrize("backend", ["vqgan", "dvae", "pixels", "strokes"])
@pytest.mark.parametrize("start", [("--start", "noise"), ("--start", "unclip"), ("--init", "init.png")])
def test_a_replay_does_not_depend_on_todays_presets(cli: Cli, later: Any, backend: str, start: tuple[str, str]) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    command = ("red|blue:0.9", *SMALL, "--seed", "7", "--backend", backend, *start, "-o")
    path = Path(cli(*command, "a.png").stdout.splitlines()[0])
    later()
    result = cli("replay", str(path), "-o", "again.png", *(start if "--init" in start else ()))
    assert result.exit_code == 0, result.stderr
    assert pixels(Path("again.png")) == pixels(path)
    assert read_recipe(Path("again.png")).plan == read_recipe(path).plan
    assert cli(*command, "typed.png").exit_code == 0
    assert pixels(Path("typed.png")) != pixels(path)  # the presets do matter to a run that is typed


@pytest.mark.parametrize(
    ("args", "changed"),
    [
        (("--prompt", "blue:2|red:-1"), {"prompts": (Prompt("blue", 2.0), Prompt("red", -1.0))}),
        (("--seed", "0"), {"seed": 0}),
        (("--steps", "5"), {"steps": 5}),
        (("--size", "30x45"), {"size": (32, 48)}),
        (("--cutouts", "4"), {"cutouts": 4}),
        (("--lr", "0.7"), {"lr": 0.7}),
        (("--seed", "1", "--steps", "2", "--size", "64"), {"seed": 1, "steps": 2, "size": (64, 64)}),
    ],
)
def test_a_change_leaves_all_other_settings_as_the_plan_has_them(
    cli: Cli, later: Any, args: tuple[str, ...], changed: Mapping[str, Any]
) -> None:
    path = made(cli)
    later()
    assert replayed(cli, path, *args).plan == replace(read_recipe(path).plan, **changed)


def test_a_new_size_is_fitted_to_the_grid_and_that_is_said(cli: Cli) -> None:
    path = made(cli)
    assert (
        "size 30x45 rounded to 32x48: vqgan draws in cells of 8x8 pixels"
        in cli("replay", str(path), "--size", "30x45", "-o", "again.png").stderr
    )
    assert_refused(cli("replay", str(path), "--size", "3x3"), "--size 3x3 is smaller than one latent cell of vqgan")


def suits(plan: Plan, guidance: Guidance, backend: str, but: Mapping[str, Any]) -> bool:
    """Whether a plan has the settings of a preset but for some."""
    row = guidance.generators[backend]
    expected = {"generator": row.settings, "steps": row.steps, "lr": row.lr, "cutouts": row.cutouts, **but}
    expected |= {"augmentations": guidance.augmentations, "unclip": guidance.unclip, "backend": backend}
    assert {name: getattr(plan, name) for name in expected} == expected
    return True


@pytest.mark.parametrize(
    ("args", "start", "backend"),
    [
        (("--backend", "dvae", "--steps", "2"), UNCLIP, "dvae"),
        (("--start", "noise", "--steps", "2"), NOISE, "vqgan"),
        (("--start", "noise", "--backend", "pixels", "--steps", "2"), NOISE, "pixels"),
    ],
)
def test_another_backend_or_start_brings_its_own_settings(
    cli: Cli, args: tuple[str, ...], start: str, backend: str
) -> None:
    plan = replayed(cli, made(cli, "--lr", "0.05"), *args).plan
    assert suits(plan, PRESETS["starter"].guidance[start], backend, {"steps": 2, "start": start})
    assert (plan.size, plan.seed, plan.text) == ((32, 32), 7, "red")


def test_another_preset_brings_its_own_settings_and_models(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(changed_preset(PRESETS["starter"]), name="draft")
    monkeypatch.setitem(PRESETS, "draft", other)  # one whose weights are here
    plan = replayed(cli, made(cli), "--preset", "draft", "--steps", "2").plan
    assert suits(plan, other.guidance[other.start], "vqgan", {"steps": 2, "preset": "draft"})
    assert plan.perceptors == other.perceptors
    assert (plan.size, plan.seed, plan.text) == ((32, 32), 7, "red")


@pytest.mark.parametrize("args", [("--start", "noise"), ("--backend", "dvae"), ("--init", "init.png")])
def test_settings_of_today_come_where_a_preset_has_changed_its_models(
    cli: Cli, later: Any, args: tuple[str, ...]
) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    path = made(cli)
    later()
    assert replayed(cli, path, *args, "--steps", "2").plan.perceptors == PRESETS["starter"].perceptors


def test_an_init_image_added_to_a_picture_brings_the_settings_that_suit_one(cli: Cli) -> None:
    Image.new("RGB", (40, 40), "blue").save("init.png")
    path = made(cli)
    plan = replayed(cli, path, "--init", "init.png", "--init-weight", "0.5").plan
    suiting = PRESETS["starter"].guidance[INIT]
    assert (plan.start, plan.init, plan.weight_of("layout")) == ("init", "init.png", 0.15)
    assert (plan.generator, plan.unclip) == (
        suiting.generators["vqgan"].settings,
        held_unclips(suiting.unclip, 0.5),
    )
    assert (plan.size, plan.seed, plan.steps, plan.text) == ((32, 32), 7, 3, "red")


def test_another_init_image_keeps_the_settings_of_the_plan(cli: Cli, later: Any) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    path = made(cli, "--init", "init.png", "--init-weight", "0.5")
    later()
    before = read_recipe(path).plan
    assert replayed(cli, path, "--init", "init.png").plan == before
    heavier = replayed(cli, path, "--init", "init.png", "--init-weight", "2").plan
    assert heavier == replace(before.with_loss("layout", 0.6), unclip=heavier.unclip)
    assert [row.networks for row in heavier.unclip] == [row.networks for row in before.unclip]
    assert heavier.unclip[0].init_img2img_noise < before.unclip[0].init_img2img_noise


def test_weights_that_are_not_those_of_the_recipe_are_warned_of(cli: Cli) -> None:
    models = [{"name": "starter/vqgan", "sha256": "0" * 64}, {"name": "starter/clip", "sha256": ""}]
    small = {"plan.steps": 1, "plan.cutouts": 1, "plan.size": [16, 16]}
    path = str(png_with(recipe_with({**small, "plan.models": models})))
    warning = "warning: the weights of starter/vqgan are not those of the first run; the picture will differ\n"
    result = cli("replay", path)
    assert result.exit_code == 0
    assert result.stderr.count("warning") == result.stderr.count(warning) == 1
    assert read_recipe(Path(result.stdout.strip())).plan.models == RECIPE.plan.models
    assert warning in cli("replay", path, "--seed", "3").stderr
    assert cli("replay", path, "--quiet").stderr == ""
    assert "warning" not in cli("replay", result.stdout.strip()).stderr


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("0.5", "--init-weight 0.5 needs an init image; add --init FILE"),
        ("-5", "--init-weight must be a number from 0 to 1000, got -5.0"),
        ("1e5", "--init-weight must be a number from 0 to 1000, got 100000.0"),
        ("nan", "--init-weight must be a number from 0 to 1000, got nan"),
    ],
)
def test_what_is_typed_is_checked_as_for_a_new_picture(cli: Cli, weight: str, message: str) -> None:
    assert_refused(cli("replay", str(made(cli)), "--init-weight", weight), message)


def test_the_same_start_changes_nothing(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    path = made(cli, "--init", "init.png")
    assert replayed(cli, path, "--init", "init.png", "--start", "init").plan == read_recipe(path).plan


def test_another_start_leaves_the_init_image_out(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    path = made(cli, "--init", "init.png", "--init-weight", "0.5")
    plan = replayed(cli, path, "--start", "noise", "--steps", "2").plan
    assert suits(plan, PRESETS["starter"].guidance[NOISE], "vqgan", {"steps": 2, "start": "noise"})
    assert (plan.init, plan.weight_of("init"), plan.size, plan.seed) == ("", 0.0, (32, 32), 7)
    assert_refused(cli("replay", str(path), "--start", "init"), "add --init FILE")
