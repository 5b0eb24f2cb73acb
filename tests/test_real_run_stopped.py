"""A real run of the default models, killed or stopped at moments of all its phases, loses and tears nothing."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from test_resume import digests

PROGRAM = """
from dataclasses import replace
from clipgen.config.preset import UNCLIP
from clipgen.config.presets import PRESETS
preset = PRESETS["starter"]
guidance = preset.guidance[UNCLIP]
fewer = {"candidates": 8, "img2img_candidates": 2, "upsampler_candidates": 1}
guidance = replace(guidance, unclip=tuple(replace(row, **fewer) for row in guidance.unclip))
PRESETS["starter"] = replace(preset, guidance={**preset.guidance, UNCLIP: guidance})
from clipgen.__main__ import main
main()
"""
"""The program, with a quarter of the candidates, so that a run takes half as long."""
COMMAND = ("a cat", "--seed", "1", "--video", "--save-every", "1")
PHASES = (
    "preset starter",
    "loading the models",
    "proposing",
    "decoding",
    "choosing",
    "/50  loss",
    "img2img",
    "upsampling",
    "writing a-cat-1.mp4",
    "writing a-cat-1.gif",
    "",
)
"""What the lines on stderr say that announce them; the last one stands for any moment."""
LONGEST = 20.0
"""Seconds in which a moment of the whole run is chosen."""
STOPS = 25
"""How many runs are killed, and how many are stopped by signals that a process can answer, before they have ended."""
ANSWERED = (signal.SIGINT, signal.SIGTERM)


def start(*arguments: str) -> subprocess.Popen[str]:
    """Type a command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_in(process: subprocess.Popen[str], phase: str, seconds: float, how: signal.Signals) -> str:
    """Send a signal so long after a phase was announced and return all that was said; a run may end before that."""
    said: list[str] = []
    reached = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if phase and phase in line:
                reached.set()
        reached.set()

    listener = threading.Thread(target=listen)
    listener.start()
    if phase:
        reached.wait(timeout=300)
    time.sleep(seconds)
    process.send_signal(how)
    process.wait(timeout=300)
    listener.join()
    for pipe in filter(None, (process.stdout, process.stderr)):
        pipe.close()
    return "".join(said)


def assert_whole(folder: Path) -> None:
    """Assert that every file that a user may open is whole, or is an empty placeholder of a film."""
    for path in folder.glob("*.png"):
        if path.stat().st_size:
            with Image.open(path) as image:
                image.load()


def finish(folder: Path) -> bool:
    """Do what a user does after a stop: resume what can be resumed; False if there is nothing to resume or to keep."""
    unfinished = list(folder.glob("*.clipgen")) if folder.exists() else []
    if not unfinished:
        return folder.exists() and any(path.stat().st_size for path in folder.iterdir())
    process = start("resume", str(unfinished[0]))
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return True


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("kind", ["killed", "stopped"])
def test_a_real_run_loses_nothing_at_any_moment(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chance = random.Random(kind)
    with start("run", *COMMAND, "-o", "whole") as process:
        process.communicate(timeout=600)
    assert process.returncode == 0
    whole = digests("whole")
    assert sorted(whole) == ["a-cat-1.gif", "a-cat-1.mp4", "a-cat-1.png"]
    stopped = 0
    for number in itertools.count():
        folder, phase = Path(f"{kind}-{number}"), PHASES[number % len(PHASES)]
        how = signal.SIGKILL if kind == "killed" else chance.choice(ANSWERED)
        seconds = chance.uniform(0.0, 2.0 if phase else LONGEST)
        process = start("run", *COMMAND, "-o", str(folder))
        said = stop_in(process, phase, seconds, how)
        note = f"{how.name} {seconds:.2f} s after {phase or 'the start'!r}: {process.returncode}\n{said}"
        assert "Traceback" not in said, note
        assert process.returncode in (0, -how, 128 + how), note
        stopped += process.returncode != 0
        assert_whole(folder)
        left = sorted(path.name for path in folder.glob("*")) if folder.exists() else []
        print(f"{how.name} {seconds:.2f} s after {phase or 'the start'!r}: {process.returncode}, left {left}")  # noqa: T201
        if finish(folder):
            found = digests(str(folder))
            assert {name: value for name, value in found.items() if name in whole} == whole, note
            assert list(found) == list(whole), note  # nothing is left of what was being written
        else:
            assert kind == "killed" or not folder.exists(), note
        if stopped == STOPS:
            return
