"""What a hostile file of weights costs, in time, memory and output, grows no faster than the file."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from archives import in_dict, tensor, write_zip
from bounded import LONG, SIZES, check_memory, check_time
from hostile_files import CONTAINERS, ELSEWHERE, PICKLES, SAFETENSORS, Write, in_zip
from torch import Tensor

from clipgen.weights.foreign import read_foreign

ROOT = {f"pickle: {name}": in_zip(name) for name in PICKLES}
FILES: dict[str, Write] = ROOT | CONTAINERS | {f"safetensors: {name}": SAFETENSORS[name] for name in SAFETENSORS}
MAX_COPY = 16
"""Tensors of one file may share numbers, but together they are at most so many times as large."""


def copy(tensors: Mapping[str, Tensor], size: int) -> None:
    """Copy the tensors, as a conversion does."""
    assert sum(value.clone().nbytes for value in tensors.values()) <= MAX_COPY * size


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_size_costs_what_its_size_allows(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.pt"
    for wanted in (*SIZES, LONG):
        FILES[name](path, wanted)
        size = path.stat().st_size
        assert size < 4 * wanted + 30_000
        check_time(lambda size=size: copy(read_foreign(path), size), size)  # type: ignore[misc]
        if wanted < LONG:
            check_memory(lambda size=size: copy(read_foreign(path), size), size)  # type: ignore[misc]


@pytest.mark.parametrize("place", ELSEWHERE)
def test_it_does_so_wherever_the_object_lies(tmp_path: Path, place: str) -> None:
    path = tmp_path / "a.pt"
    for name in PICKLES:
        ELSEWHERE[place](name)(path, SIZES[1])
        size = path.stat().st_size
        check_time(lambda size=size: copy(read_foreign(path), size), size)  # type: ignore[misc]
        check_memory(lambda size=size: copy(read_foreign(path), size), size)  # type: ignore[misc]


@pytest.mark.parametrize("count", [1, 10, 1000])
def test_a_storage_at_an_odd_place_is_copied_once(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.pt"
    parts = {f"w{k:03}": tensor((1,), offset=k, count=25_000) for k in range(count)}
    for odd in (0, 1, 6):
        write_zip(path, in_dict(**parts), **{"data/0": bytes(100_000), "pad": b"x" * odd})
        found = read_foreign(path)
        assert len({value.untyped_storage().data_ptr() for value in found.values()}) == 1
