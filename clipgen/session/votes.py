"""The votes that come back from a vote page, which are untrusted files, and what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipgen.config.checks import check_choice, check_whole, checked_number
from clipgen.errors import UsageError
from clipgen.judge.intervals import Interval, share_interval
from clipgen.judge.preference import Numbers
from clipgen.outputs.vote_page import EQUAL, LEFT, RIGHT, VOTES, VOTES_FORMAT, Question
from clipgen.util.text import quoted

FORMAT = "clipgen compare 1"
MAX_COMPARISON, MAX_VOTES = 50_000_000, 1_000_000
"""Bytes of the two sorts of files."""
MAX_PROMPTS = 2000
MAX_SIDES = 8
MAX_NAME = 80
SHARES = {LEFT: 1.0, EQUAL: 0.5, RIGHT: 0.0}
"""Of the picture on the left in a vote."""


@dataclass(frozen=True)
class Comparison:
    """What votes are about: the key to a vote page."""

    identity: str
    names: tuple[str, ...]
    """Of the sides."""
    questions: tuple[Question, ...]
    scores: dict[str, list[Sequence[float] | None]]
    """By judge, for each prompt those of the sides; None where the judge gave none."""

    @property
    def prompts(self) -> int:
        """How many prompts may have been voted on: one more than the highest index."""
        return max(question.prompt for question in self.questions) + 1


@dataclass(frozen=True)
class Ballot:
    """The votes of one person."""

    identity: str
    voter: str
    votes: dict[int, str]
    """By the index of the question."""


def read_comparison(path: Path) -> Comparison:
    """Read what `clipgen compare` wrote beside a vote page. Raises UsageError."""
    record = _parsed(path, MAX_COMPARISON)
    if record.get("format") != FORMAT:
        raise UsageError(f"--of {path} is not the compare.json of a comparison; name the one beside the vote page")
    try:
        names = tuple(str(side["name"])[:MAX_NAME] for side in _list(record, "sides", 2, MAX_SIDES))
        pairs = _list(record, "pairs", 2, MAX_PROMPTS)
        asked = [_question(row, len(pairs), len(names)) for row in _list(record, "questions", 1, 10**6)]
        judges = dict.fromkeys(name for pair in pairs for name in pair["scores"])
        scores = {name: [_scores(pair["scores"].get(name), len(names)) for pair in pairs] for name in judges}
    except UsageError as error:
        raise UsageError(f"--of {path}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"--of {path} is damaged ({error}); make the comparison again") from error
    return Comparison(str(record.get("comparison")), names, tuple(asked), scores)


def read_ballot(path: Path, comparison: Comparison) -> Ballot:
    """Read the votes that a page saved. Raises UsageError, also for those of another comparison."""
    record, count = _parsed(path, MAX_VOTES), len(comparison.questions)
    if record.get("format") != VOTES_FORMAT:
        raise UsageError(f"{path} holds no votes; name a file that a vote page saved, and compare.json by --of")
    if record.get("comparison") != comparison.identity:
        raise UsageError(f"{path} holds votes of another comparison; name the compare.json beside its page by --of")
    ballot, voter = str(record.get("ballot")), record.get("voter")
    if not re.fullmatch("[0-9a-f]{16}", ballot):
        raise UsageError(f"{path}: the ballot must be 16 hexadecimal digits, got {quoted(ballot)}")
    try:
        votes = _votes(_list(record, "votes", 1, count), count)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return Ballot(ballot, voter[:MAX_NAME] if isinstance(voter, str) else "", votes)


def _votes(rows: Sequence[Any], count: int) -> dict[int, str]:
    """Return votes by the index of the question; on the page they count from 1."""
    votes: dict[int, str] = {}
    for row in rows:
        number: Any = row.get("pair") if isinstance(row, dict) else None
        check_whole("the number of a pair", number, 1, count)
        if number - 1 in votes:
            raise UsageError(f"pair {number} is voted on twice")
        check_choice(f"the vote on pair {number}", row.get("vote"), VOTES)
        votes[number - 1] = row["vote"]
    return votes


def read_ballots(paths: Sequence[Path], comparison: Comparison) -> list[Ballot]:
    """Read all votes; raises UsageError also if a file is a copy of another, or an earlier state of it."""
    found: dict[str, Path] = {}
    ballots = []
    for path in paths:
        ballot = read_ballot(path, comparison)
        if (other := found.setdefault(ballot.identity, path)) is not path:
            raise UsageError(f"{path} and {other} hold the same person's votes; leave one out")
        ballots.append(ballot)
    return ballots


def tally(ballots: Sequence[Ballot], comparison: Comparison) -> Numbers:
    """Return (P, S, S): by prompt, the share of votes that prefer side i to j, at [i, j]; ties count half for each."""
    sides = len(comparison.names)
    won = np.zeros((comparison.prompts, sides, sides))
    for ballot in ballots:
        for number, vote in ballot.votes.items():
            one = comparison.questions[number]
            share = SHARES[vote]
            won[one.prompt, one.left, one.right] += share
            won[one.prompt, one.right, one.left] += 1.0 - share
    cast = won + won.swapaxes(1, 2)
    return np.divide(won, cast, out=won, where=cast > 0)


def agreement(won: Numbers, scores: Sequence[Sequence[float] | None]) -> tuple[Interval, int] | None:
    """Return how often a judge prefers the side that voters prefer, and among how many; None if among none.

    Pairs of sides of a prompt for which voters or the judge prefer neither do not count.
    """
    hits = count = 0
    for row, given in zip(won, scores, strict=False):
        for first in range(len(given or ())):
            for second in range(first):
                voted = float(row[first, second] - row[second, first])
                judged = given[first] - given[second] if given else 0.0
                count += voted * judged != 0
                hits += voted * judged > 0
    return (share_interval(hits, count), count) if count else None


def _parsed(path: Path, limit: int) -> dict[str, Any]:
    """Return the JSON object in a file; raises UsageError."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({getattr(error, 'strerror', error)}); check the path") from error
    if len(content) > limit:
        raise UsageError(f"{path} is larger than {limit // 10**6} MB, which none is that clipgen or its page writes")
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON ({error}); save the votes again") from error
    if not isinstance(record, dict):
        raise UsageError(f"{path} is not a JSON object; save the votes again")
    return record


def _list(record: dict[str, Any], key: str, least: int, most: int) -> list[Any]:
    rows = record.get(key)
    if not isinstance(rows, list) or not least <= len(rows) <= most:
        found = f"{len(rows):,}" if isinstance(rows, list) else quoted(rows)
        raise UsageError(f"{key} must be a list of {least} to {most:,}, got {found}")
    return rows


def _question(row: dict[str, Any], prompts: int, sides: int) -> Question:
    for key, most in (("prompt", prompts), ("left", sides), ("right", sides)):
        check_whole(key, row[key], 0, most - 1)
    if row["left"] == row["right"]:
        raise UsageError("a question must be about two sides")
    return Question(row["prompt"], row["left"], row["right"])


def _scores(values: object, sides: int) -> Sequence[float] | None:
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != sides:
        raise UsageError(f"scores must be {sides} numbers, got {quoted(values)}")
    return [checked_number("a score", value, -1e6, 1e6) for value in values]
