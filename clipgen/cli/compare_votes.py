"""`clipgen compare VOTES.json --of compare.json`: what people preferred, and whether the judges agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from clipgen.cli.output_options import OutputOptions
from clipgen.util.text import visible

if TYPE_CHECKING:
    from clipgen.judge.preference import Numbers
    from clipgen.session.votes import Ballot, Comparison


def count_votes(files: Sequence[Path], of: Path, output: OutputOptions) -> None:
    """Print what the votes in some files say. Raises UsageError."""
    from clipgen.session.votes import read_ballots, read_comparison, tally

    comparison = read_comparison(of)
    ballots = read_ballots(files, comparison)
    won = tally(ballots, comparison)
    record = _counted(won, ballots, comparison)
    if output.as_json:
        output.results().print_json(record)
        return
    for line in _lines(record):
        typer.echo(visible(line))


def _counted(won: Numbers, ballots: Sequence[Ballot], comparison: Comparison) -> dict[str, Any]:
    from clipgen.judge.preference import preference, strengths
    from clipgen.session.votes import agreement

    names = comparison.names
    preferences = []
    for first, second in combinations(range(len(names)), 2):
        found = preference(won, first, second)
        if found:
            words = found.in_words(names[first], names[second])
            preferences.append({"sides": [names[first], names[second]], **asdict(found), "verdict": words})
    record: dict[str, Any] = {
        "comparison": comparison.identity,
        "voters": [ballot.voter for ballot in ballots],
        "votes": sum(len(ballot.votes) for ballot in ballots),
        "preferences": preferences,
    }
    if len(names) > 2:
        record["strengths"] = {name: asdict(row) for name, row in zip(names, strengths(won), strict=True)}
    agreed = {judge: agreement(won, scores) for judge, scores in comparison.scores.items()}
    record["agreement"] = {judge: {**asdict(row[0]), "n": row[1]} for judge, row in agreed.items() if row}
    return record


def _lines(record: dict[str, Any]) -> Iterator[str]:
    voters = len(record["voters"])
    yield (
        f"{record['votes']} votes of {voters} voter{'s' if voters > 1 else ''}; "
        "votes for about equal count half for each side, and a prompt counts once, however many voted on it"
    )
    for row in record["preferences"]:
        first, second = row["sides"]
        yield f"{second} over {first}: {_share(row['share'])} of {row['count']} prompts; {row['verdict']}"
    for name, row in record.get("strengths", {}).items():
        yield (
            f"strength of {name}: {row['value']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}] (Bradley-Terry, natural "
            "logarithm, 0 for the average)"
        )
    for judge, row in record["agreement"].items():
        yield f"{judge} prefers what voters prefer: {_share(row)} of {row['n']} decided pairs"


def _share(row: dict[str, float]) -> str:
    return f"{row['value']:.0%} [{row['low']:.0%}, {row['high']:.0%}]"
