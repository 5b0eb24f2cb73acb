"""What presets lack, and its download by the page's server: begun, stopped, gone on with, refused and told of."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fakes import install
from filelock import FileLock
from loopback import CONTENT, HALF, OTHER, Files, dribbles, fetcher, says, serves
from test_web_api import check
from web_clients import Client, server
from web_live import Tab, ask, live, until
from web_weights import DRAFT, QUICK, UNPINNED, small_weights  # noqa: F401 - a fixture

from clipgen.web.watching import SECONDS
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import RECORDS

PATH = "/api/weights"


@pytest.fixture
def client(tmp_path: Path, weights: Files) -> Iterator[Client]:
    with serving(tmp_path) as client:
        yield client


@contextmanager
def serving(tmp_path: Path) -> Iterator[Client]:
    """Serve without making pictures; what is downloaded may come from this machine."""
    with server(tmp_path / "outputs", starts=False) as client:
        client.queue.downloads.make_fetcher = fetcher
        yield client


def begin(client: Client, preset: str = "quick", **others: str) -> Any:
    return client.post(PATH, {"preset": preset, **others})


def ended(client: Client) -> dict[str, Any]:
    """Return the download once it is over."""
    end = time.monotonic() + 30
    while (download := client.get(PATH).json()["download"])["state"] in ("running", "stopping"):
        assert time.monotonic() < end, download
        time.sleep(0.01)
    return dict(download)


def lacking(client: Client, preset: str = "quick", **others: str) -> dict[str, Any]:
    """Return what a preset needs."""
    told = client.get(PATH, params=others).json()
    check("Weights", told)
    return next(each for each in told["presets"] if each["preset"] == preset)


def wait_for_half(client: Client) -> None:
    until(lambda: client.get(PATH).json()["download"]["bytes"] >= HALF)


def asked(client: Client, preset: str = "quick") -> Any:
    return client.post("/api/jobs", {"prompt": "a cat", "settings": {"preset": preset, "steps": 1}})


def test_what_a_preset_lacks_is_told_with_its_size_and_terms(client: Client) -> None:
    for preset in ("auto", "starter", "photo"):
        assert (lacking(client, preset)["files"], lacking(client, preset)["bytes"]) == ([], 0)
    quick = lacking(client)
    assert (quick["bytes"], quick["exact"], quick["by_hand"], quick["command"]) == (len(CONTENT), True, [], None)
    assert [(each["name"], each["licence"]) for each in quick["files"]] == [(QUICK, "MIT")]
    assert [each["name"] for each in lacking(client, "draft")["files"]] == list(DRAFT)
    assert [each["name"] for each in lacking(client, backend="vqgan")["files"]] == [DRAFT[0], QUICK]
    assert lacking(client, "auto", backend="kl")["files"] != []  # as it then means draft
    with pytest.raises(StopIteration):
        lacking(client, "starter", backend="kl")
    assert "backend must be one of" in client.get(PATH, params={"backend": "/etc"}).json()["error"]


def test_a_preset_is_downloaded_and_then_drawn_with(client: Client, weights: Files) -> None:
    refused = asked(client)
    assert refused.status_code == 409
    assert refused.json()["error"] == (
        "preset quick needs 41 kB that are not on this machine yet; press Download, below the choice of preset, or "
        f"type: clipgen models pull {QUICK}"
    )
    assert weights.server.log == []  # what was not asked for is not fetched
    begun = begin(client)
    assert begun.status_code == 202
    check("Download", begun.json())
    done = ended(client)
    assert (done["state"], done["bytes"], done["total"], done["error"]) == ("done", len(CONTENT), len(CONTENT), None)
    assert Cache().path(RECORDS[QUICK]).read_bytes() == CONTENT
    assert (lacking(client)["files"], begin(client).status_code) == ([], 409)
    assert asked(client).status_code == 201


def test_a_download_is_stopped_and_goes_on(client: Client, weights: Files) -> None:
    gate = threading.Event()
    weights.server.routes[f"/{QUICK}"] = dribbles(CONTENT, HALF, gate)
    begin(client)
    wait_for_half(client)
    assert "draw this once the download is over" in asked(client).json()["error"]
    for preset in ("quick", "draft"):
        other = begin(client, preset)
        assert other.status_code == 409
        assert other.json()["error"].startswith("the weights of preset quick are being downloaded; wait for them")
    assert client.post(f"{PATH}/stop").json()["state"] in ("stopping", "stopped")
    stopped = ended(client)
    assert (stopped["state"], stopped["error"]) == ("stopped", None)
    assert client.post(f"{PATH}/stop").json()["state"] == "stopped"  # as it is over
    assert HALF <= len(CONTENT) - lacking(client)["bytes"] == Cache().part(RECORDS[QUICK]).stat().st_size
    gate.set()
    begin(client)
    assert ended(client)["state"] == "done"
    assert weights.server.log[-1].range not in (None, "bytes=0-")
    assert Cache().path(RECORDS[QUICK]).read_bytes() == CONTENT


def test_a_server_that_ends_in_mid_download_loses_nothing(tmp_path: Path, weights: Files) -> None:
    weights.server.routes[f"/{QUICK}"] = dribbles(CONTENT, HALF, threading.Event())
    with serving(tmp_path) as first:
        begin(first)
        wait_for_half(first)
        first.queue.close()
        assert ended(first)["state"] == "stopped"
        assert begin(first).status_code == 409
    weights.server.routes[f"/{QUICK}"] = serves(CONTENT)
    with serving(tmp_path) as later:
        assert lacking(later)["bytes"] <= HALF
        assert later.get(PATH).json()["download"] is None
        begin(later)
        assert ended(later)["state"] == "done"
    assert int(str(weights.server.log[-1].range).removeprefix("bytes=").removesuffix("-")) >= HALF


def test_what_comes_wrong_or_not_at_all_is_an_error_in_one_line(client: Client, weights: Files) -> None:
    weights.server.routes[f"/{QUICK}"] = says(200, OTHER)
    begin(client)
    failed = ended(client)
    assert failed["state"] == "failed"
    assert "its sha256 is" in failed["error"]
    assert "\n" not in failed["error"]
    assert not Cache().path(RECORDS[QUICK]).exists()
    weights.server.server_close()
    begin(client)
    assert "no server that has it can be reached" in ended(client)["error"]


def test_another_form_of_the_same_weights_is_taken_where_one_is_gone(client: Client, weights: Files) -> None:
    weights.server.routes[f"/{DRAFT[1]}"] = says(404)
    begin(client, "draft")
    done = ended(client)
    assert (done["state"], done["number"], done["count"], done["file"]) == ("done", 2, 2, "clip/openai-vit-b-32")
    assert done["bytes"] == done["total"] == 2 * len(CONTENT)
    assert lacking(client, "draft")["files"] == []


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        ({}, 400, "preset must be named"),
        ({"preset": ["quick"]}, 400, "preset must be one of"),
        ({"preset": "quik"}, 400, "did you mean quick?"),
        ({"preset": "https://example.org/model.pt"}, 400, "preset must be one of"),
        ({"preset": "../../etc"}, 400, "preset must be one of"),
        ({"preset": QUICK}, 400, "preset must be one of"),
        ({"preset": "quick", "url": "https://example.org"}, 400, "the key must be one of"),
        ({"preset": "quick", "backend": "x"}, 400, "backend must be one of"),
        ({"preset": "starter"}, 409, "all that preset starter needs is on this machine"),
        ({"preset": "starter", "backend": "kl"}, 409, "this preset cannot have these settings"),
    ],
    ids=str,
)
def test_only_presets_can_be_named(client: Client, body: object, status: int, line: str) -> None:
    answer = client.post(PATH, body)
    assert (answer.status_code, line in answer.json()["error"]) == (status, True), answer.text
    assert client.get(PATH).json()["download"] is None
    assert client.post(f"{PATH}/stop").status_code == 409


def test_what_no_hash_is_published_of_is_left_to_the_terminal(client: Client, weights: Files) -> None:
    need = lacking(client, backend="dvae")
    assert [each["name"] for each in need["by_hand"]] == list(UNPINNED)
    assert [each["name"] for each in need["files"]] == [QUICK]
    assert need["command"] == "clipgen models pull dvae/dall-e --trust-on-first-use"
    begin(client, backend="dvae")
    assert ended(client)["state"] == "done"
    assert [each.path for each in weights.server.log] == [f"/{QUICK}"]
    refused = begin(client, backend="dvae")
    assert refused.status_code == 409
    assert refused.json()["error"].endswith("only you can trust it; type: " + need["command"])
    drawn = client.post("/api/jobs", {"prompt": "a cat", "settings": {"preset": "quick", "backend": "dvae"}})
    assert drawn.json()["error"].endswith("get them with: " + need["command"])


def test_nothing_is_fetched_offline_or_for_another_site(
    client: Client,
    weights: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert client.post(PATH, {"preset": "quick"}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get(PATH).json()["offline"] is False
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert client.get(PATH).json()["offline"] is True
    refused = begin(client)
    assert refused.status_code == 409
    assert refused.json()["error"].startswith("downloads are switched off by HF_HUB_OFFLINE")
    assert "HF_HUB_OFFLINE" in asked(client).json()["error"]
    assert weights.server.log == []


def test_a_file_that_another_process_fetches_is_waited_for_and_stop_is_heard(client: Client) -> None:
    cache = Cache()
    lock = FileLock(str(cache.lock(RECORDS[QUICK]).lock_file))
    with lock:
        begin(client)
        until(lambda: "another process is downloading" in client.get(PATH).json()["download"]["note"])
        client.post(f"{PATH}/stop")
        assert ended(client)["state"] == "stopped"


def test_stop_is_heard_between_two_tries(client: Client, weights: Files) -> None:
    weights.server.routes[f"/{QUICK}"] = says(503)
    client.queue.downloads.make_fetcher = partial(fetcher, pause_seconds=60.0)
    begin(client)
    until(lambda: "trying again in 60 s" in client.get(PATH).json()["download"]["note"])
    client.post(f"{PATH}/stop")
    assert ended(client)["state"] == "stopped"


def test_tabs_are_told_and_jobs_are_made_meanwhile(
    tmp_path: Path,
    weights: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch.setattr)
    gate = threading.Event()
    weights.server.routes[f"/{QUICK}"] = dribbles(CONTENT, HALF, gate, pause=0.001)
    with live(tmp_path / "outputs") as (queue, port):
        queue.downloads.make_fetcher = fetcher
        tab = Tab(port)
        until(lambda: queue.hub.is_watched)
        began = time.monotonic()
        ask(port, "POST", PATH, {"preset": "quick"})
        until(lambda: ask(port, "GET", PATH)["download"]["bytes"] > HALF)
        settings = {"preset": "starter", "size": "48x32", "steps": 12, "cutouts": "6", "lr": "0.1"}
        job = ask(port, "POST", "/api/jobs", {"prompt": "red", "settings": settings})
        until(lambda: ask(port, "GET", f"/api/jobs/{job['id']}")["state"] == "done")
        assert ask(port, "GET", PATH)["download"]["state"] == "running"
        gate.set()
        told = []
        for kind, event in tab.events():
            told += [event] if kind == "weights" else []
            if kind == "weights" and event["state"] == "done":
                break
        assert {each["preset"] for each in told} == {"quick"}
        assert [each["bytes"] for each in told] == sorted(each["bytes"] for each in told)
        assert 2 <= len(told) <= 5 + (time.monotonic() - began) / SECONDS
        tab.close()
        late = Tab(port)
        assert next(event for kind, event in late.events() if kind == "weights") == told[-1]
        late.close()
