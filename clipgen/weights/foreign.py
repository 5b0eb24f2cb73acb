"""Checkpoints that other programs wrote, as tensors by name; nothing in such a file is ever run.

safetensors files are read by safetensors; all that torch.save and torch.jit.save wrote goes through one interpreter
of pickles that calls nothing (`pickles`). torch's own readers are not used: with weights_only they still crash on
hostile files, know neither TorchScript nor pickled modules, and copy the optimiser's state along with the weights.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.util.text import quoted
from clipgen.weights.containers import Contents, TensorRecord, read_legacy, read_tar, read_zip
from clipgen.weights.pickles import BROKEN, Stub, UnreadableError

MAX_ATTRIBUTES = 100_000
"""More than any network has; a module that holds another twice, and so on, would have no end of them."""
MAX_DEPTH, MAX_NAME = 50, 500
TORCHSCRIPT = "__torch__."


def read_foreign(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of safetensors, torch.save or torch.jit.save, as the file has it.

    Of a checkpoint with `state_dict` it is that; of a pickled or scripted module, its parameters and buffers. The
    tensors are views of the file, read only when they are used. Raises ClipgenError for anything else.
    """
    if not path.is_file():
        raise WeightsMissingError(f"there is no file {path} to read weights from")
    with _one_line(path), path.open("rb") as file:
        start = file.read(512)
        if start[8:9] == b"{":
            return _read_safetensors(path)
        # A private map: the file is never changed, and pages are read as they are used.
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        contents = _open_container(path, memory, start)
        whole = torch.frombuffer(memory, dtype=torch.uint8)
        return {name: _view(whole, record, contents) for name, record in _state(contents.saved).items()}


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnreadableError, SafetensorError, OSError, *BROKEN) as error:
        reason = str(error) if isinstance(error, UnreadableError) else f"it is broken ({type(error).__name__}: {error})"
        raise ClipgenError(f"{path.name} cannot be read as weights: {reason}; fetch it again or use another") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def _open_container(path: Path, memory: mmap.mmap, start: bytes) -> Contents:
    if start[:4] == b"PK\x03\x04":
        return read_zip(path, memory)
    if start[257:262] == b"ustar":
        return read_tar(path, memory)
    if start[:1] == b"\x80":
        return read_legacy(memory)
    page = start.lstrip()[:1] == b"<"
    raise UnreadableError("it is a web page" if page else "it is neither safetensors nor a file of torch")


def _view(whole: Tensor, record: TensorRecord, contents: Contents) -> Tensor:
    """A tensor of the bytes of a file; checked against what the file says that it holds, and holds."""
    storage = record.storage
    start, available = contents.places.get(storage.key, (0, 0))
    first, length = storage.offset * storage.dtype.itemsize, storage.count * storage.dtype.itemsize
    if first + length > available:
        raise UnreadableError("a storage in it is smaller than it says")
    values = whole[start + first : start + first + length]
    if (start + first) % storage.dtype.itemsize:
        values = values.clone()
    values = values.view(storage.dtype)
    return values.as_strided(record.size, record.stride, values.storage_offset() + record.offset)


def _state(saved: Any) -> dict[str, TensorRecord]:
    """The state dict of what was saved. Raises UnreadableError if it has none."""
    if isinstance(saved, dict):
        state = saved.get("state_dict", saved)
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
    """Parameters and buffers of a pickled nn.Module or a scripted one, under the names of its state dict.

    seen: how many attributes were met, counted on.
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
    """Yield what may be a tensor or a module: all attributes of a scripted module, the tables of a pickled one."""
    state = module.state if isinstance(module.state, dict) else {}
    tables = [state] if module.name.startswith(TORCHSCRIPT) else [
        state.get(table) for table in ("_parameters", "_buffers", "_modules")
    ]  # fmt: skip
    for table in tables:
        if isinstance(table, dict):
            yield from table.items()
