"""Servers that never come to an end: each download of theirs does, soon, with one line and within the disk."""

import gzip
import shutil
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from loopback import CONTENT, Answer, Behaviour, Files, fetcher, in_turn, left, says, serves

from clipgen.errors import ClipgenError
from clipgen.weights import cache as cache_module
from clipgen.weights import fetch as fetch_module
from clipgen.weights.cache import SPARE, Cache

pytestmark = pytest.mark.usefixtures("plain_environment")

STALL, HEAD, CRAWL = 0.4, 0.4, 0.4
"""Seconds."""
TICK = 0.05
LONG = 8.0
"""Seconds that a server goes on for, if nobody leaves it. A download that waits for it fails its test."""


def patient(cache: Cache, **changes: object) -> fetch_module.Fetcher:
    limits = {"stall_seconds": STALL, "head_seconds": HEAD, "crawl_seconds": CRAWL, "retries": 0}
    return fetcher(cache, **{**limits, **changes})


def sends(start: bytes, part: bytes, pause: float = TICK, end: bytes = b"") -> Behaviour:
    """Send something, and then a part again and again."""

    def behave(answer: Answer) -> None:
        stop = time.monotonic() + LONG
        try:
            answer.wfile.write(start)
            while time.monotonic() < stop:
                answer.wfile.write(part)
                answer.wfile.flush()
                time.sleep(pause)
            answer.wfile.write(end)
        except OSError:
            pass

    return behave


OK = b"HTTP/1.1 200 OK\r\n"
BINARY = OK + b"Content-Type: application/octet-stream\r\n"
WHOLE = BINARY + b"Content-Length: %d\r\n\r\n" % len(CONTENT)
CHUNKED = BINARY + b"Transfer-Encoding: chunked\r\n\r\n"
LATE = "its answer did not begin within 0.4 s"

