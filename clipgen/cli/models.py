"""`clipgen models`: the pretrained weights that can be downloaded, and those that are installed.

Only `pull` downloads anything. Results go to stdout: names, paths, or one JSON document.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from clipgen.cli.asking import agreed, can_ask
from clipgen.cli.failures import say
from clipgen.cli.report import echo_path
from clipgen.errors import ClipgenError, UsageError
from clipgen.util.text import readable_bytes

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
        help="Accept a file without a published sha256, record its hash, and check the file against it from then on.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", metavar="", help="Only print what would be removed.")]


class HelpfulGroup(TyperGroup):
    """Shows its help if no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])


models = typer.Typer(cls=HelpfulGroup, help="List, download, check and remove pretrained weights.")


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """List the known weights, and which of them are installed."""
    from clipgen.cli.inventory import HEAD, inventory, print_table, shown
    from clipgen.weights.cache import Cache

    cache = Cache()
    rows = inventory(cache)
    if as_json:
        _print_json({"folder": str(cache.folder), "models": rows})
        return
    print_table(HEAD, [shown(row) for row in rows])


@models.command()
def pull(
    names: Names,
    trust: Trust = False,
    offline: Annotated[
        bool, typer.Option("--offline", metavar="", help="Download nothing; fail if a file is missing.")
    ] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Print no progress, only errors.")] = False,
) -> None:
    """Download weights, or continue a download that was stopped; prints their paths."""
    from clipgen.cli import downloads
    from clipgen.weights.fetch import Fetcher

    note = _silent if quiet else say
    fetcher, pulled = Fetcher(offline=offline, note=note), []
    try:
        for record in _records(names):
            [path] = downloads.pull(fetcher, [record], trust=trust, quiet=quiet)
            digest = fetcher.cache.expected_sha256(record)
            pulled.append({"name": record.name, "path": str(path), "sha256": digest, "licence": record.licence})
            note(f"{record.name}: {record.licence}; sha256 {digest}{'' if record.sha256 else ', recorded here'}")
            if not as_json:
                echo_path(path)
    finally:
        if as_json:
            _print_json({"models": pulled})


@models.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Default: all that are installed.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read weights again and compare their sha256; exit code 1 if a file is damaged."""
    from clipgen.weights.cache import Cache

    cache = Cache()
    found = _damages(cache, names or _installed(cache))
    if as_json:
        rows = [{"name": name, "ok": reason is None, "problem": reason} for name, reason in found.items()]
        _print_json({"models": rows})
    else:
        for name, reason in found.items():
            typer.echo(f"{'damaged' if reason else 'ok':8} {name}")
        if not found:
            say(f"no weights are in {cache.folder}")
    damaged = [name for name, reason in found.items() if reason]
    if damaged:
        raise ClipgenError(
            f"{len(damaged)} of {len(found)} files damaged, {damaged[0]}: {found[damaged[0]]}; get it again with: "
            f"{_way_out(damaged[0].split(',')[0])}"
        )


def _installed(cache: "Cache") -> list[str]:
    """Return the names of all weights on this machine that clipgen did not ship."""
    from clipgen.weights import registry
    from clipgen.weights.catalogue import RECORDS
    from clipgen.weights.packaged import PACKAGED

    downloaded = [one.name for one in RECORDS.values() if cache.has(one)]
    return [*registry.cached_networks(cache), *downloaded, *filter(registry.is_ready, PACKAGED)]


def _way_out(name: str) -> str:
    """Return the commands that get damaged weights again."""
    from clipgen.weights import registry
    from clipgen.weights.packaged import PACKAGED, reinstall

    if name in PACKAGED:
        return reinstall(name)
    again = "name your file again" if registry.is_own(name) else f"clipgen models pull {name}"
    return f"clipgen models rm {name} --yes, then {again}"


def _damages(cache: "Cache", names: Iterable[str]) -> dict[str, str | None]:
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
        for record in [] if registry.is_own(name) else _records([name]):
            if cache.path(record).is_file():
                found[record.name] = cache.damage(record)
            elif name not in made:
                cache.find(record)  # raises
    return found


@models.command()
def path(name: Name, as_json: Json = False) -> None:
    """Print the paths of weights; exit code 3 if they are not installed."""
    from clipgen.weights import registry
    from clipgen.weights.cache import Cache
    from clipgen.weights.catalogue import RECORDS
    from clipgen.weights.packaged import PACKAGED, find_packaged

    if name in PACKAGED:
        _print_path(name, find_packaged(name), as_json=as_json)
        return
    cache = Cache()
    record = RECORDS.get(name)
    if (record is None or not cache.has(record)) and name in registry.cached_networks(cache):
        _print_path(name, registry.network_path(name, cache), as_json=as_json)
        return
    for one in _records([name]):
        _print_path(one.name, registry.find_file(one, cache) or cache.find(one), as_json=as_json)


@models.command()
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that you have.", show_default=False)],
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Copy a file that you already have into the cache, if its sha256 matches."""
    from clipgen.weights.cache import Cache
    from clipgen.weights.catalogue import find_record

    record = find_record(name)
    _print_path(record.name, Cache().add(record, file, trust_on_first_use=trust), as_json=as_json)


@models.command()
def rm(
    names: Names,
    forget: Annotated[
        bool,
        typer.Option("--forget", metavar="", help="Also forget the sha256 of the first use, to trust another file."),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove weights and their partial downloads; prints the paths of the removed files."""
    from contextlib import ExitStack

    from clipgen.weights.cache import Cache, plain_files
    from clipgen.weights.catalogue import IN_PARTS, RECORDS
    from clipgen.weights.registry import cached_networks

    cache = Cache()
    made = [name for name in dict.fromkeys(names) if name in cached_networks(cache) and name not in RECORDS]
    records = _records(name for name in names if name not in made or name in IN_PARTS)
    with ExitStack() as held:
        present = [record for record in records if cache.files(record, forget=forget)]
        for record in present:
            held.enter_context(cache.claimed(record))
        doomed = [path for record in present for path in cache.files(record, forget=forget)]
        doomed += [path for name in made for path in plain_files(cache.folder / name)]
        _remove(cache, "rm", doomed, yes=yes, dry_run=dry_run, as_json=as_json)


@models.command()
def prune(yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remove files that are no longer needed: partial downloads, old versions, and sources of converted networks.

    Prints their paths.
    """
    from clipgen.weights.cache import Cache
    from clipgen.weights.registry import prunable

    cache = Cache()
    _remove(cache, "prune", prunable(cache), yes=yes, dry_run=dry_run, as_json=as_json)


def _records(names: Iterable[str]) -> "list[Record]":
    """Return the files of these names, each once; raises UsageError for an unknown name."""
    from clipgen.weights.catalogue import files_of

    return list({record.name: record for name in names for record in files_of(name)}.values())


def _remove(cache: "Cache", command: str, paths: list[Path], *, yes: bool, dry_run: bool, as_json: bool) -> None:
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
        _print_json({"removed": [str(path) for path in paths], "bytes": size, "dry_run": dry_run})
        return
    for path in paths:
        echo_path(path)
    if not paths:
        say("there is nothing to remove")


def _print_path(name: str, path: Path, *, as_json: bool) -> None:
    if as_json:
        _print_json({"name": name, "path": str(path)})
    else:
        echo_path(path)


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, indent=2))


def _silent(_line: str) -> None:
    pass
