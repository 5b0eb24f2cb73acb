"""Pictures of a batch are made in lockstep, and each is the one that is made when it is typed alone."""

import json
import signal
from pathlib import Path

import pytest
from fakes import COLOURS, Cli, fake_models
from test_faults import refuse

from clipgen.core.contracts import Step
from clipgen.outputs import metadata
from clipgen.outputs.picture import PictureSink
from clipgen.session import session
from clipgen.util import files as naming

SMALL = ("--size", "32x32", "--steps", "6", "--cutouts", "2", "--seed", "3", "--save-every", "0")
LINES = ("red", "blue", "green|white:0.5", "black", "white:2|red:-0.3")


def content(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def write(*lines: str) -> tuple[str, ...]:
    """Write a file of prompts; returns the command that makes its pictures."""
    Path("prompts.txt").write_text("\n".join(lines))
    return ("batch", "prompts.txt", *SMALL)


def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the pictures of every group that is made in lockstep from now on."""
    sizes: list[int] = []
    made = session.Session.make_together

    def make_together(self: session.Session, pictures: list[session.Picture]) -> object:
        sizes.append(len(pictures))
        return made(self, pictures)

    monkeypatch.setattr(session.Session, "make_together", make_together)
    return sizes


def stop_group_at(monkeypatch: pytest.MonkeyPatch, index: int, picture: str) -> None:
    """Press Ctrl-C when a step of that picture is shown."""
    taken = PictureSink.on_step

    def on_step(self: PictureSink, step: Step) -> None:
        taken(self, step)
        if step.index == index and self.path.name == picture:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(PictureSink, "on_step", on_step)


@pytest.mark.parametrize(
    "backend", ["vqgan", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dvae", "pixels", "strokes"))]
)
def test_pictures_and_films_are_those_that_are_made_alone(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    options = ("--backend", backend, "--video")
    for line in LINES:
        assert cli(line, *SMALL, *options, "-o", "alone").exit_code == 0
    sizes = groups(monkeypatch)
    for together, expected in (("2", [2, 2, 1]), ("8", [5])):
        sizes.clear()
        result = cli(*write(*LINES), *options, "--together", together, "-o", f"by-{together}")
        assert result.exit_code == 0, result.stderr
        assert sizes == expected
        assert content(f"by-{together}") == content("alone")


def test_pictures_that_start_at_an_image_are_too(cli: Cli) -> None:
    start = cli("red", *SMALL, "-o", "start.png").stdout.strip()
    options = ("--init", start, "--init-weight", "0.5")
    for line in LINES[:3]:
        assert cli(line, *SMALL, *options, "-o", "alone").exit_code == 0
    assert cli(*write(*LINES[:3]), *options, "-o", "together").exit_code == 0
    assert content("together") == content("alone")


KNOWN = {"zebra": (1, -1, 1), "banjo": (-1, 1, 1), "in pencil": (1, 1, -1), "in watercolour": (-1, -1, 1)}
CLASSIFIER, CLIPS = 3, 2  # how often each guides: the classifier in three parts of the run
MIXED = {
    "red": ("starter", "vqgan", ()),
    "a zebra": ("photo", "pixels", (("zebra",),) * CLASSIFIER),
    "a banjo|a zebra:-0.5": ("photo", "pixels", (("banjo", "zebra"),) * CLASSIFIER),
    "a zebra in pencil": ("photo", "pixels", (("zebra",),) * CLASSIFIER + (("in pencil",),) * CLIPS),
    "a banjo|in watercolour": (
        "photo",
        "pixels",
        (("banjo", ""),) * CLASSIFIER + (("", "in watercolour"),) * CLIPS,
    ),
    "blue": ("starter", "vqgan", ()),
}
"""By line of a file: preset, backend and readings of its picture."""


def test_lines_that_need_different_presets_all_become_their_pictures_in_order(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, colour in KNOWN.items():
        monkeypatch.setitem(COLOURS, text, colour)
    monkeypatch.setattr(
        session, "load_models", lambda plan, _device, _note=None: fake_models(plan.backend, len(plan.perceptors))
    )
    for line in MIXED:
        result = cli(line, *SMALL, "-o", "alone")
        assert result.exit_code == 0, result.stderr
    sizes = groups(monkeypatch)
    result = cli(*write("", *MIXED, "a crane"), "-o", "together", "--json")
    assert result.exit_code == 1  # one of the lines can mean two things
    assert sizes == [1, 2, 2, 1], result.stderr
    document = json.loads(result.stdout)
    assert [failure["line"] for failure in document["failed"]] == [len(MIXED) + 2]
    plans = [metadata.read_recipe(Path(picture["path"])).plan for picture in document["pictures"]]
    found = {plan.text: (plan.preset, plan.backend, plan.readings) for plan in plans}
    assert list(found.items()) == list(MIXED.items())
    assert content("together") == content("alone")
    again = cli(*write(*MIXED), "-o", "together", "--json")
    assert json.loads(again.stdout)["pictures"] == []
    assert len(json.loads(again.stdout)["skipped"]) == len(MIXED)


NINE = "a zebra, a banjo, a goldfish, a lion, a tiger, a castle, a volcano, a violin and a jeep"


def test_a_line_that_cannot_be_planned_costs_only_itself_wherever_it_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COLOURS, "zebra", (1, -1, 1))
    result = cli(*write("a crane", "a zebra", NINE, "a zebra:2"), "--json")
    document = json.loads(result.stdout)
    assert [failure["line"] for failure in document["failed"]] == [1, 3]
    assert len(document["pictures"]) == 2
    assert "error: line 3: " in result.stderr
    assert "names 9 things" in result.stderr
    refused = cli(*write("a crane", "a crane"))
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_the_same_prompt_twice_in_a_file_is_made_once(cli: Cli) -> None:
    result = cli(*write("red", "blue", "red", "blue"), "--json")
    document = json.loads(result.stdout)
    assert [picture["path"] for picture in document["pictures"]] == ["outputs/red-3.png", "outputs/blue-3.png"]
    assert document["skipped"] == ["outputs/red-3.png", "outputs/blue-3.png"]
    assert list(content("outputs")) == ["blue-3.png", "red-3.png"]


def test_prompts_with_the_same_name_are_two_pictures(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "red 2", (1, -1, -1))
    result = cli(*write("red:2", "red 2"))
    assert result.stdout.split() == ["outputs/red-2-3.png", "outputs/red-2-3-2.png"]


def test_a_picture_that_cannot_be_written_costs_only_itself(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    publish = naming.publish
    monkeypatch.setattr(
        naming, "publish", lambda part, path: (refuse if path.name == "blue-3.png" else publish)(part, path)
    )
    result = cli(*write("red", "blue", "green"))
    assert result.exit_code == 1
    assert result.stdout.split() == ["outputs/red-3.png", "outputs/green-3.png"]
    assert "error: line 2: the picture outputs/blue-3.png could not be written" in result.stderr
    assert result.stderr.splitlines()[-1] == "error: 1 of 3 prompts failed, on line 2"


def test_a_prompt_without_a_direction_costs_only_itself(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "huge", (float("inf"), 0.0, 0.0))
    result = cli(*write("red", "huge", "green"), "--together", "2")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: 1 of 3 prompts failed, on line 2"
    assert {"red-3.png", "green-3.png"} <= content("outputs").keys()


@pytest.mark.parametrize("index", [0, 3])
def test_a_stopped_group_goes_on_with_every_picture_of_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    command = (*write(*LINES), "--gif", "--together", "3")
    with monkeypatch.context() as patch:
        stop_group_at(patch, index, "blue-3.png")
        stopped = cli(*command, "-o", "parts")
    assert (stopped.exit_code, stopped.stderr.splitlines()[-1]) == (130, "stopped")
    names = ("red-3", "blue-3", "green-white-0-5-3")
    assert sorted(path.name for path in Path("parts").iterdir()) == sorted(
        f"{name}{end}" for name in names for end in (".png", ".clipgen", ".gif")
    )
    for name in names:
        record = metadata.read(Path("parts", f"{name}.png"))
        assert record is not None
        assert (record["outcome"], record["steps_done"]) == ("interrupted", index + 1)
        assert f"continue with: clipgen resume parts/{name}.png" in stopped.stderr
    again = cli(*command, "-o", "parts")
    assert again.exit_code == 0, again.stderr
    assert cli(*command, "-o", "whole").exit_code == 0
    assert content("parts") == content("whole")


def test_one_picture_of_a_stopped_group_can_be_resumed_alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    command = write(*LINES[:3])
    with monkeypatch.context() as patch:
        stop_group_at(patch, 3, "red-3.png")
        assert cli(*command, "-o", "parts").exit_code == 130
    assert cli("resume", "parts/blue-3.png").exit_code == 0
    again = cli(*command, "-o", "parts", "--json")
    document = json.loads(again.stdout)
    assert document["skipped"] == ["parts/blue-3.png"]
    assert cli(*command, "-o", "whole").exit_code == 0
    assert content("parts") == content("whole")
