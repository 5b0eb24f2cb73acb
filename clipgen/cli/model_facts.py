"""`clipgen models show NAME`: all that is known of a network or a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clipgen.cli.inventory import inventory
from clipgen.cli.model_list import merged, state_of, wrapped
from clipgen.util.text import visible
from clipgen.weights import registry
from clipgen.weights.catalogue import RECORDS, files_of, forms_of
from clipgen.weights.files import find_file
from clipgen.weights.packaged import PACKAGED
from clipgen.weights.records import describe_size, hub_revision

if TYPE_CHECKING:
    from clipgen.weights.cache import Cache
    from clipgen.weights.records import Record

LABEL = 9
STATES = {"ready": "ready to use", "here": "downloaded", "in part": "a part of it is downloaded", "": "not here"}


def facts(name: str, cache: Cache) -> dict[str, Any]:
    """Return all that is known of a network or a file of the catalogue, as JSON values."""
    rows = inventory(cache)
    network = registry.network_of(name)
    row = next(row for row in merged(rows, cache) if row["name"] == network)
    asked = [RECORDS[name]] if name in RECORDS and name != network else []
    records = asked or [form for record in _records(network) for form in forms_of(record)]
    header = registry.read_header(registry.network_path(network, cache))
    config = header.config if header else records[0].config if records else None
    path = registry.network_path(network, cache) if header else None
    return {
        **{key: row[key] for key in ("name", "kind", "summary", "good_for", "presets", "size", "licence", "ready")},
        "name": name,
        "state": STATES[state_of(row)],
        "needs_trust_on_first_use": row["needs_trust_on_first_use"],
        "network_file": str(path) if path else None,
        "package": row.get("package"),
        "config": config if config is not None else PACKAGED[network].config if network in PACKAGED else None,
        "files": [_file(record, cache) for record in records],
    }


def _records(network: str) -> tuple[Record, ...]:
    return () if registry.is_own(network) else files_of(network)


def _file(record: Record, cache: Cache) -> dict[str, Any]:
    path, sha256 = find_file(record, cache), cache.expected_sha256(record)
    return {
        "name": record.name,
        "file": record.file,
        "size": describe_size(record),
        "bytes": record.size,
        "licence": record.licence,
        "sha256": sha256,
        "hash": "published" if record.sha256 else "recorded at first use" if sha256 else "trusted on first use",
        "mirrors": list(record.mirrors),
        "revisions": [hub_revision(address) for address in record.mirrors],
        "unpinned": record.unpinned,
        "path": str(path) if path else None,
    }


def lines(said: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for a terminal of what `facts` returns."""
    yield said["name"]
    trust = " --trust-on-first-use" if said["needs_trust_on_first_use"] else ""
    pull = "" if said["ready"] or not said["files"] else f"; clipgen models pull {said['name']}{trust}"
    yield from _row("what", said["summary"])
    yield from _row("good for", said["good_for"])
    yield from _row("presets", ", ".join(said["presets"]))
    yield from _row("licence", said["licence"])
    yield from _row("size", said["size"].replace("1 file of unknown size", "unknown"))
    yield from _row("package", said["package"])
    yield from _row("state", said["state"] + pull)
    yield from _row("network", said["network_file"], whole=True)
    yield from _row("config", "; ".join(f"{key} {_plain(value)}" for key, value in (said["config"] or {}).items()))
    for file in said["files"]:
        yield ""
        yield from _row("file", f"{file['file']}, {file['size']}{_own_name(file, said)}")
        yield from _row("sha256", f"{file['sha256'] or 'none is published'} ({file['hash']})", whole=True)
        for address in file["mirrors"]:
            yield from _row("from", address, whole=True)
        yield from _row("note", file["unpinned"])
        yield from _row("path", file["path"], whole=True)


def _own_name(file: dict[str, Any], said: dict[str, Any]) -> str:
    """Say what a file is called where a network can be made from several, and its licence if that is another."""
    return "" if len(said["files"]) == 1 else f": {file['name']}, {file['licence']}"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _row(label: str, text: str | None, *, whole: bool = False) -> Iterator[str]:
    """Yield the lines of a label and a text, unless that is empty; whole: what is to be copied is not broken."""
    if not text:
        return
    first, rest = f"  {label:<{LABEL}} ", " " * (LABEL + 3)
    if whole:
        yield first + visible(text)
    else:
        yield from wrapped(visible(text), first, rest)
