"""Files as other programs write them: torch's containers around pickles made by hand, and classes that do not exist."""

import io
import struct
import sys
import tarfile
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clipgen.errors import ClipgenError
from clipgen.weights.foreign import read_foreign

MAGIC = 0x1950A86A20F9469CFC6C


class Callee:
    """Pickles to a call."""

    def __init__(self, function: Callable[..., object], *arguments: object):
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    types = [value.dtype for value in found.values()] == [value.dtype for value in wanted.values()]
    return list(found) == list(wanted) and types and all(torch.equal(found[name], wanted[name]) for name in wanted)


def refused(path: Path) -> str:
    """Read a file that must be refused in one line, and return that."""
    with pytest.raises(ClipgenError) as caught:
        read_foreign(path)
    message = str(caught.value)
    assert message.startswith(f"{path.name} cannot be read as weights: ")
    assert "\n" not in message
    assert message.endswith("; fetch it again or use another")
    return message


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    length = (value.bit_length() // 8) + 1
    return b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    size: tuple[int, ...],
    stride: tuple[int, ...] = (1,),
    offset: int = 0,
    *,
    count: int = 4,
    key: str = "0",
    kind: str = "FloatStorage",
) -> bytes:
    """The instructions of a tensor, as torch.save writes them."""
    storage = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count) + b"tQ"
    rest = number(offset) + numbers(size) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


def in_dict(**values: bytes) -> bytes:
    """A whole pickle of a dict."""
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in values.items()) + b"u."


def write_zip(path: Path, pickled: bytes, compress: bool = False, **entries: bytes) -> None:
    """A file of torch.save since 1.6, with one storage of four floats unless `entries` say otherwise."""
    entries = {"data.pkl": pickled, "data/0": struct.pack("<4f", 1, 2, 3, 4), "version": b"3\n"} | entries
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name}", content)


def write_legacy(path: Path, pickled: bytes) -> None:
    """A file of torch.save before 1.6, with one storage of four floats if the pickle speaks of one."""
    system = b"\x80\x02}" + text("little_endian") + b"\x88s."
    head = [number(MAGIC), number(1001)]
    storage = struct.pack("<q4f", 4, 1, 2, 3, 4)
    keys = b"\x80\x02]" + (text("0") + b"a." if text("storage") in pickled else b".")
    path.write_bytes(b"".join(b"\x80\x02" + part + b"." for part in head) + system + pickled + keys + storage)


def write_tar(path: Path, pickled: bytes, size: tuple[int, ...] = (2, 2), stride: tuple[int, ...] = (2, 1)) -> None:
    """A file of torch.save before 0.2: tensor 7 of storage 5, a view of storage 4, which has four floats and more."""
    storage = b"\x80\x02(" + number(4) + text("cpu") + b"ctorch\nFloatStorage\nt."
    views = b"\x80\x02](" + numbers((5, 4, 1, 4)) + b"e."
    one, shape = b"\x80\x02" + number(1) + b".", struct.pack(f"<i4x{2 * len(size) + 1}q", len(size), *size, *stride, 0)
    members = {
        "storages": one + storage + struct.pack("<q6f", 6, 0, 1, 2, 3, 4, 5) + views,
        "tensors": one + b"\x80\x02(" + number(7) + number(5) + b"ctorch\nFloatTensor\nt." + shape,
        "pickle": pickled,
    }
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


CONTAINERS = {"zip": write_zip, "legacy": write_legacy, "tar": write_tar}


def invent(patch: pytest.MonkeyPatch, name: str) -> type:
    """A class that pickles name as they would the one of a package that is not installed."""
    module, _, title = name.rpartition(".")
    for length in range(1, module.count(".") + 2):
        part = ".".join(module.split(".")[:length])
        patch.setitem(sys.modules, part, types.ModuleType(part))
    made = type(title, (), {"__module__": module})
    setattr(sys.modules[module], title, made)
    return made


def lightning(patch: pytest.MonkeyPatch, state: dict[str, Tensor]) -> dict[str, Any]:
    """A checkpoint of pytorch_lightning 1.0 with what it saves beside the weights."""
    callback = invent(patch, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")
    moments = {index: {"step": 3, "exp_avg": value.clone()} for index, value in enumerate(state.values())}
    return {
        "epoch": 12,
        "global_step": 34,
        "pytorch-lightning_version": "1.0.8",
        "callbacks": {callback: {"best_model_score": torch.tensor(0.5), "best_model_path": "last.ckpt"}},
        "optimizer_states": [{"state": moments, "param_groups": [{"betas": (0.5, 0.9)}]}],
        "lr_schedulers": [],
        "state_dict": state,
    }
