"""The networks that are ready to use: safetensors in the cache, without what only their training needed. Torch-free.

For the network "vqgan/imagenet-f16-16384" it is, in the folder of that name beside the file that it was made from:

    network.safetensors           what `weights.read` reads
    network.safetensors.sha256    its hash

A network of the user's own file is "vqgan/local-" and the digits of a hash, so that its name says which it is and
tells nothing of where the file lies.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from clipgen.errors import UsageError, WeightsMissingError, unknown_value
from clipgen.util.text import quoted
from clipgen.weights.cache import DIGEST, NETWORK, Cache, beside, read_digest, sha256_of
from clipgen.weights.catalogue import IN_PARTS, RECORDS, files_of
from clipgen.weights.records import Record

STARTER = "starter/"
HUB_PREFIX = "hf-hub:"
"""Before the name of a repository of the Hugging Face hub, where the name of a CLIP is asked for."""
MAX_HEADER = 10_000_000
LOCAL = re.compile(r"(vqgan|dvae|clip)/local-[0-9a-f]{16}")


@dataclass(frozen=True)
class Header:
    """What a network's file says of it, beside the tensors: see `weights.Checkpoint`."""

    kind: str
    config: dict[str, Any]
    recipe: dict[str, Any]


def networks(kind: str) -> list[str]:
    """Return the names of the published networks of a kind, "vqgan", "dvae" or "clip"."""
    parts = {part for whole in IN_PARTS.values() for part in whole}
    return [name for name in (*RECORDS, *IN_PARTS) if name.startswith(f"{kind}/") and name not in parts]


def network_of(file: str) -> str:
    """Return the name of the network that a file, by its record's name, belongs to."""
    return next((whole for whole, parts in IN_PARTS.items() if file in parts), file)


def check_name(flag: str, name: object, kind: str) -> None:
    """Raise UsageError unless it is the name of a published network of this kind, or of a user's own."""
    if not isinstance(name, str):
        raise UsageError(f"{flag} must be a name, got {quoted(name)}")
    known = networks(kind)
    if name not in known and not (LOCAL.fullmatch(name) and name.startswith(f"{kind}/")):
        raise unknown_value(flag, name, known)


def local_name(kind: str, hashes: Sequence[str], config: dict[str, Any]) -> str:
    """Return the name of the network that a user's files, of these hashes, are with a config."""
    content = json.dumps([*hashes, config], sort_keys=True)
    return f"{kind}/local-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def network_path(name: str, cache: Cache | None = None) -> Path:
    """Return where a network is, or will be."""
    if name.startswith(STARTER):
        return Path(str(files("clipgen.starter"))) / "weights" / f"{name.removeprefix(STARTER)}.safetensors"
    return (cache or Cache()).folder / name / NETWORK


def is_ready(name: str, cache: Cache | None = None) -> bool:
    """Tell whether a network is here, made from the very files that the catalogue names."""
    cache = cache or Cache()
    path = network_path(name, cache)
    header = read_header(path)
    if name.startswith(STARTER):
        return header is not None
    if header is None or read_digest(path) is None:  # the hash is written last
        return False
    if is_own(name):
        return True
    made_from = [one.get("sha256") for one in header.recipe.get("converted_from", [])]
    records = files_of(name)
    return len(made_from) == len(records) and all(
        cache.wanted(record) in (None, digest) for record, digest in zip(records, made_from, strict=True)
    )


def missing(names: Iterable[str], cache: Cache | None = None) -> list[Record]:
    """Return the files to download before these networks can be used."""
    cache = cache or Cache()
    wanted = [name for name in dict.fromkeys(names) if not is_own(name) and not is_ready(name, cache)]
    return [record for name in wanted for record in files_of(name) if held(record, cache) is None]


def is_own(name: str) -> bool:
    """Tell whether a network needs no download: one that ships with clipgen, or of a user's own file."""
    return name.startswith(STARTER) or LOCAL.fullmatch(name) is not None


def held(record: Record, cache: Cache) -> Path | None:
    """Return the file of a record, from this cache or that of the Hugging Face hub; None if it is in neither."""
    if cache.has(record):
        return cache.path(record)
    return None if record.hub is None else hub_file(*record.hub)


def hub_file(repository: str, file: str) -> Path | None:
    """Return a file out of the cache that all programs share which use the Hugging Face hub; asks no server."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repository, file)
    except HFValidationError as error:
        raise UsageError(f"{quoted(repository)} is no repository of the Hugging Face hub ({error})") from error
    return Path(found) if isinstance(found, str) else None


def kept(cache: Cache) -> list[str]:
    """Return the names of the networks that are in a cache."""
    return sorted("/".join(path.parts[-3:-1]) for path in cache.folder.glob(f"*/*/{NETWORK}"))


def network_damage(name: str, cache: Cache) -> str | None:
    """Read the whole file of a network and say what is wrong with it; None if nothing is."""
    path = network_path(name, cache)
    wanted, found = read_digest(path), sha256_of(path)
    return None if found == wanted else f"its sha256 is {found}, not {wanted}"


def prunable(cache: Cache) -> list[Path]:
    """Return what is not needed: what is left of downloads and of old versions, and files that networks were made from.

    The hash that a file had at its first use stays, to hold another download to it. Files that are not clipgen's stay.
    """
    found = cache.leftovers()
    for name in kept(cache):
        path = network_path(name, cache)
        if not (is_own(name) or name in IN_PARTS or name in RECORDS):
            if read_header(path) and read_digest(path):
                found += [path, beside(path, DIGEST)]
        elif not is_own(name) and is_ready(name, cache) and network_damage(name, cache) is None:
            originals = [record for record in files_of(name) if cache.has(record)]
            found += [cache.path(record) for record in originals]
            found += [beside(cache.path(record), DIGEST) for record in originals if record.sha256]
    return list(dict.fromkeys(found))


def stride(name: str) -> int:
    """Return how many pixels a side a latent cell of a generator has; WeightsMissingError if that cannot be known."""
    header = read_header(network_path(name))
    if header is not None:
        kind, config = header.kind, header.config
    elif LOCAL.fullmatch(name):
        raise missing_local(name)
    else:
        kind, config = name.split("/")[0], files_of(name)[0].config
    cells = 8 if kind == "dvae" else 2 ** (len(config["ddconfig"]["ch_mult"]) - 1)
    return int(cells * config.get("space_to_depth", 1))


def missing_local(name: str) -> WeightsMissingError:
    """Say that a network of a user's own file is not here."""
    kind = name.split("/")[0]
    flag = {"clip": "--clip with --clip-weights"}.get(kind, f"--{kind}")
    return WeightsMissingError(
        f"the network {name} was made from a file of yours and is not here: name the file again, by {flag} of a run or "
        "of `clipgen replay`"
    )


def read_header(path: Path) -> Header | None:
    """Read what a network's file says of it; None if there is no such file, or it is none of ours."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MAX_HEADER:
                return None
            said = json.loads(file.read(size))["__metadata__"]
        header = Header(said["kind"], json.loads(said["config"]), json.loads(said.get("recipe", "{}")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return header if isinstance(header.config, dict) and isinstance(header.recipe, dict) else None
