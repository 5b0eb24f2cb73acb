"""The networks by name, ready to use: what was downloaded is brought into clipgen's own form once, and kept so."""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
from safetensors import SafetensorError

from clipgen import weights
from clipgen.conversion import convert
from clipgen.errors import ClipgenError, UsageError
from clipgen.printable import quoted
from clipgen.weights import Checkpoint
from clipgen.weights.cache import Cache, sha256_of, write_digest
from clipgen.weights.catalogue import files_of
from clipgen.weights.records import Record
from clipgen.weights.shelf import STARTER, held, is_own, is_ready, missing_local, network_path

Note = Callable[[str], None]


def load(name: str, note: Note = lambda _line: None) -> Checkpoint:
    """Return the network called `name`: "starter/clip", "vqgan/imagenet-f16-16384", "clip/local-0123456789abcdef".

    Raises WeightsMissingError, with the command that gets them, if its files are not here; ClipgenError if they are
    damaged. Nothing is downloaded.
    """
    if name.startswith(STARTER):
        return weights.read(weights.find(name))
    cache = Cache()
    if not is_ready(name, cache):
        if is_own(name):
            raise missing_local(name)
        with ExitStack() as stack:
            records = files_of(name)
            files = [stack.enter_context(_opened(record, cache)) for record in records]
            return keep(name, convert(files, records[0].kind, network_config(records[0])), note)
    return weights.read(network_path(name, cache))


def keep(name: str, checkpoint: Checkpoint, note: Note = lambda _line: None) -> Checkpoint:
    """Put a network into the cache, and return it; where that cannot be written, only say so."""
    cache = Cache()
    path = network_path(name, cache)
    size = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    try:
        with cache.writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            cache.check_space(name, path.parent, size)
            weights.write(path, checkpoint)
            write_digest(path, sha256_of(path))
    except (ClipgenError, SafetensorError) as error:
        note(f"warning: {name} is read anew in every run, as it cannot be kept: {error}")
    return checkpoint


def network_config(record: Record) -> dict[str, Any]:
    """Return the arguments of the network that a record's file fills."""
    return clip_config(record.config) if record.kind == "clip" else record.config


def clip_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return what `Perceptor` takes for a `model` that open_clip knows; UsageError if it knows none of that name."""
    known = open_clip.get_model_config(config["model"])
    if known is None:
        near = difflib.get_close_matches(config["model"], open_clip.list_models(), n=3, cutoff=0.0)
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
    with _unpacked(path, record.member, cache) as inner:
        yield inner


@contextmanager
def _unpacked(path: Path, member: str, cache: Cache) -> Iterator[Path]:
    """Take one file out of a zip archive, for as long as it is needed."""
    with TemporaryDirectory(prefix=".unpacked-", dir=path.parent) as folder, cache.writing():
        try:
            with zipfile.ZipFile(path) as archive:
                inner = next((one for one in archive.infolist() if one.filename.split("/")[-1] == member), None)
                if inner is None:
                    raise UsageError(f"{path} has no {member} in it; get it again")
                cache.check_space(path.name, path.parent, inner.file_size)
                inner.filename = member  # whatever folder it names
                unpacked = Path(archive.extract(inner, folder))
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise ClipgenError(f"{path} is no zip archive that can be read ({error}); get it again") from error
        yield unpacked
