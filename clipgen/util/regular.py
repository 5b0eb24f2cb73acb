"""Files of other people: opened only if they are regular files of a bounded size, so that none blocks or never ends."""

import errno
import hashlib
import io
import os
import stat
from pathlib import Path

PICTURES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic")
"""How the names of pictures end."""

_CAREFUL = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path, limit: int) -> io.BufferedReader:
    """Open a file to read bytes; raises OSError unless it is a regular file, no link, of at most `limit` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _CAREFUL)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "it is a symbolic link", str(path)) from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if found.st_size > limit:
            raise OSError(errno.EFBIG, f"it is larger than the {limit} bytes that it may have", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, limit: int) -> bytes:
    """Return the content of a file; raises OSError as `open_regular` does."""
    with open_regular(path, limit) as file:
        return file.read(limit + 1)[:limit]


def append_regular(path: Path, data: bytes, limit: int) -> None:
    """Write at the end of a file, which is made if there is none; raises OSError if it is no such, or gets longer."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _CAREFUL, 0o666)
    with os.fdopen(descriptor, "ab") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size + len(data) > limit:
            raise OSError(errno.EINVAL, "it is not a regular file, or too long", str(path))
        file.write(data)


def sha256_of(path: Path, limit: int) -> str:
    """Return the SHA-256 of a file, in hexadecimal; raises OSError as `open_regular` does."""
    with open_regular(path, limit) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
