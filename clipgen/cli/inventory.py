"""The known weights, and which of them are installed, as rows of JSON values; and a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from clipgen.config.presets import PRESETS
from clipgen.util.text import readable_bytes
from clipgen.weights import registry
from clipgen.weights.cache import read_digest
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.files import find_file
from clipgen.weights.packaged import PACKAGED, Packaged
from clipgen.weights.records import describe_size

if TYPE_CHECKING:
    from clipgen.weights.cache import Cache
    from clipgen.weights.records import Record

GOOD_FOR = {"classifier": "Knows 1,000 things from photographs, with no download."}
"""By kind of network that comes with a package."""


def inventory(cache: Cache) -> list[dict[str, Any]]:
    """Return a row of JSON values for every file that can be downloaded or comes with a package.

    Every other installed network follows.
    """
    rows = [_describe(cache, record) for record in RECORDS.values()]
    rows += [_describe_packaged(row) for row in PACKAGED.values()]
    return rows + [_describe_network(cache, name) for name in registry.cached_networks(cache) if name not in RECORDS]


def _describe(cache: Cache, record: Record) -> dict[str, Any]:
    """Return a row of the list as JSON values."""
    part = cache.part(record)
    return {
        "name": record.name,
        "kind": record.kind,
        "file": record.file,
        "summary": record.summary,
        "good_for": record.good_for,
        "presets": presets_with(registry.network_of(record.name)),
        "bytes": record.size,
        "size": describe_size(record),
        "cached": find_file(record, cache) is not None,
        "ready": registry.is_ready(registry.network_of(record.name), cache),
        "partial_bytes": part.stat().st_size if part.is_file() else 0,
        "sha256": cache.expected_sha256(record),
        "needs_trust_on_first_use": cache.expected_sha256(record) is None,
        "licence": record.licence,
    }


def _describe_packaged(row: Packaged) -> dict[str, Any]:
    """Return a row for a network that comes with a package."""
    return {
        "name": row.name,
        "kind": row.kind,
        "summary": row.summary,
        "good_for": GOOD_FOR[row.kind],
        "presets": presets_with(row.name),
        "bytes": row.size,
        "size": readable_bytes(row.size),
        "cached": False,
        "ready": registry.is_ready(row.name),
        "partial_bytes": 0,
        "sha256": row.sha256,
        "needs_trust_on_first_use": False,
        "licence": row.licence,
        "package": row.package,
    }


def _describe_network(cache: Cache, name: str) -> dict[str, Any]:
    """Return a row for a network that is not a file of the catalogue, such as one of the user's own."""
    path = registry.network_path(name, cache)
    header, size = registry.read_header(path), path.stat().st_size
    files = [str(one.get("file")) for one in header.recipe.get("converted_from", [])] if header else []
    return {
        "name": name,
        "kind": name.split("/")[0],
        "summary": f"made from {' and '.join(files)}" if files else "made by clipgen",
        "good_for": "",
        "presets": presets_with(name),
        "bytes": size,
        "size": readable_bytes(size),
        "cached": False,
        "ready": True,
        "partial_bytes": 0,
        "sha256": read_digest(path),
        "needs_trust_on_first_use": False,
        "licence": "of your own file" if registry.is_own(name) else "as its parts",
    }


def presets_with(network: str) -> list[str]:
    """Return the names of the presets that a network belongs to."""
    return [
        name
        for name, preset in PRESETS.items()
        if network
        in (*(row.weights for row in preset.generators.values()), *(row.weights for row in preset.perceptors))
    ]


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns, under their headings."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        typer.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
