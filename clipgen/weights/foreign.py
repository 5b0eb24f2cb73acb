"""Reading other programs' checkpoints as tensors by name, without ever running anything that is in them.

The safetensors library reads its own format. Files of torch.save and torch.jit.save go through an interpreter of
pickles that calls nothing (`clipgen.weights.pickles`), not through torch: even with weights_only, torch crashes on
hostile files, reads neither TorchScript nor pickled modules, and copies the optimiser's state along with the weights.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.util.text import one_line, quoted
from clipgen.weights.containers import MAX_DIMENSIONS, Contents, TensorRecord, read_legacy, read_tar, read_zip
from clipgen.weights.pickles import BROKEN, Stub, UnreadableError

MAX_ATTRIBUTES = 100_000
"""Attributes of all modules together, more than any network has; modules that contain each other have no end."""
MAX_SHARING = 16
"""How many times as large as the file its tensors may be together; those that are tied share numbers."""
MAX_REASON = 200
"""Characters of an error that are shown."""
MAX_DEPTH, MAX_NAME = 50, 500
"""Of modules in each other, and of a tensor's name in characters."""
WRAPPERS = ("state_dict", "model")
"""What checkpoints of a training call the state dict, the likelier name first."""
TORCHSCRIPT = "__torch__."
"""Begins the class names of scripted modules."""


def read_foreign(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file of safetensors, torch.save or torch.jit.save, with the file's names and dtypes.

    For a checkpoint with one of `WRAPPERS` it is that; for a pickled or scripted module, its parameters and buffers.
    Tensors in files of torch are views of the mapped file, read from disk when they are used; changing them does not
    change the file. Raises WeightsMissingError if there is no such file, ClipgenError if it has no state dict.
    """
    if not path.is_file():
        raise WeightsMissingError(f"there is no file {path} to read weights from")
    with _readable(path), path.open("rb") as file:
        start = file.read(512)
        if start[8:9] == b"{":
            return _read_safetensors(path)
        # ACCESS_COPY: writing to a tensor changes the memory, never the file.
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        contents = _open_container(path, memory, start)
        state = _state(contents.saved)
        _check_names(state)
        _check_sharing(state.values(), len(memory))
        whole = torch.frombuffer(memory, dtype=torch.uint8)
        copies: dict[str, Tensor] = {}
        return {name: _view(whole, record, contents, copies) for name, record in state.items()}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnreadableError, SafetensorError, OSError, *BROKEN) as error:
        known = isinstance(error, UnreadableError)
        reason = str(error) if known else f"it is broken ({type(error).__name__}: {one_line(str(error), MAX_REASON)})"
        raise ClipgenError(f"{path.name} cannot be read as weights: {reason}; fetch it again or use another") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        names = file.keys()
        _check_names(names)
        if any(len(file.get_slice(name).get_shape()) > MAX_DIMENSIONS for name in names):
            raise UnreadableError("a tensor in it has too many dimensions")
        try:
            return {name: file.get_tensor(name) for name in names}
        except (RuntimeError, AttributeError) as error:  # a dtype that this release of torch lacks
            raise UnreadableError(f"a tensor in it is not read ({one_line(str(error), MAX_REASON)})") from error


def _check_names(names: Iterable[str]) -> None:
    """Raise UnreadableError for a name longer than any tensor has, which messages would repeat."""
    if any(len(name) > MAX_NAME for name in names):
        raise UnreadableError("a tensor in it has a name without end")


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


def _state(saved: Any) -> dict[str, TensorRecord]:
    """Return the state dict of a saved object. Raises UnreadableError if it has none."""
    if isinstance(saved, dict):
        state = next((saved[name] for name in WRAPPERS if name in saved), saved)
    else:
        state = dict(_module_tensors(saved, "", [0])) if isinstance(saved, Stub) else None
    if not isinstance(state, dict) or not state:
        raise UnreadableError(f"it holds {_called(saved)} without tensors")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, TensorRecord):
            shown = quoted(name) if isinstance(name, str) else _called(name)
            raise UnreadableError(f"{shown} in it is {_called(value)} instead of a tensor")
    return state


def _called(value: object) -> str:
    return quoted(value.name) if isinstance(value, Stub) else f"a {type(value).__name__}"


def _module_tensors(module: Stub, prefix: str, seen: list[int]) -> Iterator[tuple[str, TensorRecord]]:
    """Yield the parameters and buffers of a pickled or scripted nn.Module, under the names in its state dict.

    seen: the number of attributes so far, as its one item; shared by all calls. Raises UnreadableError at the limits.
    """
    for name, value in _attributes(module):
        seen[0] += 1
        if seen[0] > MAX_ATTRIBUTES or prefix.count(".") > MAX_DEPTH or len(prefix) + len(name) > MAX_NAME:
            raise UnreadableError("its modules hold each other without end")
        if isinstance(value, TensorRecord):
            yield f"{prefix}{name}", value
        elif isinstance(value, Stub):
            yield from _module_tensors(value, f"{prefix}{name}.", seen)


def _attributes(module: Stub) -> Iterator[tuple[str, Any]]:
    """Yield what may be tensors or modules: all attributes of a scripted module, the tables of a pickled one."""
    state = module.state if isinstance(module.state, dict) else {}
    tables = [state] if module.name.startswith(TORCHSCRIPT) else [
        state.get(table) for table in ("_parameters", "_buffers", "_modules")
    ]  # fmt: skip
    for table in tables:
        if isinstance(table, dict):
            yield from table.items()
