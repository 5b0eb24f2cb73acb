"""Runs on pretrained models: downloaded once and only when asked, and used without a network ever after."""

import json
import re
from pathlib import Path

import pretrained
import pytest
import references
import torch
from fakes import Cli
from loopback import LoopbackServer
from PIL import Image
from pretrained import CLIP, DRAFT, DVAE, SECOND_CLIP, SMALL, VQGAN
from safetensors import SafetensorError

from clipgen import generate
from clipgen.cli import downloads, sessions
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.output_options import OutputOptions
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.errors import WeightsMissingError
from clipgen.util.files import partial_path
from clipgen.weights import registry
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.loader import load
from clipgen.weights.packaged import PACKAGED

files, server, cli = pretrained.files, pretrained.server, pretrained.cli  # fixtures


def test_the_first_run_downloads_and_the_next_asks_nobody(cli: Cli, server: LoopbackServer) -> None:
    first = cli(*DRAFT)
    assert first.exit_code == 0, first.stderr
    assert re.search(r"2 files must be downloaded first, \d+ [kM]B", first.stderr)
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
    assert "ready" in next(line for line in cli("models", "list").stdout.splitlines() if f" {VQGAN} " in line)
    assert cli("models", "path", VQGAN).stdout.strip().endswith("network.safetensors")
    verified = [*(f"{name}, ready to use" for name in (CLIP, VQGAN)), *PACKAGED]
    assert cli("models", "verify").stdout.splitlines() == [f"ok       {name}" for name in verified]
    asked = len(server.log)
    again = cli("replay", picture, "-o", "again.png")
    assert again.exit_code == 0, again.stderr
    assert len(server.log) == asked
    assert cli("models", "rm", VQGAN, "--yes").exit_code == 0
    assert cli(*DRAFT, "--offline").exit_code == 3


def test_a_network_that_was_damaged_is_named_by_verify(cli: Cli) -> None:
    cli(*DRAFT)
    path = registry.network_path(VQGAN)
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
    before = registry.network_path(VQGAN).read_bytes()
    other = files[VQGAN].with_name("other.ckpt")
    torch.manual_seed(1)
    references.save_vqgan(references.vqgan(pretrained.VQGAN_CONFIG), other, "plain")
    with pretrained.served({VQGAN: other}, pretrained.CONFIGS, monkeypatch):
        assert (registry.is_ready(VQGAN), registry.is_ready(CLIP)) == (False, True)
        assert cli(*DRAFT).exit_code == 0
    assert registry.network_path(VQGAN).read_bytes() != before
    assert cli("models", "verify").exit_code == 0


def test_a_network_that_cannot_be_read_says_the_way_out(cli: Cli) -> None:
    cli(*DRAFT)
    path = registry.network_path(VQGAN)
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
    left = partial_path(registry.network_path(VQGAN))
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
    assert {path.name for path in registry.network_path(DVAE).parent.iterdir()} == {
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


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("No space left on device")

    assert cli("models", "pull", VQGAN, CLIP).exit_code == 0
    said: list[str] = []
    monkeypatch.setattr("clipgen.weights.checkpoint.save_file", full)
    assert load(VQGAN, said.append).kind == "vqgan"
    assert "is converted in every run, as the result cannot be stored" in said[0]
    assert "No space left on device" in said[0]
    assert not registry.is_ready(VQGAN)


@pytest.mark.parametrize(("answer", "preset"), [("y", "standard"), ("n", "starter"), (None, "starter")])
def test_on_a_gpu_the_download_is_offered_and_never_begun_unasked(
    cli: Cli, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, answer: str | None, preset: str
) -> None:
    monkeypatch.setattr(sessions, "pick_device", lambda _wish: "cuda")
    monkeypatch.setattr(downloads, "can_ask", lambda: answer is not None)
    monkeypatch.setattr(downloads, "agreed", lambda _question: answer == "y")
    monkeypatch.setitem(RECORDS, "clip/openai-vit-b-16", RECORDS[CLIP])
    opened = sessions.open_for_job(Job(parse_prompts("a cat")), EngineOptions(), ModelOptions(), OutputOptions())
    assert opened.plan.preset == preset
    assert bool(server.log) == (answer == "y")


def test_the_terms_of_what_is_used_are_said(cli: Cli) -> None:
    cli("models", "pull", DVAE, "--trust-on-first-use")
    said = cli(*DRAFT, "--backend", "dvae").stderr
    assert f"{DVAE}: modified MIT: say clearly that it was used" in said
    assert f"{CLIP}: code MIT, no terms for the weights" in said
