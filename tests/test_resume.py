"""Runs that are stopped or killed go on from the command line, and end as if nothing had been."""

import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import Cli
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from clipgen.config.presets import PRESETS
from clipgen.core.contracts import Step
from clipgen.outputs import metadata
from clipgen.outputs.picture import PictureSink
from clipgen.session.checksum import BLANK, FIELD, seal

SMALL = ("red|blue:0.3", "--size", "32x32", "--steps", "12", "--cutouts", "2", "--seed", "1", "--save-every", "0")
FILMED = (*SMALL, "--video")


def stop_at(monkeypatch: pytest.MonkeyPatch, index: int | None, how: signal.Signals = signal.SIGINT) -> None:
    """Press Ctrl-C when a step is shown; None: never again."""
    taken = PictureSink.on_step

    def on_step(self: PictureSink, step: Step) -> None:
        taken(self, step)
        if step.index == index:
            signal.raise_signal(how)

    monkeypatch.setattr(PictureSink, "on_step", on_step)


def digests(folder: str) -> dict[str, str]:
    """What is in the files of a folder: pixels of pictures, bytes of films."""
    found = {}
    for path in sorted(Path(folder).iterdir()):
        content = Image.open(path).tobytes() if path.suffix == ".png" else path.read_bytes()
        found[path.name] = hashlib.sha256(content).hexdigest()
    return found


STOPS = [(how, 128 + how, index) for how in (signal.SIGINT, signal.SIGTERM) for index in (0, 5, 10)]


def is_quick(backend: str, how: signal.Signals, index: int) -> bool:
    return (how is signal.SIGINT and (backend == "vqgan" or index == 5)) or (backend, index) == ("vqgan", 5)


@pytest.mark.parametrize(
    ("backend", "how", "code", "index"),
    [
        pytest.param(name, how, code, index, marks=() if is_quick(name, how, index) else pytest.mark.slow)
        for name in PRESETS["starter"].generators
        for how, code, index in STOPS
    ],
)
def test_a_stopped_run_goes_on_and_leaves_the_files_of_one_that_was_never_stopped(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, backend: str, index: int, how: signal.Signals, code: int
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, index, how)
        stopped = cli(*FILMED, "--backend", backend, "-o", "parts")
    assert stopped.exit_code == code
    picture = Path(stopped.stdout.split()[0])
    assert f"continue with: clipgen resume {picture}" in stopped.stderr
    record = metadata.read(picture)
    assert record is not None
    assert (record["outcome"], record["steps_done"]) == ("interrupted", index + 1)
    resumed = cli("resume", str(picture))
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.stdout == stopped.stdout
    assert cli(*FILMED, "--backend", backend, "-o", "whole").exit_code == 0
    assert digests("parts") == digests("whole")
    assert metadata.read(picture) == metadata.read(Path("whole", picture.name))


def test_a_run_may_be_stopped_again_and_again_and_its_folder_named_in_place_of_the_picture(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*FILMED, "-o", "parts"]
    for index in (1, 4, 5, 9):
        with monkeypatch.context() as patch:
            stop_at(patch, index)
            assert cli(*command).exit_code == 130
        command = ["resume", "parts/red-blue-0-3-1.clipgen", "--save-every", "0"]
    assert cli(*command).exit_code == 0
    assert cli(*FILMED, "-o", "whole").exit_code == 0
    assert digests("parts") == digests("whole")


@pytest.mark.parametrize(("flag", "total"), [("20", 20), ("+3", 15)])
def test_more_steps_than_were_planned(cli: Cli, monkeypatch: pytest.MonkeyPatch, flag: str, total: int) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        picture = cli(*SMALL).stdout.strip()
    assert cli("resume", picture, "--steps", flag).exit_code == 0
    record = metadata.read(Path(picture))
    assert record is not None
    assert (record["steps_done"], record["plan"]["steps"], record["outcome"]) == (total, total, "finished")


def test_a_finished_run_goes_on_if_its_state_was_kept(cli: Cli) -> None:
    picture = cli(*SMALL, "--keep-state").stdout.strip()
    assert cli("resume", picture).exit_code == 0  # nothing is left to do
    assert "there is nothing to resume" in cli("resume", picture).stderr
    kept = cli(*SMALL, "--keep-state", "-o", "kept").stdout.strip()
    assert cli("resume", kept, "--steps", "+4").exit_code == 0
    record = metadata.read(Path(kept))
    assert record is not None
    assert record["steps_done"] == 16


