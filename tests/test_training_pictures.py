"""Captioned pictures prepared for training: cropped, split, kept, used again, continued and made anew."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captioned import SIZE, add, both, left_in, openings
from PIL import Image

from clipgen.errors import UsageError
from clipgen.training import pictures
from clipgen.training.captions import Captioned
from clipgen.training.pictures import MAX_HELD_OUT, MIN_PICTURES, prepare


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


def test_every_picture_is_in_one_part_beside_its_captions(data: Path, cache: Path, opened: list[str]) -> None:
    split = prepare(data, SIZE, cache, held_out=0.3)
    assert both(split) == set(range(40))
    assert 4 <= len(split.held_out) <= 20
    assert sorted(opened) == sorted(f"{number}.bmp" for number in range(40))
    assert isinstance(split.training.pictures, np.memmap)
    assert not split.training.pictures.flags.writeable
    assert left_in(cache) == [".json", ".lock", ".npy"]


def test_pictures_are_upright_cropped_in_the_middle_and_antialiased(data: Path, cache: Path) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)  # red, then fine stripes in the middle third, then blue
    wide[:, :40], wide[:, 80:] = (255, 0, 0), (0, 0, 255)
    wide[:, 40:80:2] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # which asks for a quarter turn to the right
    Image.fromarray(wide).rotate(90, expand=True).save(data / "90.png", exif=exif)
    (data / "90.txt").write_text("stripes")
    split = prepare(data, SIZE, cache)
    row = next(part.pictures[part.names.index("90.png")] for part in vars(split).values() if "90.png" in part.names)
    assert np.abs(row.astype(int) - 128).max() < 20


def test_a_second_call_reads_no_picture(data: Path, cache: Path, opened: list[str]) -> None:
    first = prepare(data, SIZE, cache)
    opened.clear()
    said: list[str] = []
    second = prepare(data, SIZE, cache, report=said.append)
    assert not opened
    assert "40 pictures of 8 x 8 pixels were prepared before" in said[-1]
    assert second.training.names == first.training.names
    assert np.array_equal(second.training.pictures, first.training.pictures)
    assert both(prepare(data, SIZE, cache, held_out=0.5)) == set(range(40))
    assert not opened


def changed_picture(data: Path) -> None:
    shutil.copy(data / "1.bmp", data / "other")
    os.utime(data / "1.bmp", ns=(1, 1))


def changed_caption(data: Path) -> None:
    (data / "1.txt").write_text("number 1\n\n1 again\n")
    (data / "2.txt").write_text("two")


CHANGES: dict[str, tuple[Callable[[Path], object], dict[str, Any]]] = {
    "time": (changed_picture, {}),
    "caption": (changed_caption, {}),
    "more": (lambda data: add(data, range(40, 42)), {}),
    "fewer": (lambda data: (data / "1.bmp").unlink(), {}),
    "seed": (lambda data: None, {"seed": 1}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_when_the_source_has_changed_it_is_read_again_and_that_is_said(data: Path, cache: Path, change: str) -> None:
    prepare(data, SIZE, cache)
    apply, options = CHANGES[change]
    apply(data)
    said: list[str] = []
    split = prepare(data, SIZE, cache, report=said.append, **options)
    assert len(split.training) + len(split.held_out) == len(list(data.glob("*.bmp")))
    assert any("prepared from other pictures, captions or settings" in line for line in said)
    assert left_in(cache) == [".json", ".lock", ".npy"]


def test_other_sizes_and_files_of_others_stay(data: Path, cache: Path) -> None:
    prepare(data, 4, cache)
    (cache / "pictures-8-mine.npy").touch()
    prepare(data, SIZE, cache)
    prepare(data, 4, cache, report=lambda line: pytest.fail(line) if "again" in line else None)
    assert left_in(cache) == [".json", ".json", ".lock", ".lock", ".npy", ".npy", ".npy"]


def test_bad_pictures_are_skipped_counted_and_named_in_one_line(data: Path, cache: Path) -> None:
    add(data, range(40, 1000))
    (data / "7.bmp").write_bytes(b"no picture")
    (data / "500.bmp").write_bytes((data / "500.bmp").read_bytes()[:60])
    (data / "600.bmp").write_bytes(b"")
    bomb = bytearray((data / "700.bmp").read_bytes())
    bomb[18:26] = (30_000).to_bytes(4, "little") * 2
    (data / "700.bmp").write_bytes(bomb)
    for _ in range(2):  # the second time from the cache
        said: list[str] = []
        split = prepare(data, SIZE, cache, report=said.append)
        assert both(split) == set(range(1000)) - {7, 500, 600, 700}
        (line,) = [line for line in said if "are skipped" in line]
        assert line.startswith("4 of 1,000 pictures are skipped (")
        assert line.endswith("; and 1 more)")
        assert line.count(".bmp: ") == 3


def test_adding_pictures_moves_none_to_the_held_out_part(tmp_path: Path, data: Path, cache: Path) -> None:
    first = prepare(data, SIZE, cache, held_out=0.3)
    second = prepare(add(data, range(40, 80)), SIZE, cache, held_out=0.3)
    assert set(first.training.names) <= set(second.training.names)
    assert set(first.held_out.names) <= set(second.held_out.names)
    moved = data.rename(tmp_path / "moved")
    again = prepare(moved, SIZE, cache, held_out=0.3)
    assert again.training.names == second.training.names
    assert set(prepare(moved, SIZE, cache, held_out=0.3, seed=1).held_out.names) != set(second.held_out.names)


def fake(count: int) -> list[Captioned]:
    return [Captioned(str(number), (str(number),), "", bytes) for number in range(count)]


@pytest.mark.parametrize(("count", "wanted", "held"), [(19, 0, 0), (20, 0, 1), (20, 3, 3), (9000, 4500, MAX_HELD_OUT)])
def test_the_held_out_part_has_bounds(count: int, wanted: int, held: int) -> None:
    split = pictures._split(np.zeros((count, 1, 1, 3), np.uint8), fake(count), wanted)
    assert (len(split.training), len(split.held_out)) == (count - held, held)


def test_too_few_pictures_or_captions_are_refused_with_counts(tmp_path: Path, data: Path, cache: Path) -> None:
    few = add(tmp_path / "few", range(MIN_PICTURES - 1))
    with pytest.raises(UsageError, match=r"--data .* holds 9 pictures with captions; training needs 10"):
        prepare(few, SIZE, cache)
    assert not cache.exists()
    add(few, range(MIN_PICTURES))
    (few / "4.bmp").write_bytes(b"")
    with pytest.raises(UsageError, match=r"holds 9 pictures with captions, and 1 that cannot be read, such as 4.bmp: "):
        prepare(few, SIZE, cache)
    for path in data.glob("*.txt"):
        path.write_text("a cat\n")
    with pytest.raises(UsageError, match=r"one caption for all its pictures, 'a cat': there is nothing to learn"):
        prepare(data, SIZE, cache)


def test_a_report_tells_the_number_and_the_time_left(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "SECONDS", 0.0)
    said: list[str] = []
    prepare(data, SIZE, cache, report=said.append)
    counts = [line for line in said if line.startswith("read ")]
    assert len(counts) == 40
    assert counts[19].startswith("read 20 of 40 pictures, ")
    assert counts[19].endswith(" s left")
