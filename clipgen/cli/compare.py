"""`clipgen compare A B`: which of two sets of pictures, or of two settings, is better, by judges and by blind votes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from clipgen.cli.compare_report import Judged, Side, known_judges, print_report, summary, write
from clipgen.cli.compare_settings import Made, asked_for, make, one_seed, planned, read_settings
from clipgen.cli.compare_votes import count_votes
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.job_files import SUFFIX, is_job_file
from clipgen.cli.judge_options import judge_names
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.picture_files import picture_files
from clipgen.cli.prompt_lines import prompt_lines
from clipgen.cli.report import Notes, echo_path
from clipgen.cli.values import expanded
from clipgen.config.checks import check_whole
from clipgen.config.job import MAX_SEED, Job
from clipgen.config.prompts import parse_prompts
from clipgen.errors import ClipgenError, UsageError
from clipgen.session.naming import check_folder
from clipgen.util.devices import pick_device

if TYPE_CHECKING:
    from clipgen.session.pairing import Pair

MAX_SIDES = 8
MAX_PAIRS = 2000
COUNT = 32
NAMES = "ABCDEFGH"

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="A B [C ...]",
        help="Folders of pictures of the same prompts, or job files without a prompt, which say how to make them; with "
        "--of, files of votes.",
        show_default=False,
    ),
]
Prompts = Annotated[
    str | None,
    Option(
        "--prompts",
        "The prompts to make pictures of, as batch reads them; for folders of pictures without recipes, a line for "
        "each of the first folder, in the order of their names.",
        "FILE",
    ),
]
Count = Annotated[
    int | None,
    Option(
        "--n -n",
        "Without --prompts: how many prompts of the drawn world to make pictures of.",
        "NUMBER",
        default=f"{COUNT}",
    ),
]
Judge = Annotated[
    list[str] | None,
    Option(
        "--judge",
        "A CLIP or a classifier that scores the pictures; repeat it for several.",
        "NAME",
        default="one that did not guide: starter/judge for the drawn world, else the best CLIP that is installed",
    ),
]
AllowGuide = Annotated[
    bool,
    Option(
        "--allow-guide",
        "Let a --judge judge that guided the pictures. A guide cannot tell that it was fooled.",
    ),
]
Of = Annotated[
    Path | None,
    Option("--of", "Count votes, which the page of this comparison saved.", "compare.json", default="none"),
]
Seed = Annotated[
    int | None,
    Option(
        "--seed",
        "The seed of the pictures to make, and of the order in which the page shows them.",
        "NUMBER",
        default=f"that of the job files; else {Job.seed}",
    ),
]
CompareOutput = Annotated[
    OutputOptions,
    only("out", "as_json", "quiet"),
    redeclared(
        out={
            "text": "Where to write compare.json, compare.html and compare-sheet-1.png, and pictures that are made.",
            "metavar": "FOLDER",
            "default": "",
        }
    ),
]


@flat
def compare(
    sources: Sources,
    *,
    prompts: Prompts = None,
    count: Count = None,
    judge: Judge = None,
    allow_guide: AllowGuide = False,
    of: Of = None,
    seed: Seed = None,
    engine: Annotated[EngineOptions, only("device")],
    output: CompareOutput,
) -> None:
    """Tell which pictures fit their prompts better, those of A or of B, by judges that did not guide them.

    Also writes one HTML file for a blind vote, which works offline; --of counts the votes.
    """
    if of is not None:
        given = {"--prompts": prompts, "--n": count, "--judge": judge, "--allow-guide": allow_guide, "--seed": seed}
        if flag := next((flag for flag, value in given.items() if value not in (None, False)), None):
            raise UsageError(f"--of counts votes, and {flag} is for a comparison to be made; leave one out")
        count_votes([expanded(Path(each), "a file of votes") for each in sources], expanded(of, "--of"), output)
        return
    notes, folders = output.notes(), _are_folders(sources)
    check_folder(output.out, "a comparison writes several files")
    if seed is not None:
        check_whole("--seed", seed, 0, MAX_SEED)
    names = judge_names(judge or [])
    task: _Task = _Folders(sources, prompts, notes) if folders else _Jobs(sources, prompts, count, seed, engine.device)
    if folders and count is not None:
        raise UsageError("--n goes with job files; of folders, all pictures of the same prompts are compared")
    judges = _judges(names, task.guides, allow_guide=allow_guide)
    _judge(task, judges, pick_device(engine.device), seed or 0, output)


class _Task(Protocol):
    """What is compared: pictures that are there, or those that are made first."""

    guides: frozenset[str]
    """The networks by which the pictures were, or will be, guided."""

    def pairs(self, output: OutputOptions) -> list[Pair]: ...

    def sides(self) -> list[Side]: ...

    def check(self) -> None:
        """Raise a ClipgenError if a part of it failed."""


class _Folders:
    """Pictures that are there."""

    def __init__(self, sources: Sequence[str], prompts: str | None, notes: Notes) -> None:
        from clipgen.session.pairing import found, paired
        from clipgen.session.verdicts import guides_of

        self._sources = sources
        self._found = [[found(path) for path in picture_files([Path(each)], "compare")] for each in sources]
        lines = None if prompts is None else [line.text for line in prompt_lines(prompts)]
        self._pairs = paired(self._found, lines)
        if not 2 <= len(self._pairs) <= MAX_PAIRS:
            raise UsageError(
                f"{' and '.join(sources)} have {len(self._pairs):,} pictures of the same prompts or names, and "
                f"a comparison takes from 2 to {MAX_PAIRS:,}; name folders of pictures of the same prompts"
            )
        self.guides = guides_of([one.plan for side in self._found for one in side])
        for name, side in zip(NAMES, self._found, strict=False):
            if left := len(side) - len(self._pairs):
                notes.note(f"{name}: {left:,} of {len(side):,} pictures are left out, which have no partner")

    def pairs(self, _output: OutputOptions) -> list[Pair]:
        return self._pairs

    def sides(self) -> list[Side]:
        rows = zip(NAMES, self._sources, self._found, strict=False)
        return [Side(name, source, len(side)) for name, source, side in rows]

    def check(self) -> None:
        """Pictures that cannot be read cost themselves alone."""


class _Jobs:
    """Pictures that are made first."""

    def __init__(
        self, sources: Sequence[str], prompts: str | None, count: int | None, seed: int | None, device: str
    ) -> None:
        from clipgen.session.verdicts import guides_of

        if prompts is not None and count is not None:
            raise UsageError(
                f"--n {count} counts prompts of the drawn world, and --prompts names others; leave one out"
            )
        check_whole("--n", COUNT if count is None else count, 2, MAX_PAIRS)
        self._settings = [read_settings(each, seed, device) for each in sources]
        self._asked = asked_for(prompts, count or COUNT, one_seed(self._settings))
        check_whole("the number of prompts", len(self._asked), 2, MAX_PAIRS)
        self.guides = guides_of([plan for plans in planned(self._settings, self._asked) for plan in plans])
        self._made: list[Made] = []

    def pairs(self, output: OutputOptions) -> list[Pair]:
        from clipgen.session.pairing import Pair

        self._made = make(self._settings, self._asked, NAMES[: len(self._settings)], output)
        rows = [(one, [made.batch.pictures.get(one.number) for made in self._made]) for one in self._asked]
        return [
            Pair(one.text, parse_prompts(one.text), tuple(filter(None, paths))) for one, paths in rows if all(paths)
        ]

    def sides(self) -> list[Side]:
        return [
            Side(name, settings.file, len(made.batch.pictures), made.seconds / made.timed if made.timed else None)
            for name, settings, made in zip(NAMES, self._settings, self._made, strict=False)
        ]

    def check(self) -> None:
        if failed := sum(len(made.batch.failed) for made in self._made):
            raise ClipgenError(f"{failed} of {len(self._asked) * len(self._made)} pictures failed")


def _are_folders(sources: Sequence[str]) -> bool:
    """Tell folders from job files; raises UsageError for both at once, for too few or many, and for one twice."""
    if votes := next((each for each in sources if each.lower().endswith(".json")), None):
        raise UsageError(f"{votes} is no folder and no job file (TOML); to count votes, add --of compare.json")
    if not 2 <= len(sources) <= MAX_SIDES:
        raise UsageError(
            f"compare takes from 2 to {MAX_SIDES} folders or job files, got {len(sources)}, as in clipgen compare a b"
        )
    if len(set(map(os.path.abspath, sources))) < len(sources):
        raise UsageError(f"compare takes different folders or job files, got {' '.join(sources)}")
    jobs = sum(is_job_file([each]) for each in sources)
    if jobs not in (0, len(sources)):
        raise UsageError(f"compare takes folders or job files ({SUFFIX}), not both; make the pictures first by batch")
    return not jobs


def _judges(named: Sequence[str], guides: frozenset[str], *, allow_guide: bool) -> dict[str, Any]:
    """Return the judges, loaded first, so that weights that are missing cost no time."""
    from clipgen.session.evaluation import check_judges
    from clipgen.session.verdicts import load_judges, usual_judges

    check_judges(named, guides, allow_guide=allow_guide)
    return load_judges(named or usual_judges(guides))


def _judge(task: _Task, judges: dict[str, Any], device: str, seed: int, output: OutputOptions) -> None:
    """Judge the pairs, and report; after Ctrl-C, too, on those that were judged."""
    from clipgen.session.verdicts import judged, moved

    notes, pairs = output.notes(), task.pairs(output)
    notes.note(f"judging {len(pairs)} pairs by {', '.join(judges)}")
    found: Judged = []
    try:
        for row in judged(pairs, moved(judges, device), notes.note):
            found = [*found, row]
    finally:
        if len(found) > 1:
            _report(task.sides(), found, list(judges), seed, output)
    task.check()
    if len(found) < 2:
        raise UsageError(f"{len(found)} of {len(pairs)} pairs can be read, and a comparison takes 2 or more")


def _report(sides: Sequence[Side], found: Judged, judges: Sequence[str], seed: int, output: OutputOptions) -> None:
    notes = output.notes()
    record = summary(sides, found, known_judges(found, judges, notes), seed)
    print_report(record, notes)
    written = write(record, output.out)
    output.results().print_json({**record, "files": list(map(str, written))})
    for path in [] if output.as_json else written:
        echo_path(path)
