"""The pictures in the folder of outputs, found by id: nothing that a browser sends is ever used as a path.

Only regular files count; links, also those of folders, are not followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from clipgen.config.plan import MAX_PIXELS
from clipgen.config.saving import SUFFIXES
from clipgen.errors import UsageError
from clipgen.util.regular import open_regular
from clipgen.web.failures import NotFoundError
from clipgen.web.names import BESIDE, FILE_KINDS, file_rows, picture_id
from clipgen.web.watching import jpeg_of

if TYPE_CHECKING:
    from clipgen.outputs.metadata import Recipe

MAX_FILE = 2_000_000_000
MAX_PAGE = 200
THUMB_SIDE = 320
MAX_THUMBS = 500


@dataclass(frozen=True)
class Item:
    """A picture, as it was when it was read."""

    path: Path
    changed: int
    """Time of its last change, in nanoseconds."""
    size: int
    """Bytes."""
    pixels: tuple[int, int]
    prompt: str = ""
    seed: int | None = None
    recipe: Recipe | None = None
    """None for a picture that has none, or a damaged one."""

    @property
    def id(self) -> str:
        """Its id."""
        return picture_id(self.path.name)

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from another picture that gets its name."""
        return self.path.name, self.changed, self.size

    def to_dict(self, names: set[str]) -> dict[str, Any]:
        """Return what the page shows; names: those of all regular files beside it."""
        beside = map(self.path.with_suffix, BESIDE)
        files = [self.path, *(path for path in beside if path.name in names)]
        return {
            "id": self.id,
            "name": self.path.name,
            "prompt": self.prompt,
            "seed": self.seed,
            "created": datetime.fromtimestamp(self.changed / 1e9, UTC).isoformat(timespec="seconds"),
            "width": self.pixels[0],
            "height": self.pixels[1],
            "thumb": f"/api/gallery/{self.id}/thumb.jpg?v={self.changed}",
            "files": file_rows(files),
        }


class Gallery:
    """The pictures of one folder; what was read of a picture is remembered until it changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Item | None] = {}
        self._thumbs: dict[tuple[str, int, int], bytes] = {}
        self._lock = Lock()

    def page(self, query: str, offset: int, limit: int) -> dict[str, Any]:
        """Return some of the pictures whose name, prompt or seed has all words of a query, the newest first."""
        files = self._files()
        items = [item for item in self._read(files) if _matches(item, query.casefold().split())]
        items.sort(key=lambda item: (item.changed, item.path.name), reverse=True)
        shown = items[max(offset, 0) :][: min(max(limit, 0), MAX_PAGE)]
        return {"total": len(items), "items": [item.to_dict(set(files)) for item in shown]}

    def get(self, name: str) -> tuple[Item, dict[str, Any]]:
        """Return the picture of an id, and what the page shows of it; raises NotFoundError."""
        files = self._files()
        found = [each for each in files if each.endswith(SUFFIXES) and picture_id(each) == name]
        for item in self._read({each: files[each] for each in found}, whole=False):
            return item, item.to_dict(set(files))
        raise NotFoundError("there is no such picture, or no longer")

    def file(self, name: str, file: str) -> Path:
        """Return the path of a file of a picture; raises NotFoundError."""
        item, shown = self.get(name)
        for row in shown["files"]:
            if row["name"] == file:
                path = item.path.with_name(row["name"])
                try:
                    open_regular(path, MAX_FILE).close()
                except OSError as error:
                    raise NotFoundError("this file cannot be read") from error
                return path
        raise NotFoundError("the picture has no such file")

    def thumb(self, name: str) -> bytes:
        """Return a small JPEG of a picture; raises NotFoundError, and UsageError if it is damaged."""
        item, _ = self.get(name)
        if item.key not in self._thumbs:
            small = small_jpeg(item.path, THUMB_SIDE)
            with self._lock:
                self._thumbs[item.key] = small
                for oldest in list(self._thumbs)[:-MAX_THUMBS]:
                    del self._thumbs[oldest]
        return self._thumbs[item.key]

    def _files(self) -> dict[str, os.stat_result]:
        """Return the regular files of the folder, by name, that are not empty."""
        found: dict[str, os.stat_result] = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or Path(entry.name).suffix not in FILE_KINDS:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and status.st_size:
                        found[entry.name] = status
        except OSError:  # there is none yet
            return found
        return found

    def _read(self, files: dict[str, os.stat_result], *, whole: bool = True) -> Sequence[Item]:
        """Return the pictures among files; whole: whether these are all, so that others can be forgotten."""
        with self._lock:
            for name in [name for name in self._known if whole and name not in files]:
                del self._known[name]
            for name, status in files.items():
                if name.endswith(SUFFIXES) and not _is_same(self._known.get(name), status):
                    self._known[name] = _item(self._folder / name, status)
            return [item for name in files if (item := self._known.get(name))]


def _is_same(item: Item | None, status: os.stat_result) -> bool:
    return item is not None and (item.changed, item.size) == (status.st_mtime_ns, status.st_size)


def _item(path: Path, status: os.stat_result) -> Item | None:
    """Read a picture; None if it is damaged, or something else under such a name."""
    from PIL import Image

    from clipgen.outputs.metadata import read_recipe

    try:
        with open_regular(path, MAX_FILE) as file, Image.open(file, formats=("PNG", "JPEG", "WEBP")) as image:
            pixels = image.size
    except Exception:  # decoders raise all kinds of exceptions on damaged files
        return None
    if pixels[0] * pixels[1] > MAX_PIXELS:
        return None
    plain = Item(path, status.st_mtime_ns, status.st_size, pixels)
    try:
        recipe = read_recipe(path)
    except UsageError:
        return plain
    return Item(path, plain.changed, plain.size, pixels, recipe.plan.text, recipe.plan.seed, recipe)


def _matches(item: Item, words: Sequence[str]) -> bool:
    text = f"{item.path.name} {item.prompt} {item.seed}".casefold()
    return all(word in text for word in words)


def small_jpeg(path: Path, side: int) -> bytes:
    """Return a small JPEG of a picture file. Raises UsageError if it is damaged."""
    from clipgen.util.images import load_image

    return jpeg_of(load_image(path, "the picture")[0], side)
