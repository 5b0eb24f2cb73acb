"""Output files: readable names that are safe on every file system, never overwritten, never half-written."""

import contextlib
import errno
import functools
import itertools
import os
import re
import secrets
import stat
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clipgen.errors import UsageError
from clipgen.util.interrupts import at_the_latest

# A file name may hold 255 bytes; this leaves room for the seed, a counter, and the suffix.
MAX_SLUG_BYTES = 80

_created: set[Path] = set()
"""The folders that `make_folder` has created."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither, and lets only administrators make links
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # to open a pipe without a writer


def slug(text: str) -> str:
    """Join the words of `text`, in any script, with hyphens; at most `MAX_SLUG_BYTES` bytes of UTF-8."""
    normal = unicodedata.normalize("NFKC", text).lower()
    spelled = "".join(character if character.isalnum() or _is_sign(character) else " " for character in normal)
    words = ("".join(itertools.dropwhile(_is_sign, word)) for word in spelled.split())
    short = "-".join(filter(None, words)).encode("utf-8", "ignore")[:MAX_SLUG_BYTES].decode("utf-8", "ignore")
    return short.strip("-") or "picture"


def _is_sign(character: str) -> bool:
    """Whether a character is a combining mark, such as a Hindi vowel sign, but not an emoji variation selector."""
    return unicodedata.category(character) in ("Mn", "Mc") and not "\ufe00" <= character <= "\ufe0f"


def make_folder(folder: Path, flag: str = "-o") -> None:
    """Create `folder`, the value of `flag`, and check that files can be written in it; raises UsageError if not."""
    try:
        missing = [each.absolute() for each in (folder, *folder.parents) if not os.path.lexists(each)]
        folder.mkdir(parents=True, exist_ok=True)
        _created.update(missing)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag} {folder} cannot be written ({_reason(error)}): choose another folder") from error


@contextlib.contextmanager
def reserved(
    folder: Path,
    stem: str,
    suffixes: Sequence[str],
    flag: str = "-o",
    avoid: str | None = None,
    folders: Sequence[str] = (),
) -> Iterator[dict[str, Path]]:
    """Reserve one free name in `folder` for files with all `suffixes`; files that stay empty are removed at the end.

    So it is with `folders`, which are suffixes of folders. Empty placeholders hold the name meanwhile, so that parallel
    runs never choose the same one. If the name is taken, with one of the suffixes or with `avoid`, `-2`, `-3`, ... is
    appended to the stem, the same for all suffixes; all must have room in a name.
    Raises UsageError, which names `flag`, if no file can be created.
    """
    make_folder(folder, flag)
    free = (name for name in _numbered(stem) if not (avoid and os.path.lexists(folder / f"{name}{avoid}")))
    most = _name_limit(folder) - max(len(os.fsencode(suffix)) for suffix in (*suffixes, *folders, avoid or ""))
    makes = {**dict.fromkeys(suffixes, _make_file), **dict.fromkeys(folders, _make_subfolder)}
    paths = next(filter(None, (_claim(folder, name, makes, flag, most) for name in free)))
    own = [paths[suffix] for suffix in folders]
    remove = functools.partial(remove_empty, [path for path in paths.values() if path not in own], own)
    try:
        with at_the_latest(remove):
            yield paths
    finally:
        remove()


def _name_limit(folder: Path) -> int:
    """Return how many bytes a file name in a folder may have; less than usual on encrypted disks."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # as on Windows
        return 255


@contextlib.contextmanager
def no_empty_folders() -> Iterator[None]:
    """Remove at the end the folders that `make_folder` has created inside the block, if they have stayed empty."""
    _created.clear()
    try:
        with at_the_latest(_remove_created):
            yield
    finally:
        _remove_created()


def _remove_created() -> None:
    for folder in sorted(_created, reverse=True):  # the inner ones first
        with contextlib.suppress(OSError):
            folder.rmdir()


def remove_empty(paths: Iterable[Path], folders: Iterable[Path] = ()) -> None:
    """Remove the files and folders that are empty; links, pipes and the like, which somebody else put there, stay."""
    for path in paths:
        with contextlib.suppress(OSError):  # it is gone, or its folder is, or is forbidden
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_size == 0:
                path.unlink()
    for path in folders:
        with contextlib.suppress(OSError):  # likewise, or it is not empty
            path.rmdir()


def partial_path(path: Path) -> Path:
    """Return a short temporary name beside `path`, with the same suffix, that nobody can know in advance."""
    return path.with_name(f"{_partial_stem(path)}.{secrets.token_hex(8)}{path.suffix}")


def partials(path: Path) -> list[Path]:
    """Return the temporary files for `path` that processes are writing, or left behind when they were killed.

    Those of older versions, named by the number of the process, are among them.
    """
    name = re.compile(rf"{re.escape(_partial_stem(path))}\.([0-9]+|[0-9a-f]{{16}}){re.escape(path.suffix)}")
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        found = [each.name for each in entries if name.fullmatch(each.name) and not each.is_dir(follow_symlinks=False)]
        return [path.with_name(each) for each in sorted(found)]
    return []


def remove_partials(path: Path) -> None:
    """Remove the temporary files for `path` that killed processes left behind; nobody may be writing it."""
    for partial in partials(path):
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file, still empty, that replaces `path` atomically at the end; after an error it is removed.

    It is new, and no link that somebody has put there. Raises OSError.
    """
    partial = partial_path(path)
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _NO_LINK, 0o666))
        yield partial
        publish(partial, path)
    finally:
        with contextlib.suppress(OSError):  # already published, or the folder is gone
            partial.unlink()


def _partial_stem(path: Path) -> str:
    return f".{zlib.crc32(os.fsencode(path.name)):08x}"


def publish(partial: Path, path: Path) -> None:
    """Move a complete file to its final name so that a crash leaves either the old file or the whole new one.

    A link at the final name is replaced, not followed. Raises OSError, also if `partial` is no regular file.
    """
    descriptor = os.open(partial, os.O_RDWR | _NO_LINK | _NO_WAIT)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(partial))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)


def _numbered(stem: str) -> Iterator[str]:
    """Yield `stem`, then `stem-2`, `stem-3`, ... without end."""
    yield stem
    yield from (f"{stem}-{number}" for number in itertools.count(2))


def _make_file(path: Path) -> None:
    path.touch(exist_ok=False)


def _make_subfolder(path: Path) -> None:
    path.mkdir()


def _claim(
    folder: Path, stem: str, makes: Mapping[str, Callable[[Path], None]], flag: str, most: int
) -> dict[str, Path] | None:
    """Make what has each suffix, empty, or nothing at all if one of them already exists; most: bytes of the stem."""
    claimed: dict[str, Path] = {}
    for suffix, make in makes.items():
        path = folder / f"{stem}{suffix}"
        try:
            if len(os.fsencode(stem)) > most:
                raise OSError(errno.ENAMETOOLONG, f"File name too long, above {most} bytes before the {suffix}")
            make(path)
        except (OSError, ValueError) as error:
            remove_empty(claimed.values(), claimed.values())
            if isinstance(error, FileExistsError):
                return None
            raise UsageError(f"{flag} {path} cannot be written ({_reason(error)}): choose another name") from error
        claimed[suffix] = path
    return claimed


def _reason(error: OSError | ValueError) -> str:
    """Return why a name cannot be used; a ValueError is about characters that never reached the file system."""
    return str(error.strerror) if isinstance(error, OSError) else str(error)
