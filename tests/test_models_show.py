"""`clipgen models show`: all that is known of a network, of one of its files, and of a user's own."""

import json
from pathlib import Path

import pytest
from own_files import cli, saved
from pretrained import VQGAN_CONFIG

from clipgen.weights.catalogue import RECORDS
from clipgen.weights.imports import import_autoencoder
from clipgen.weights.packaged import PACKAGED

pytestmark = pytest.mark.usefixtures("own_folder")


def said(name: str) -> dict[str, object]:
    result = cli("models", "show", name, "--json")
    assert result.exit_code == 0, result.stderr
    record: dict[str, object] = json.loads(result.stdout)
    return record


def test_a_network_is_shown_with_every_file_that_it_can_be_made_from() -> None:
    known = said("ViT-B/32")
    assert (known["name"], known["presets"], known["state"]) == (
        "clip/openai-vit-b-32",
        ["draft", "standard", "best"],
        "not here",
    )
    better, other = known["files"]
    assert better["name"] == "clip/openai-vit-b-32-safetensors"
    assert better["revisions"] == ["a6f597a30f7b82c51704746581f9a4e41421e878"]
    assert (better["hash"], better["unpinned"]) == ("published", "")
    assert other["sha256"] == RECORDS["clip/openai-vit-b-32"].sha256
    lines = cli("models", "show", "ViT-B/32").stdout.splitlines()
    assert lines[0] == "clip/openai-vit-b-32"
    assert all(len(line) <= 80 for line in lines if not line.strip().startswith(("sha256", "from", "path")))
    for address in (*better["mirrors"], *other["mirrors"]):
        assert any(line.endswith(f" {address}") for line in lines)


def test_one_file_is_shown_alone() -> None:
    known = said("clip/openai-vit-b-32-safetensors")
    assert [file["name"] for file in known["files"]] == ["clip/openai-vit-b-32-safetensors"]


def test_what_no_hash_is_published_of_says_how_to_get_it() -> None:
    text = " ".join(cli("models", "show", "dall-e").stdout.split())
    assert "clipgen models pull dvae/dall-e --trust-on-first-use" in text
    assert text.count("none is published (trusted on first use)") == 2


@pytest.mark.parametrize("name", PACKAGED)
def test_a_network_of_a_package_names_it(name: str) -> None:
    known = said(name)
    assert (known["package"], known["files"]) == (PACKAGED[name].package, [])
    assert PACKAGED[name].package in cli("models", "show", name).stdout


def test_a_network_of_a_users_own_is_shown_by_its_name() -> None:
    name = import_autoencoder("vqgan", saved(VQGAN_CONFIG))
    known = said(name)
    assert (known["ready"], known["files"], known["licence"]) == (True, [], "of your own file")
    assert Path(str(known["network_file"])).is_file()


@pytest.mark.parametrize("command", ["show", "pull", "path", "verify", "rm"])
def test_what_ships_needs_no_command(command: str) -> None:
    result = cli("models", command, "starter/clip")
    assert result.exit_code == 2
    assert "'starter/clip' ships with clipgen" in result.stderr


def test_every_record_can_be_shown() -> None:
    for name in RECORDS:
        known = said(name)
        assert known["name"] == name
        assert known["licence"]
