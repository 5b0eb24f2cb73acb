"""Grids of tokens in files of numpy's format, which are read as untrusted data."""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy

from clipgen.errors import UsageError
from clipgen.util.files import replacing
from clipgen.util.regular import read_regular

MAX_CELLS = 2**20
"""Codes of a grid: those of the largest picture that a plan can have, in cells of 2 pixels."""
MAX_BYTES = 8 * MAX_CELLS + 2**16
"""Of a file, with its header."""
MAX_CODE = 2**31 - 1


@dataclass(frozen=True, eq=False)
class TokenGrid:
    """The codes of one picture."""

    codes: np.ndarray[Any, np.dtype[np.int32]]
    """(h, w), from 0."""
    sha256: str
    """Of the file that they came from; of what `save` writes if there was none."""

    @property
    def size(self) -> tuple[int, int]:
        """How many columns and rows there are."""
        return self.codes.shape[1], self.codes.shape[0]

    def check(self, count: int, network: str, what: str) -> None:
        """Raise a UsageError, which begins with `what`, unless all codes are among the `count` of a network."""
        highest = int(self.codes.max())
        if highest >= count:
            raise UsageError(
                f"{what} holds the code {highest}, and {network} has {count:,} codes, from 0 to {count - 1}; name the "
                "model that made these tokens"
            )

    def save(self, path: Path) -> None:
        """Write the codes to a file, which is replaced atomically. Raises OSError."""
        with replacing(path) as partial:
            partial.write_bytes(_file_of(self.codes))

    @classmethod
    def of(cls, values: object, what: str) -> Self:
        """Return the grid that an array, a tensor or nested lists hold; raises UsageError, which begins with `what`."""
        try:
            array = np.asarray(values.cpu() if hasattr(values, "cpu") else values)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{what} must be a grid of codes, with rows of one length ({error})") from error
        _check_header(array.shape, array.dtype, what)
        codes = _checked(array, what)
        return cls(codes, hashlib.sha256(_file_of(codes)).hexdigest())

    @classmethod
    def read(cls, path: str | Path, flag: str) -> Self:
        """Return the grid in a file.

        Raises UsageError, which names the flag, the file and the way out, unless it is a two-dimensional array of whole
        numbers from 0, of a reasonable size.
        """
        what = f"{flag} {str(path)!r}"
        try:
            found = Path(path).resolve(strict=True)
            if found.is_dir():
                raise UsageError(f"{what} is a folder; name a .npy file in it")
            data = read_regular(found, MAX_BYTES)
        except FileNotFoundError as error:
            raise UsageError(f"{what} does not exist; check the path") from error
        except (OSError, ValueError, RuntimeError) as error:  # of these the last two are about impossible names
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(f"{what} cannot be read: {reason}") from error
        return cls(_parsed(data, what), hashlib.sha256(data).hexdigest())


def _file_of(codes: np.ndarray[Any, np.dtype[np.int32]]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, codes, allow_pickle=False)
    return buffer.getvalue()


def _parsed(data: bytes, what: str) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the codes in the content of a file; only what its header says is there, and fits, is taken."""
    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings(action="ignore"):
            version = npy.read_magic(stream)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, by_columns, dtype = read(stream)
    except Exception as error:  # the parser of the header raises all kinds of exceptions
        raise UsageError(
            f"{what} is not a .npy file, or is damaged; write it with clipgen reconstruct or numpy.save"
        ) from error
    _check_header(shape, dtype, what)
    count, start = math.prod(shape), stream.tell()
    if len(data) - start != count * dtype.itemsize:
        raise UsageError(f"{what} is incomplete, or longer than its header says; write it again")
    flat = np.frombuffer(data, dtype, count, start)
    return _checked(flat.reshape(shape, order="F" if by_columns else "C"), what)


def _check_header(shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> None:
    """Raise a UsageError unless an array of this shape and kind can be a grid of codes."""
    if dtype.kind not in "iu":
        raise UsageError(
            f"{what} holds {dtype.name} values, and tokens are whole numbers; convert it with .astype(int)"
        )
    if len(shape) != 2:
        raise UsageError(
            f"{what} has {len(shape)} dimension{'s' * (len(shape) != 1)}, and tokens are a grid of rows and columns; "
            "save those of one picture"
        )
    if 0 in shape:
        raise UsageError(f"{what} is empty; give a grid of at least one code")
    if min(shape) < 0 or math.prod(shape) > MAX_CELLS:
        raise UsageError(f"{what} has {shape[1]}x{shape[0]} codes, more than the {MAX_CELLS:,} that are accepted")


def _checked(array: np.ndarray[Any, Any], what: str) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return an array of whole numbers as codes; raises UsageError if some cannot be codes."""
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0:
        raise UsageError(f"{what} holds the code {lowest}, and codes count from 0")
    if highest > MAX_CODE:
        raise UsageError(f"{what} holds the code {highest}, and no network has so many")
    return np.array(array, dtype=np.int32, order="C")
