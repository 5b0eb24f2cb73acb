"""Picture files as unit vectors: read and prepared by a few threads ahead of the networks, which see batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from clipgen.errors import UsageError
from clipgen.judge.score import BATCH
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.util.images import load_image

THREADS = 4
"""That read. One file is decoded at a time; meanwhile others are resized, and the networks compute."""
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Seen:
    """A picture file, and what the perceptors see in it."""

    path: Path
    vectors: tuple[Tensor, ...] = ()
    """A unit vector (D,) of each perceptor, on the CPU; none if the file cannot be read."""
    problem: str = ""
    """Why it cannot be read."""


def seen(paths: Iterable[Path], perceptors: Sequence[CLIPPerceptor], batch: int = BATCH) -> Iterator[Seen]:
    """Yield each of these files, in their order. Memory does not grow with their number."""
    read = ahead(lambda path: _read(path, perceptors), paths, batch)
    try:
        while group := list(islice(read, batch)):
            yield from _encoded(group, perceptors)
    finally:
        read.close()


def ahead(make: Callable[[Item], Made], items: Iterable[Item], limit: int) -> Generator[Made, None, None]:
    """Yield `make(item)` of each item in turn, made in threads, with at most twice `limit` results at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) >= 2 * limit:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(path: Path, perceptors: Sequence[CLIPPerceptor]) -> tuple[Path, tuple[Tensor, ...] | str]:
    """Return the picture in a file as each perceptor takes it, or why it cannot be read."""
    try:
        picture, _ = load_image(path, "the picture")
        return path, tuple(perceptor.prepared(picture) for perceptor in perceptors)
    except UsageError as error:
        return path, str(error)


@torch.inference_mode()
def _encoded(group: Sequence[tuple[Path, tuple[Tensor, ...] | str]], perceptors: Sequence[CLIPPerceptor]) -> list[Seen]:
    whole = [(path, cutouts) for path, cutouts in group if not isinstance(cutouts, str)]
    columns = zip(*(cutouts for _, cutouts in whole), strict=True)
    encoded = [_encode(column, perceptor) for column, perceptor in zip(columns, perceptors, strict=False)]
    rows = dict(zip((path for path, _ in whole), zip(*encoded, strict=True), strict=True))
    return [Seen(path, rows[path]) if path in rows else Seen(path, problem=str(why)) for path, why in group]


def _encode(cutouts: Sequence[Tensor], perceptor: CLIPPerceptor) -> Tensor:
    """Return the unit vectors (N, D) of N cutouts (3, size, size)."""
    device = next(perceptor.parameters()).device
    return perceptor.encode_images(torch.stack(list(cutouts)).to(device)).float().cpu()
