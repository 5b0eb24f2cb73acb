"""What the commands of `clipgen models` do with names and files."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from clipgen.cli.asking import agreed, can_ask
from clipgen.cli.failures import say
from clipgen.cli.report import echo_path
from clipgen.errors import ClipgenError, UsageError
from clipgen.util.text import quoted, readable_bytes

if TYPE_CHECKING:
    from clipgen.weights.cache import Cache
    from clipgen.weights.records import Record


def full_name(text: str, cache: Cache) -> str:
    """Return the name of a network or a file that a text names as `--clip` or `--vqgan` would, "ViT-B/32".

    Raises UsageError, which names the nearest, for a text that names none.
    """
    from clipgen.weights import registry
    from clipgen.weights.catalogue import IN_PARTS, RECORDS
    from clipgen.weights.packaged import PACKAGED

    known = (*RECORDS, *IN_PARTS, *PACKAGED)
    if text.startswith(registry.STARTER):
        raise UsageError(f"{quoted(text)} ships with clipgen: there is nothing to download, check or remove")
    if text in known or text in registry.cached_networks(cache):
        return text
    found = (registry.known_network(kind, text) for kind in dict.fromkeys(name.split("/")[0] for name in known))
    if name := next(filter(None, found), None):
        return name
    near = difflib.get_close_matches(text.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"no weights are called {quoted(text)}{hint} (clipgen models list names all)")


def installed(cache: Cache) -> list[str]:
    """Return the names of all weights on this machine that clipgen did not ship."""
    from clipgen.weights import registry
    from clipgen.weights.catalogue import RECORDS
    from clipgen.weights.packaged import PACKAGED

    downloaded = [one.name for one in RECORDS.values() if cache.has(one)]
    return [*registry.cached_networks(cache), *downloaded, *filter(registry.is_ready, PACKAGED)]


def way_out(name: str) -> str:
    """Return the commands that get damaged weights again."""
    from clipgen.weights import registry
    from clipgen.weights.packaged import PACKAGED, reinstall

    if name in PACKAGED:
        return reinstall(name)
    again = "name your file again" if registry.is_own(name) else f"clipgen models pull {name}"
    return f"clipgen models rm {name} --yes, then {again}"


def damages(cache: Cache, names: Iterable[str]) -> dict[str, str | None]:
    """Return, for each file of these names and each network made of one, what is wrong with it; None if nothing is."""
    from clipgen.weights import registry
    from clipgen.weights.packaged import PACKAGED

    found: dict[str, str | None] = {}
    made = registry.cached_networks(cache)
    for name in dict.fromkeys(names):
        if name in PACKAGED:
            found[name] = registry.network_damage(name, cache)
        elif name in made:
            found[f"{name}, ready to use"] = registry.network_damage(name, cache)
        files = [] if registry.is_own(name) else records([name])
        present = [record for record in files if cache.path(record).is_file()]
        found |= {record.name: cache.damage(record) for record in present}
        if files and not present and name not in made:
            cache.find(to_pull([name], cache)[0])  # raises
    return found


def records(names: Iterable[str]) -> list[Record]:
    """Return all files of these names, each once; raises UsageError for an unknown name.

    The name of a network stands for every file that it can be made from.
    """
    from clipgen.weights.catalogue import files_of, forms_of

    found = [record for name in names for record in files_of(name)]
    every = [form for record in found for form in ((record,) if record.instead_of else forms_of(record))]
    return list({record.name: record for record in every}.values())


def to_pull(names: Iterable[str], cache: Cache) -> list[Record]:
    """Return the files to have for these names, each once; raises UsageError for an unknown name.

    Of several with the same weights it is the one that is here, or the first.
    """
    from clipgen.weights.catalogue import RECORDS, find_record
    from clipgen.weights.files import sources

    named = [full_name(name, cache) for name in names]
    found = [
        record
        for name in named
        for record in ([find_record(name)] if name in RECORDS and RECORDS[name].instead_of else sources(name, cache))
    ]
    return list({record.name: record for record in found}.values())


def remove(cache: Cache, command: str, paths: list[Path], *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove files once the user has agreed, in a terminal or with --yes."""
    size = sum(path.lstat().st_size for path in paths)
    if paths and not (yes or dry_run):
        if as_json or not can_ask():
            raise UsageError(f"models {command} removes files: give --yes, or --dry-run to see which")
        for path in paths:
            say(str(path))
        if not agreed(f"Remove these {len(paths)} files, {readable_bytes(size)}?"):
            raise ClipgenError("nothing was removed")
    if not dry_run:
        cache.delete(paths)
    if as_json:
        print_json({"removed": [str(path) for path in paths], "bytes": size, "dry_run": dry_run})
        return
    for path in paths:
        echo_path(path)
    if not paths:
        say("there is nothing to remove")


def print_json(document: object) -> None:
    """Print a JSON document on stdout."""
    typer.echo(json.dumps(document, indent=2))
