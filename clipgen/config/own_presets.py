"""Presets of one's own: a folder with networks that `clipgen train --data` made, and what is to be known of them.

Torch-free. A folder may come from someone else, so all that it says is checked, and its weights are data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipgen.config.checks import MAX_JSON, check_whole, checked_record, load_json
from clipgen.errors import UsageError, unknown_value
from clipgen.util.files import replacing
from clipgen.util.regular import read_regular, sha256_of
from clipgen.util.text import quoted, visible

FILE = "preset.json"
VERSION = 1
MARK = "clipgen_preset"
"""The key by which the file is known; its value is the version."""
NETWORKS = ("clip", "vqgan", "dvae", "prior")
MIN_SIZE, MAX_SIZE = 8, 4096
MAX_NAME, MAX_CAPTIONS, MAX_CAPTION = 200, 20, 500
MAX_WEIGHTS = 2**36
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class OwnNetwork:
    """A weight file in the folder, and the hash of its content."""

    file: str
    sha256: str


@dataclass(frozen=True)
class OwnPreset:
    """What the folder holds."""

    folder: Path
    name: str
    size: tuple[int, int]
    """Width and height of the pictures that the networks were trained on."""
    networks: Mapping[str, OwnNetwork]
    """By kind, one of NETWORKS."""
    captions: tuple[str, ...] = ()
    """A few captions of the pictures: prompts that these networks know."""

    def path(self, kind: str) -> Path:
        """Return the path of a network; raises UsageError, which tells how to train it, if the folder has none."""
        if kind not in self.networks:
            raise UsageError(
                f"the preset {self.folder} has no {kind}: run clipgen train {kind} --data PICTURES --out {self.folder}"
            )
        return self.folder / self.networks[kind].file


def read_own_preset(folder: Path, flag: str = "--preset") -> OwnPreset:
    """Read the preset in a folder and check the hashes of its networks; raises UsageError, in one line, if it is none.

    flag: the option that names the folder.
    """
    preset = _read(folder, flag)
    for kind, network in preset.networks.items():
        path = folder / network.file
        try:
            found = sha256_of(path, MAX_WEIGHTS)
        except OSError as error:
            raise UsageError(
                f"{flag} {folder}: {network.file} cannot be read ({error.strerror}); get the whole folder again, or "
                f"run clipgen train {kind} again"
            ) from error
        if found != network.sha256:
            raise UsageError(
                f"{flag} {folder}: {network.file} is not the file that {FILE} means (its sha256 is {found}); get the "
                f"whole folder again, or run clipgen train {kind} again"
            )
    return preset


def add_network(folder: Path, kind: str, name: str, size: tuple[int, int], captions: tuple[str, ...]) -> OwnPreset:
    """Note in the folder's preset that `<kind>.safetensors` is there, and return it. Raises OSError.

    name, captions: as of an `OwnPreset`; an earlier name stays. size: taken unless it is that of a CLIP beside an
    autoencoder, which says how large pictures are drawn.
    """
    file = f"{kind}.safetensors"
    before = (
        _read(folder, "--out") if (folder / FILE).exists() else OwnPreset(folder, visible(name)[:MAX_NAME], size, {})
    )
    networks = {**before.networks, kind: OwnNetwork(file, sha256_of(folder / file, MAX_WEIGHTS))}
    if kind == "clip" and set(networks) > {"clip"}:
        size = before.size
    ordered = {each: networks[each] for each in NETWORKS if each in networks}
    shown = tuple(text[:MAX_CAPTION] for text in captions[:MAX_CAPTIONS])
    preset = OwnPreset(folder, before.name, size, ordered, shown)
    with replacing(folder / FILE) as partial:
        partial.write_text(json.dumps(_document(preset), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return preset


def check_own_folder(folder: Path) -> None:
    """Raise UsageError if a network cannot be added to the preset in a folder, before hours are spent on it."""
    if (folder / FILE).exists():
        _read(folder, "--out")


def _document(preset: OwnPreset) -> dict[str, Any]:
    networks = {kind: {"file": each.file, "sha256": each.sha256} for kind, each in preset.networks.items()}
    return {
        MARK: VERSION,
        "name": preset.name,
        "size": list(preset.size),
        "networks": networks,
        "captions": list(preset.captions),
    }


def _read(folder: Path, flag: str) -> OwnPreset:
    where = f"{flag} {folder}: {FILE}"
    try:
        text = read_regular(folder / FILE, MAX_JSON).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is no UTF-8 text") from error
    except OSError as error:
        raise UsageError(
            f"{where} cannot be read ({error.strerror}); name a folder that clipgen train --data made"
        ) from error
    document = load_json(where, text)
    version = document.get(MARK) if isinstance(document, dict) else None
    if type(version) is not int or version != VERSION:
        raise UsageError(
            f"{where} is of version {quoted(version)}, and this clipgen reads version {VERSION}: update clipgen, or "
            "train the preset again"
        )
    values = checked_record(where, document, {MARK, "name", "size", "networks", "captions"})
    return OwnPreset(
        folder,
        _text(f"{where}: name", values.get("name"), MAX_NAME),
        _size(f"{where}: size", values.get("size")),
        _networks(f"{where}: networks", values.get("networks")),
        _captions(f"{where}: captions", values.get("captions", [])),
    )


def _text(name: str, value: object, most: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise UsageError(f"{name} must be a text of 1 to {most} characters, got {quoted(value)}")
    return value


def _size(name: str, value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise UsageError(f"{name} must be a width and a height, got {quoted(value)}")
    for side in value:
        check_whole(name, side, MIN_SIZE, MAX_SIZE)
    return value[0], value[1]


def _networks(name: str, value: object) -> dict[str, OwnNetwork]:
    record = checked_record(name, value, set(NETWORKS))
    if not record:
        raise UsageError(f"{name} is empty: train one of {', '.join(NETWORKS)}")
    return {kind: _network(f"{name}.{kind}", kind, one) for kind, one in record.items()}


def _network(name: str, kind: str, value: object) -> OwnNetwork:
    record = checked_record(name, value, {"file", "sha256"})
    file, digest = record.get("file"), record.get("sha256")
    if file != f"{kind}.safetensors":  # so that no file outside the folder is ever named
        raise unknown_value(f"{name}.file", str(file), [f"{kind}.safetensors"])
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise UsageError(f"{name}.sha256 must be 64 hexadecimal digits, got {quoted(digest)}")
    return OwnNetwork(file, digest)


def _captions(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_CAPTIONS:
        raise UsageError(f"{name} must be a list of at most {MAX_CAPTIONS} texts, got {quoted(value)}")
    return tuple(_text(name, each, MAX_CAPTION) for each in value)
