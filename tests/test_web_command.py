"""`clipgen web` as a process: its address, Ctrl-C, a kill in mid-run, and what it says when it cannot start."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fakes
import pytest
from fakes import Cli
from test_recipe import pixels
from web_clients import SETTINGS, server
from web_live import ask, until

TESTS = Path(__file__).parent
PROGRAM = f"""
import sys
sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]
import fakes
from clipgen.config import resolve
from clipgen.session import options
from clipgen.web import requests
fakes.install()
resolve.computes_bf16 = lambda device: False
usual = requests.OutputOptions
requests.OutputOptions = lambda **given: usual(**given, save_every=0.2)
from clipgen.cli.app import main
sys.argv = ["clipgen", *ARGUMENTS]
main()
"""


def program(*arguments: str) -> str:
    """Return Python that is the command line with these arguments and the fakes in place of models."""
    return f"ARGUMENTS = {arguments!r}\n{PROGRAM}"


@contextmanager
def running() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the command; yields its process and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", program("web", "--port", "0")], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        line = process.stderr.readline()
        found = re.search(r"clipgen is at http://127\.0\.0\.1:([0-9]+)/ and writes to outputs", line)
        assert found, line + process.stderr.read()
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream
            stream.close()


def begin(port: int, steps: int) -> str:
    """Begin a picture, and wait until some of it is there."""
    made = ask(port, "POST", "/api/jobs", {"prompt": "red", "settings": {**SETTINGS, "steps": steps, "lr": "0.01"}})
    until(lambda: ask(port, "GET", f"/api/jobs/{made['id']}")["step"] > 20, 60)
    return str(made["id"])


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)], ids=["killed", "Ctrl-C"]
)
def test_a_server_that_ends_in_mid_run_loses_nothing_that_was_saved(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fakes.install(monkeypatch.setattr)
    with running() as (process, port):
        begin(port, 2000)
        ask(port, "POST", "/api/jobs", {"prompt": "blue", "settings": {**SETTINGS, "steps": 2}})
        until(lambda: Path("outputs/red-1.clipgen/state.safetensors").exists())
        process.send_signal(number)
        out, rest = process.communicate(timeout=30)
        assert (process.returncode, out) == (130 if number == signal.SIGINT else -number, "")
        assert "Traceback" not in rest
        assert number == signal.SIGKILL or rest.strip().splitlines()[-2:] == [
            "1 in the queue; clipgen web offers it when it starts again",
            "stopped",
        ]
    with server(Path("outputs")) as client:
        until(lambda: len(client.get("/api/jobs").json()) == 2, 60)
        left, waiting = client.get("/api/jobs").json()
        assert [waiting[name] for name in ("prompt", "state", "step", "resumable")] == ["blue", "paused", 0, True]
        assert (left["state"], left["resumable"], left["total"], left["prompt"]) == ("stopped", True, 2000, "red")
        assert left["step"] > 0
        client.post(f"/api/jobs/{left['id']}/resume")
        client.wait_for_step(left["id"], left["step"] + 1)
    assert pixels(Path("outputs/red-1.png"))


def test_a_port_that_is_taken_is_a_usage_error(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli("web", "--port", str(port))
    assert result.exit_code == 2
    assert f"--host 127.0.0.1 --port {port} cannot be used" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--port", "99999"), "--port must be from 0 to 65535"),
        (("-o", "picture.png"), "the page writes many pictures"),
        (("--token", "short"), "--token must be 8 to 128"),
        (("--host", "no.such.host.invalid"), "--host no.such.host.invalid --port 8384 cannot be used"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(cli: Cli, flags: tuple[str, ...], line: str) -> None:
    result = cli("web", *flags)
    assert result.exit_code == 2
    assert line in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_extra_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "clipgen.web.serving", raising=False)
    result = cli("web")
    assert result.exit_code == 1
    assert 'pip install "clipgen[web]"' in result.stderr
