"""Reading other programs' checkpoints as tensors by name, without ever running anything that is in them.

The safetensors library reads its own format. Files of torch.save and torch.jit.save go through an interpreter of
pickles that calls nothing (`clipgen.weights.pickles`), not through torch: even with weights_only, torch crashes on
hostile files, reads neither TorchScript nor pickled modules, and copies the optimiser's state along with the weights.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.util.text import one_line, quoted
from clipgen.weights.containers import MAX_DIMENSIONS, Contents, TensorRecord, read_legacy, read_tar, read_zip
from clipgen.weights.msgpack_files import is_msgpack_map, read_msgpack
from clipgen.weights.pickles import BROKEN, Stub, UnreadableError

MAX_ITEMS, MAX_TENSORS, MAX_OTHERS = 100_000, 100_000, 10_000
"""Of everything in a file, more than any checkpoint has, as parts that contain each other have no end; of its tensors;
and of the other objects whose names are kept."""
MAX_SHARING = 16
"""How many times as large as the file its tensors may be together; those that are tied share numbers."""
MAX_REASON = 200
"""Characters of an error that are shown."""
MAX_DEPTH, MAX_NAME = 50, 500
"""Of parts in each other, and of a tensor's name in characters; what has a longer one is left out."""
TABLES = ("_parameters", "_buffers", "_modules")
"""Where a pickled nn.Module keeps what is in its state dict."""
TORCHSCRIPT = "__torch__."
"""Begins the class names of scripted modules."""


class Tensors(dict[str, Tensor]):
    """The tensors of a file by name.

    others: what else the file has under a name, as an object of an unknown class: name -> class. A tensor that is
    sparse, or an array of numpy, is among these.
    """

    others: Mapping[str, str] = MappingProxyType({})


def read_foreign(path: Path) -> Tensors:
    """Read all tensors in a file of safetensors, torch.save, torch.jit.save or flax, with their dtypes.

    Their names are paths through what was saved: "state_dict.encoder.conv_in.weight" of a checkpoint of a training,
    "0.encoder.conv_in.weight" of a list, and for a pickled or scripted module as in its state dict.
    Tensors in files of torch are views of the mapped file, read from disk when they are used; changing them does not
    change the file. Raises WeightsMissingError if there is no such file, ClipgenError if it has no tensors.
    """
    if not path.is_file():
        raise WeightsMissingError(f"there is no file {path} to read weights from")
    with _readable(path), path.open("rb") as file:
        start = file.read(512)
        if start[8:9] == b"{":
            return _read_safetensors(path)
        # ACCESS_COPY: writing to a tensor changes the memory, never the file.
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if is_msgpack_map(start):
            return Tensors(read_msgpack(memory))
        contents = _open_container(path, memory, start)
        records, others = _state(contents.saved, min(MAX_ITEMS, len(memory)))
        _check_sharing(records.values(), len(memory))
        whole = torch.frombuffer(memory, dtype=torch.uint8)
        copies: dict[str, Tensor] = {}
        found = Tensors({name: _view(whole, record, contents, copies) for name, record in records.items()})
        found.others = others
        return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnreadableError, SafetensorError, OSError, *BROKEN) as error:
        known = isinstance(error, UnreadableError)
        reason = str(error) if known else f"it is broken ({type(error).__name__}: {one_line(str(error), MAX_REASON)})"
        raise ClipgenError(f"{path.name} cannot be read as weights: {reason}; fetch it again or use another") from error


def _read_safetensors(path: Path) -> Tensors:
    with safe_open(path, framework="pt") as file:
        names = file.keys()
        if any(len(name) > MAX_NAME for name in names):
            raise UnreadableError("a tensor in it has a name without end")
        if any(len(file.get_slice(name).get_shape()) > MAX_DIMENSIONS for name in names):
            raise UnreadableError("a tensor in it has too many dimensions")
        try:
            return Tensors({name: file.get_tensor(name) for name in names})
        except (RuntimeError, AttributeError) as error:  # a dtype that this release of torch lacks
            raise UnreadableError(f"a tensor in it is not read ({one_line(str(error), MAX_REASON)})") from error


def _open_container(path: Path, memory: mmap.mmap, start: bytes) -> Contents:
    if start[:4] == b"PK\x03\x04":
        return read_zip(path, memory)
    if start[257:262] == b"ustar":
        return read_tar(memory)
    if start[:1] == b"\x80":
        return read_legacy(memory)
    page = start.lstrip()[:1] == b"<"
    raise UnreadableError("it is a web page" if page else "it is neither safetensors nor a file of torch")


