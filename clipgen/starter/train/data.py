"""Sets of drawn pictures, each drawn once and kept in a file."""

from __future__ import annotations

from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path

import numpy as np

from clipgen.starter.grammar import Truth, random_truth
from clipgen.starter.world.compose import draw
from clipgen.starter.world.layout import BARE
from clipgen.training.progress import Report, counted, silent
from clipgen.training.workers import unreached_by_signals, workers

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
    report: Report = silent,
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
        report(f"drawing {count} pictures of {size}x{size} pixels")
        _draw_all(str(partial), shape, seed, held, relation, bare, report)
        partial.replace(path)
    pictures: np.ndarray = np.load(path, mmap_mode="r")
    return pictures


def _draw_all(
    path: str, shape: tuple[int, ...], seed: int, held: bool, relation: str | None, bare: bool, report: Report
) -> None:
    if shape[0] <= CHUNK:
        _draw_chunk(path, shape, seed, 0, held, relation, bare)
        return
    progress = counted(report, f"drawing {shape[0]} pictures of {shape[1]}x{shape[2]} pixels: {{}} are drawn")
    with workers() as pool:
        with unreached_by_signals():
            jobs = [
                pool.submit(_draw_chunk, path, shape, seed, start, held, relation, bare)
                for start in range(0, shape[0], CHUNK)
            ]
        for done, job in enumerate(as_completed(jobs), start=1):
            job.result()
            progress(min(done * CHUNK, shape[0]))
