"""Runs on pretrained models: downloaded once, used without a network ever after, and what the flags for models mean."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pretrained
import pytest
import references
import torch
from loopback import LoopbackServer
from PIL import Image
from pretrained import CLIP, DVAE, SECOND_CLIP, VQGAN
from safetensors import SafetensorError
from typer.testing import CliRunner, Result

from clipgen import generate, metadata, resolving
from clipgen.cli import downloads, making
from clipgen.cli.app import app
from clipgen.cli.report import Notes, Results
from clipgen.errors import UsageError, WeightsMissingError
from clipgen.job import Job, parse_prompts
from clipgen.library import load
from clipgen.naming import partial_path
from clipgen.weights import shelf
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import RECORDS

Cli = Callable[..., Result]
SMALL = ("a cat", "--size", "32x32", "--steps", "2", "--cutouts", "2", "--seed", "1")
DRAFT = (*SMALL, "--preset", "draft")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("published")
    pretrained.know_tiny_clips(folder / "configs")
    return pretrained.save_files(folder)


@pytest.fixture
def server(
    files: dict[str, Path], plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LoopbackServer]:
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    with pretrained.served(files, pretrained.CONFIGS, monkeypatch) as server:
        yield server


@pytest.fixture
def cli(server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, list(args))


def test_the_first_run_downloads_and_the_next_asks_nobody(cli: Cli, server: LoopbackServer) -> None:
    first = cli(*DRAFT)
    assert first.exit_code == 0, first.stderr
    assert re.search(r"2 files have to be downloaded first, \d+ [kM]B", first.stderr)
    assert re.search(r"2 steps at 32x32 take about \d+ s here", first.stderr)
    assert [asked.path for asked in server.log] == ["/vqgan-imagenet-f16-16384", "/clip-openai-vit-b-32"]
    again = cli(*DRAFT, "--offline")
    assert again.exit_code == 0
    assert len(server.log) == 2
    pictures = [Path(result.stdout.strip()) for result in (first, again)]
    with Image.open(pictures[0]) as one, Image.open(pictures[1]) as other:
        assert one.size == (32, 32)
        assert one.tobytes() == other.tobytes()


def test_what_a_file_was_made_into_is_enough(cli: Cli, server: LoopbackServer) -> None:
    picture = cli(*DRAFT).stdout.strip()
    pruned = cli("models", "prune", "--yes").stdout.splitlines()
    assert [Path(path).name for path in pruned] == [
        "ViT-B-32.pt",
        "ViT-B-32.pt.sha256",
        "last.ckpt",
        "last.ckpt.sha256",
    ]
    rows = {row["name"]: row for row in json.loads(cli("models", "list", "--json").stdout)["models"]}
    assert (rows[VQGAN]["cached"], rows[VQGAN]["ready"]) == (False, True)
    assert "ready" in next(line for line in cli("models", "list").stdout.splitlines() if line.startswith(VQGAN))
    assert cli("models", "path", VQGAN).stdout.strip().endswith("network.safetensors")
    assert cli("models", "verify").stdout.splitlines() == [f"ok       {name}, ready to use" for name in (CLIP, VQGAN)]
    asked = len(server.log)
    again = cli("replay", picture, "-o", "again.png")
    assert again.exit_code == 0, again.stderr
    assert len(server.log) == asked
    assert cli("models", "rm", VQGAN, "--yes").exit_code == 0
    assert cli(*DRAFT, "--offline").exit_code == 3


def test_a_network_that_was_damaged_is_named_by_verify(cli: Cli) -> None:
    cli(*DRAFT)
    path = shelf.network_path(VQGAN)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    result = cli("models", "verify")
    assert result.exit_code == 1
    assert f"damaged  {VQGAN}, ready to use" in result.stdout
    assert f"clipgen models rm {VQGAN} --yes, then clipgen models pull {VQGAN}" in result.stderr


def test_a_file_that_changed_since_it_came_is_not_opened(cli: Cli) -> None:
    assert cli("models", "pull", VQGAN, CLIP).exit_code == 0
    path = Cache().path(RECORDS[VQGAN])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    result = cli(*DRAFT)
    assert result.exit_code == 1
    assert "last.ckpt is damaged: its sha256 is no longer" in result.stderr


def test_a_network_made_of_another_file_is_made_anew(
    cli: Cli, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli(*DRAFT)
    before = shelf.network_path(VQGAN).read_bytes()
    other = files[VQGAN].with_name("other.ckpt")
    torch.manual_seed(1)
    references.save_vqgan(references.vqgan(pretrained.VQGAN_CONFIG), other, "plain")
    with pretrained.served({VQGAN: other}, pretrained.CONFIGS, monkeypatch):
        assert (shelf.is_ready(VQGAN), shelf.is_ready(CLIP)) == (False, True)
        assert cli(*DRAFT).exit_code == 0
    assert shelf.network_path(VQGAN).read_bytes() != before
    assert cli("models", "verify").exit_code == 0


def test_a_network_that_cannot_be_read_says_the_way_out(cli: Cli) -> None:
    cli(*DRAFT)
    path = shelf.network_path(VQGAN)
    path.write_bytes(path.read_bytes()[:-100])
    result = cli(*DRAFT)
    assert result.exit_code == 1
    assert f"{VQGAN} is damaged" in result.stderr
    assert f"clipgen models rm {VQGAN} --yes, then type the same command again" in result.stderr
    assert cli("models", "prune", "--dry-run").stdout.splitlines()[0].endswith("ViT-B-32.pt")
    assert "last.ckpt" not in cli("models", "prune", "--dry-run").stdout
    assert cli("models", "rm", VQGAN, "--yes").exit_code == 0
    assert cli(*DRAFT).exit_code == 0


def test_prune_leaves_a_users_files_alone_and_takes_what_a_kill_left(cli: Cli) -> None:
    cli("models", "pull", VQGAN)
    mine = Cache().folder / "foo" / "bar"
    mine.mkdir(parents=True)
    (mine / "network.safetensors").write_bytes(b"mine")
    (mine / "thesis.txt").write_text("mine")
    left = partial_path(shelf.network_path(VQGAN))
    left.write_bytes(b"half")
    assert cli("models", "prune", "--yes").stdout.splitlines() == [str(left)]


def test_a_replay_downloads_nothing_that_only_the_picture_names(cli: Cli, server: LoopbackServer) -> None:
    picture = cli(*SMALL, "--clip", "RN50").stdout.strip()
    assert cli("models", "rm", SECOND_CLIP, "--yes").exit_code == 0
    asked = len(server.log)
    result = cli("replay", picture, "-o", "again.png")
    assert result.exit_code == 3
    assert f"clipgen models pull {SECOND_CLIP}" in result.stderr
    assert len(server.log) == asked
    assert cli("replay", picture, "-o", "again.png", "--clip", "RN50").exit_code == 0
    assert len(server.log) == asked + 1


def test_an_own_network_brings_no_download_with_it(cli: Cli, files: dict[str, Path], server: LoopbackServer) -> None:
    result = cli(*SMALL, "--vqgan", str(files[VQGAN]))
    assert result.exit_code == 3
    assert f"clipgen models pull {CLIP}" in result.stderr
    assert server.log == []


def test_a_replay_with_another_backend_or_preset_leaves_named_models_behind(cli: Cli) -> None:
    picture = cli(*DRAFT, "--vqgan", "imagenet-f16-16384", "--clip", "RN50").stdout.strip()
    cli("models", "pull", DVAE, CLIP, "--trust-on-first-use")
    for flags in (("--backend", "dvae"), ("--preset", "starter")):
        result = cli("replay", picture, "--size", "32x32", "--steps", "1", *flags)
        assert result.exit_code == 0, result.stderr
        job = metadata.read_recipe(Path(result.stdout.strip())).job
        assert (job.clips, job.network) == ((), None)


def test_all_lines_of_a_batch_have_the_models_of_the_first(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Job(parse_prompts("a cat"))
    studio = making.Studio(
        settings, device="cpu", delivery=making.Delivery(), results=Results(as_json=False), notes=Notes(quiet=True)
    )
    cli("models", "pull", VQGAN, CLIP)
    assert resolving.resolve(settings)[0].preset == "draft"
    assert studio.resolve(settings).preset == "starter"


@pytest.mark.parametrize("how", ["offline", "variable", "no server"])
def test_without_weights_and_network_the_error_says_how_to_get_them(
    cli: Cli, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "variable":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if how == "no server":
        server.server_close()
    result = cli(*DRAFT, *(["--offline"] if how == "offline" else []))
    assert result.exit_code == 3
    last = result.stderr.splitlines()[-1]
    assert re.match(rf"error: the weights {VQGAN} are not here: the file last.ckpt, \d+ [kM]B, ", last)
    assert last.endswith(f"get it with: clipgen models pull {VQGAN}")
    assert server.log == []
    assert not list(Path().rglob("*.png"))


def test_weights_without_a_published_hash_are_never_fetched_unasked(cli: Cli, server: LoopbackServer) -> None:
    run = (*DRAFT, "--backend", "dvae")
    refused = cli(*run)
    assert refused.exit_code == 3
    assert "clipgen models pull dvae/dall-e-encoder --trust-on-first-use" in refused.stderr
    assert server.log == []
    assert cli("models", "pull", DVAE, "--trust-on-first-use").exit_code == 0
    result = cli(*run)
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in shelf.network_path(DVAE).parent.iterdir()} == {
        "network.safetensors",
        "network.safetensors.sha256",
    }
    assert f"{DVAE} " in cli("models", "list").stdout
    assert cli("models", "rm", DVAE, "--yes", "--forget").exit_code == 0
    assert cli(*run).exit_code == 3


def test_python_never_downloads(server: LoopbackServer) -> None:
    with pytest.raises(WeightsMissingError, match=f"clipgen models pull {VQGAN}"):
        generate("a cat", preset="draft", size=(32, 32), steps=1, device="cpu")
    assert server.log == []


def test_auto_takes_what_is_here_and_says_why(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(parse_prompts("a cat"))
    assert resolving.resolve(job)[0].preset == "starter"
    cli("models", "pull", VQGAN, CLIP)
    resolved, notes = resolving.resolve(job)
    assert resolved.preset == "draft"
    assert notes == ["preset draft: its weights are here, and it runs on the CPU; --preset starter is quicker"]
    monkeypatch.setattr(resolving, "gpu_count", lambda: 1)
    assert resolving.resolve(job)[0].preset == "draft"
    monkeypatch.setitem(RECORDS, "clip/openai-vit-b-16", RECORDS[CLIP])
    resolved, notes = resolving.resolve(job)
    assert (resolved.preset, notes) == ("standard", ["preset standard: its weights are here, and it runs on the GPU"])
    assert resolving.resolve(job, device="cpu")[0].preset == "draft"


def test_doctor_says_what_would_run_now(cli: Cli, server: LoopbackServer) -> None:
    rows = {row["preset"]: row for row in json.loads(cli("doctor", "--json").stdout)["presets"]}
    assert (rows["starter"]["weights"], rows["draft"]["clips"]) == ("here", "openai-vit-b-32")
    assert rows["draft"]["weights"].endswith(" to get")
    missing = json.loads(cli("doctor", "--preset", "draft", "--json").stdout)["now"]
    assert missing["summary"].endswith("2 files have to be downloaded first")
    assert server.log == []
    cli("models", "pull", VQGAN, CLIP)
    result = cli("doctor", "--device", "cpu")
    assert result.exit_code == 0
    assert re.search(r"now: preset draft: .* vqgan on cpu, 256x256, 200 steps; about \d", result.stdout)


def test_several_clips_guide_together(cli: Cli) -> None:
    def made_by(*clips: str) -> tuple[float, float]:
        result = cli(*DRAFT, *(flag for clip in clips for flag in ("--clip", clip)))
        assert result.exit_code == 0, result.stderr
        recipe = metadata.read_recipe(Path(result.stdout.strip()))
        assert recipe.job.clips == tuple({"ViT-B/32": CLIP, "RN50": SECOND_CLIP}[clip] for clip in clips)
        return recipe.loss, recipe.score

    both = made_by("ViT-B/32", "RN50")
    assert made_by("RN50", "ViT-B/32") == pytest.approx(both)
    assert len({both, made_by("ViT-B/32"), made_by("RN50")}) == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--clip", "ViT-B-33"), "--clip must be one of"),
        (("--clip", "ViT-B-32", "--clip", CLIP), "--clip names the same CLIP twice"),
        (("--clip", "RN50", "--preset", "starter"), "--clip cannot guide with preset starter"),
        (("--clip", "RN50", "--clip", "ViT-B-32", "--clip-weights", "a.pt"), "give each a partner"),
        (("--clip-weights", "none.pt", "--clip", "tiny-vit"), "--clip-weights 'none.pt' is no file"),
        (("--clip-weights", __file__), "say whose weights these are"),
        (("--vqgan", "imagenet"), "did you mean vqgan/imagenet-f16-1024?"),
        (("--vqgan", "imagenet-f16-1024", "--backend", "dvae"), "--vqgan goes with --backend vqgan, not with dvae"),
        (("--vqgan-config", "a.yaml"), "needs the checkpoint that it is of"),
        (("--dvae", "a.pkl"), "--dvae goes with --backend dvae"),
        (("--dvae", __file__, "--backend", "dvae"), "--dvae takes two files"),
        (("--clip", "hf-hub:nobody/nothing"), "hf download nobody/nothing open_clip_config.json"),
        (("--clip", "hf-hub:../x y"), "is no repository of the Hugging Face hub"),
    ],
)
def test_a_wrong_flag_for_models_is_one_line(cli: Cli, flags: tuple[str, ...], message: str) -> None:
    result = cli(*SMALL, *flags)
    assert result.exit_code in (2, 3)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("clips", ["../../etc/passwd"]), ("clips", "clip/openai-rn50"), ("network", "/etc/passwd"), ("network", CLIP),
     ("clips", ["clip/local-zz"]), ("network", 3)],
)  # fmt: skip
def test_a_job_names_models_and_no_paths(field: str, value: Any) -> None:
    with pytest.raises(UsageError):
        Job.from_dict({"prompts": [{"text": "a cat"}], field: value})


def test_a_job_without_named_models_reads_as_it_always_did() -> None:
    assert not {"clips", "network"} & Job(parse_prompts("a cat")).to_dict().keys()
    named = Job(parse_prompts("a cat"), clips=(CLIP,), network="vqgan/local-0123456789abcdef")
    assert Job.from_json(named.to_json()) == named


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("No space left on device")

    assert cli("models", "pull", VQGAN, CLIP).exit_code == 0
    said: list[str] = []
    monkeypatch.setattr("clipgen.weights.checkpoint.save_file", full)
    assert load(VQGAN, said.append).kind == "vqgan"
    assert "is read anew in every run, as it cannot be kept" in said[0]
    assert "No space left on device" in said[0]
    assert not shelf.is_ready(VQGAN)


@pytest.mark.parametrize(("answer", "preset"), [("y", "standard"), ("n", "starter"), (None, "starter")])
def test_on_a_gpu_the_download_is_offered_and_never_begun_unasked(
    cli: Cli, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, answer: str | None, preset: str
) -> None:
    monkeypatch.setattr(making, "pick_device", lambda _wish: "cuda")
    monkeypatch.setattr(downloads, "can_ask", lambda: answer is not None)
    monkeypatch.setattr(downloads, "agreed", lambda _question: answer == "y")
    notes = Notes(quiet=False)
    settings = Job(parse_prompts("a cat"))
    monkeypatch.setitem(RECORDS, "clip/openai-vit-b-16", RECORDS[CLIP])
    studio = making.Studio(
        settings, device="auto", delivery=making.Delivery(), results=Results(as_json=False), notes=notes, typed=settings
    )
    assert studio.resolve(settings).preset == preset
    assert bool(server.log) == (answer == "y")


def test_the_terms_of_what_is_used_are_said(cli: Cli) -> None:
    cli("models", "pull", DVAE, "--trust-on-first-use")
    said = cli(*DRAFT, "--backend", "dvae").stderr
    assert f"{DVAE}: modified MIT: say clearly that it was used" in said
    assert f"{CLIP}: code MIT, no terms for the weights" in said
