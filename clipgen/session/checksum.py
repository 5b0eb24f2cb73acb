"""Checksums of the files of a state, so that one that was damaged or swapped is never taken for whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from clipgen.util.regular import open_regular

BLANK = "0" * 64
"""Stands in the metadata of a safetensors file, under the key FIELD, where its SHA-256 is to be."""
FIELD = "sha256"

_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_MAX_HEADER = 10_000_000
_CHUNK = 1 << 20


def record_digest(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON record but for its own FIELD, however it is written."""
    others = {name: value for name, value in record.items() if name != FIELD}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def seal(path: Path) -> None:
    """Write the SHA-256 of a safetensors file, whose metadata have a BLANK one, into it. Raises OSError."""
    with path.open("r+b") as file:
        header, found = _header(file)
        digest = _digest(file, header, found)
        file.seek(found.start(1))
        file.write(digest.encode())


def check_seal(path: Path, limit: int) -> None:
    """Raise OSError or ValueError unless a safetensors file of at most `limit` bytes is as `seal` left it."""
    with open_regular(path, limit) as file:
        header, found = _header(file)
        if found[1].decode() != _digest(file, header, found):
            raise ValueError("its checksum is wrong")


def _header(file: BinaryIO) -> tuple[bytes, re.Match[bytes]]:
    """Return the start of a safetensors file, up to the numbers, and where the digest is in it."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if length > _MAX_HEADER:
        raise ValueError("its header is too long")
    header = start + file.read(length)
    found = list(_DIGEST.finditer(header))
    if len(found) != 1:
        raise ValueError("it has no checksum")
    return header, found[0]


def _digest(file: BinaryIO, header: bytes, found: re.Match[bytes]) -> str:
    """Return the SHA-256 of a file as it is with a BLANK digest."""
    digest = hashlib.sha256(header[: found.start(1)] + BLANK.encode() + header[found.end(1) :])
    file.seek(len(header))
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
