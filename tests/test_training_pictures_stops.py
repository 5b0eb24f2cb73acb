"""Pictures that are being prepared when a stop, a full disk or another process comes, or are damaged afterwards."""

import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from captioned import SIZE, add, both, left_in, openings
from filelock import FileLock
from PIL import Image

from clipgen.errors import ClipgenError
from clipgen.training import pictures
from clipgen.training.captions import Captioned
from clipgen.training.pictures import prepare
from clipgen.util.files import partial_path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return add(tmp_path / "data", range(40))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


@pytest.fixture
def opened() -> Iterator[list[str]]:
    with openings() as names:
        yield names


@pytest.mark.parametrize("harm", ["rows cut", "no rows", "other rows", "index", "skipped", "pickle"])
def test_a_damaged_cache_is_made_anew(data: Path, cache: Path, harm: str) -> None:
    prepare(data, SIZE, cache)
    rows, index = next(cache.glob("*.npy")), next(cache.glob("*.json"))
    if harm == "rows cut":
        os.truncate(rows, 1000)
    elif harm == "no rows":
        rows.unlink()
    elif harm == "other rows":
        np.save(rows, np.zeros((40, 4, 4, 3), np.uint8))
    elif harm == "index":
        index.write_text("[" * 100_000)
    elif harm == "skipped":
        index.write_text(json.dumps({"looked at": 40, "kept": 39, "skipped": [[99, "x"]]}))
    else:
        np.save(rows, np.array([{}], dtype=object), allow_pickle=True)
    said: list[str] = []
    assert both(prepare(data, SIZE, cache, report=said.append)) == set(range(40))
    assert any("damaged; they are read again" in line for line in said)


def test_a_stopped_call_is_continued(
    data: Path, cache: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "3.bmp").write_bytes(b"")
    read, stops = Captioned.open, [13, 5, 1]

    def stopping(self: Captioned) -> Image.Image:
        if stops and len(opened) == stops[0]:
            del stops[0]
            raise KeyboardInterrupt
        return read(self)

    monkeypatch.setattr(Captioned, "open", stopping)
    before: list[str] = []
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            prepare(data, SIZE, cache)
        assert left_in(cache) == [".lock", ".part", ".state"]
        assert not set(opened) & set(before)
        before += opened
        opened.clear()
    said: list[str] = []
    split = prepare(data, SIZE, cache, report=said.append)
    assert any("19 of 40 pictures were read before; going on" in line for line in said)
    assert len(before) + len(opened) == 40
    assert both(split) == set(range(40)) - {3}
    assert left_in(cache) == [".json", ".lock", ".npy"]


@pytest.mark.parametrize("harm", ["state", "part"])
def test_what_is_left_of_a_stop_may_be_damaged(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "_square", stop_after(9))
        with pytest.raises(KeyboardInterrupt):
            prepare(data, SIZE, cache)
    left = next(cache.glob(f"*.{harm}"))
    left.write_bytes(left.read_bytes()[:20])
    partial_path(next(cache.glob("*.state"))).touch()  # as a process that is killed leaves it
    assert both(prepare(data, SIZE, cache)) == set(range(40))
    assert left_in(cache) == [".json", ".lock", ".npy"]


def stop_after(count: int) -> Callable[[Captioned, int], bytes]:
    square, calls = pictures._square, []

    def stopping(picture: Captioned, size: int) -> bytes:
        calls.append(picture)
        if len(calls) > count:
            raise KeyboardInterrupt
        return square(picture, size)

    return stopping


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_is_one_line_and_what_was_read_is_used_later(
    data: Path, cache: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "SECONDS", 0.0)  # so that each row is written at once
    with files_of_at_most(3000), pytest.raises(ClipgenError, match="File too large") as caught:
        prepare(data, SIZE, cache)
    assert "\n" not in str(caught.value)
    assert "free space there or name another folder, and run it again" in str(caught.value)
    assert left_in(cache) == [".lock", ".part", ".state"]
    assert len(opened) == 1 + (3000 - 128) // (SIZE * SIZE * 3)
    assert both(prepare(data, SIZE, cache)) == set(range(40))
    assert len(opened) == 41


def test_a_disk_that_will_be_too_small_is_found_out_before(
    data: Path, cache: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 100))  # type: ignore[attr-defined]
    with pytest.raises(ClipgenError, match=r"need 8 kB in .* where only 100 B are free"):
        prepare(data, SIZE, cache)
    assert not opened


def test_two_processes_do_not_write_one_file(data: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    with FileLock(cache / f"pictures-{SIZE}.lock"), pytest.raises(ClipgenError, match="another process"):
        prepare(data, SIZE, cache)
