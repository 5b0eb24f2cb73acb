"""Networks that several files have the weights of: which is fetched, which is used, and that they are one network."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pretrained
import pytest
import torch
from fakes import Cli
from huggingface_hub.constants import HF_HUB_CACHE
from loopback import LoopbackServer, serves
from pretrained import CLIP, DRAFT, VQGAN
from safetensors.torch import save_file

from clipgen.weights import registry
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import RECORDS, files_of, forms_of
from clipgen.weights.files import find_file
from clipgen.weights.loader import load
from clipgen.weights.records import Record

files, server, cli = pretrained.files, pretrained.server, pretrained.cli  # fixtures

FORM = f"{CLIP}-safetensors"
PUBLISHED = RECORDS[FORM]
COMMIT = "a6f597a30f7b82c51704746581f9a4e41421e878"


@pytest.fixture
def form(server: LoopbackServer, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Record:
    """The same CLIP in a file of tensors alone, on the same server."""
    state = load_torchscript(files[CLIP])
    path = files[CLIP].with_name("safetensors")
    save_file(state, path)
    content = path.read_bytes()
    server.routes["/safetensors"] = serves(content)
    record = replace(
        PUBLISHED,
        mirrors=(f"{server.address}/safetensors",),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        config=RECORDS[CLIP].config,
    )
    monkeypatch.setitem(RECORDS, FORM, record)
    return record


def load_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one of OpenAI's archives, in float32 as others publish them."""
    from clipgen.weights.foreign import read_foreign

    marks = ("input_resolution", "context_length", "vocab_size")
    return {name: value.float().contiguous() for name, value in read_foreign(path).items() if name not in marks}


def asked(server: LoopbackServer) -> list[str]:
    return [each.path for each in server.log]


def test_the_file_of_tensors_alone_is_fetched_first_and_makes_the_same_network(
    cli: Cli, server: LoopbackServer, form: Record
) -> None:
    assert cli("models", "pull", VQGAN).exit_code == 0
    assert registry.sha256_of_network(CLIP) == form.sha256
    first = cli(*DRAFT, "-o", "first.png")
    assert first.exit_code == 0, first.stderr
    assert asked(server)[1:] == ["/safetensors"]
    assert registry.is_ready(CLIP)
    one = load(CLIP)
    assert cli("models", "rm", CLIP, "--yes").exit_code == 0
    assert not registry.is_ready(CLIP)
    server.routes["/safetensors"] = lambda answer: answer.say(404, b"")
    second = cli(*DRAFT, "-o", "second.png")
    assert second.exit_code == 0, second.stderr
    assert "trying ViT-B-32.pt instead" in second.stderr
    assert asked(server)[-1] == "/clip-openai-vit-b-32"
    other = load(CLIP)
    assert one.tensors.keys() == other.tensors.keys()
    assert all(torch.equal(value, other.tensors[name]) for name, value in one.tensors.items())
    recipes = [json.loads(cli("info", name, "--json").stdout) for name in ("first.png", "second.png")]
    assert form.sha256 in json.dumps(recipes[0])
    assert RECORDS[CLIP].sha256 in json.dumps(recipes[1])
    assert registry.sha256_of_network(CLIP) == RECORDS[CLIP].sha256


def test_a_file_from_before_is_used_and_nothing_is_downloaded_again(
    cli: Cli, server: LoopbackServer, form: Record, files: dict[str, Path]
) -> None:
    added = cli("models", "add", CLIP, str(files[CLIP]))
    assert added.exit_code == 0, added.stderr
    assert registry.missing([CLIP]) == []
    assert cli("models", "path", CLIP).stdout == added.stdout
    assert registry.sha256_of_network(CLIP) == RECORDS[CLIP].sha256
    load(CLIP)
    assert registry.is_ready(CLIP)
    assert [Path(each).name for each in cli("models", "prune", "--yes").stdout.split()] == [
        "ViT-B-32.pt",
        "ViT-B-32.pt.sha256",
    ]
    assert registry.is_ready(CLIP)
    assert registry.sha256_of_network(CLIP) == RECORDS[CLIP].sha256  # a replay sees the weights of the first run
    assert server.log == []


def test_a_file_is_added_under_the_name_of_the_network_by_its_ending(
    cli: Cli, form: Record, files: dict[str, Path]
) -> None:
    mine = Path("mine.safetensors")
    mine.write_bytes(files[CLIP].with_name("safetensors").read_bytes())
    result = cli("models", "add", CLIP, str(mine))
    assert result.exit_code == 0, result.stderr
    assert Cache().has(form)
    assert cli("models", "verify").stdout.startswith(f"ok       {FORM}\n")
    removed = cli("models", "rm", CLIP, "--yes").stdout.split()
    assert [Path(each).name for each in removed] == [form.file, f"{form.file}.sha256"]


def test_offline_the_first_form_is_asked_for_by_the_name_of_the_network(cli: Cli, form: Record) -> None:
    result = cli("models", "pull", "ViT-B-32", "--offline")
    assert result.exit_code == 3
    assert f"the weights {CLIP} are not here: the file {form.file}" in result.stderr
    assert f"clipgen models pull {CLIP}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_dry_run_says_what_would_be_downloaded(cli: Cli, server: LoopbackServer, form: Record) -> None:
    result = cli("models", "pull", "ViT-B/32", CLIP, "dall-e", "--dry-run")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        FORM,
        "dvae/dall-e-encoder",
        "dvae/dall-e-decoder",
    ]
    said = json.loads(cli("models", "pull", CLIP, "--dry-run", "--json").stdout)
    assert said == {"models": [{"name": FORM, "bytes": form.size, "mirrors": list(form.mirrors)}], "dry_run": True}
    assert server.log == []


def test_both_forms_are_one_network(form: Record) -> None:
    assert registry.network_of(FORM) == registry.network_of(CLIP) == CLIP
    assert FORM not in registry.networks("clip")
    assert files_of(CLIP) == (RECORDS[CLIP],)
    assert forms_of(RECORDS[CLIP]) == (form, RECORDS[CLIP])


def test_a_file_in_the_hubs_cache_is_that_of_the_commit(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    asked: list[tuple[str, str, str | None]] = []
    found: dict[str | None, str] = {"main": "/other", COMMIT: "/that"}

    def look(repository: str, file: str, revision: str | None = None) -> str | None:
        asked.append((repository, file, revision))
        return found.get(revision)

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", look)
    assert find_file(PUBLISHED, cache) == Path("/that")
    assert asked == [("timm/vit_base_patch32_clip_224.openai", PUBLISHED.file, COMMIT)]
    assert HF_HUB_CACHE  # the folder that huggingface_hub looks in
    del found[COMMIT]
    assert find_file(PUBLISHED, cache) is None


def test_a_network_out_of_an_archive_is_converted_once(
    cli: Cli, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "vqgan/ldm-f8"
    with zipfile.ZipFile("vq-f8.zip", "w") as archive:
        archive.write(files[VQGAN], "model.ckpt")
    monkeypatch.setitem(RECORDS, name, replace(RECORDS[name], config=pretrained.VQGAN_CONFIG))
    assert cli("models", "add", name, "vq-f8.zip", "--trust-on-first-use").exit_code == 0
    load(name)
    assert registry.is_ready(name)
    assert load(name).recipe["converted_from"] == [
        {"file": "vq-f8.zip", "sha256": hashlib.sha256(Path("vq-f8.zip").read_bytes()).hexdigest()}
    ]
    monkeypatch.setattr("clipgen.weights.loader.convert", lambda *_: pytest.fail("converted again"))
    load(name)
