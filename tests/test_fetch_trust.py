"""Downloads of files without a published hash: trusted only when told to, held to it, and continued if unchanged."""

import hashlib
from typing import Any

import pytest
from loopback import (
    CONTENT,
    HALF,
    OTHER,
    PAGE,
    SHA256,
    Asked,
    Behaviour,
    Files,
    cuts,
    fetcher,
    in_turn,
    says,
    serves,
    unknown_length,
)

from clipgen.errors import ClipgenError, UsageError
from clipgen.weights.cache import Cache

pytestmark = pytest.mark.usefixtures("plain_environment")


def unpinned(files: Files, *paths: str) -> Any:
    return files.record(*paths, sha256=None, size=None)


def test_without_a_published_hash_trust_must_be_given_once_and_holds(files: Files, cache: Cache) -> None:
    record = unpinned(files, "/good")
    with pytest.raises(UsageError, match="--trust-on-first-use"):
        fetcher(cache).fetch(record)
    assert files.server.log == []
    assert fetcher(cache).fetch(record, trust_on_first_use=True).read_bytes() == CONTENT
    assert cache.expected_sha256(record) == SHA256
    assert cache.damage(record) is None

    cache.delete(cache.files(record, forget=False))
    files.server.routes["/good"] = serves(OTHER)
    with pytest.raises(ClipgenError, match="--forget") as raised:
        fetcher(cache).fetch(record, trust_on_first_use=True)
    assert SHA256 in str(raised.value)
    assert hashlib.sha256(OTHER).hexdigest() in str(raised.value)

    cache.delete(cache.files(record, forget=True))
    assert fetcher(cache).fetch(record, trust_on_first_use=True).read_bytes() == OTHER


@pytest.mark.parametrize(
    ("then", "expected", "asked"),
    [
        (serves(CONTENT), CONTENT, [Asked("/this", f"bytes={HALF}-", '"1"')]),
        (serves(OTHER, '"2"'), OTHER, [Asked("/this", f"bytes={HALF}-", '"1"')]),
        (
            in_turn(says(206, OTHER[HALF:], Content_Range=f"bytes {HALF}-40959/40960", ETag='"2"'), serves(OTHER)),
            OTHER,
            [Asked("/this", f"bytes={HALF}-", '"1"'), Asked("/this")],
        ),
        (
            in_turn(
                says(206, OTHER[:HALF], Content_Range="bytes 9-20488/40960", Content_Length=None, ETag='"1"'),
                serves(CONTENT),
            ),
            CONTENT,
            [Asked("/this", f"bytes={HALF}-", '"1"'), Asked("/this")],
        ),
    ],
    ids=["same", "changed", "changed and If-Range ignored", "another range of the right length"],
)
def test_without_a_hash_only_an_unchanged_file_is_continued(
    files: Files, cache: Cache, then: Behaviour, expected: bytes, asked: list[Asked]
) -> None:
    files.server.routes["/this"] = cuts(CONTENT, HALF)
    with pytest.raises(ClipgenError):
        fetcher(cache, retries=0).fetch(unpinned(files, "/this"), trust_on_first_use=True)
    files.server.log.clear()
    files.server.routes["/this"] = then
    path = fetcher(cache).fetch(unpinned(files, "/this"), trust_on_first_use=True)
    assert path.read_bytes() == expected
    assert files.server.log == asked


@pytest.mark.parametrize("tag", [None, 'W/"1"'])
def test_without_a_hash_and_without_a_tag_a_download_starts_over(files: Files, cache: Cache, tag: str | None) -> None:
    files.server.routes["/this"] = in_turn(cuts(CONTENT, HALF, etag=tag), serves(OTHER, etag=tag))
    path = fetcher(cache).fetch(unpinned(files, "/this"), trust_on_first_use=True)
    assert path.read_bytes() == OTHER
    assert files.server.log == [Asked("/this"), Asked("/this")]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (unknown_length(CONTENT), "does not say how long"),
        (says(200, b""), "does not say how long"),
        (says(200, PAGE), "web page"),
        (says(200, b"", Content_Length=10**12), "more than any file of weights"),
    ],
)
def test_without_a_hash_doubtful_answers_are_refused(
    files: Files, cache: Cache, behaviour: Behaviour, reason: str
) -> None:
    files.server.routes["/this"] = behaviour
    with pytest.raises(ClipgenError, match=reason):
        fetcher(cache).fetch(unpinned(files, "/this"), trust_on_first_use=True)
    assert not cache.has(unpinned(files))
