"""Downloads over several runs and processes: what is kept, continued and waited for; what a full disk does."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fakes import Cli
from loopback import CONTENT, HALF, OTHER, SHA256, Answer, Asked, Files, cuts, drips, fetcher, left, serves

import clipgen
from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.weights import cache as cache_module
from clipgen.weights import fetch as fetch_module
from clipgen.weights.cache import Cache, cache_folder, sha256_of
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.fetch import Fetcher, is_offline
from clipgen.weights.partial_file import PartialFile

pytestmark = pytest.mark.usefixtures("plain_environment")


def test_what_has_arrived_is_continued_by_a_later_run_and_from_another_mirror(files: Files, cache: Cache) -> None:
    files.server.routes["/bad"] = cuts(CONTENT, HALF)
    with pytest.raises(ClipgenError, match="broke off after 20480 of 40960"):
        fetcher(cache, retries=0).fetch(files.record("/bad"))
    assert left(cache) == ["tiny.ckpt.part", "tiny.ckpt.part.json"]
    files.server.log.clear()
    seen: list[tuple[int, int | None]] = []
    path = fetcher(cache).fetch(files.record("/good"), lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert files.server.log == [Asked("/good", range=f"bytes={HALF}-")]
    assert seen[0] == (HALF, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("junk", [OTHER[:HALF], CONTENT + b"extra", OTHER, b"x"], ids=["half", "long", "full", "byte"])
def test_a_corrupt_part_costs_one_download_and_no_more(files: Files, cache: Cache, junk: bytes) -> None:
    record = files.record("/good")
    cache.part(record).parent.mkdir(parents=True)
    cache.part(record).write_bytes(junk)
    assert fetcher(cache).fetch(record).read_bytes() == CONTENT
    assert len(files.server.log) <= 2
    assert files.server.log[-1].range is None


def test_a_part_that_is_complete_needs_no_request(files: Files, cache: Cache) -> None:
    record = files.record("/good")
    cache.part(record).parent.mkdir(parents=True)
    cache.part(record).write_bytes(CONTENT)
    assert fetcher(cache).fetch(record).read_bytes() == CONTENT
    assert files.server.log == []


def test_progress_renews_the_patience_with_a_server(
    files: Files, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.server.routes["/drips"] = drips(CONTENT, 5000)
    monkeypatch.setattr(fetch_module, "PROGRESS_BYTES", 5000)
    assert fetcher(cache, retries=0).fetch(files.record("/drips")).read_bytes() == CONTENT
    assert len(files.server.log) == 9


def test_what_is_here_is_not_asked_for_again(files: Files, cache: Cache) -> None:
    for _ in range(2):
        fetcher(cache).fetch(files.record("/good"))
    assert len(files.server.log) == 1


def test_a_file_that_was_put_there_by_hand_or_has_changed_is_not_used(files: Files, cache: Cache) -> None:
    record = files.record("/good")
    cache.path(record).parent.mkdir(parents=True)
    cache.path(record).write_bytes(CONTENT)
    assert not cache.has(record)
    fetcher(cache).fetch(record)
    assert cache.has(record)
    cache.path(record).write_bytes(OTHER)
    assert "sha256 is" in str(cache.damage(record))
    cache.path(record).write_bytes(CONTENT[:-1])
    assert not cache.has(record)


@pytest.mark.parametrize("setting", [{"offline": True}, {}], ids=["flag", "environment"])
def test_offline_answers_at_once_with_the_command_that_helps(
    files: Files, cache: Cache, monkeypatch: pytest.MonkeyPatch, setting: dict[str, bool]
) -> None:
    if not setting:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    record = RECORDS["vqgan/imagenet-f16-16384"]
    with pytest.raises(WeightsMissingError) as raised:
        Fetcher(cache, **setting).fetch(record)
    assert raised.value.exit_code == 3
    for part in ("last.ckpt", "980 MB", "clipgen models pull vqgan/imagenet-f16-16384", "offline"):
        assert part in str(raised.value)
    assert not cache.folder.exists()

    tiny = files.record("/good")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    fetcher(cache).fetch(tiny)
    assert fetcher(cache, offline=True).fetch(tiny) == cache.path(tiny)


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)])
def test_the_environment_switches_downloads_off(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert is_offline() is expected


def test_too_little_room_is_said_before_anything_is_written(
    files: Files, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(ClipgenError, match=r"needs 41 kB more in .* 1 kB are free; make room, or set CLIPGEN_CACHE"):
        fetcher(cache).fetch(files.record("/good"))
    assert cache.part(files.record()).stat().st_size == 0


def test_a_disk_that_fills_up_keeps_what_has_arrived(
    files: Files, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = files.record("/good")
    append = PartialFile.append

    def full(part: PartialFile, chunk: bytes) -> None:
        if part.size + len(chunk) > 5000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(part, chunk)

    monkeypatch.setattr(fetch_module, "CHUNK", 1000)
    monkeypatch.setattr(PartialFile, "append", full)
    with pytest.raises(ClipgenError, match=r"No space left on device.*make room") as raised:
        fetcher(cache).fetch(record)
    assert str(cache.folder) in str(raised.value)
    arrived = cache.part(record).stat().st_size
    assert 4000 < arrived <= 5000
    monkeypatch.setattr(PartialFile, "append", append)
    files.server.log.clear()
    assert fetcher(cache).fetch(record).read_bytes() == CONTENT
    assert files.server.log == [Asked("/good", range=f"bytes={arrived}-")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_the_system_itself_says_that_the_disk_is_full(files: Files, cache: Cache) -> None:
    record = files.record("/good")
    cache.part(record).parent.mkdir(parents=True)
    cache.part(record).symlink_to("/dev/full")
    with pytest.raises(ClipgenError, match="No space left on device"):
        fetcher(cache).fetch(record)


def test_a_folder_that_cannot_be_made_is_named(files: Files, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ClipgenError, match=r"cannot be written .*CLIPGEN_CACHE"):
        fetcher(Cache(tmp_path / "file")).fetch(files.record("/good"))


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from loopback import HOST, Record
from clipgen.weights.cache import Cache
from clipgen.weights.fetch import Fetcher
folder, size, sha256, address = sys.argv[2:]
record = Record("vqgan/tiny", "vqgan", "tiny.ckpt", int(size), sha256, (address,), "none", {}, "a file of a test")
print(Fetcher(Cache(Path(folder)), stall_seconds=100, allow_http_to=(HOST,)).fetch(record))
"""