def _check_sharing(records: Iterable[TensorRecord], size: int) -> None:
    """Raise UnreadableError if the tensors together exceed the file, of so many bytes, by far."""
    if sum(prod(record.size) * record.storage.dtype.itemsize for record in records) > MAX_SHARING * size:
        raise UnreadableError("its tensors share the same numbers too often")


def _view(whole: Tensor, record: TensorRecord, contents: Contents, copies: dict[str, Tensor]) -> Tensor:
    """Return a tensor as a view of the file's bytes. Raises UnreadableError if its storage is not all there.

    copies: by key, the storages that do not lie at a multiple of their values' width; each is copied once.
    """
    storage = record.storage
    start, available = contents.places.get(storage.key, (0, 0))
    width = storage.dtype.itemsize
    first, length = storage.offset * width, storage.count * width
    if first + length > available:
        raise UnreadableError("a storage in it is smaller than it says")
    kept = whole[start : start + available]
    if start % width:
        kept = copies[storage.key] if storage.key in copies else copies.setdefault(storage.key, kept.clone())
    values = kept[first : first + length].view(storage.dtype)
    return values.as_strided(record.size, record.stride, values.storage_offset() + record.offset)


def _state(saved: Any, limit: int) -> tuple[dict[str, TensorRecord], dict[str, str]]:
    """Return the tensors in a saved object of at most `limit` items, and the classes of what else has a name.

    Raises UnreadableError if there are no tensors.
    """
    found: dict[str, TensorRecord] = {}
    others: dict[str, str] = {}
    for name, value in _walk(saved, limit):
        if isinstance(value, Stub):
            if len(others) < MAX_OTHERS:
                others.setdefault(name, quoted(value.name))
        elif name in found:
            raise UnreadableError(f"two tensors in it are called {quoted(name)}")
        else:
            found[name] = value
        if len(found) > MAX_TENSORS:
            raise UnreadableError(f"it holds more than {MAX_TENSORS} tensors")
    if not found:
        name, other = next(iter(others.items()), ("", ""))
        inside = f": {quoted(name)} in it is {other} instead of a tensor" if name else ""
        raise UnreadableError(f"it holds {_called(saved)} without tensors{inside}")
    return found, others


def _called(value: object) -> str:
    return quoted(value.name) if isinstance(value, Stub) else f"a {type(value).__name__}"


def _walk(saved: Any, limit: int) -> Iterator[tuple[str, TensorRecord | Stub]]:
    """Yield each tensor, and each object of an unknown class, in a saved object, with its name.

    Raises UnreadableError if there are more than `limit` items, or too many in each other.
    """
    waiting: list[tuple[str, int, Any]] = [("", 0, saved)]
    while waiting:
        name, depth, value = waiting.pop()
        items = _attributes(value)
        if items is None:
            if isinstance(value, TensorRecord | Stub):
                yield name, value
            continue
        inside = []
        for key, inner in items:
            limit -= 1
            if limit < 0 or depth > MAX_DEPTH:
                raise UnreadableError("its parts hold each other without end")
            whole = f"{name}.{key}" if name else str(key)
            if len(whole) <= MAX_NAME and not isinstance(inner, str | bytes | int | float | None):
                inside.append((whole, depth + 1, inner))
        waiting += reversed(inside)


def _attributes(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return what may hold tensors, with names; None for what can hold none.

    These are the items of a dict or list, the tables of a pickled module, and all attributes of a scripted one.
    """
    if isinstance(value, list | tuple):
        return enumerate(value)
    if isinstance(value, dict):
        return _named(value)
    if not isinstance(value, Stub):
        return None
    state = value.state if isinstance(value.state, dict) else {}
    if value.name.startswith(TORCHSCRIPT):
        return _named(state)
    tables = [state[table] for table in TABLES if isinstance(state.get(table), dict)]
    if tables:
        return [item for table in tables for item in _named(table)]
    pairs = [item for item in value.items if isinstance(item, tuple) and len(item) == 2]  # of a subclass of dict
    return [pair for pair in pairs if isinstance(pair[0], str | int)] or None


def _named(table: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    return ((key, value) for key, value in table.items() if isinstance(key, str | int))