ENDLESS: dict[str, tuple[Behaviour, str]] = {
    "headers, one after the other": (sends(OK, b"X-More: x\r\n"), LATE),
    "a header, a letter at a time": (sends(OK + b"X-More: ", b"x"), LATE),
    "the first line, a letter at a time": (sends(b"HTTP/1.1 200 ", b"O"), LATE),
    "nothing at all": (sends(b"", b"", LONG), "0.4 s"),
    "100 Continue": (sends(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), LATE),
    "100 Continue as fast as it can": (sends(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.0), LATE),
    "100 Continue with headers": (sends(b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"), LATE),
    "a body, a byte at a time": (sends(WHOLE, b"x"), "it sent only"),
    "a body, then nothing": (sends(WHOLE, b"x", LONG), "not a byte came for 0.4 s"),
    "a body of chunks, a byte at a time": (sends(CHUNKED, b"1\r\nx\r\n"), "it sent only"),
    "the size of a chunk, a digit at a time": (sends(CHUNKED, b"0"), "not a byte came for 0.4 s"),
    "an extension of a chunk": (sends(CHUNKED + b"1;", b"x"), "not a byte came for 0.4 s"),
    "headers after the last chunk": (sends(CHUNKED + b"0\r\n", b"X: y\r\n"), "not a byte came for 0.4 s"),
    "a redirect, a letter at a time": (sends(b"HTTP/1.1 302 Found\r\nLocation: /", b"x"), LATE),
    "a web page of an error, for ever": (sends(b"HTTP/1.1 503 Busy\r\n\r\n", b"x"), "answers 503"),
    "a redirect with a body, for ever": (sends(b"HTTP/1.1 302 Found\r\nLocation: /gone\r\n\r\n", b"x"), "answers 404"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDLESS)
@pytest.mark.timeout(60)
def test_a_server_that_never_ends_is_left(files: Files, cache: Cache, case: str) -> None:
    files.server.routes["/this"], reason = ENDLESS[case]
    started = time.monotonic()
    with pytest.raises(ClipgenError, match="could not be downloaded") as raised:
        patient(cache).fetch(files.record("/this"))
    assert time.monotonic() - started < LONG / 2
    assert reason in str(raised.value)
    assert not cache.has(files.record("/this"))


@pytest.mark.parametrize("case", ["headers, one after the other", "a body, a byte at a time", "100 Continue"])
def test_the_next_mirror_and_the_next_try_help(files: Files, cache: Cache, case: str) -> None:
    files.server.routes["/this"] = ENDLESS[case][0]
    assert patient(cache).fetch(files.record("/this", "/good")).read_bytes() == CONTENT
    shutil.rmtree(cache.folder)
    files.server.routes["/this"] = in_turn(ENDLESS[case][0], serves(CONTENT))
    assert patient(cache, retries=1).fetch(files.record("/this")).read_bytes() == CONTENT
    assert left(cache) == ["tiny.ckpt", "tiny.ckpt.sha256"]


def test_a_slow_server_that_goes_on_is_waited_for(files: Files, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than any of the limits, but never too long without enough."""
    monkeypatch.setattr(fetch_module, "CRAWL_BYTES", 1000)

    def slow(answer: Answer) -> None:
        answer.wfile.write(WHOLE)
        for start in range(0, len(CONTENT), 2048):
            answer.wfile.write(CONTENT[start : start + 2048])
            time.sleep(TICK)

    files.server.routes["/slow"] = slow
    assert patient(cache).fetch(files.record("/slow")).read_bytes() == CONTENT
    assert len(files.server.log) == 1


@pytest.fixture
def small_disk(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """A disk with a megabyte more than must stay free; tells how much of it is left."""
    room, usage = SPARE + 10**6, shutil.disk_usage(".")

    def free() -> int:
        return room - sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file())

    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _path: usage._replace(free=free()))
    return free


@pytest.mark.parametrize("trusted", [True, False], ids=["on first use", "by its hash"])
@pytest.mark.timeout(60)
def test_a_body_without_end_never_fills_the_disk(
    files: Files, cache: Cache, small_disk: Callable[[], int], trusted: bool
) -> None:
    files.server.routes["/this"] = sends(CHUNKED, b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000), 0.0)
    record = files.record("/this", size=None, **({"sha256": None} if trusted else {}))
    with pytest.raises(ClipgenError, match=r"needs .* more in .*; make room, or set CLIPGEN_CACHE"):
        patient(cache, retries=3).fetch(record, trust_on_first_use=trusted)
    assert SPARE <= small_disk() < SPARE + 200_000
    assert len(files.server.log) == 1


def test_the_disk_may_fill_up_from_elsewhere_meanwhile(
    files: Files, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage, asked = shutil.disk_usage("."), iter([10**12, 10**12])
    monkeypatch.setattr(fetch_module, "CHUNK", 1000)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: usage._replace(free=next(asked, SPARE)))
    with pytest.raises(ClipgenError, match="make room"):
        patient(cache).fetch(files.record("/good"))
    assert 0 < cache.part(files.record()).stat().st_size <= 1000


def test_a_body_of_unknown_size_has_a_limit(files: Files, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 300_000)
    files.server.routes["/this"] = sends(CHUNKED, b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000), 0.0)
    with pytest.raises(ClipgenError, match="it sends more than 300000 bytes"):
        patient(cache).fetch(files.record("/this", size=None, sha256=None), trust_on_first_use=True)
    assert left(cache) == []


@pytest.mark.parametrize("length", [True, False], ids=["offered", "sent"])
def test_a_file_far_larger_than_published_is_refused(files: Files, cache: Cache, length: bool) -> None:
    if length:
        files.server.routes["/this"] = says(200, b"x", Content_Length=10**9)
    else:
        files.server.routes["/this"] = sends(CHUNKED, b"%x\r\n%s\r\n" % (500_000, b"x" * 500_000), 0.0)
    record = replace(files.record("/this", size=None, sha256=None), megabytes=1)
    with pytest.raises(ClipgenError, match=r"(offers 1000000000 bytes, more|it sends more) than"):
        patient(cache).fetch(record, trust_on_first_use=True)
    assert left(cache) == []


LIES: dict[str, tuple[Behaviour, str]] = {
    "a gzip bomb": (says(200, gzip.compress(bytes(10**7)), Content_Encoding="gzip"), "compressed (gzip)"),
    "a deflate bomb": (says(200, b"x", Content_Encoding="deflate"), "compressed (deflate)"),
    "two encodings": (says(200, b"x", Content_Encoding="gzip, gzip"), "compressed (gzip, gzip)"),
    "an encoded transfer": (says(200, b"x", Content_Length=None, Transfer_Encoding="gzip, chunked"), "3"),
    "a negative length": (says(200, CONTENT, Content_Length=-1), "says|bytes"),
    "a length of many digits": (says(200, b"x", Content_Length="9" * 5000), ""),
    "a length that is no number": (says(200, b"", Content_Length="many"), ""),
    "more than it promises": (says(200, CONTENT, Content_Length=9), "offers 9 bytes"),
    "less than it promises": (says(200, b"x" * 9, Content_Length=len(CONTENT)), "broke off after 9 of 40960"),
    "redirects in a ring": (says(302, Location="/this"), "redirects more than 5 times"),
    "a redirect of a megabyte": (says(302, Location="/" + "x" * 60_000), "redirect|answers|broke|sense"),
    "many headers": (says(200, b"", **{f"X{k}": "y" for k in range(200)}), "connection broke"),
    "a long header": (says(200, b"", X_More="y" * 70_000), "connection broke"),
}


@pytest.mark.parametrize("case", LIES)
@pytest.mark.timeout(60)
def test_what_a_server_says_of_itself_is_not_believed(files: Files, cache: Cache, case: str) -> None:
    files.server.routes["/this"] = LIES[case][0]
    record = files.record("/this", **({"sha256": None, "size": None} if "length" in case else {}))
    started = time.monotonic()
    with pytest.raises(ClipgenError) as raised:
        patient(cache).fetch(record, trust_on_first_use=True)
    assert time.monotonic() - started < LONG / 2
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000
    assert not cache.has(record)
