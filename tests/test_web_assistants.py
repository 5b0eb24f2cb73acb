"""Tools for assistants, asked by the protocol's own client."""

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes import Cli, install
from mcp import Client, StdioServerParameters
from test_web_command import program

from clipgen.web.assistants import make_server
from clipgen.web.jobs import Queue

SMALL = {"preset": "starter", "size": "48x32", "seed": 1}


def asking(folder: Path, act: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Client(make_server(queue)) as client:
            await act(client)

    queue = Queue(folder, "cpu")
    queue.start()
    try:
        anyio.run(run)
    finally:
        queue.close()


async def call(client: Client, tool: str, **arguments: object) -> tuple[Any, list[Any]]:
    """Return the JSON of an answer, or the line of an error, and what follows."""
    answer = await client.call_tool(tool, arguments)
    first, *rest = answer.content
    return (first.text if answer.is_error else json.loads(first.text)), rest


def test_an_assistant_makes_a_picture_and_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch.setattr)

    async def act(client: Client) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            "start",
            "status",
            "result",
            "cancel",
            "list",
        }
        begun, _ = await call(client, "start", prompt="red", steps=5, films=["gif"], **SMALL)
        done, [preview] = await call(client, "result", job=begun["id"], wait_seconds=60)
        assert (done["state"], done["step"], done["path"]) == ("done", 5, str(tmp_path / "out" / "red-1.png"))
        assert [Path(each).suffix for each in done["files"]] == [".png", ".gif"]
        assert (preview.mime_type, preview.data[:4]) == ("image/jpeg", "/9j/")
        [listed], _ = await call(client, "list")
        assert listed["id"] == begun["id"]

    asking(tmp_path / "out", act)


def test_a_job_is_cancelled_with_the_picture_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch.setattr)

    async def act(client: Client) -> None:
        begun, _ = await call(client, "start", prompt="red", steps=100_000, **SMALL)
        while (await call(client, "status", job=begun["id"]))[0]["step"] < 5:
            await anyio.sleep(0.05)
        _, [preview] = await call(client, "status", job=begun["id"])
        assert preview.type == "image"
        await call(client, "cancel", job=begun["id"])
        done, _ = await call(client, "result", job=begun["id"])
        assert done["state"] == "stopped"
        assert Path(done["path"]).stat().st_size > 0

    asking(tmp_path / "out", act)


def test_errors_are_one_line(tmp_path: Path) -> None:
    async def act(client: Client) -> None:
        for tool, asked, line in (
            ("start", {"prompt": ""}, "the prompt is empty"),
            ("start", {"prompt": "a cat", "preset": "/etc"}, "preset must be one of"),
            ("start", {"prompt": "a cat", "steps": -3}, "steps must be a whole number"),
            ("status", {"job": "../x"}, "there is no such job"),
        ):
            said, _ = await call(client, tool, **asked)
            assert line in said
            assert "\n" not in said

    asking(tmp_path / "out", act)


@pytest.mark.slow
def test_the_command_talks_over_stdio_and_prints_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def run() -> None:
        parameters = StdioServerParameters(command=sys.executable, args=["-c", program("mcp", "-o", "out")])
        async with Client(parameters) as client:
            begun, _ = await call(client, "start", prompt="red", steps=3, **SMALL)
            done, _ = await call(client, "result", job=begun["id"], wait_seconds=120)
            assert done["state"] == "done"

    anyio.run(run)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["red-1.png"]


def test_a_missing_extra_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    monkeypatch.delitem(sys.modules, "clipgen.web.assistants", raising=False)
    result = cli("mcp")
    assert result.exit_code == 1
    assert 'pip install "clipgen[mcp]"' in result.stderr
