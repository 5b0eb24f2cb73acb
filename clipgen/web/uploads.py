"""Pictures that a browser sent: decoded at once, and kept as clean PNG files in a temporary folder of the server.

Of what was sent nothing but pixels remains: no metadata, no other format, no name but a harmless one.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from clipgen.util.files import slug
from clipgen.web.failures import NotFoundError

MAX_BYTES = 25_000_000
"""Of one picture, as it is sent."""
MAX_KEPT = 1_000_000_000
"""Of all pictures together, as they are kept."""


@dataclass(frozen=True)
class Upload:
    """One picture."""

    id: str
    path: Path
    width: int
    height: int
    bytes: int
    sha256: str
    """Of the file at `path`, as recipes name it."""


class Uploads:
    """The pictures that were sent since the server started, by id.

    in_use: returns the ids that unfinished jobs need; of the others the oldest go when there are too many.
    """

    def __init__(self, in_use: Callable[[], Collection[str]] = tuple) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="clipgen-web-", ignore_cleanup_errors=True)
        self._known: dict[str, Upload] = {}
        self._in_use = in_use
        self._lock = Lock()

    def add(self, content: bytes, name: str) -> Upload:
        """Keep a picture; raises UsageError if it is none, or too large, and OSError if it cannot be kept."""
        from clipgen.util.images import decode_image

        image = decode_image(content, name or "picture", "the picture", alpha=True)
        file = io.BytesIO()
        image.save(file, format="PNG", compress_level=1)
        clean = file.getvalue()
        folder = Path(self._folder.name) / secrets.token_hex(8)
        folder.mkdir()
        path = folder / f"{slug(Path(name).stem)}.png"
        path.write_bytes(clean)
        made = Upload(folder.name, path, *image.size, len(clean), hashlib.sha256(clean).hexdigest())
        with self._lock:
            self._known[made.id] = made
            self._make_room(made.id)
        return made

    def get(self, name: str) -> Upload:
        """Return a picture; raises NotFoundError."""
        with self._lock:
            if name not in self._known:
                raise NotFoundError("this picture is no longer here; send it again")
            return self._known[name]

    def of_digest(self, sha256: str) -> Upload | None:
        """Return the picture whose file has a hash."""
        with self._lock:
            return next((each for each in self._known.values() if sha256 and each.sha256 == sha256), None)

    def of_path(self, path: str) -> Upload | None:
        """Return the picture that lies at a path."""
        with self._lock:
            return self._known.get(Path(path).parent.name)

    def without_folders(self, line: str) -> str:
        """Return a line for the user that names pictures as they were sent, not where they lie."""
        return re.sub(f"{re.escape(self._folder.name)}/[0-9a-f]+/", "", line)

    def close(self) -> None:
        """Remove all files."""
        self._folder.cleanup()

    def _make_room(self, newest: str) -> None:
        kept = {newest, *self._in_use()}
        for each in list(self._known.values()):
            if sum(one.bytes for one in self._known.values()) <= MAX_KEPT:
                return
            if each.id not in kept:
                each.path.unlink(missing_ok=True)
                each.path.parent.rmdir()
                del self._known[each.id]
