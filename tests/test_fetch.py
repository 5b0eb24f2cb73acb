"""Downloads from servers that cut, lie, stall and redirect: either the right file lands, or nothing and one line."""

import hashlib
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from loopback import (
    CONTENT,
    HALF,
    HOST,
    OTHER,
    PAGE,
    SHA256,
    Answer,
    Behaviour,
    Files,
    LoopbackServer,
    cuts,
    fetcher,
    in_turn,
    left,
    missing,
    says,
    serves,
    unknown_length,
)

from clipgen.errors import ClipgenError
from clipgen.weights.cache import Cache
from clipgen.weights.fetch import Fetcher

pytestmark = pytest.mark.usefixtures("plain_environment")


PATIENCE = 0.5
"""With servers that fall silent, in seconds."""


def patience(case: str) -> dict[str, float]:
    return {"stall_seconds": PATIENCE} if "silent" in case else {}


def redirects(target: str | None) -> Behaviour:
    return says(302, Location=target)


def ranged(header: str | None, body: bytes) -> Behaviour:
    """Answer a range wrongly, and everything else well."""

    def behave(answer: Answer) -> None:
        wrong = says(206, body, Content_Range=header)
        (wrong if answer.server.log[-1].range else serves(CONTENT))(answer)

    return behave


def stalls(answer: Answer) -> None:
    answer.say(200, CONTENT[:HALF], Content_Length=len(CONTENT))
    time.sleep(4 * PATIENCE)


def babbles(answer: Answer) -> None:
    answer.wfile.write(b"220 this is no HTTP\r\n\r\n")


def chunked(*parts: bytes, whole: bool = True) -> Behaviour:
    def behave(answer: Answer) -> None:
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        answer.say(200, body + (b"0\r\n\r\n" if whole else b""), Content_Length=None, Transfer_Encoding="chunked")

    return behave


# What the server does, and the requests that it gets until the file is here.
ARRIVES: dict[str, tuple[Behaviour, int]] = {
    "well behaved": (serves(CONTENT), 1),
    "without a tag": (serves(CONTENT, etag=None), 1),
    "busy twice": (in_turn(says(503), says(429), serves(CONTENT)), 3),
    "cut, then whole": (in_turn(cuts(CONTENT, HALF), serves(CONTENT)), 2),
    "cut, then busy, then whole": (in_turn(cuts(CONTENT, HALF), says(500), serves(CONTENT)), 3),
    "cut before the first byte": (in_turn(cuts(CONTENT, 0), serves(CONTENT)), 2),
    "cut, then the range ignored": (in_turn(cuts(CONTENT, HALF), says(200, CONTENT)), 2),
    "cut, then another range": (in_turn(cuts(CONTENT, HALF), ranged("bytes 0-9/40960", CONTENT[:10])), 3),
    "cut, then no range named": (in_turn(cuts(CONTENT, HALF), ranged(None, CONTENT[HALF:])), 3),
    "cut, then a range without sense": (in_turn(cuts(CONTENT, HALF), ranged("bytes x-y/z", b"?")), 3),
    "cut, then a range of another length": (
        in_turn(cuts(CONTENT, HALF), ranged(f"bytes {HALF}-{HALF + 9}/40960", CONTENT[HALF:])),
        3,
    ),
    "cut, then range not satisfiable": (in_turn(cuts(CONTENT, HALF), says(416), serves(CONTENT)), 3),
    "cut, then another file's rest": (
        in_turn(cuts(CONTENT, HALF), ranged(f"bytes {HALF}-40959/40960", OTHER[HALF:])),
        3,
    ),
    "part of the range only": (
        in_turn(cuts(CONTENT, HALF), ranged(f"bytes {HALF}-{HALF + 9}/*", CONTENT[HALF : HALF + 10]), serves(CONTENT)),
        3,
    ),
    "silent half-way, then whole": (in_turn(stalls, serves(CONTENT)), 2),
    "no HTTP, then whole": (in_turn(babbles, serves(CONTENT)), 2),
    "chunks without a length": (chunked(CONTENT[:9], CONTENT[9:]), 1),
    "chunks that break off, then whole": (in_turn(chunked(CONTENT[:9], whole=False), serves(CONTENT)), 2),
    "no length at all": (unknown_length(CONTENT), 1),
    "bytes beyond the promised length": (says(200, CONTENT + b"extra", Content_Length=len(CONTENT)), 1),
    "a redirect": (redirects("/good"), 2),
    "binary that a server calls text": (says(200, CONTENT, Content_Type="text/plain"), 1),
}

