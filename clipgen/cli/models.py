"""`clipgen models`: the pretrained weights that can be downloaded, and those that are here.

Nothing is downloaded but by `pull`. Results go to stdout: names, paths, or one JSON document.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from clipgen.cli.failures import say
from clipgen.cli.report import echo_path
from clipgen.errors import ClipgenError, UsageError
from clipgen.printable import readable_bytes

if TYPE_CHECKING:
    from clipgen.weights.cache import Cache
    from clipgen.weights.records import Record

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `clipgen models list` shows it.", show_default=False)]
Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="As `clipgen models list` shows them.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-on-first-use",
        metavar="",
        help="Take a file of which no sha256 is published, and hold it ever after to the one that it has then.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", metavar="", help="Only print what would be removed.")]


class HelpfulGroup(TyperGroup):
    """Shows its help where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])


models = typer.Typer(cls=HelpfulGroup, help="List, download, check and remove pretrained weights.")


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """List the weights that are known, and which of them are here."""
    from clipgen.weights.cache import Cache
    from clipgen.weights.records import RECORDS

    cache = Cache()
    rows = [_describe(cache, record) for record in RECORDS.values()]
    if as_json:
        _print_json({"folder": str(cache.folder), "models": rows})
        return
    _print_table(("NAME", "KIND", "SIZE", "HERE", "SHA256", "LICENCE"), [_shown(row) for row in rows])


@models.command()
def pull(
    names: Names,
    trust: Trust = False,
    offline: Annotated[
        bool, typer.Option("--offline", metavar="", help="Download nothing; fail if it is not here.")
    ] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="No progress, only errors.")] = False,
) -> None:
    """Download weights, or go on with a download that was stopped; prints their paths."""
    from clipgen.weights.fetch import Fetcher

    records = _records(names)
    note = _silent if quiet else say
    fetcher = Fetcher(offline=offline, note=note)
    pulled: list[dict[str, Any]] = []
    try:
        for record in records:
            path = _pull(fetcher.fetch, record, trust=trust, quiet=quiet)
            digest = fetcher.cache.wanted(record)
            pulled.append({"name": record.name, "path": str(path), "sha256": digest, "licence": record.licence})
            note(f"{record.name}: {record.licence}; sha256 {digest}{'' if record.sha256 else ', recorded here'}")
            if not as_json:
                echo_path(path)
    except KeyboardInterrupt:
        say("what has arrived is kept; the same command goes on with it")
        raise
    finally:
        if as_json:
            _print_json({"models": pulled})


@models.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Which; all that are here.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Read weights again and compare their sha256; exit code 1 if a file is damaged."""
    from clipgen.weights.cache import Cache
    from clipgen.weights.records import RECORDS

    cache = Cache()
    records = _records(names) if names else [one for one in RECORDS.values() if cache.path(one).is_file()]
    for record in (one for one in records if not cache.path(one).is_file()):
        cache.find(record)
    found = {record.name: cache.damage(record) for record in records}
    damaged = {name: reason for name, reason in found.items() if reason}
    if as_json:
        rows = [{"name": name, "ok": reason is None, "problem": reason} for name, reason in found.items()]
        _print_json({"models": rows})
    else:
        for name, reason in found.items():
            typer.echo(f"{'damaged' if reason else 'ok':8} {name}")
        if not found:
            say(f"no weights are in {cache.folder}")
    if damaged:
        name, reason = next(iter(damaged.items()))
        raise ClipgenError(
            f"{len(damaged)} of {len(found)} files damaged, {name}: {reason}; get it again with: "
            f"clipgen models rm {name} --yes && clipgen models pull {name}"
        )


@models.command()
def path(name: Name, as_json: Json = False) -> None:
    """Print where weights are; exit code 3 if they are not here."""
    from clipgen.weights.cache import Cache

    (record,) = _records([name])
    _print_path(record, Cache().find(record), as_json=as_json)


@models.command()
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that you have.", show_default=False)],
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Copy a file that you have already to where it is looked for, if its sha256 is right."""
    from clipgen.weights.cache import Cache

    (record,) = _records([name])
    _print_path(record, Cache().add(record, file, trust_on_first_use=trust), as_json=as_json)


