"""The networks by name, ready to use: what was downloaded is brought into clipgen's own form once, and kept so."""

from __future__ import annotations

import difflib
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import open_clip
from safetensors import SafetensorError

from clipgen import weights
from clipgen.errors import ClipgenError, UsageError
from clipgen.util.text import quoted
from clipgen.weights import Checkpoint
from clipgen.weights.cache import UNPACKED, Cache, beside, sha256_of, write_digest
from clipgen.weights.catalogue import files_of
from clipgen.weights.conversion import convert
from clipgen.weights.records import Record
from clipgen.weights.registry import STARTER, held, is_own, is_ready, missing_local, network_path

Note = Callable[[str], None]


def load(name: str, note: Note = lambda _line: None) -> Checkpoint:
    """Return the network called `name`: "starter/clip", "vqgan/imagenet-f16-16384", "clip/local-0123456789abcdef".

    Raises WeightsMissingError, with the command that gets them, if its files are not here; ClipgenError if they are
    damaged. Nothing is downloaded.
    """
    if name.startswith(STARTER):
        return weights.read(weights.find(name))
    cache = Cache()
    if is_ready(name, cache):
        return _read(name, cache)
    if is_own(name):
        raise missing_local(name)
    with ExitStack() as stack:
        records = files_of(name)
        files = [stack.enter_context(_opened(record, cache)) for record in records]
        checkpoint = convert(files, records[0].kind, network_config(records[0]))
    try:
        keep(name, checkpoint)
    except ClipgenError as error:
        note(f"warning: {name} is read anew in every run, as it cannot be kept: {error}")
    return checkpoint


def keep(name: str, checkpoint: Checkpoint) -> None:
    """Put a network into the cache. Raises ClipgenError if that cannot be written."""
    cache = Cache()
    path = network_path(name, cache)
    size = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    with cache.writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        cache.check_space(name, path.parent, size)
        try:
            weights.write(path, checkpoint)
        except SafetensorError as error:  # of a disk that is full
            raise OSError(f"{path.name}: {error}") from error
        write_digest(path, sha256_of(path))


def _read(name: str, cache: Cache) -> Checkpoint:
    try:
        return weights.read(network_path(name, cache))
    except ClipgenError as error:
        again = "name your file again" if is_own(name) else "type the same command again"
        raise ClipgenError(f"{name} is damaged ({error}): clipgen models rm {name} --yes, then {again}") from error


def network_config(record: Record) -> dict[str, Any]:
    """Return the arguments of the network that a record's file fills."""
    return clip_config(record.config) if record.kind == "clip" else record.config


def clip_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return what `Perceptor` takes for a `model` that open_clip knows; UsageError if it knows none of that name."""
    models = open_clip.list_models()  # asked first: of other names open_clip may open a folder, or ask the hub
    known = open_clip.get_model_config(config["model"]) if config["model"] in models else None
    if known is None:
        near = difflib.get_close_matches(config["model"], models, n=3, cutoff=0.0)
        raise UsageError(f"--clip: open_clip has no model {quoted(config['model'])}; the nearest are {', '.join(near)}")
    return {**known, **{name: value for name, value in config.items() if name != "model"}}


@contextmanager
def _opened(record: Record, cache: Cache) -> Iterator[Path]:
    """Find the file with the weights of a record, and check that it is what it was when it came."""
    path = held(record, cache) or cache.find(record)
    wanted = cache.wanted(record)
    if wanted and sha256_of(path) != wanted:
        raise ClipgenError(
            f"{path} is damaged: its sha256 is no longer {wanted}; get it again with: "
            f"clipgen models rm {record.name} --yes && clipgen models pull {record.name}"
        )
    if record.member is None:
        yield path
        return
    with _unpacked(path, record, record.member) as inner:
        yield inner


@contextmanager
def _unpacked(path: Path, record: Record, member: str) -> Iterator[Path]:
    """Take one file out of a zip archive, for as long as it is needed; one process does so at a time."""
    cache = Cache()
    unpacked, lock = beside(cache.path(record), UNPACKED), cache.lock(record)
    with cache.writing():
        lock.acquire()
    try:
        with cache.writing():
            _extract(path, member, unpacked, cache)
        yield unpacked
    finally:
        unpacked.unlink(missing_ok=True)
        lock.release()


def _extract(path: Path, member: str, target: Path, cache: Cache) -> None:
    """Write the file called `member`, in whatever folder of an archive it is, to `target`."""
    try:
        with zipfile.ZipFile(path) as archive:
            inner = next((one for one in archive.infolist() if one.filename.split("/")[-1] == member), None)
            if inner is None:
                raise ClipgenError(f"{path} has no {member} in it; get it again")
            cache.check_space(path.name, path.parent, inner.file_size)
            with archive.open(inner) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ClipgenError(f"{path} is no zip archive that can be read ({error}); get it again") from error
