"""The labels of `clipgen score`: typed, from a file, and from the names of folders. Torch-free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from clipgen.cli.prompt_text import STDIN, read_lines
from clipgen.cli.report import Notes
from clipgen.cli.values import expanded
from clipgen.errors import UsageError
from clipgen.util.regular import PICTURES
from clipgen.util.text import quoted

NO_LABELS = 'score needs labels: --text "a cat" --text "a dog", --labels FILE, or --labels-from-folders'
SHOWN = 3
"""How many labels a note names."""


def label_of(path: Path) -> str:
    """Return the name of the folder that a picture is in, as words: "golden retriever" for "golden_retriever"."""
    return " ".join(path.absolute().parent.name.replace("_", " ").split())


def labels_from(texts: Sequence[str], file: Path | None, pictures: Sequence[Path], notes: Notes) -> list[str]:
    """Return the labels that are typed, on the lines of a file, and in the names of the folders of pictures, each once.

    Labels that are given twice are named in a note. Raises UsageError if there is none.
    """
    typed = [text.strip() for text in texts]
    if not all(typed):
        raise UsageError('--text is empty; say what may be seen, as in --text "a cat"')
    found = [*typed, *(_lines(file) if file else []), *dict.fromkeys(map(label_of, pictures))]
    if not found:
        raise UsageError(NO_LABELS)
    folders = set(map(label_of, pictures))  # whose names may be among the typed ones
    twice = [label for label, count in Counter(found).items() if count > 1 + (label in folders)]
    if twice:
        more = f" and {len(twice) - SHOWN:,} more" if twice[SHOWN:] else ""
        named = ", ".join(map(quoted, twice[:SHOWN]))
        notes.note(f"{'labels are' if twice[1:] else 'a label is'} given twice and counted once: {named}{more}")
    return list(dict.fromkeys(found))


def _lines(file: Path) -> list[str]:
    path = expanded(file, "--labels")
    name = "standard input" if str(path) == STDIN else f"--labels {path}"
    lines = [line for _, line in read_lines(str(path), name)]
    if not lines:
        raise UsageError(f"{name} holds no label; write one on each line")
    return lines


def with_subfolders(asked: Sequence[Path]) -> Iterator[Path]:
    """Yield, of a folder that has folders with pictures, these and the folder itself if it has any; others as they are.

    So a folder of classes, as data sets have it, can be named as a whole.
    """
    for path in asked:
        inner = sorted(each for each in _listed(path) if _has_pictures(each))
        yield from [*([path] if _has_pictures(path) else []), *inner] if inner else [path]


def _listed(folder: Path) -> list[Path]:
    try:
        return list(expanded(folder, "score").iterdir())
    except (OSError, ValueError):  # it is no folder, or one that is forbidden, which is said later
        return []


def _has_pictures(folder: Path) -> bool:
    return any(each.suffix.lower() in PICTURES for each in _listed(folder))
