"""Machines that share a file of prompts: each picture is made once, and as one machine would make it."""

from pathlib import Path

import pytest
from fakes import Cli
from test_resume import digests

from clipgen.cli.batch import share_of
from clipgen.errors import UsageError

SMALL = ("--size", "32x32", "--steps", "2", "--cutouts", "2", "--seed", "1", "-q")
LINES = ("red", "green", "blue", "white:2|red:-1", "# a comment", "red|blue:0.3", "green|white", "", "blue|white")


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_shards_are_a_partition(count: int) -> None:
    lines = [(number, f"line {number}") for number in range(1, 12)]
    shards = [share_of(lines, f"{place}/{count}") for place in range(1, count + 1)]
    assert sorted(line for shard in shards for line in shard) == lines
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_shards_together_make_the_pictures_of_the_whole_batch(cli: Cli) -> None:
    Path("prompts.txt").write_text("\n".join(LINES))
    assert cli("batch", "prompts.txt", *SMALL, "-o", "whole").exit_code == 0
    for place in (1, 2, 3):
        assert cli("batch", "prompts.txt", *SMALL, "-o", "shared", "--shard", f"{place}/3").exit_code == 0
    assert len(digests("whole")) == 7
    assert digests("shared") == digests("whole")


def test_more_shards_than_lines_leave_some_with_nothing_to_do(cli: Cli) -> None:
    Path("prompts.txt").write_text("red\n")
    assert cli("batch", "prompts.txt", *SMALL, "--shard", "2/2").exit_code == 0
    assert not list(Path().rglob("*.png"))


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/4", "", "1.0/3", "\u0661/\u0663"])
def test_a_shard_that_is_none_is_refused(cli: Cli, shard: str) -> None:
    with pytest.raises(UsageError, match="--shard must be I/N"):
        share_of([(1, "red")], shard)
    Path("prompts.txt").write_text("red\n")
    refused = cli("batch", "prompts.txt", *SMALL, f"--shard={shard}")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
