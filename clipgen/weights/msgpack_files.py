"""Reading the msgpack files in which flax saves networks, as data: nothing in them can name a class or a function.

Such a file is one msgpack map of maps. Its leaves are arrays, each an extension of type 1 whose content is again
msgpack: shape, name of the dtype, and the numbers. An array of more than a gigabyte is a map of chunks.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import torch
from torch import Tensor

from clipgen.util.text import quoted
from clipgen.weights.pickles import UnreadableError

MAX_ITEMS, MAX_DEPTH, MAX_NAME, MAX_DIMENSIONS = 100_000, 50, 500, 16
"""Of all parts of a file, of parts in each other, of a name in characters, and of an array."""
ARRAY, CHUNKED = 1, "__msgpack_chunked_array__"
"""The extension type of an array, and the key that marks a map as one in chunks."""
NO_END: Final = "its parts hold each other without end"
CUT: Final = "it ends too early"

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    )
}
_NUMBERS = dict(zip(range(0xCA, 0xD4), (">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"), strict=True))
_LENGTHS = {
    first + more: (kind, width << more)
    for first, kind, width, count in (
        (0xC4, "bin", 1, 3),
        (0xC7, "ext", 1, 3),
        (0xD9, "str", 1, 3),
        (0xDC, "array", 2, 2),
        (0xDE, "map", 2, 2),
    )
    for more in range(count)
}
"""By first byte: what follows, and how many bytes its length has."""
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


@dataclass(frozen=True, slots=True)
class _Span:
    """Where in the file bytes lie that are not read yet."""

    start: int
    stop: int


def is_msgpack_map(start: bytes) -> bool:
    """Tell whether a file that begins so is a map of msgpack. One with 0x80, which is empty, is taken for a pickle."""
    return bool(start) and (0x81 <= start[0] <= 0x8F or start[0] in (0xDE, 0xDF))


def read_msgpack(memory: mmap.mmap) -> dict[str, Tensor]:
    """Return the arrays of a file by name: "model.encoder.embed_tokens.embedding".

    They are views of the file where their place in it allows, else copies. Raises UnreadableError for a broken file.
    """
    reader = _Reader(memory)
    saved = reader.value(len(memory), 0)
    if reader.place != len(memory):
        raise UnreadableError("it goes on after its end")
    if not isinstance(saved, dict):
        raise UnreadableError("it is no map of names")
    return dict(_arrays("", saved))


def _arrays(path: str, table: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    for key, value in table.items():
        name = f"{path}.{key}" if path else key
        if len(name) > MAX_NAME:
            raise UnreadableError("a name in it is too long")
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, dict) and CHUNKED in value:
            yield name, _joined(value, name)
        elif isinstance(value, dict):
            yield from _arrays(name, value)


def _joined(table: dict[str, Any], name: str) -> Tensor:
    """Return the array of which a map has the shape and the chunks, each under its number as text."""
    shape, chunks = (_listed(table.get(key)) for key in ("shape", "chunks"))
    fits = len(shape) <= MAX_DIMENSIONS and all(type(number) is int and number >= 0 for number in shape)
    if not (fits and chunks and all(isinstance(chunk, Tensor) for chunk in chunks)):
        raise UnreadableError(f"the chunks of {quoted(name)} are none")
    if len({chunk.dtype for chunk in chunks}) > 1 or sum(chunk.numel() for chunk in chunks) != prod(shape):
        raise UnreadableError(f"the chunks of {quoted(name)} do not fit its shape")
    return torch.cat([chunk.flatten() for chunk in chunks]).view(shape)


def _listed(table: Any) -> list[Any]:
    """Return the values of a map whose keys are "0", "1" and so on; nothing if it is none."""
    if not isinstance(table, dict):
        return []
    keys = [str(index) for index in range(len(table))]
    return [table[key] for key in keys] if table.keys() == {*keys} else []


class _Reader:
    """Reads values one after the other; every length is checked against what is left before anything is made of it."""

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory, self.place, self.items = memory, 0, 0
        self.whole = torch.frombuffer(memory, dtype=torch.uint8)

    def value(self, end: int, depth: int) -> Any:
        """Read one value that ends before `end`: a number, a text, a list, a map, bytes, or an array as a tensor."""
        self.items += 1
        if self.items > MAX_ITEMS or depth > MAX_DEPTH:
            raise UnreadableError(NO_END)
        (byte,) = self._taken(1, end)
        if byte in _CONSTANTS:
            return _CONSTANTS[byte]
        if byte in _NUMBERS:
            return struct.unpack(_NUMBERS[byte], self._taken(struct.calcsize(_NUMBERS[byte]), end))[0]
        if byte < 0x80 or byte >= 0xE0:
            return byte if byte < 0x80 else byte - 256
        kind, length = self._kind(byte, end)
        if kind == "map":
            return self._map(length, end, depth)
        if kind == "array":
            self._check_count(length, end)
            return [self.value(end, depth + 1) for _ in range(length)]
        if kind == "ext":
            return self._extension(length, end, depth)
        if kind == "str":
            return self._text(length, end)
        return self._skipped(length, end)

    def _kind(self, byte: int, end: int) -> tuple[str, int]:
        """Return what follows a first byte, "map", "array", "str", "bin" or "ext", and its length."""
        if byte < 0xC0:
            first, kind = (0xA0, "str") if byte >= 0xA0 else (0x90, "array") if byte >= 0x90 else (0x80, "map")
            return kind, byte - first
        if 0xD4 <= byte <= 0xD8:
            return "ext", 1 << (byte - 0xD4)
        if byte not in _LENGTHS:
            raise UnreadableError(f"the byte {byte:#x} in it begins nothing")
        kind, width = _LENGTHS[byte]
        return kind, int.from_bytes(self._taken(width, end))

    def _map(self, length: int, end: int, depth: int) -> dict[str, Any]:
        self._check_count(2 * length, end)
        table: dict[str, Any] = {}
        for _ in range(length):
            key = self.value(end, depth + 1)
            if not isinstance(key, str) or key in table:
                raise UnreadableError("a name in it is no text, or there twice")
            table[key] = self.value(end, depth + 1)
        return table

    def _extension(self, length: int, end: int, depth: int) -> Any:
        """Read an array; of what else flax knows, complex numbers and single ones, nothing is kept."""
        (kind,) = self._taken(1, end)
        inside = self._skipped(length, end)
        if kind != ARRAY:
            return None
        self.place = inside.start
        found = self.value(inside.stop, depth + 1)
        if self.place != inside.stop or not isinstance(found, list) or len(found) != 3:
            raise UnreadableError("an array in it has no shape, type and numbers")
        return self._array(*found)

    def _array(self, shape: Any, dtype: Any, numbers: Any) -> Tensor:
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise UnreadableError(f"numbers of the type {quoted(dtype)} in it are not read")
        if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not isinstance(numbers, _Span):
            raise UnreadableError("an array in it has no shape, type and numbers")
        if not all(type(number) is int and number >= 0 for number in shape):
            raise UnreadableError("an array in it has a shape that is none")
        width = _DTYPES[dtype].itemsize
        if prod(shape) * width != numbers.stop - numbers.start:
            raise UnreadableError("an array in it has not as many numbers as its shape says")
        kept = self.whole[numbers.start : numbers.stop]
        return (kept.clone() if numbers.start % width else kept).view(_DTYPES[dtype]).view(shape)

    def _text(self, length: int, end: int) -> str:
        if length > MAX_NAME:
            raise UnreadableError("a text in it is too long")
        try:
            return self._taken(length, end).decode()
        except UnicodeDecodeError as error:
            raise UnreadableError("a text in it is none") from error

    def _check_count(self, count: int, end: int) -> None:
        if count > end - self.place:
            raise UnreadableError(CUT)

    def _skipped(self, length: int, end: int) -> _Span:
        if length > end - self.place:
            raise UnreadableError(CUT)
        self.place += length
        return _Span(self.place - length, self.place)

    def _taken(self, length: int, end: int) -> bytes:
        places = self._skipped(length, end)
        return self.memory[places.start : places.stop]
