"""Training says what it does, and nothing of it outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clipgen.starter.train import data
from clipgen.starter.train.data import drawn_set
from clipgen.training.progress import SECONDS, Repeating, counted

DRAWING = """
from pathlib import Path
from clipgen.starter.train.data import drawn_set
if __name__ == "__main__":
    drawn_set(Path("data"), 100_000, 32, seed=1, report=lambda line: print(line, flush=True))
"""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_last_line_is_said_again_when_nothing_else_is() -> None:
    said: list[str] = []
    clock = Clock()
    report = Repeating(said.append, clock)
    clock.now = 100
    report.repeat_if_due()
    assert said == []
    report("drawing")
    for now in (101, 100 + SECONDS, 101 + SECONDS, 100 + 2 * SECONDS):
        clock.now = now
        report.repeat_if_due()
    report("training")
    report.repeat_if_due()
    assert said == ["drawing", f"drawing ... {SECONDS:.0f} s", f"drawing ... {2 * SECONDS:.0f} s", "training"]


def test_counts_are_said_now_and_then() -> None:
    said: list[str] = []
    clock = Clock()
    count = counted(said.append, "{} of 9 are drawn", clock)
    for number in range(9):
        clock.now += SECONDS / 2
        count(number)
    assert said == [f"{number} of 9 are drawn" for number in (1, 3, 5, 7)]


@pytest.mark.slow
def test_a_set_in_several_parts_is_the_one_that_is_drawn_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    parts = np.array(drawn_set(tmp_path / "parts", data.CHUNK + 3, 16, seed=3, report=said.append))
    assert said[0] == f"drawing {data.CHUNK + 3} pictures of 16x16 pixels"
    whole = np.zeros_like(parts)
    path = tmp_path / "whole.npy"
    np.save(path, whole)
    for start in (0, data.CHUNK):
        data._draw_chunk(str(path), whole.shape, 3, start, held=False, relation=None, bare=False)
    assert np.array_equal(np.load(path), parts)
    assert [each.suffix for each in (tmp_path / "parts").iterdir()] == [".npy"]


def workers_of(process: "subprocess.Popen[str]") -> list[Path]:
    """Return the /proc folders of what a process has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [Path("/proc", child) for child in children]


def is_running(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_what_started_it(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "drawing.py").write_text(DRAWING)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "drawing.py"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "drawing 100000 pictures of 32x32 pixels\n"
        while len(started := workers_of(process)) < 2:  # one of them may be Python's own, which tracks semaphores
            time.sleep(0.05)
        process.send_signal(how)
        _, said = process.communicate(timeout=300)  # returns once nobody holds the pipes any more
    while any(map(is_running, started)):
        time.sleep(0.05)
    assert process.returncode == -how
    assert said.count("Traceback") == (how == signal.SIGINT)  # that of the process itself, which has no handler
