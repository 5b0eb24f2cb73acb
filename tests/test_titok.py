"""Runs with TiToks: published ones, downloaded and checked, and a user's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pretrained
import pytest
import titoks
import torch
from fakes import Cli
from loopback import LoopbackServer
from PIL import Image
from pretrained import CLIP
from test_resume import digests, stop_at
from typer.testing import CliRunner

from clipgen import generate
from clipgen.cli.app import app
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.sequences import SequenceSettings
from clipgen.errors import UsageError
from clipgen.generators.titok_network import TiTokNetwork
from clipgen.outputs.metadata import read_recipe
from clipgen.weights import registry
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.loader import load

files = pretrained.files  # a fixture
TITOKS = [name for name, record in RECORDS.items() if record.kind == "titok"]
USUAL = "titok/imagenet-s-128"
SHAPE = {"width": 64, "layers": 1, "heads": 1}
PIXELS = {"n_embed": 16, "z_channels": 8, "ch": 32, "ch_mult": [1, 1, 1, 1, 1], "num_res_blocks": 1}
SMALL = ("a cat", "--backend", "titok", "--cutouts", "2", "--seed", "1")
OWN = (*SMALL, "--steps", "6", "--titok", "mine.bin")


def small(name: str) -> dict[str, Any]:
    """The config of a published TiTok with the narrowest of layers."""
    return {**RECORDS[name].config, "n_embed": 40, "encoder": SHAPE, "decoder": SHAPE, "pixels": PIXELS}


@pytest.fixture(scope="session")
def published(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("titoks")
    suffixes = {name: Path(RECORDS[name].file).suffix for name in TITOKS}
    paths = {n: titoks.save(titoks.state(small(n)), folder / f"{n.split('/')[1]}{suffixes[n]}") for n in TITOKS}
    return {CLIP: files[CLIP], **paths}


@pytest.fixture
def server(
    published: dict[str, Path], plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LoopbackServer]:
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    configs = {CLIP: pretrained.CONFIGS[CLIP]} | {name: small(name) for name in TITOKS}
    with pretrained.served(published, configs, monkeypatch) as server:
        yield server


@pytest.fixture
def cli(server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Types a command in a folder with a TiTok of the user's own, once the CLIP is here."""
    monkeypatch.chdir(tmp_path)
    titoks.save(titoks.state(titoks.CONFIG), Path("mine.bin"))

    def typed(*args: str) -> Any:
        return CliRunner().invoke(app, list(args))

    assert typed("models", "pull", CLIP).exit_code == 0
    return typed