# What the server does, and what the error says of it.
REFUSED: dict[str, tuple[Behaviour, str]] = {
    "not found": (missing, "answers 404"),
    "forbidden": (says(403), "answers 403"),
    "busy for ever": (says(503), "answers 503"),
    "a web page": (says(200, b"<html>gone</html>", Content_Type="text/html; charset=utf-8"), "web page"),
    "a web page of the right length, as binary": (says(200, PAGE), "web page"),
    "a longer file": (says(200, CONTENT + b"extra"), "offers 40965 bytes, not 40960"),
    "a shorter file": (says(200, CONTENT[:-1]), "offers 40959 bytes, not 40960"),
    "more than the file, without a length": (unknown_length(CONTENT + b"extra"), "more than 40960 bytes"),
    "broken off for ever": (cuts(CONTENT, 0), "broke off after 0 of 40960 bytes"),
    "silent for ever": (stalls, "not a byte came for 0.5 s"),
    "no HTTP": (babbles, "connection broke"),
    "another file": (says(200, OTHER), hashlib.sha256(OTHER).hexdigest()),
    "a part, unasked": (says(206, CONTENT[:9], Content_Range="bytes 0-8/40960"), "answers 206"),
    "not satisfiable, unasked": (says(416), "answers 416"),
    "compressed, unasked": (says(200, CONTENT, Content_Encoding="gzip"), "compressed (gzip)"),
    "a redirect to http elsewhere": (redirects("http://example.invalid/x"), "leads to http://example.invalid"),
    "a redirect to a file": (redirects("file:///etc/passwd"), "leads to file://"),
    "a redirect to FTP": (redirects("ftp://example.invalid/x"), "leads to ftp://"),
    "a redirect to data": (redirects("data:,x"), "leads to data://"),
    "a redirect to nowhere": (redirects(None), "redirects to nowhere"),
    "a redirect to nonsense": (redirects("http://[nonsense/"), "makes no sense"),
    "redirects in a circle": (redirects("/this"), "redirects more than 5 times"),
    "a redirect into itself that grows": (lambda answer: redirects(answer.path + "x")(answer), "answers 404"),
}


@pytest.mark.parametrize("case", ARRIVES)
def test_the_file_arrives_from_a_server_that_is(files: Files, cache: Cache, case: str) -> None:
    behaviour, requests = ARRIVES[case]
    files.server.routes["/this"] = behaviour
    path = fetcher(cache, **patience(case)).fetch(files.record("/this"))
    assert path == cache.path(files.record("/this"))
    assert path.read_bytes() == CONTENT
    assert left(cache) == ["tiny.ckpt", "tiny.ckpt.sha256"]
    assert len(files.server.log) == requests


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_says_what_is_wrong_with_a_server_that_sends(files: Files, cache: Cache, case: str) -> None:
    behaviour, reason = REFUSED[case]
    files.server.routes["/this"] = behaviour
    with pytest.raises(ClipgenError) as raised:
        fetcher(cache, **patience(case)).fetch(files.record("/this"))
    message = str(raised.value)
    assert reason in message
    assert "vqgan/tiny" in message
    assert "clipgen models add vqgan/tiny FILE" in message
    assert raised.value.exit_code == 1
    assert not cache.has(files.record("/this"))
    assert not cache.path(files.record("/this")).exists()


@pytest.mark.parametrize("case", REFUSED)
def test_the_next_mirror_helps_where_the_first_sends(files: Files, cache: Cache, case: str) -> None:
    files.server.routes["/this"] = REFUSED[case][0]
    notes: list[str] = []
    path = fetcher(cache, note=notes.append, **patience(case)).fetch(files.record("/this", "/good"))
    assert path.read_bytes() == CONTENT
    assert left(cache) == ["tiny.ckpt", "tiny.ckpt.sha256"]
    assert any(REFUSED[case][1] in note for note in notes)


def test_a_server_that_is_not_there_is_left_at_once(files: Files, cache: Cache) -> None:
    with LoopbackServer() as gone:
        address = gone.address
    start = time.monotonic()
    path = fetcher(cache, pause_seconds=60.0).fetch(files.record(f"{address}/x", "/good"))
    assert path.read_bytes() == CONTENT
    assert time.monotonic() - start < 50


def test_a_mismatch_names_both_hashes_and_leaves_nothing(files: Files, cache: Cache) -> None:
    files.server.routes["/other"] = serves(OTHER)
    with pytest.raises(ClipgenError) as raised:
        fetcher(cache).fetch(files.record("/other"))
    assert SHA256 in str(raised.value)
    assert hashlib.sha256(OTHER).hexdigest() in str(raised.value)
    assert left(cache) == []
    assert len(files.server.log) == 1


def test_http_is_refused_unless_a_test_allows_it(files: Files, cache: Cache) -> None:
    with pytest.raises(ClipgenError, match="only https is safe"):
        Fetcher(cache).fetch(files.record("/good"))
    assert files.server.log == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_certificate_must_be_one_that_the_system_trusts(
    files: Files, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", f"subjectAltName=IP:{HOST}"]
    make = ["openssl", "req", "-x509", *kind, *name, "-keyout", key, "-out", certificate]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = files.server
    server.socket, server.scheme = context.wrap_socket(server.socket, server_side=True), "https"
    with pytest.raises(ClipgenError, match="certificate is not valid"):
        fetcher(cache, allow_http_to=()).fetch(files.record("/good"))
    assert server.log == []
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    assert fetcher(cache, allow_http_to=()).fetch(files.record("/good")).read_bytes() == CONTENT
