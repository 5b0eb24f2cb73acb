"""Captioned pictures for tests: each of one colour, which tells the number that is in its name and in its captions."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipgen.training.captions import Captioned
from clipgen.training.pictures import CaptionedSet, Split

SIZE = 8


def colour(number: int) -> tuple[int, int, int]:
    return number % 256, number // 256, 90


def add(data: Path, numbers: range) -> Path:
    """Pictures of one colour each, which tells the number that is in the name and in the caption."""
    data.mkdir(exist_ok=True)
    for number in numbers:
        content = io.BytesIO()
        Image.new("RGB", (12, 9), colour(number)).save(content, "BMP")
        (data / f"{number}.bmp").write_bytes(content.getvalue())
        (data / f"{number}.txt").write_text(f"number {number}\n{number} again")
    return data


def check(part: CaptionedSet) -> set[int]:
    """Check that names, captions and pictures of a part belong together; return their numbers."""
    numbers = [int(Path(name).stem) for name in part.names]
    assert part.captions == tuple((f"number {number}", f"{number} again") for number in numbers)
    assert part.pictures.shape == (len(part), SIZE, SIZE, 3)
    assert part.pictures.dtype == np.uint8
    assert np.array_equal(part.pictures[:, 3, 3], np.array([colour(each) for each in numbers]).reshape(-1, 3))
    return set(numbers)


def both(split: Split) -> set[int]:
    training, held_out = check(split.training), check(split.held_out)
    assert not training & held_out
    return training | held_out


def left_in(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.iterdir())


@contextmanager
def openings() -> Iterator[list[str]]:
    """Yield a list that the names of the pictures are added to as they are read."""
    names: list[str] = []
    read = Captioned.open

    def noted(self: Captioned) -> Image.Image:
        names.append(self.name)
        return read(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Captioned, "open", noted)
        yield names