def made(result: Any) -> Path:
    assert result.exit_code == 0, result.stderr
    return Path(result.stdout.split()[-1])


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def photo(size: tuple[int, int] = (titoks.SIDE, titoks.SIDE), seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.slow
def test_a_titok_of_the_true_size_goes_the_whole_way(
    files: dict[str, Path], plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    state = titoks.state(RECORDS[USUAL].config)
    paths = {CLIP: files[CLIP], USUAL: titoks.save(state, tmp_path / "tokenizer.bin")}
    with pretrained.served(paths, {CLIP: pretrained.CONFIGS[CLIP]}, monkeypatch):
        picture = made(CliRunner().invoke(app, [*SMALL, "--steps", "2"]))
    assert pixels(picture).std() > 1
    loaded = load(USUAL).tensors
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


@pytest.mark.parametrize("name", TITOKS)
def test_a_published_titok_is_fetched_checked_and_makes_a_picture(cli: Cli, server: LoopbackServer, name: str) -> None:
    chosen = () if name == USUAL else ("--titok", name)
    run = (*SMALL, "--steps", "2", *chosen)
    if RECORDS[name].sha256 is None:
        assert cli(*run).exit_code == 3
        assert cli("models", "pull", name, "--trust-on-first-use").exit_code == 0
    result = cli(*run)
    picture = made(result)
    assert pixels(picture).shape == (256, 256, 3)
    plan = read_recipe(picture).plan
    assert (plan.backend, plan.preset, plan.generator.weights) == ("titok", "draft", name)
    assert plan.generator.sequence == (SequenceSettings(int(name.split("-")[-1])),)
    assert next(row.sha256 for row in plan.models if row.name == name)
    assert "Apache-2.0, research only in README" in result.stderr
    state, wanted = load(name).tensors, titoks.state(small(name))
    assert all(torch.equal(state[key], value) for key, value in wanted.items())
    if name != USUAL:
        return
    asked = len(server.log)
    assert np.array_equal(pixels(made(cli("replay", str(picture), "-o", "again.png", "--offline"))), pixels(picture))
    assert len(server.log) == asked


def test_an_own_titok_is_found_by_its_tensors_and_the_recipe_has_all_settings(cli: Cli) -> None:
    settings = ("--token-noise", "0.3", "--token-ema", "0.9", "--token-reset", "0")
    picture = made(cli(*OWN, *settings))
    plan = read_recipe(picture).plan
    assert plan.size == (titoks.SIDE, titoks.SIDE)
    assert plan.generator.sequence == (SequenceSettings(titoks.TOKENS, 0.3, 0.9, 0),)
    assert registry.LOCAL.fullmatch(plan.generator.weights)
    assert np.array_equal(pixels(made(cli("replay", str(picture), "-o", "again.png"))), pixels(picture))
    changed = made(cli("replay", str(picture), "--token-ema", "0", "-o", "changed.png"))
    assert not np.array_equal(pixels(changed), pixels(picture))
    assert read_recipe(changed).plan.generator.sequence == (SequenceSettings(titoks.TOKENS, 0.3, 0.0, 0),)
    reseeded = read_recipe(
        made(cli("replay", str(picture), "--start", "perlin", "--steps", "2", "-o", "perlin.png"))
    ).plan
    assert reseeded.generator.weights == plan.generator.weights


@pytest.mark.parametrize("index", [0, 3])
def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    photo().save("photo.png")
    run = (*OWN, "--token-noise", "0.3", "--token-ema", "0.8", "--init", "photo.png", "--mask", "left")
    run = (*run, "--token-reset", "2", "--save-every", "0")
    with monkeypatch.context() as patch:
        stop_at(patch, index)
        stopped = cli(*run, "-o", "parts")
    assert stopped.exit_code == 130
    assert cli("resume", stopped.stdout.split()[0]).exit_code == 0
    assert cli(*run, "-o", "whole").exit_code == 0
    assert digests("parts") == digests("whole")


def test_pictures_of_a_batch_are_those_made_alone(cli: Cli) -> None:
    Path("prompts.txt").write_text("a cat\na dog\n")
    options = (*OWN[1:], "--token-noise", "0.2", "--token-ema", "0.9")
    together = cli("batch", "prompts.txt", *options, "-o", "together")
    assert together.exit_code == 0, together.stderr
    for name, prompt in (("cat", "a cat"), ("dog", "a dog")):
        [found] = Path("together").glob(f"a-{name}*.png")
        seed = read_recipe(found).plan.seed
        alone = made(cli(prompt, *options, "--seed", str(seed), "-o", f"{name}-again.png"))
        assert np.array_equal(pixels(found), pixels(alone))


def test_an_edit_leaves_what_is_outside_the_mask_and_goes_back_to_it(cli: Cli) -> None:
    photo().save("photo.png")
    pictures = []
    for every in ("0", "2"):
        picture = made(cli(*OWN, "--init", "photo.png", "--mask", "left", "--token-reset", every, "-o", f"{every}.png"))
        outside = pixels(picture)[:, titoks.SIDE // 2 :]
        assert np.array_equal(outside, np.asarray(photo())[:, titoks.SIDE // 2 :])
        pictures.append(pixels(picture))
    assert not np.array_equal(*pictures)


def test_an_init_image_is_cut_and_scaled_to_the_only_size_and_held(cli: Cli) -> None:
    photo((48, 32)).save("photo.png")
    result = cli(*OWN, "--init", "photo.png", "--init-weight", "0.02")
    assert "size 32x32, the only one of titok; an init image is cut and scaled to it" in result.stderr
    plan = read_recipe(made(result)).plan
    assert plan.size == (32, 32)
    assert plan.weight_of("init") == 0.02


def test_pictures_go_through_tokens_and_start_from_them(cli: Cli) -> None:
    photo((50, 40)).save("photo.png")
    rebuilt = cli("reconstruct", "photo.png", "--titok", "mine.bin", "--alone", "-o", "sheet.png")
    assert rebuilt.exit_code == 0, rebuilt.stderr
    assert "every picture is cut and scaled to 32x32" in rebuilt.stderr
    [tokens] = Path().glob("*.npy")
    codes = np.load(tokens)
    assert codes.shape == (1, titoks.TOKENS)
    decoded = made(cli("decode", str(tokens), "--titok", "mine.bin", "-o", "decoded.png"))
    network = TiTokNetwork(titoks.CONFIG).eval()
    network.load_state_dict(titoks.state(titoks.CONFIG))
    with torch.no_grad():
        shown = network.images_of(torch.from_numpy(codes).long()[None])[0].permute(1, 2, 0)
    assert np.abs(pixels(decoded) - (255 * shown).round().numpy()).max() <= 1
    started = made(cli(*OWN, "--init-tokens", str(tokens), "--lr", "1e-9", "-o", "started.png"))
    assert np.abs(pixels(started) - pixels(decoded)).max() <= 1
    assert "clipgen models pull" in cli("reconstruct", "photo.png", "--backend", "titok").stderr


def test_tokens_of_another_shape_are_refused(cli: Cli) -> None:
    np.save("grid.npy", np.zeros((2, 3), int))
    for command in ((*OWN, "--init-tokens", "grid.npy"), ("decode", "grid.npy", "--titok", "mine.bin")):
        result = cli(*command)
        assert result.exit_code == 2
        assert "3x2 tokens, and titok/local-" in result.stderr.splitlines()[-1]
        assert "has one row of 6" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--backend", "titok", "--size", "512x512"), "--size 512x512: backend titok makes pictures of 256x256 only"),
        (("--backend", "titok", "--size", "300x256"), "leave --size out, or use a generator with cells"),
        ((*OWN[1:], "--size", "64x64"), "--size 64x64: backend titok makes pictures of 32x32 only"),
        (("--titok", USUAL), "--titok goes with --backend titok, not with vqgan"),
        (("--backend", "titok", "--titok", "s-129"), "--titok, where it names no file, must be one of"),
        (("--backend", "titok", "--titok", __file__), "--titok: test_titok.py cannot be read as weights"),
        (("--backend", "titok", "--preset", "starter"), "--backend of preset starter must be one of"),
        (("--token-noise", "0.1"), "--token-noise is about a sequence of tokens, which backend vqgan does not have"),
        ((*SMALL[1:], "--token-noise", "-1"), "--token-noise must be a number from 0 to 10, got -1"),
        ((*SMALL[1:], "--token-ema", "1"), "--token-ema must be a number from 0 to 0.9999, got 1"),
        ((*SMALL[1:], "--token-reset", "-1"), "--token-reset must be a whole number from 0 to 100000, got -1"),
        (("--ema",), "add --vqgan FILE or --clip-weights FILE"),
    ],
)
def test_what_does_not_go_with_a_titok_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    result = cli("a cat", *args)
    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]
    assert not list(Path().rglob("*.png"))


def test_another_size_is_refused_of_a_replay_and_of_reconstruct(cli: Cli) -> None:
    picture = made(cli(*OWN))
    for command in (("replay", str(picture)), ("reconstruct", str(picture), "--titok", "mine.bin")):
        result = cli(*command, "--size", "40x40")
        assert result.exit_code == 2
        assert "--size 40x40: " in result.stderr.splitlines()[-1]
        assert "makes pictures of 32x32 only" in result.stderr.splitlines()[-1]


def test_a_file_that_is_no_titok_is_refused_in_one_line(cli: Cli, published: dict[str, Path]) -> None:
    torch.save({"weight": torch.zeros(3)}, "other.bin")
    result = cli(*SMALL, "--titok", "other.bin")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: --titok: other.bin has no TiTok in it that ends in pixels")


def test_a_recipe_must_be_about_the_network_that_it_names(cli: Cli) -> None:
    plan = read_recipe(made(cli(*OWN))).plan
    record = plan.to_dict()
    assert Plan.from_dict(record) == plan
    for change, said in (
        ({"sequence": []}, "plan: backend titok has 0 sequences of tokens"),
        ({"sequence": [*record["generator"]["sequence"]] * 2}, "plan: backend titok has 2 sequences"),
    ):
        with pytest.raises(UsageError, match=said):
            Plan.from_dict({**record, "generator": {**record["generator"], **change}})
    with pytest.raises(UsageError, match="makes pictures of 32x32 only"):
        Plan.from_dict({**record, "size": [64, 64]})


def test_a_job_keeps_settings_that_are_zero() -> None:
    job = Job(parse_prompts("a cat"), backend="titok", token_noise=0.0, token_reset=0)
    assert Job.from_json(job.to_json()) == job


def test_python_takes_the_same_settings(cli: Cli) -> None:
    name = read_recipe(made(cli(*OWN))).plan.generator.weights
    result = generate("a cat", backend="titok", network=name, steps=2, cutouts=2, seed=1, device="cpu", token_noise=0.1)
    assert result.image.size == (32, 32)
    assert result.plan.generator.sequence == (SequenceSettings(titoks.TOKENS, 0.1),)
