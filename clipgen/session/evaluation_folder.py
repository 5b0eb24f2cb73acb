"""The folder of an evaluation: its settings, its pictures, and the seconds that each took."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipgen.config.plan import Plan
from clipgen.util.files import make_folder, replacing

SETTINGS, SECONDS, PICTURES, SEEDS = "settings.json", "seconds.json", "pictures", "candidates.json"


def described(plans: Sequence[Plan], **further: object) -> dict[str, object]:
    """Return what tells an evaluation from others: its plans, by a hash, and further settings."""
    content = "\n".join(plan.to_json() for plan in plans)
    prompts = list(dict.fromkeys(plan.text for plan in plans))
    return {"plans_sha256": hashlib.sha256(content.encode()).hexdigest(), **further, "prompts": prompts}


def evaluation_folder(out: Path, stem: str, settings: Mapping[str, object], *, redo: bool = False) -> Path:
    """Return the folder in `out` of the evaluation with exactly these settings, to be continued, or another, empty one.

    A name that is taken gets a number. redo: always return another one. Raises UsageError if it cannot be made.
    """
    make_folder(out)
    earlier = [path for path in _taken(out, stem) if read_json(path / SETTINGS) == settings]
    if earlier and not redo:
        return earlier[-1]
    folder = next(path for path in _numbered(out, stem) if _is_made(path))
    write_json(folder / SETTINGS, settings)
    return folder


def remove_if_empty(folder: Path) -> None:
    """Remove the folder of an evaluation of which nothing was made."""
    with contextlib.suppress(OSError):
        (folder / PICTURES).rmdir()
    if not (folder / PICTURES).exists() and not (folder / SEEDS).exists():
        with contextlib.suppress(OSError):
            (folder / SETTINGS).unlink()
            folder.rmdir()


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; None if there is none, or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, record: object) -> None:
    """Write a JSON file atomically."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _numbered(out: Path, stem: str) -> Iterator[Path]:
    yield out / stem
    yield from (out / f"{stem}-{number}" for number in itertools.count(2))


def _taken(out: Path, stem: str) -> Iterator[Path]:
    """Yield the folders of evaluations with this stem, those of higher numbers later."""
    return itertools.takewhile(Path.exists, _numbered(out, stem))


def _is_made(path: Path) -> bool:
    """Make a folder; False if its name is taken."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
