"""Pictures and states of schema 1, which hold a job in place of a plan, are read, shown, repeated and resumed."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import Cli
from PIL import Image
from recipes import JOB, old_recipe_with, png_with
from safetensors import safe_open
from safetensors.torch import save_file
from test_recipe import pixels
from test_resume import digests, stop_at

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.preset import UNCLIP
from clipgen.config.presets import PRESETS
from clipgen.errors import UsageError
from clipgen.outputs import metadata
from clipgen.outputs.metadata import read_recipe

SMALL = ("--size", "32x32", "--steps", "8", "--cutouts", "2", "--seed", "7", "--lr", "0.05", "--preset", "starter")
ASKED = replace(JOB, size=(32, 32), steps=8, cutouts=2, seed=7, lr=0.05)


@pytest.fixture(autouse=True)
def _preset_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is typed mean what it meant then."""
    today = PRESETS["starter"]
    guidance = today.guidance[UNCLIP]
    then = replace(guidance, unclip=tuple(replace(row, candidates=32, solver="heun") for row in guidance.unclip))
    monkeypatch.setitem(PRESETS, "starter", replace(today, guidance={**today.guidance, UNCLIP: then}))


@pytest.mark.parametrize("backend", ["vqgan", "dvae"])
def test_a_replay_has_the_pixels_of_the_same_job_typed(cli: Cli, backend: str) -> None:
    old = png_with(old_recipe_with({}, replace(ASKED, backend=backend)), path="old.png")
    typed = cli("red", *SMALL, "--backend", backend, "-o", "typed.png")
    replayed = cli("replay", str(old), "-o", "again.png")
    assert (typed.exit_code, replayed.exit_code) == (0, 0), replayed.stderr
    assert pixels(Path("again.png")) == pixels(Path("typed.png"))
    assert read_recipe(Path("again.png")).plan == read_recipe(Path("typed.png")).plan == read_recipe(old).plan


def test_a_replay_with_an_init_image_keeps_to_it_as_then(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    asked = replace(ASKED, init="init.png", init_weight=0.5)
    old = png_with(old_recipe_with({"init_sha256": metadata.hash_file("init.png")}, asked), path="old.png")
    assert "--init FILE" in cli("replay", str(old)).stderr
    result = cli("replay", str(old), "--init", "init.png", "-o", "again.png")
    assert result.exit_code == 0, result.stderr
    assert "warning" not in result.stderr
    plan = read_recipe(Path("again.png")).plan
    assert plan == read_recipe(old).plan
    assert [(row.name, row.weight.start) for row in plan.losses] == [("prompt", 1.0), ("init", 0.5)]
    assert plan.unclip[0].init_img2img_noise == 0.0


def test_info_shows_what_was_asked_and_what_it_means_today(cli: Cli) -> None:
    old = str(png_with(old_recipe_with({"version": "0.0.1", "views_at_once": 2}, ASKED)))
    shown = cli("info", old)
    assert shown.exit_code == 0, shown.stderr
    rows = dict(line.split(None, 1) for line in shown.stdout.splitlines())
    assert rows["prompt"] == "red"
    assert (rows["size"], rows["seed"], rows["lr"], rows["version"]) == ("32x32", "7", "0.05", "0.0.1")
    document = json.loads(cli("info", old, "--json").stdout)
    assert Plan.from_dict(document["plan"]) == read_recipe(Path(old)).plan
    assert document["cutouts_at_once"] == 2


def test_a_batch_does_not_make_a_picture_of_schema_1_again(cli: Cli) -> None:
    Path("outputs").mkdir()
    png_with(old_recipe_with({}, ASKED), path="outputs/red-7.png")
    Path("prompts.txt").write_text("red\n")
    result = cli("batch", "prompts.txt", *SMALL)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "already made, outputs/red-7.png" in result.stderr


def as_schema_1(folder: Path, job: Job) -> None:
    """Turn the state of a stopped run into what its job would have left under schema 1."""
    record = json.loads((folder / "job.json").read_text())
    asked: dict[str, Any] = {"job": job.to_dict()}
    asked |= {"init_sha256": record["init_sha256"]} if "init_sha256" in record else {}
    old = {"schema": 1, "version": "0.1.0", "asked": asked, "films": record["films"], "metadata": record["metadata"]}
    (folder / "job.json").write_text(json.dumps(old))
    path = folder / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    count = tensors.pop("optimizer.counts")
    remembered = {name.split(".")[1] for name in tensors if name.startswith("optimizer.")}
    for latent in remembered:
        tensors[f"optimizer.{latent}.step"] = torch.tensor(float(count[0]))
    save_file(tensors, path, metadata=header)


@pytest.mark.parametrize("backend", ["vqgan", "dvae"])
@pytest.mark.parametrize("index", [1, 5])  # before and after the picture grows
def test_a_state_of_schema_1_is_resumed(cli: Cli, monkeypatch: pytest.MonkeyPatch, backend: str, index: int) -> None:
    command = ("red", *SMALL, "--backend", backend, "--gif", "--save-every", "0")
    with monkeypatch.context() as patch:
        stop_at(patch, index, signal.SIGINT)
        picture = Path(cli(*command, "-o", "parts").stdout.split()[0])
    asked = replace(ASKED, backend=backend)
    as_schema_1(picture.with_suffix(".clipgen"), asked)
    png_over(picture, old_recipe_with({"outcome": "interrupted", "steps_done": index + 1}, asked))
    resumed = cli("resume", str(picture))
    assert resumed.exit_code == 0, resumed.stderr
    assert cli(*command, "--no-mark", "-o", "whole").exit_code == 0  # there was none then
    assert digests("parts") == digests("whole")
    assert read_recipe(picture).plan == read_recipe(Path("whole", picture.name)).plan


def png_over(picture: Path, recipe: str) -> None:
    picture.unlink()
    png_with(recipe, path=str(picture))


def test_a_state_of_schema_1_can_be_given_more_steps(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 5, signal.SIGINT)
        picture = Path(cli("red", *SMALL, "--save-every", "0").stdout.strip())
    as_schema_1(picture.with_suffix(".clipgen"), ASKED)
    assert cli("resume", str(picture), "--steps", "+2").exit_code == 0
    recipe = read_recipe(picture)
    assert (recipe.steps_done, recipe.plan.steps) == (10, 10)


@pytest.mark.parametrize("backend", ["vqgan", "dvae"])
@pytest.mark.usefixtures("own_folder")
def test_presets_of_today_change_nothing_of_an_old_recipe(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = png_with(old_recipe_with({}, replace(JOB, backend=backend, preset="starter", steps=None, lr=None)))
    before = read_recipe(old).plan
    monkeypatch.setitem(PRESETS, "starter", replace(PRESETS["starter"], guidance=PRESETS["draft"].guidance))
    assert read_recipe(old).plan == before
    assert (before.steps, before.lr) == {"vqgan": (50, 0.06), "dvae": (100, 0.4)}[backend]


@pytest.mark.usefixtures("own_folder")
def test_an_old_recipe_of_a_backend_that_it_could_not_have_is_refused() -> None:
    old = png_with(old_recipe_with({}, replace(JOB, backend="pixels", preset="starter")))
    with pytest.raises(UsageError, match="starter/pixels"):
        read_recipe(old)
