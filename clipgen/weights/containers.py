"""The container formats of torch's files: the pickled object in them, and where in the file each storage lies.

There are three: a zip archive (torch.save since 1.6, and TorchScript), pickles followed by the storages (before that),
and a tar archive (before 0.2). Nothing is decompressed or copied, so the file bounds the memory that is needed.
"""

from __future__ import annotations

import io
import mmap
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import torch

from clipgen.util.text import quoted
from clipgen.weights.pickles import MAX_ARGUMENTS, Builder, Interpreter, Name, UnreadableError

Key = TypeVar("Key", int, str)

MAX_DIMENSIONS = 16
MAX_COUNT = 2**60
"""Of values in a storage, and of any number about a tensor: arithmetic with longer ones takes time."""
MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle in a file of torch before 1.6."""

_DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Storage:
    """`count` values of one dtype in the storage called `key`, after the first `offset` values there."""

    key: str
    dtype: torch.dtype
    count: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor as the file describes it, checked to lie inside its storage. Offset and strides count values."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class Contents:
    """The content of a file: the saved object, and the place of each storage by its key, (start, length) in bytes."""

    saved: Any
    places: Mapping[str, tuple[int, int]]


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> TensorRecord:
    """Return the record of a tensor, of any arguments. Raises UnreadableError if it does not lie inside its storage."""
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise UnreadableError("a tensor in it has no storage or no size")
    numbers = (offset, *size[: MAX_DIMENSIONS + 1], *stride[: MAX_DIMENSIONS + 1])
    if not all(_is_count(number) for number in numbers):
        raise UnreadableError("a tensor in it has a size that is no size")
    if len(size) != len(stride) or len(size) > MAX_DIMENSIONS:
        raise UnreadableError("a tensor in it has too many dimensions, or steps that are not one for each")
    first = numbers[0]
    last = first + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    # The product is checked, too: with a stride of 0 a small file could describe a tensor of any size.
    if prod(size) > storage.count or (prod(size) and last >= storage.count):
        raise UnreadableError("a tensor in it is larger than its storage")
    return TensorRecord(storage, first, size, stride)


def _is_count(number: object) -> TypeGuard[int]:
    return type(number) is int and 0 <= number <= MAX_COUNT


def _ordered_dict(*pairs: object) -> dict[Any, Any]:
    """Return an empty dict, whose items Python 3 adds by later instructions.

    Python 2 gave them as arguments. Those are refused, as a small file could repeat the same list of them endlessly.
    """
    if pairs:
        raise UnreadableError("it was pickled by Python 2")
    return {}


def _first(data: object, *_: object) -> object:
    return data


BUILDERS: dict[str, Builder] = {
    "collections.OrderedDict": _ordered_dict,
    "torch.Size": _first,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
}


def _storage(saved_id: object) -> object:
    """Turn torch's persistent id of a storage into its record, and that of a module into the module's class."""
    kind, *rest = saved_id if isinstance(saved_id, tuple) and len(saved_id) <= MAX_ARGUMENTS else ("",)
    if kind == "module":
        return rest[0]
    if kind != "storage":
        raise UnreadableError("its pickle refers to what is no storage")
    of_type, key, _, count, *view = rest
    place = (key, 0, count)
    if view and view[0] is not None:
        _, offset, length = view[0]
        if not (_is_count(offset) and _is_count(length) and _is_count(count)) or offset + length > count:
            raise UnreadableError("a view in it is larger than its storage")
        place = (key, offset, length)
    return _named_storage(of_type, *place)


def _named_storage(of_type: object, key: object, offset: object, count: object) -> Storage:
    if not isinstance(of_type, Name) or of_type.text not in _DTYPES:
        # Only a name is shown: anything else may be tuples in tuples that take for ever to write out.
        named = of_type.text if isinstance(of_type, Name) else type(of_type).__name__
        raise UnreadableError(f"numbers of the type {quoted(named)} in it are not read")
    if not isinstance(key, str) or not _is_count(count) or not _is_count(offset):
        raise UnreadableError("a storage in it has no key or no size")
    return Storage(key, _DTYPES[of_type.text], count, offset)


def read_zip(path: Path, memory: mmap.mmap) -> Contents:
    """Read a zip archive of torch.save or torch.jit.save: the pickle data.pkl, and a folder of storages next to it.

    Raises UnreadableError, or one of `BROKEN` for a broken pickle, as the other readers here do.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise UnreadableError(f"it is a broken archive ({error})") from error
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise UnreadableError("it is an archive without data.pkl; if a checkpoint is packed in it, unpack that")
    if f"{roots[0]}byteorder" in entries and _content(memory, entries[f"{roots[0]}byteorder"]) == b"big":
        raise UnreadableError("its numbers are big-endian")
    saved = Interpreter(BUILDERS, _storage).read(io.BytesIO(_content(memory, entries[f"{roots[0]}data.pkl"])))
    folder = f"{roots[0]}data/"
    stored = {name.removeprefix(folder): entry for name, entry in entries.items() if name.startswith(folder)}
    return Contents(saved, _apart({key: _place(memory, entry) for key, entry in stored.items()}))


