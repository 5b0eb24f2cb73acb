"""The part of a download that has arrived, and a note of where it came from, across runs of the program."""

from __future__ import annotations

import json
from pathlib import Path

from clipgen.weights.cache import ORIGIN, PART, beside


class PartialFile:
    """The part that has arrived of a file at `target`; a process that uses it holds the lock of the file."""

    def __init__(self, target: Path) -> None:
        self.path = beside(target, PART)
        self._origin = beside(target, ORIGIN)
        self.is_joined = self.size > 0
        """Whether its bytes may come from more than one response."""

    @property
    def size(self) -> int:
        """Bytes that have arrived, from this run and earlier ones."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self, address: str) -> str | None:
        """Return the ETag or date that the part had at an address; None if it came from another, or without one."""
        try:
            origin = json.loads(self._origin.read_text(encoding="utf-8"))
            found = origin["validator"] if origin["address"] == address else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if isinstance(found, str) else None

    def begin(self, address: str, validator: str | None) -> None:
        """Start over with a response from an address."""
        self.path.write_bytes(b"")  # before the note of the origin, which must never be about other bytes
        self._origin.write_text(json.dumps({"address": address, "validator": validator}), encoding="utf-8")
        self.is_joined = False

    def append(self, chunk: bytes) -> None:
        """Add bytes, which stay if this process is killed afterwards."""
        with self.path.open("ab") as file:
            file.write(chunk)

    def discard(self) -> None:
        """Remove the part and the note of its origin."""
        self.path.unlink(missing_ok=True)
        self._origin.unlink(missing_ok=True)
        self.is_joined = False
