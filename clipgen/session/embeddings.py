"""CLIP embeddings from files, read as untrusted data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from clipgen.config.schedules import Schedule
from clipgen.config.targets import EMBEDDING, NEVER, TARGET_KINDS, TargetSettings, embedding_text, split_numbers
from clipgen.errors import UsageError
from clipgen.util.regular import read_regular

MAX_BYTES = 1_000_000
FLAG = TARGET_KINDS[EMBEDDING].flag


def with_embedding(text: str) -> str:
    """Return the target that "FILE[:WEIGHT[:STOP]]" asks for, with the numbers of the file. Raises UsageError."""
    file, weight, stop = split_numbers(text)
    schedule = weight or Schedule.constant(TARGET_KINDS[EMBEDDING].usual)
    return str(
        TargetSettings(EMBEDDING, embedding_text(read_embedding(file)), schedule, NEVER if stop is None else stop)
    )


def read_embedding(file: str) -> list[float]:
    """Return the numbers of one embedding, an .npy or a .safetensors file with one array. Raises UsageError."""
    try:
        array = _array(Path(file))
    except (OSError, ValueError, EOFError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"{FLAG} {file!r} cannot be read ({reason}); give an .npy or .safetensors file") from error
    if array.size != max(array.shape, default=0) or array.dtype.kind != "f":
        shape = "x".join(map(str, array.shape)) or "no"
        raise UsageError(f"{FLAG} {file!r} holds {shape} numbers of type {array.dtype}; give one vector of floats")
    try:
        embedding_text(numbers := array.reshape(-1).astype(float).tolist())
    except UsageError as error:
        raise UsageError(f"{FLAG} {file!r}: {error}") from error
    return list(numbers)


def _array(path: Path) -> Any:
    data = read_regular(path, MAX_BYTES)
    if path.suffix.lower() == ".safetensors":
        arrays = load(data)
        if len(arrays) != 1:
            raise ValueError(f"it holds {len(arrays)} arrays")
        return next(iter(arrays.values()))
    loaded = np.load(io.BytesIO(data), allow_pickle=False)
    if not isinstance(loaded, np.ndarray):
        raise ValueError("it holds several arrays")
    return loaded
