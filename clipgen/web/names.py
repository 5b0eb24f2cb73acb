"""How the page names pictures and their files: by ids, never by paths. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from clipgen.config.saving import SUFFIXES

BESIDE = (".mp4", ".webm", ".gif", ".apng", ".svg")
"""The suffixes of the films and the drawing of a picture."""
FILE_KINDS = {suffix: suffix.removeprefix(".").replace("jpeg", "jpg") for suffix in (*SUFFIXES, *BESIDE)}
"""The files of a picture, by suffix."""


def picture_id(name: str) -> str:
    """Return the id of the picture that has this file name in the folder of outputs."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def file_rows(files: Iterable[Path]) -> list[dict[str, str]]:
    """Describe the files of one picture, which comes first."""
    paths = list(files)
    return [
        {
            "kind": FILE_KINDS[path.suffix],
            "name": path.name,
            "url": f"/files/{picture_id(paths[0].name)}/{quote(path.name)}",
        }
        for path in paths
        if path.suffix in FILE_KINDS
    ]
