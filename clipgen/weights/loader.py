"""Networks by name; a downloaded file is converted when it is first used, and the result is stored in the cache."""

from __future__ import annotations

import difflib
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
from safetensors import SafetensorError

from clipgen import weights
from clipgen.errors import ClipgenError, UsageError
from clipgen.util.text import quoted
from clipgen.weights import Checkpoint
from clipgen.weights.cache import UNPACKED, Cache, beside, sha256_of, write_digest
from clipgen.weights.catalogue import find_record
from clipgen.weights.conversion import convert
from clipgen.weights.files import find_file, sources
from clipgen.weights.packaged import PACKAGED, changed_file, find_packaged
from clipgen.weights.records import Record
from clipgen.weights.registry import STARTER, is_own, is_ready, missing_local, network_path
from clipgen.weights.upscaler_records import KIND as UPSCALER
from clipgen.weights.upscalers import convert_upscaler

Note = Callable[[str], None]
"""Takes a line of text for the user."""


def load(name: str, note: Note = lambda _line: None) -> Checkpoint:
    """Load a network: "starter/clip", "classifier/efficientnet-lite0", "clip/local-0123456789abcdef".

    Downloads nothing. Raises WeightsMissingError with the command that gets the files if they are missing, and
    ClipgenError if they are damaged.
    """
    if name in PACKAGED:
        return _packaged(name)
    if name.startswith(STARTER):
        return weights.read(weights.find(name))
    cache = Cache()
    if is_ready(name, cache):
        return _read(name, cache)
    if is_own(name):
        raise missing_local(name)
    with ExitStack() as stack:
        records = sources(name, cache)
        files = [stack.enter_context(_verified_file(record, cache)) for record in records]
        if records[0].kind == UPSCALER:
            checkpoint = convert_upscaler(files[0])
        else:
            checkpoint = convert(files, records[0].kind, network_config(records[0]), averaged=records[0].averaged)
    checkpoint = replace(checkpoint, recipe=_as_downloaded(checkpoint.recipe, records, cache))
    try:
        store(name, checkpoint)
    except ClipgenError as error:
        note(f"warning: {name} is converted in every run, as the result cannot be stored: {error}")
    return checkpoint


def plain_file(name: str) -> Path:
    """Return the downloaded file of a record that is no network, once its hash is checked; raises as `load` does."""
    with _verified_file(find_record(name), Cache()) as path:
        return path


def _as_downloaded(recipe: dict[str, Any], records: Sequence[Record], cache: Cache) -> dict[str, Any]:
    """Return a recipe in which a file out of an archive is named by the archive, as the record is."""
    named = [
        made if record.member is None else {"file": record.file, "sha256": cache.expected_sha256(record)}
        for made, record in zip(recipe["converted_from"], records, strict=True)
    ]
    return {**recipe, "converted_from": named}


def _packaged(name: str) -> Checkpoint:
    """Convert the file of a package, which is quick enough to be done in every run."""
    row, path = PACKAGED[name], find_packaged(name)
    if (found := sha256_of(path)) != row.sha256:
        raise changed_file(name, path, found)
    return convert(path, row.kind, row.config)


def store(name: str, checkpoint: Checkpoint) -> None:
    """Write a network and its hash to the cache. Raises ClipgenError if that is not possible."""
    cache = Cache()
    path = network_path(name, cache)
    size = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    with cache.writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        cache.check_space(name, path.parent, size)
        try:
            weights.write(path, checkpoint)
        except SafetensorError as error:  # safetensors raises it when the disk is full
            raise OSError(f"{path.name}: {error}") from error
        write_digest(path, sha256_of(path))


def _read(name: str, cache: Cache) -> Checkpoint:
    try:
        return weights.read(network_path(name, cache))
    except ClipgenError as error:
        again = "name your file again" if is_own(name) else "type the same command again"
        raise ClipgenError(f"{name} is damaged ({error}): clipgen models rm {name} --yes, then {again}") from error


def network_config(record: Record) -> dict[str, Any]:
    """Return the config of the network whose weights the file of a record holds."""
    return clip_config(record.config) if record.kind == "clip" else record.config


def clip_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a CLIP whose architecture open_clip knows by name.

    config: `model`, open_clip's name; every other key replaces that of open_clip's model config. Raises UsageError with
    the nearest names if open_clip has no such model.
    """
    models = open_clip.list_models()  # checked first, for open_clip opens a folder or asks the hub for some other names
    known = open_clip.get_model_config(config["model"]) if config["model"] in models else None
    if known is None:
        near = difflib.get_close_matches(config["model"], models, n=3, cutoff=0.0)
        raise UsageError(f"--clip: open_clip has no model {quoted(config['model'])}; the nearest are {', '.join(near)}")
    return {**known, **{name: value for name, value in config.items() if name != "model"}}


@contextmanager
def _verified_file(record: Record, cache: Cache) -> Iterator[Path]:
    """Give the file with the weights of a record, once its hash is checked; a zip archive is unpacked for as long."""
    path = find_file(record, cache) or cache.find(record)
    wanted = cache.expected_sha256(record)
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
    """Unpack one file of a zip archive and delete it afterwards; one process at a time."""
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
    """Copy the file called `member` out of an archive, whatever folder it is in there, to `target`."""
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