def child(files: Files, cache: Cache, path: str) -> "subprocess.Popen[str]":
    root = str(Path(clipgen.__file__).parent.parent)
    arguments = [str(Path(__file__).parent), str(cache.folder), str(len(CONTENT)), SHA256, files.server.address + path]
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", CHILD, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_six_processes_make_one_download(files: Files, cache: Cache) -> None:
    def slow(answer: Answer) -> None:
        time.sleep(0.5)
        serves(CONTENT)(answer)

    files.server.routes["/slow"] = slow
    children = [child(files, cache, "/slow") for _ in range(6)]
    outputs = [process.communicate(timeout=300)[0] for process in children]
    assert outputs == [f"{cache.path(files.record())}\n"] * 6
    assert files.server.log == [Asked("/slow")]
    assert sha256_of(cache.path(files.record())) == SHA256


def test_a_killed_download_goes_on_where_it_was(files: Files, cache: Cache) -> None:
    killed = threading.Event()

    def hang(answer: Answer) -> None:
        answer.say(200, CONTENT[:HALF], Content_Length=len(CONTENT))
        killed.wait(300)

    files.server.routes["/hang"] = hang
    process, part = child(files, cache, "/hang"), cache.part(files.record())
    deadline = time.monotonic() + 300
    while not (part.is_file() and part.stat().st_size == HALF):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)
    killed.set()
    files.server.log.clear()
    assert fetcher(cache).fetch(files.record("/good")).read_bytes() == CONTENT
    assert files.server.log == [Asked("/good", range=f"bytes={HALF}-")]


def test_a_process_that_waits_says_so(files: Files, cache: Cache) -> None:
    notes: list[str] = []
    record = files.record("/good")
    with cache.claimed(record):
        with pytest.raises(ClipgenError, match="another process is downloading vqgan/tiny"), cache.claimed(record):
            pass
        waiting = threading.Thread(target=fetcher(cache, note=notes.append).fetch, args=(record,))
        waiting.start()
        deadline = time.monotonic() + 100
        while not notes and time.monotonic() < deadline:
            time.sleep(0.01)
    waiting.join(timeout=100)
    assert notes == ["another process is downloading vqgan/tiny: waiting for it"]
    assert cache.has(record)


def test_the_cache_lies_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("CLIPGEN_CACHE")
    assert cache_folder().parts[-2:] == ("clipgen", "weights")


@pytest.mark.parametrize("command", [("red", "--steps", "1"), ("models", "list"), ("doctor",), ("batch", "p.txt")])
def test_a_cache_in_the_home_of_nobody_is_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    Path("p.txt").write_text("red\n")
    monkeypatch.setenv("CLIPGEN_CACHE", "~nouser/x")
    result = cli(*command)
    assert result.exit_code == 2
    said = "CLIPGEN_CACHE='~nouser/x': there is no such home folder; write the path in full"
    assert result.stderr.splitlines()[-1] == f"error: {said}"
