"""All pretrained weights that can be downloaded, and the networks that they are the files of.

A sha256 is there only where it was published by someone who had the file; what has none is trusted on first use.
"""

from __future__ import annotations

from clipgen.errors import unknown_value
from clipgen.weights.autoencoders import DALL_E_PARTS, VQGANS
from clipgen.weights.clips import CLIPS
from clipgen.weights.records import Record

RECORDS: dict[str, Record] = {record.name: record for record in (*VQGANS, *DALL_E_PARTS, *CLIPS)}
"""Every file that can be downloaded, by name."""

IN_PARTS: dict[str, tuple[str, ...]] = {"dvae/dall-e": ("dvae/dall-e-encoder", "dvae/dall-e-decoder")}
"""The networks that come in several files, each with the names of these; every other is named as its one file."""


def find_record(name: str) -> Record:
    """Return the record called `name`; UsageError with the nearest name if there is none."""
    if name not in RECORDS:
        raise unknown_value("NAME", name, RECORDS)
    return RECORDS[name]


def files_of(network: str) -> tuple[Record, ...]:
    """Return the files that a network is made of; UsageError with the nearest name if there is no such network."""
    return tuple(find_record(name) for name in IN_PARTS.get(network, (network,)))
