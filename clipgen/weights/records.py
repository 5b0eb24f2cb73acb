"""The record of a file of pretrained weights: where to get it, how to check it, which network it fills."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clipgen.util.text import readable_bytes

HUB = "https://huggingface.co"
PYTTI = f"{HUB}/pxlpshr/pytti-models/resolve/main"
PYTTI_UNPINNED = "the commit of pxlpshr/pytti-models is not published; the sha256 holds its copy to the same bytes"

CODE_MIT = "code MIT, no terms for the weights"
BY_HASH = "the commit is not published; the sha256 holds it to the same bytes"
"""Why a record with a hash has a branch in its address."""


@dataclass(frozen=True)
class Record:
    """A file of pretrained weights.

    name: what users type, "vqgan/imagenet-f16-16384".
    kind: of the network, "vqgan", "dvae", "kl", "titok", "clip", "aesthetic" or "upscaler".
    file: its name in the cache.
    size: in bytes; None if it is not known exactly.
    sha256: of the whole file; None if none is published.
    mirrors: https addresses of this very file, the most trusted first.
    licence: what is known of the terms.
    config: what the network is built from, JSON values only. For a CLIP: open_clip's name of the `model`, `quick_gelu`,
        the `mean` and `std` of its input, and how it takes whole pictures, if not as usual, by the names of open_clip's
        PreprocessCfg: `interpolation`, `resize_mode` and `fill_color`.
    summary: one line for users.
    megabytes: the size as published, where `size` is not known.
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
    """The file with the weights inside, if the file is a zip archive."""
    hub: tuple[str, str] | None = None
    """Repository and file on the Hugging Face hub, whose local cache may have the file already."""
    averaged: bool = False
    """Whether the moving averages (EMA) of the weights are meant, of a file that holds both."""
    good_for: str = ""
    """What users would choose it for: one sentence."""
    unpinned: str = ""
    """Why a mirror on the hub has a branch in its address: no commit is known."""
    instead_of: str = ""
    """The record of another file with the same weights, which this one is tried before: a network of that name is made
    from either."""

    @property
    def network(self) -> str:
        """The name of the record whose weights these are."""
        return self.instead_of or self.name


def hub_address(repository: str, file: str, revision: str = "main") -> str:
    """Return the address of a file on the Hugging Face hub."""
    return f"{HUB}/{repository}/resolve/{revision}/{file}"


def hub_revision(address: str) -> str | None:
    """Return the commit, branch or short commit in an address on the hub; None for an address elsewhere."""
    found = re.match(rf"{HUB}/[^/]+/[^/]+/resolve/([^/]+)/", address)
    return found and found[1]


def is_pinned(address: str) -> bool:
    """Tell whether an address cannot come to mean another version: it is not the hub's, or names a whole commit."""
    revision = hub_revision(address)
    return revision is None or re.fullmatch("[0-9a-f]{40}", revision) is not None


def bytes_of(record: Record) -> int:
    """Return the size of a file, as exactly as it is known; 0 if it is not."""
    return record.size or (record.megabytes or 0) * 10**6


def describe_sizes(records: Sequence[Record]) -> str:
    """Return the size of files together as text: "1.33 GB", or "346 MB and 1 file of unknown size"."""
    known = [bytes_of(record) for record in records]
    unknown = known.count(0)
    total = readable_bytes(sum(known)) if any(known) else ""
    rest = f"{unknown} {'file' if unknown == 1 else 'files'} of unknown size" if unknown else ""
    return " and ".join(filter(None, (total, rest)))


def describe_size(record: Record) -> str:
    """Return the size of a file as text: "980 MB", "about 958 MB" or "of unknown size"."""
    if record.size is not None:
        return readable_bytes(record.size)
    return "of unknown size" if record.megabytes is None else f"about {readable_bytes(record.megabytes * 10**6)}"
