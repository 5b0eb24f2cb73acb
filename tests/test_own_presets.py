"""Folders that are presets: what they say is checked before it is believed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from clipgen.config.own_presets import FILE, MARK, add_network, check_own_folder, read_own_preset
from clipgen.errors import UsageError

CONTENT = b"weights"
GOOD: dict[str, Any] = {
    MARK: 1,
    "name": "pets",
    "size": [64, 64],
    "networks": {"clip": {"file": "clip.safetensors", "sha256": hashlib.sha256(CONTENT).hexdigest()}},
    "captions": ["a dog", "a cat"],
}


def write(folder: Path, document: object) -> Path:
    (folder / "clip.safetensors").write_bytes(CONTENT)
    (folder / FILE).write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    preset = read_own_preset(write(tmp_path, GOOD))
    assert (preset.name, preset.size, preset.captions) == ("pets", (64, 64), ("a dog", "a cat"))
    assert preset.path("clip") == tmp_path / "clip.safetensors"
    with pytest.raises(UsageError, match="has no vqgan: run clipgen train vqgan"):
        preset.path("vqgan")


def test_networks_are_added_one_by_one_and_replaced(tmp_path: Path) -> None:
    for kind, size in (("vqgan", 64), ("clip", 32)):
        (tmp_path / f"{kind}.safetensors").write_bytes(kind.encode())
        add_network(tmp_path, kind, f"by {kind}", (size, size), ("a dog",))
    preset = read_own_preset(tmp_path)
    assert list(preset.networks) == ["clip", "vqgan"]
    assert preset.name == "by vqgan"
    assert preset.size == (64, 64)  # how large pictures are drawn, which a CLIP has no say in
    (tmp_path / "clip.safetensors").write_bytes(b"trained again")
    with pytest.raises(UsageError, match=r"clip\.safetensors is not the file that preset\.json means"):
        read_own_preset(tmp_path)
    add_network(tmp_path, "clip", "other", (32, 32), ("a cat",))
    assert read_own_preset(tmp_path).captions == ("a cat",)


def test_a_long_caption_is_cut_and_of_many_a_few_are_kept(tmp_path: Path) -> None:
    (tmp_path / "clip.safetensors").write_bytes(CONTENT)
    add_network(tmp_path, "clip", "pets", (64, 64), tuple(f"{k}" * 600 for k in range(1, 40)))
    captions = read_own_preset(tmp_path).captions
    assert 1 < len(captions) < 39
    assert max(map(len, captions)) < 600


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({MARK: 2}, "is of version 2, and this clipgen reads version 1: update clipgen, or train the preset again"),
        ({MARK: "1"}, "is of version '1'"),
        ({MARK: True}, "is of version True"),
        ({"name": ""}, "name must be a text of 1 to 200 characters"),
        ({"name": "x" * 201}, "name must be a text"),
        ({"size": [64]}, "size must be a width and a height"),
        ({"size": [64, 10**9]}, "size must be a whole number from 8 to 4096"),
        ({"size": [64, 64.5]}, "size must be a whole number"),
        ({"networks": {}}, "networks is empty"),
        ({"networks": []}, "networks: must be a JSON object"),
        ({"networks": {"unet": GOOD["networks"]["clip"]}}, "the key must be one of clip, dvae, prior, vqgan"),
        ({"networks": {"clip": {"file": "../clip.safetensors", "sha256": "0" * 64}}}, "must be one of clip.safe"),
        ({"networks": {"clip": {"file": "vqgan.safetensors", "sha256": "0" * 64}}}, "must be one of clip.safe"),
        ({"networks": {"clip": {"file": ["clip.safetensors"], "sha256": "0" * 64}}}, "must be one of clip.safe"),
        ({"networks": {"clip": {"file": "clip.safetensors", "sha256": "F" * 64}}}, "must be 64 hexadecimal digits"),
        ({"networks": {"clip": {"file": "clip.safetensors", "sha256": "0" * 64}}}, "is not the file that"),
        ({"captions": ["a"] * 21}, "captions must be a list of at most 20 texts"),
        ({"captions": [7]}, "captions must be a text"),
        ({"code": "import os"}, "the key must be one of"),
    ],
)
def test_what_a_preset_must_not_say_is_refused_in_one_line(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_own_preset(write(tmp_path, {**GOOD, **changes}))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"--preset {tmp_path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"clipgen_preset": NaN}', "[" * 5000, "\udcff"])
def test_a_file_that_is_no_preset_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"preset\.json"):
        read_own_preset(tmp_path)


def test_missing_files_are_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a folder that clipgen train --data made"):
        read_own_preset(tmp_path / "nowhere")
    write(tmp_path, GOOD)
    (tmp_path / "clip.safetensors").unlink()
    with pytest.raises(UsageError, match=r"clip\.safetensors cannot be read .*run clipgen train clip again"):
        read_own_preset(tmp_path)


def test_a_link_in_the_place_of_weights_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "clip.safetensors").rename(tmp_path / "elsewhere")
    (tmp_path / "clip.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="symbolic link"):
        read_own_preset(tmp_path)


def test_only_a_folder_with_another_version_is_refused_for_training(tmp_path: Path) -> None:
    check_own_folder(tmp_path)
    check_own_folder(write(tmp_path, GOOD))
    write(tmp_path, {**GOOD, MARK: 7})
    with pytest.raises(UsageError, match=r"--out .* version 7"):
        check_own_folder(tmp_path)
