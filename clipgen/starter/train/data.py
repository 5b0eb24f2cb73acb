"""Sets of drawn pictures, each drawn once and kept in a file."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from clipgen.starter.grammar import Truth, random_truth
from clipgen.starter.world.compose import draw
from clipgen.starter.world.layout import BARE

CHUNK = 256
STYLED = 0.6  # share of the pictures that have a style


def picture_rng(seed: int, index: int) -> np.random.Generator:
    """Return the generator that decides what picture `index` of the set `seed` shows, and then draws it."""
    return np.random.default_rng([seed, index])


def truths(seed: int, count: int, held: bool = False, relation: str | None = None) -> list[Truth]:
    """Return what the pictures of a set show, without drawing them; `held` and `relation` as for `random_truth`."""
    return [random_truth(picture_rng(seed, k), STYLED, held, relation) for k in range(count)]


def _draw_chunk(
    path: str, shape: tuple[int, ...], seed: int, start: int, held: bool, relation: str | None, bare: bool
) -> None:
    pictures = np.lib.format.open_memmap(path, mode="r+", dtype=np.uint8, shape=shape)
    for k in range(start, min(start + CHUNK, shape[0])):
        rng = picture_rng(seed, k)
        truth = random_truth(rng, STYLED, held, relation)
        pictures[k] = draw(replace(truth, other=BARE[str(truth.other)]) if bare else truth, rng, shape[1])


def drawn_set(
    folder: Path,
    count: int,
    size: int,
    seed: int,
    held: bool = False,
    relation: str | None = None,
    bare: bool = False,
) -> np.ndarray:
    """Return the pictures (count, size, size, 3) uint8 of a set, drawn on all cores unless the folder has them.

    `held` and `relation` as for `random_truth`; `bare`: where someone wears something, the picture without it.
    """
    kind = f"-{relation}" * (relation is not None) + "-held" * held + "-bare" * bare
    path = folder / f"world-{size}px-{count}-seed{seed}-styled{STYLED:g}{kind}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        shape = (count, size, size, 3)
        np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            starts = range(0, count, CHUNK)
            jobs = [
                pool.submit(_draw_chunk, str(partial), shape, seed, start, held, relation, bare) for start in starts
            ]
            for job in jobs:
                job.result()
        partial.replace(path)
    pictures: np.ndarray = np.load(path, mmap_mode="r")
    return pictures
