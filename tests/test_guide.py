"""The guide is true: its commands are understood, and run; its links lead somewhere; its error texts exist."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import pytest
import torch
from commands_in_texts import blocks_of, commands_of, understood
from fakes import Cli, FakePerceptor
from guide_files import TINY, prepare, reason_against, tiny
from torch import Tensor
from torch.nn.functional import normalize
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.util.randomness import generator_for

ROOT = Path(__file__).parent.parent
CHAPTERS = {
    str(path.parent.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "examples").rglob("README.md")))
}
FIRST = "examples/first-hour"
COMMANDS = [(name, args) for name, text in CHAPTERS.items() for args in commands_of(text)]
OTHER_PROGRAMS = {"python3", "python", "pip", "cat", "printf", "exiftool", "openssl"}
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]+)?\)")
EARLIER = {"outputs/a-cat-7.png": "a cat", "picture.png": "a cat"} | {
    f"{folder}/{name}.png": f"a {name}" for folder in ("old-pictures", "new-pictures") for name in ("cat", "boat")
}
ENVIRONMENT = {f"CLIPGEN_{name.upper()}": TINY[name] for name in ("steps", "size", "cutouts")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    return tmp_path


@pytest.fixture
def any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in for a CLIP takes every text for a point that follows from its letters."""

    def encode(_self: FakePerceptor, texts: Sequence[str]) -> Tensor:
        drawn = [torch.randn(12, generator=generator_for(crc32(text.encode()), 0, "text")) for text in texts]
        return normalize(torch.stack(drawn), dim=1)

    monkeypatch.setattr(FakePerceptor, "encode_texts", encode)
    monkeypatch.setattr(FakePerceptor, "tokens_over_limit", lambda _self, _text: 0)


def make_earlier(text: str) -> None:
    """Make the pictures with which the examples of a chapter begin."""
    for name, prompt in EARLIER.items():
        if name.split("/")[0] in text:
            args = [prompt, "--preset", "starter", "--start", "noise", "--seed", "7", "--keep-state", "-o", name]
            made = CliRunner().invoke(app, args, env=ENVIRONMENT)
            assert made.exit_code == 0, made.stderr


def run_blocks(text: str, **environment: str) -> Iterator[str]:
    """Run the commands of a chapter in their order; yields what failed."""
    for args in commands_of(text):
        if args[-1:] == ["--help"] or reason_against(args):
            continue
        made = CliRunner().invoke(app, tiny(args), env=ENVIRONMENT | environment)
        if made.exit_code:
            yield f"{tiny(args)} ended with {made.exit_code}: {made.stderr[-300:]}"


@pytest.mark.parametrize(
    ("chapter", "args"), COMMANDS, ids=lambda each: each if isinstance(each, str) else " ".join(each)
)
def test_every_command_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chapter: str, args: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("job.toml").write_text('prompt = "a cat"\n')  # read to understand a command
    understood(args)


def test_every_line_of_a_block_is_a_command_of_clipgen_or_is_known() -> None:
    first = {line[0] for text in CHAPTERS.values() for block in blocks_of(text) for line in block}
    assert first <= {"clipgen", *OTHER_PROGRAMS}
    assert len(COMMANDS) > 150
    assert sum(reason_against(args) is None for _, args in COMMANDS) > 100


def test_the_first_hour_runs_on_stand_ins(folder: Path, cli: Cli, any_text: None) -> None:
    assert list(run_blocks(CHAPTERS[FIRST], CLIPGEN_PRESET="starter")) == []  # others have guides of several kinds
    assert len(list(Path("outputs").glob("*.png"))) > 12
    assert list(Path("outputs").glob("*.mp4"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_runs(folder: Path, chapter: str, quick_proposals: None) -> None:
    make_earlier(CHAPTERS[chapter])
    assert list(run_blocks(CHAPTERS[chapter])) == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_links_within_the_repository_lead_somewhere(chapter: str) -> None:
    for target, anchor in LINK.findall(CHAPTERS[chapter]):
        if target.startswith(("http:", "https:")):
            continue
        path = (ROOT / chapter / (target or "README.md")).resolve()
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor[1:] in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, anchor


def test_the_index_names_every_chapter_once() -> None:
    named = [target for target, _ in LINK.findall(CHAPTERS["examples"]) if target.endswith("/README.md")]
    assert sorted(f"examples/{target.removesuffix('/README.md')}" for target in named) == sorted(
        {*CHAPTERS} - {".", "examples"}
    )
