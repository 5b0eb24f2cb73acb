"""What is known of a file of pretrained weights, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clipgen.util.text import readable_bytes

HUB = "https://huggingface.co"
PYTTI = f"{HUB}/pxlpshr/pytti-models/resolve/main"

CODE_MIT = "code MIT, no terms for the weights"


@dataclass(frozen=True)
class Record:
    """A file of pretrained weights.

    name: as it is typed, "vqgan/imagenet-f16-16384".
    kind: the network it fills: "vqgan", "dvae" or "clip".
    file: its name in the cache.
    size: in bytes; None where only `megabytes`, as published, or nothing is known.
    sha256: of the whole file; None where none is published.
    mirrors: https addresses of this very file, the most trusted first.
    licence: what is known of the terms.
    config: the network's arguments, JSON values only. Of a CLIP: the `model` whose config open_clip has, `quick_gelu`,
        and the `mean` and `std` of its input.
    """

    name: str
    kind: str
    file: str
    size: int | None
    sha256: str | None
    mirrors: tuple[str, ...]
    licence: str
    config: dict[str, Any]
    summary: str
    megabytes: int | None = None
    member: str | None = None
    """Of a zip archive: the file inside that holds the weights."""
    hub: tuple[str, str] | None = None
    """Repository and file on the Hugging Face hub, whose own cache may hold the file already."""


def describe_sizes(records: Sequence[Record]) -> str:
    """Say how large files are together: "1.33 GB", or "346 MB and 1 file of unknown size"."""
    known = [record.size or (record.megabytes or 0) * 10**6 for record in records]
    unknown = known.count(0)
    total = readable_bytes(sum(known)) if any(known) else ""
    rest = f"{unknown} {'file' if unknown == 1 else 'files'} of unknown size" if unknown else ""
    return " and ".join(filter(None, (total, rest)))


def describe_size(record: Record) -> str:
    """Say how large the file is, as far as that is known."""
    if record.size is not None:
        return readable_bytes(record.size)
    return "of unknown size" if record.megabytes is None else f"about {record.megabytes} MB"
