"""Workers that are processes or Ray's actors make the pictures of a plain batch, whoever is killed."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from test_resume import digests

FLAGS = ("--size", "64x64", "--steps", "12", "--cutouts", "2", "--seed", "1", "--start", "noise", "--save-every", "0")
LINES = ("a red heart", "a blue house", "a cat", "a tree|red:-0.3", "a boat")
POISON = "a cat:nonsense:of:colons||:"
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
PLACES = [
    pytest.param(("--workers", "2"), id="processes", marks=pytest.mark.slow),
    pytest.param(("--workers", "2", "--ray", "auto"), id="ray", marks=[needs_ray, pytest.mark.slow]),
]


def start(*arguments: str) -> subprocess.Popen[str]:
    """Type a command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "clipgen", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def batch(folder: str, *arguments: str) -> subprocess.Popen[str]:
    return start("batch", "prompts.txt", *FLAGS, "-o", folder, *arguments)


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    said, noted = process.communicate(timeout=300)
    return process.returncode, said, noted


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that make pictures for another one."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            command = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if "spawn_main" in command or "ray::Worker" in command:
            found.append(child)
    return found


def until(happens: Callable[[], object], seconds: float = 120) -> None:
    """Wait for something to happen."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def has_begun(folder: str) -> bool:
    """Whether a state from which a picture goes on was saved, and it is not done."""
    return any(Path(folder).glob("*.clipgen/state.safetensors"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a plain batch makes."""
    folder = tmp_path_factory.mktemp("plain")
    before = Path.cwd()
    os.chdir(folder)
    try:
        Path("prompts.txt").write_text("\n".join(LINES))
        code, _, noted = finished(batch("out"))
        assert code == 0, noted
        yield digests("out")
    finally:
        os.chdir(before)


@pytest.fixture(autouse=True)
def _prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prompts.txt").write_text("\n".join(LINES))


@pytest.mark.parametrize("place", [pytest.param(PLACES[0].values[0], id="processes"), PLACES[1]])
def test_a_worker_is_killed_and_every_picture_is_there_once(place: tuple[str, ...], whole: dict[str, str]) -> None:
    process = batch("out", *place)
    until(lambda: has_begun("out"))
    workers_of(process)[0].kill()
    code, said, noted = finished(process)
    assert code == 0, noted
    assert "it is made again" in noted
    assert digests("out") == whole
    assert sorted(said.split()) == sorted(f"out/{name}" for name in whole)


@pytest.mark.parametrize("place", PLACES)
def test_the_driver_is_killed_and_started_again(place: tuple[str, ...], whole: dict[str, str]) -> None:
    process = batch("out", *place)
    until(lambda: has_begun("out"))
    left = workers_of(process)
    process.kill()
    finished(process)
    until(lambda: not any(psutil.pid_exists(one.pid) and one.status() != psutil.STATUS_ZOMBIE for one in left), 60)
    code, _, noted = finished(batch("out", *place))
    assert code == 0, noted
    assert digests("out") == whole


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_keeps_what_there_is_and_the_next_batch_goes_on(place: tuple[str, ...], whole: dict[str, str]) -> None:
    process = batch("out", *place)
    until(lambda: has_begun("out"))
    left = workers_of(process)
    process.send_signal(signal.SIGINT)
    code, _, noted = finished(process)
    assert (code, "Traceback" in noted) == (130, False), noted
    until(lambda: not any(psutil.pid_exists(one.pid) and one.status() != psutil.STATUS_ZOMBIE for one in left), 60)
    code, _, noted = finished(batch("out", *place))
    assert code == 0, noted
    assert digests("out") == whole


@pytest.mark.parametrize("place", PLACES)
def test_two_drivers_at_once_and_a_line_that_is_no_prompt(place: tuple[str, ...], whole: dict[str, str]) -> None:
    Path("prompts.txt").write_text("\n".join([*LINES[:2], POISON, *LINES[2:]]))
    both = [batch("out", *place), batch("out", *place)]
    for code, _, noted in map(finished, both):
        assert code == 1
        assert "1 of 6 prompts failed, on line 3" in noted
    assert digests("out") == whole


@needs_ray
@pytest.mark.slow
def test_pretended_gpus_have_an_actor_each(whole: dict[str, str]) -> None:
    import ray

    ray.init(num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False)
    try:
        address = ray.get_runtime_context().gcs_address
        process = batch("out", "--ray", address)
        until(lambda: len([one for one in psutil.process_iter() if "ray::Worker" in " ".join(safe(one))]) == 2)
        code, _, noted = finished(process)
    finally:
        ray.shutdown()
    assert code == 0, noted
    assert digests("out") == whole


def safe(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_without_ray_its_flag_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from clipgen.errors import UsageError
    from clipgen.session.cluster import connect

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install \"clipgen\[ray\]\""):
        connect("auto")