def _apart(places: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return the places. Raises UnreadableError if one overlaps another: together they would exceed the file."""
    end = 0
    for start, length in sorted(places.values()):
        if start < end:
            raise UnreadableError("storages in it overlap")
        end = start + length
    return places


def _content(memory: mmap.mmap, entry: zipfile.ZipInfo) -> bytes:
    start, length = _place(memory, entry)
    return memory[start : start + length]


def _place(memory: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return start and length of an entry's bytes, behind its local header; torch stores all without compression."""
    header = memory[entry.header_offset : entry.header_offset + 30]
    if entry.compress_type != zipfile.ZIP_STORED or header[:4] != b"PK\x03\x04":
        raise UnreadableError(f"{quoted(entry.filename)} in it is compressed or broken")
    start = entry.header_offset + 30 + sum(struct.unpack("<2H", header[26:30]))
    if start + entry.file_size > len(memory):
        raise UnreadableError("it ends too early")
    return start, entry.file_size


def read_legacy(memory: mmap.mmap) -> Contents:
    """Read a file of torch before 1.6: pickles of magic number, version, system, object and keys, then storages."""
    widths: dict[str, int] = {}

    def persistent(saved_id: object) -> object:
        record = _storage(saved_id)
        if isinstance(record, Storage):
            widths[record.key] = record.dtype.itemsize
        return record

    machine = Interpreter(BUILDERS, persistent)
    magic, _, system, saved, keys = (machine.read(memory) for _ in range(5))
    if magic != MAGIC or not system["little_endian"]:
        raise UnreadableError("it is no checkpoint of torch, or a big-endian one")
    return Contents(saved, {_plain(key, str): _next_storage(memory, widths[_plain(key, str)]) for key in keys})


def _plain(value: object, kind: type[Key]) -> Key:
    """Return the value. Raises UnreadableError for another type, such as nested tuples too deep to be hashed."""
    if type(value) is not kind:
        raise UnreadableError(f"a number or a name in it is a {type(value).__name__}")
    return value


def _next_storage(memory: mmap.mmap, width: int) -> tuple[int, int]:
    """Skip a storage, its number of values and then the values, and return the place of the latter."""
    (count,) = struct.unpack("<q", memory.read(8))
    start, length = memory.tell(), count * width
    if not 0 <= length <= len(memory) - start:
        raise UnreadableError("it ends too early")
    memory.seek(start + length)
    return start, length


def read_tar(memory: mmap.mmap) -> Contents:
    """Read a file of torch before 0.2: a tar archive of storages, tensors, and a pickle that refers to them."""
    starts = _tar_members(memory)
    tensors: dict[int, object] = {}
    machine = Interpreter(BUILDERS, lambda key: key[0] if isinstance(key, tuple) else tensors[int(key)])
    storages, places = _tar_storages(machine, memory, starts["storages"])
    memory.seek(starts["tensors"])
    for _ in range(machine.read(memory)):
        key, storage = (_plain(number, int) for number in machine.read(memory)[:2])
        (dimensions,) = struct.unpack("<i4x", memory.read(8))
        if not 0 <= dimensions <= MAX_DIMENSIONS:
            raise UnreadableError("a tensor in it has too many dimensions")
        numbers = struct.unpack(f"<{2 * dimensions + 1}q", memory.read(8 * (2 * dimensions + 1)))
        tensors[key] = _tensor(storages[storage], numbers[-1], numbers[:dimensions], numbers[dimensions:-1])
    memory.seek(starts["pickle"])
    return Contents(machine.read(memory), places)


def _tar_members(memory: mmap.mmap) -> dict[str, int]:
    """Return the start of each member's content by its name.

    Headers are read one by one: tarfile's own loop recurses at headers about headers, and copies records for each.
    """
    starts: dict[str, int] = {}
    place = 0
    while (header := memory[place : place + tarfile.BLOCKSIZE]).strip(b"\0"):
        try:
            entry = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise UnreadableError(f"it is a broken archive ({error})") from error
        if entry.size < 0:
            raise UnreadableError("it is a broken archive (a member has no size)")
        place += tarfile.BLOCKSIZE
        starts[entry.name] = place
        place += -(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return starts


def _tar_storages(
    machine: Interpreter, memory: mmap.mmap, start: int
) -> tuple[dict[int, Storage], dict[str, tuple[int, int]]]:
    """Read the storages of a tar archive and views of them, by number, and the places of the storages, by key."""
    storages: dict[int, Storage] = {}
    places: dict[str, tuple[int, int]] = {}
    memory.seek(start)
    for _ in range(machine.read(memory)):
        number, _, of_type = machine.read(memory)
        _plain(number, int)
        width = _named_storage(of_type, str(number), 0, 0).dtype.itemsize
        places[str(number)] = _next_storage(memory, width)
        storages[number] = _named_storage(of_type, str(number), 0, places[str(number)][1] // width)
    for view in machine.read(memory):
        number, root, offset, count = (_plain(part, int) for part in view)
        whole = storages[root]
        storages[number] = replace(whole, offset=whole.offset + offset, count=count)
    return storages, places
