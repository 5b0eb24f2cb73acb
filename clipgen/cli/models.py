"""`clipgen models`: the pretrained weights that can be downloaded, and those that are installed.

Only `pull` downloads anything. Results go to stdout: names, paths, or one JSON document.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from clipgen.cli.failures import say
from clipgen.cli.model_files import damages, full_name, installed, print_json, records, remove, to_pull, way_out
from clipgen.cli.report import echo_path
from clipgen.errors import ClipgenError

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
    from clipgen.cli.inventory import inventory
    from clipgen.cli.model_list import lines
    from clipgen.weights.cache import Cache

    cache = Cache()
    rows = inventory(cache)
    if as_json:
        print_json({"folder": str(cache.folder), "models": rows})
        return
    for line in lines(rows, cache):
        typer.echo(line)


@models.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show all that is known of weights: files, addresses, hashes, licence, input."""
    from clipgen.cli.model_facts import facts, lines
    from clipgen.weights.cache import Cache

    cache = Cache()
    said = facts(full_name(name, cache), cache)
    if as_json:
        print_json(said)
        return
    for line in lines(said):
        typer.echo(line)


@models.command()
def pull(
    names: Names,
    trust: Trust = False,
    offline: Annotated[
        bool, typer.Option("--offline", metavar="", help="Download nothing; fail if a file is missing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Only print what would be downloaded, and from where.")
    ] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Print no progress, only errors.")] = False,
) -> None:
    """Download weights, or continue a download that was stopped; prints their paths."""
    from clipgen.cli import downloads
    from clipgen.weights.fetch import Fetcher

    note = _silent if quiet else say
    fetcher, pulled = Fetcher(offline=offline, note=note), []
    wanted = to_pull(names, fetcher.cache)
    if dry_run:
        _print_wanted(wanted, fetcher.cache, as_json=as_json)
        return
    try:
        for each in wanted:
            record, path = downloads.pull_any(fetcher, each, trust=trust, quiet=quiet)
            digest = fetcher.cache.expected_sha256(record)
            pulled.append({"name": record.name, "path": str(path), "sha256": digest, "licence": record.licence})
            note(f"{record.name}: {record.licence}; sha256 {digest}{'' if record.sha256 else ', recorded here'}")
            if not as_json:
                echo_path(path)
    finally:
        if as_json:
            print_json({"models": pulled})


def _print_wanted(wanted: "list[Record]", cache: "Cache", *, as_json: bool) -> None:
    """Print which files a pull would download."""
    from clipgen.weights.records import describe_size, describe_sizes

    lacking = [record for record in wanted if not cache.has(record)]
    if as_json:
        rows = [{"name": one.name, "bytes": one.size, "mirrors": list(one.mirrors)} for one in lacking]
        print_json({"models": rows, "dry_run": True})
        return
    for record in lacking:
        typer.echo(f"{record.name}: {record.file}, {describe_size(record)}, from {record.mirrors[0]}")
    say(f"{describe_sizes(lacking)} to download" if lacking else "there is nothing to download")


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
    found = damages(cache, [full_name(name, cache) for name in names] if names else installed(cache))
    if as_json:
        rows = [{"name": name, "ok": reason is None, "problem": reason} for name, reason in found.items()]
        print_json({"models": rows})
    else:
        for name, reason in found.items():
            typer.echo(f"{'damaged' if reason else 'ok':8} {name}")
        if not found:
            say(f"no weights are in {cache.folder}")
    damaged = [name for name, reason in found.items() if reason]
    if damaged:
        raise ClipgenError(
            f"{len(damaged)} of {len(found)} files damaged, {damaged[0]}: {found[damaged[0]]}; get it again with: "
            f"{way_out(damaged[0].split(',')[0])}"
        )


@models.command()
def path(name: Name, as_json: Json = False) -> None:
    """Print the paths of weights; exit code 3 if they are not installed."""
    from clipgen.weights import registry
    from clipgen.weights.cache import Cache
    from clipgen.weights.files import find_file
    from clipgen.weights.packaged import PACKAGED, find_packaged

    cache = Cache()
    name = full_name(name, cache)
    if name in PACKAGED:
        _print_path(name, find_packaged(name), as_json=as_json)
        return
    files = [] if registry.is_own(name) else to_pull([name], cache)
    if not (files and all(map(cache.has, files))) and name in registry.cached_networks(cache):
        _print_path(name, registry.network_path(name, cache), as_json=as_json)
        return
    for one in files:
        _print_path(one.name, find_file(one, cache) or cache.find(one), as_json=as_json)


@models.command()
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that you have.", show_default=False)],
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Copy a file that you already have into the cache, if its sha256 matches."""
    from clipgen.weights.cache import Cache
    from clipgen.weights.catalogue import find_record, forms_of

    cache = Cache()
    record = find_record(full_name(name, cache))
    alike = (form for form in forms_of(record) if Path(form.file).suffix == file.suffix.lower())
    record = record if record.instead_of else next(alike, record)
    _print_path(record.name, cache.add(record, file, trust_on_first_use=trust), as_json=as_json)


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
    """Remove weights, what was made of them, and partial downloads; prints the paths of the removed files."""
    from contextlib import ExitStack

    from clipgen.weights.cache import Cache, plain_files
    from clipgen.weights.catalogue import IN_PARTS, RECORDS
    from clipgen.weights.registry import cached_networks

    cache = Cache()
    named = [full_name(name, cache) for name in dict.fromkeys(names)]
    made = [name for name in named if name in cached_networks(cache) and name not in RECORDS]
    files = records(name for name in named if name not in made or name in IN_PARTS)
    with ExitStack() as held:
        present = [record for record in files if cache.files(record, forget=forget)]
        for record in present:
            held.enter_context(cache.claimed(record))
        doomed = [path for record in present for path in cache.files(record, forget=forget)]
        doomed += [path for name in made for path in plain_files(cache.folder / name)]
        remove(cache, "rm", doomed, yes=yes, dry_run=dry_run, as_json=as_json)


@models.command()
def prune(yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remove files that are no longer needed: partial downloads, old versions, and sources of converted networks.

    Prints their paths.
    """
    from clipgen.weights.cache import Cache
    from clipgen.weights.registry import prunable

    cache = Cache()
    remove(cache, "prune", prunable(cache), yes=yes, dry_run=dry_run, as_json=as_json)


def _print_path(name: str, path: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "path": str(path)})
    else:
        echo_path(path)


def _silent(_line: str) -> None:
    pass
