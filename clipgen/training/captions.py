"""Captioned pictures as people have them: folders with texts, folders of classes, tables, and WebDataset archives."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from os.path import lexists, realpath  # which raise no error for a name that no file can have
from pathlib import Path, PurePosixPath

from PIL import Image

from clipgen.errors import UsageError
from clipgen.training.tables import SUFFIXES, read_table
from clipgen.training.tars import Member, TarError, members
from clipgen.util.images import MAX_BYTES, decode_image
from clipgen.util.regular import PICTURES, open_regular, read_regular

FLAG = "--data"
TEMPLATES = ("{}", "a picture of {}", "a picture of {a} {}", "an image of {}")
"""What a picture in the folder of a class is called; {a} is the article."""
MAX_PICTURES = 1_000_000
MAX_CAPTIONS = 100
"""Captions of one picture; more are left out."""
MAX_CAPTION = 500
"""Characters of a caption; what follows is cut. A CLIP reads about 300."""
MAX_TEXT = 1_000_000
"""Bytes of a file of captions."""
MAX_ARCHIVE = 2**44
MAX_FILES = 10_000
"""Archives that a pattern stands for."""

_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture that is still in its file, and its captions, of which there is at least one."""

    name: str
    """Its path relative to the data, with slashes; of a picture in an archive, after the name of that."""
    captions: tuple[str, ...]
    stamp: str
    """What changes when the picture does: size and time of the file that it is in."""
    content: Callable[[], bytes]
    """Reads the bytes of the picture. Raises OSError."""

    def open(self) -> Image.Image:
        """Read the picture as upright RGB; raises UsageError, which names it, if it is no complete picture."""
        try:
            return decode_image(self.content(), self.name, FLAG)
        except OSError as error:
            raise UsageError(f"{FLAG} {self.name!r} cannot be read ({error.strerror})") from error


def read_captions(data: Path, report: Callable[[str], None] = lambda _line: None) -> list[Captioned]:
    """Find the captioned pictures in `data`, without reading them, and report how many there are.

    data: a folder with name.txt beside name.jpg (one caption on each line), a folder of folders that are named after
    what their pictures show, a table (.tsv, .csv), a WebDataset archive (.tar), a folder of these, or a pattern such as
    "shards/{000..009}.tar". Raises UsageError if there is no captioned picture.
    """
    if _archives(data):
        found, skipped = _from_archives(_archives(data))
    elif not lexists(data):
        raise UsageError(f"{FLAG} {data} does not exist; check the path")
    elif data.is_dir():
        found, skipped = _from_folder(data)
    elif data.suffix.lower() in SUFFIXES:
        found, skipped = _from_table(data)
    else:
        raise UsageError(f"{FLAG} {data} must be a folder, a .tsv or .csv table, or an uncompressed .tar archive")
    if not found:
        raise UsageError(f"{FLAG} {data} holds no picture with a caption ({skipped:,} without one)")
    if len(found) > MAX_PICTURES:
        raise UsageError(f"{FLAG} {data} holds more than {MAX_PICTURES:,} pictures; name a part of them")
    left = f"; {skipped:,} without a caption, or missing, are left out" if skipped else ""
    report(f"{data} holds {len(found):,} pictures with {sum(len(each.captions) for each in found):,} captions{left}")
    return found