def test_what_cannot_go_on_is_said_in_one_line_and_nothing_is_overwritten(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = cli(*SMALL).stdout.strip()
    before = Path(picture).read_bytes()
    for path, said in ((picture, "clipgen replay"), ("missing.png", "check the path")):
        result = cli("resume", path)
        assert result.exit_code == 2
        assert said in result.stderr
        assert len(result.stderr.splitlines()) == 1
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        stopped = Path(cli(*SMALL).stdout.strip())
    stopped.write_bytes(before.replace(b"clipgen", b"clipgem"))
    result = cli("resume", str(stopped))
    assert result.exit_code == 2
    assert "is another picture" in result.stderr
    assert stopped.read_bytes() == before.replace(b"clipgen", b"clipgem")
    (stopped.with_suffix(".clipgen") / "state.safetensors").write_bytes(b"junk")
    result = cli("resume", str(stopped))
    assert result.exit_code == 2
    assert "damaged" in result.stderr


def test_a_batch_goes_on_with_the_picture_that_it_was_stopped_in(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("prompts.txt").write_text("red\nblue\ngreen\n")
    command = ("batch", "prompts.txt", *SMALL[1:], "--together", "1", "-o", "parts")
    seen: list[int] = []
    taken = PictureSink.on_step

    def on_step(self: PictureSink, step: Step) -> None:
        taken(self, step)
        seen.append(step.index)
        if len(seen) == 20:  # in the middle of the second picture
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(PictureSink, "on_step", on_step)
        assert cli(*command).exit_code == 130
    assert sorted(path.name for path in Path("parts").iterdir()) == ["blue-1.clipgen", "blue-1.png", "red-1.png"]
    result = cli(*command)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == ["parts/blue-1.png", "parts/green-1.png"]
    assert cli(*command[:-1], "whole").exit_code == 0
    assert digests("parts") == digests("whole")


PROGRAM = """
import sys, time
from fakes import install
from clipgen.cli.app import app
from clipgen.core.loop import Loop
install()
update = Loop.update
Loop.update = lambda self: (time.sleep({pause}), update(self))[1]
sys.argv[1:] = {arguments!r}
app(prog_name="clipgen")
"""


def start(*arguments: str, pause: float = 0.0, limit: int | None = None) -> "subprocess.Popen[str]":
    """Type a command in a process of its own, in which a step takes at least `pause` seconds.

    limit: of the bytes that a file may have.
    """
    program = PROGRAM.format(pause=pause, arguments=list(arguments))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", program]
    if limit is not None:
        command = ["prlimit", f"--fsize={limit}", *command]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed(seconds: Callable[[], float], folder: str) -> None:
    """Start a run and kill it so long after it has begun to leave something."""
    process = start(*FILMED, "-o", folder, pause=0.05)
    place = Path(folder)
    while not place.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds())
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", [int(os.environ.get("CLIPGEN_KILLS", "2"))])
def test_a_killed_run_goes_on_from_its_last_save(cli: Cli, count: int) -> None:
    chance = random.Random(0)
    assert cli(*FILMED, "-o", "whole").exit_code == 0
    for number in range(count):
        folder = f"killed-{number}"
        killed(lambda: chance.uniform(0.0, 1.5), folder)
        names = {path.suffix for path in Path(folder).iterdir()}
        assert ".clipgen" in names or names in ({".png", ".mp4", ".gif"}, set())
        for path in Path(folder).glob("*.png"):
            if path.stat().st_size:
                with Image.open(path) as image:
                    image.load()
        unfinished = list(Path(folder).glob("*.clipgen"))
        if unfinished and (unfinished[0] / "job.json").exists():
            assert cli("resume", str(unfinished[0])).exit_code == 0
            assert digests(folder) == digests("whole")


def wait(processes: list[Any]) -> list[str]:
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return [output for output, _ in outputs]


@pytest.mark.slow
def test_many_runs_of_the_same_prompt_and_seed_make_as_many_pictures(cli: Cli) -> None:
    count = int(os.environ.get("CLIPGEN_PROCESSES", "3"))
    paths = [output.split() for output in wait([start(*SMALL) for _ in range(count)])]
    names = sorted(path for [path] in paths)
    assert len(set(names)) == count
    assert sorted(str(path) for path in Path("outputs").iterdir()) == names
    assert len({Image.open(path).tobytes() for path in names}) == 1


@pytest.mark.slow
def test_a_batch_that_runs_twice_at_once_does_no_line_twice(cli: Cli) -> None:
    lines = [f"{colour}|{other}:0.5" for colour in ("red", "blue") for other in ("green", "white", "black")]
    Path("prompts.txt").write_text("\n".join(lines))
    command = ("batch", "prompts.txt", *SMALL[1:], "--json")
    records = [json.loads(output) for output in wait([start(*command, pause=0.02) for _ in range(2)])]
    made = [picture["path"] for record in records for picture in record["pictures"]]
    assert len(made) == len(set(made)) == len(lines)
    assert [len(record["pictures"]) + len(record["skipped"]) for record in records] == [len(lines)] * 2
    assert sorted(str(path) for path in Path("outputs").iterdir()) == sorted(made)


def damage_order(folder: Path, **changes: Any) -> None:
    path = folder / "job.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def damage_state(folder: Path, header: dict[str, Any], change: Callable[[Tensor], Tensor] = lambda each: each) -> None:
    path = folder / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        kept = json.loads(file.metadata()["snapshot"])
        tensors = {name: change(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    save_file(tensors, path, metadata={"snapshot": json.dumps({**kept, **header}), FIELD: BLANK})
    seal(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: damage_order(folder, schema=3), "is not the state of a clipgen run, or is damaged"),
        (lambda folder: damage_state(folder, {"done": -1}), "must be a whole number from 0 to 12, got -1"),
        (lambda folder: damage_state(folder, {"done": 13}), "must be a whole number from 0 to 12, got 13"),
        (
            lambda folder: damage_state(folder, {"lr": -1.0}),
            "must be a number from 0 to 100, got -1.0",
        ),
        (
            lambda folder: damage_state(folder, {"lr": math.nan}),
            "must be a number from 0 to 100, got nan",
        ),
        (
            lambda folder: damage_state(folder, {}, lambda each: each[:0]),
            "the saved state does not belong to this plan",
        ),
        (
            lambda folder: damage_state(folder, {}, lambda each: torch.cat([each, each])),
            "the saved state does not belong to this plan",
        ),
    ],
)
def test_a_damaged_state_is_refused_in_one_line_and_stays(
    cli: Cli, damage: Callable[[Path], None], message: str
) -> None:
    picture = Path(cli(*SMALL, "--keep-state").stdout.strip())
    folder, before = picture.with_suffix(".clipgen"), picture.read_bytes()
    damage(folder)
    result = cli("resume", str(picture), "--quiet")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert message in result.stderr
    assert result.stdout == ""
    assert (picture.read_bytes(), folder.is_dir()) == (before, True)