@models.command()
def rm(
    names: Names,
    forget: Annotated[
        bool,
        typer.Option("--forget", metavar="", help="Also the sha256 from the first use, to trust another file."),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove weights, and what is left of their downloads; prints the paths that are gone."""
    from contextlib import ExitStack

    from clipgen.weights.cache import Cache

    cache = Cache()
    records = _records(names)
    with ExitStack() as held:
        present = [record for record in records if cache.files(record, forget=forget)]
        for record in present:
            held.enter_context(cache.claimed(record))
        doomed = [path for record in present for path in cache.files(record, forget=forget)]
        _remove(cache, "rm", doomed, yes=yes, dry_run=dry_run, as_json=as_json)


@models.command()
def prune(yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remove downloads that were broken off and files that no version of this list knows; prints their paths."""
    from clipgen.weights.cache import Cache

    cache = Cache()
    _remove(cache, "prune", cache.leftovers(), yes=yes, dry_run=dry_run, as_json=as_json)


def _records(names: Iterable[str]) -> "list[Record]":
    """Return the records of these names, each once; UsageError if there is none of a name."""
    from clipgen.weights.records import find_record

    return [find_record(name) for name in dict.fromkeys(names)]


def _describe(cache: "Cache", record: "Record") -> dict[str, Any]:
    """Return a row of the list as JSON values."""
    from clipgen.weights.records import describe_size

    part = cache.part(record)
    return {
        "name": record.name,
        "kind": record.kind,
        "summary": record.summary,
        "bytes": record.size,
        "size": describe_size(record),
        "cached": cache.has(record),
        "partial_bytes": part.stat().st_size if part.is_file() else 0,
        "sha256": cache.wanted(record),
        "needs_trust_on_first_use": cache.wanted(record) is None,
        "licence": record.licence,
    }


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    here = "yes" if row["cached"] else "in part" if row["partial_bytes"] else "no"
    trust = "--trust-on-first-use" if row["needs_trust_on_first_use"] else "known"
    return (row["name"], row["kind"], row["size"].replace("of unknown size", "?"), here, trust, row["licence"])


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        typer.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _pull(fetch: Callable[..., Path], record: "Record", *, trust: bool, quiet: bool) -> Path:
    """Download one file and show how that goes."""
    from clipgen.cli.downloads import download_progress

    if quiet:
        return fetch(record, trust_on_first_use=trust)
    with download_progress(record.name, sys.stderr) as report:
        return fetch(record, report, trust_on_first_use=trust)


def _remove(cache: "Cache", command: str, paths: list[Path], *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove files after the user has agreed, in a terminal or by --yes."""
    size = sum(path.lstat().st_size for path in paths)
    if paths and not (yes or dry_run):
        if as_json or not _can_ask():
            raise UsageError(f"models {command} removes files: give --yes, or --dry-run to see which")
        for path in paths:
            say(str(path))
        if not _agreed(f"Remove these {len(paths)} files, {readable_bytes(size)}?"):
            raise ClipgenError("nothing was removed")
    if not dry_run:
        cache.delete(paths)
    if as_json:
        _print_json({"removed": [str(path) for path in paths], "bytes": size, "dry_run": dry_run})
        return
    for path in paths:
        echo_path(path)
    if not paths:
        say("there is nothing to remove")


def _can_ask() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _agreed(question: str) -> bool:
    """Ask on stderr; Typer's own question puts a blank on stdout, where only results go."""
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _print_path(record: "Record", path: Path, *, as_json: bool) -> None:
    if as_json:
        _print_json({"name": record.name, "path": str(path)})
    else:
        echo_path(path)


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, indent=2))


def _silent(_line: str) -> None:
    pass