def clean(captions: Iterable[str]) -> tuple[str, ...]:
    """Return captions on one line each, without control characters, cut at MAX_CAPTION; each once, none empty."""
    readable = (text.encode("utf-8", "ignore").decode() for text in captions)
    plain = (" ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())[:MAX_CAPTION].strip() for text in readable)
    return tuple(islice(dict.fromkeys(filter(None, plain)), MAX_CAPTIONS))


def _from_folder(data: Path) -> tuple[list[Captioned], int]:
    files = sorted(_files(data))
    pictures = [name for name in files if _suffix(name) in PICTURES]
    texts = {name[: -len(".txt")]: name for name in files if _suffix(name) == ".txt"}
    beside = {name: texts[stem] for name in pictures if (stem := name[: -len(_suffix(name))]) in texts}
    if beside:
        pairs = [(name, clean(_lines(data / beside[name]))) for name in pictures if name in beside]
    else:
        archives = [data / name for name in files if _suffix(name) == ".tar"]
        if archives:
            return _from_archives(archives)
        pairs = [(name, _class_captions(name)) for name in pictures if "/" in name]
    if not pairs:
        raise _no_captions(data, len(pictures), [name for name in files if _suffix(name) in SUFFIXES])
    found = [_in_file(data, name, captions) for name, captions in pairs if captions]
    return found, len(pictures) - len(found)


def _files(data: Path) -> Iterator[str]:
    """Yield the paths of the files in a folder, relative to it, without hidden ones; linked folders are not entered."""

    def refuse(error: OSError) -> None:
        raise UsageError(f"{FLAG} {error.filename} cannot be read ({error.strerror}); check the folder") from error

    for folder, folders, files in os.walk(data, onerror=refuse):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        inside = Path(folder).relative_to(data)
        yield from ((inside / name).as_posix() for name in files if not name.startswith("."))


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _no_captions(data: Path, pictures: int, tables: list[str]) -> UsageError:
    if not pictures:
        return UsageError(f"{FLAG} {data} holds no pictures and no .tar archives; name a folder that does")
    way = f"name the table {data / tables[0]} itself" if tables else "write name.txt beside name.jpg"
    return UsageError(
        f"{FLAG} {data} has no captions: none of its {pictures:,} pictures has a text of its name beside it, or "
        f"is in a folder named after what it shows; {way}"
    )


def _class_captions(name: str) -> tuple[str, ...]:
    """Return what a picture in the folder "red_apple" is called, by TEMPLATES."""
    label = " ".join(re.split(r"[\s_-]+", PurePosixPath(name).parent.name)).strip()
    article = "an" if label[:1].lower() in tuple("aeiou") else "a"
    return clean(template.format(label, a=article) for template in TEMPLATES) if label else ()


def _lines(path: Path) -> list[str]:
    try:
        return read_regular(Path(realpath(path)), MAX_TEXT).decode("utf-8-sig", "replace").splitlines()
    except OSError:  # the picture has no caption then
        return []


def _in_file(folder: Path, name: str, captions: tuple[str, ...]) -> Captioned:
    path = folder / name
    try:
        status = path.stat()
        stamp = f"{status.st_size} {status.st_mtime_ns}"
    except OSError:  # it is gone, which is said when it is read
        stamp = ""
    return Captioned(name, captions, stamp, partial(_file_content, path))


def _file_content(path: Path) -> bytes:
    return read_regular(Path(realpath(path)), MAX_BYTES)


def _from_table(data: Path) -> tuple[list[Captioned], int]:
    rows, skipped = read_table(data, FLAG)
    pairs = [(name, clean(captions)) for name, captions in rows.items()]
    found = [_in_file(data.parent, name, captions) for name, captions in pairs if captions]
    return found, skipped + len(pairs) - len(found)


def _archives(data: Path) -> list[Path]:
    """Return the archives that a path names or is a pattern of."""
    if data.suffix.lower() != ".tar" or data.is_dir():
        return []
    if lexists(data):
        return [data]
    spelled = _expanded(str(data))
    found = [path for each in spelled for path in (sorted(glob.glob(each)) if glob.has_magic(each) else [each])]  # noqa: PTH207 - it may be absolute
    if not found or len(found) > MAX_FILES:
        raise UsageError(f"{FLAG} {data} stands for {len(found):,} files, of 1 to {MAX_FILES:,} that it may; check it")
    return [Path(each) for each in found]


def _expanded(pattern: str) -> list[str]:
    """Return the names that "{000..009}" stands for; the first number tells how many digits each has."""
    match = _RANGE.search(pattern)
    if not match:
        return [pattern]
    first, last = int(match[1]), int(match[2])
    if not first <= last < first + MAX_FILES:
        raise UsageError(f"{FLAG} {match[0]} must go up, by less than {MAX_FILES:,}")
    numbers = (str(number).zfill(len(match[1])) for number in range(first, last + 1))
    names = [each for number in numbers for each in _expanded(pattern.replace(match[0], number, 1))]
    return names[: MAX_FILES + 1]


def _from_archives(paths: list[Path]) -> tuple[list[Captioned], int]:
    found: list[Captioned] = []
    skipped = 0
    for path in paths:
        try:
            pictures, without = _from_archive(Path(realpath(path)), path.name)
        except (OSError, TarError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(
                f"{FLAG} {path} cannot be read as a WebDataset archive ({reason}); fetch it again or leave it out"
            ) from error
        found += pictures
        skipped += without
        if len(found) > MAX_PICTURES:
            break
    return found, skipped


def _from_archive(path: Path, name: str) -> tuple[list[Captioned], int]:
    """Return the pictures of an archive that have a text, or a JSON file with a caption, of the same name."""
    texts: dict[str, tuple[str, ...]] = {}
    pictures: list[Member] = []
    with open_regular(path, MAX_ARCHIVE) as file:
        status = os.fstat(file.fileno())
        for member in members(file, status.st_size):
            suffix = _suffix(member.name)
            stem = member.name[: -len(suffix) or None]
            if suffix in PICTURES:
                pictures.append(member)
            elif suffix in (".txt", ".json") and member.size <= MAX_TEXT and (suffix == ".txt" or stem not in texts):
                file.seek(member.start)
                texts[stem] = _texts(suffix, file.read(member.size)) or texts.get(stem, ())
    pairs = [(each, texts.get(each.name[: -len(_suffix(each.name))])) for each in pictures]
    found = [
        Captioned(
            f"{name}/{each.name}", captions, f"{each.start} {each.size} {status.st_mtime_ns}", _reader(path, each)
        )
        for each, captions in pairs
        if captions
    ]
    return found, len(pictures) - len(found)


def _reader(path: Path, member: Member) -> Callable[[], bytes]:
    return partial(_part, path, member.start, member.size)


def _part(path: Path, start: int, size: int) -> bytes:
    if size > MAX_BYTES:
        raise OSError(27, f"it is larger than {MAX_BYTES // 10**6} MB")
    with open_regular(path, MAX_ARCHIVE) as file:
        file.seek(start)
        return file.read(size)


def _texts(suffix: str, content: bytes) -> tuple[str, ...]:
    """Return the captions in a text, one on each line, or in JSON: the value of "caption", a text or a list of them."""
    text = content.decode("utf-8-sig", "replace")
    if suffix == ".txt":
        return clean(text.splitlines())
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    value = value.get("caption") if isinstance(value, dict) else None
    return clean(each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
