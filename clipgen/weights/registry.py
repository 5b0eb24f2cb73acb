"""The networks by name: which exist, which are in the cache ready to use, and what their files say. Torch-free.

There are four sorts of names:

    starter/vqgan                   ships with clipgen
    vqgan/imagenet-f16-16384        published: a row of `clipgen.weights.catalogue`, to be downloaded
    classifier/efficientnet-lite0   a data file of an installed package: a row of `clipgen.weights.packaged`
    vqgan/local-0123456789abcdef    imported from a user's own file; the digits are a hash of its content

The second and the last are converted to clipgen's own format once, without what only training needed. The result lies
in the cache, in the folder called like the network:

    network.safetensors           what `weights.read` reads
    network.safetensors.sha256    its hash, written last
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from clipgen.errors import UsageError, WeightsMissingError, unknown_value
from clipgen.util.text import quoted
from clipgen.weights.cache import DIGEST, NETWORK, Cache, beside, read_digest, sha256_of
from clipgen.weights.catalogue import IN_PARTS, RECORDS, files_of, forms_of
from clipgen.weights.files import find_file, sources
from clipgen.weights.kinds import STARTER_PACKAGE
from clipgen.weights.packaged import PACKAGED, find_packaged, is_installed
from clipgen.weights.records import Record

STARTER = "starter/"
"""Begins the names of the networks that ship with clipgen."""
SHA256SUMS = "SHA256SUMS"
"""The file with the hashes of the starter networks, as `sha256sum` writes it."""
HUB_PREFIX = "hf-hub:"
"""Begins the name of a CLIP that is to be taken from the cache of the Hugging Face hub: "hf-hub:owner/name"."""
TIMM_PREFIX = "timm:"
"""Begins the name of a classifier of timm's, "timm:resnet50", whose weights are in a user's own file."""
MAX_HEADER = 10_000_000
"""Bytes of a safetensors header that are read; those of real networks are far shorter."""
LOCAL = re.compile(r"(vqgan|dvae|kl|titok|clip|classifier|token-prior|upscaler)/local-[0-9a-f]{16}")
"""Matches the whole name of a network imported from a user's own file."""

_CELLS: dict[str, Callable[[dict[str, Any]], int]] = {
    "vqgan": lambda config: 2 ** (len(config["ddconfig"]["ch_mult"]) - 1),
    "dvae": lambda _config: 8,
    "kl": lambda config: 2 ** (len(config["ddconfig"]["ch_mult"]) - 1) if "ddconfig" in config else 8,
    "titok": lambda config: config["side"],
}
"""By kind of network: the side of a latent cell, in the pixels that its config says it sees."""
_CODES = {"vqgan": "n_embed", "dvae": "vocab_size", "titok": "n_embed"}
"""By kind of network: the key of its config that says how many codes there are; one without has no tokens."""
_LENGTHS = {"titok": "tokens"}
"""By kind of network whose tokens are a sequence: the key that says how long that is."""


@dataclass(frozen=True)
class Header:
    """What the header of a network's file says: the fields of `weights.Checkpoint` without the tensors."""

    kind: str
    config: dict[str, Any]
    recipe: dict[str, Any]

    @property
    def made_from(self) -> list[str | None]:
        """The sha256 of the files that it was converted from."""
        return [one.get("sha256") for one in self.recipe.get("converted_from", [])]


def networks(kind: str) -> list[str]:
    """Return the names of the networks of a kind, "vqgan", "clip" or another, that are not the user's."""
    parts = {part for whole in IN_PARTS.values() for part in whole}
    whole = [name for name, record in RECORDS.items() if not record.instead_of and name not in parts]
    return [name for name in (*whole, *IN_PARTS, *PACKAGED) if name.startswith(f"{kind}/")]


def network_of(file: str) -> str:
    """Return the name of the network that a file of the catalogue is, or is a part of."""
    name = RECORDS[file].network if file in RECORDS else file
    return next((whole for whole, parts in IN_PARTS.items() if name in parts), name)


def check_name(flag: str, name: object, kind: str) -> None:
    """Raise UsageError, which names the flag, unless `name` is that of a network of the kind."""
    if not isinstance(name, str):
        raise UsageError(f"{flag} must be a name, got {quoted(name)}")
    known = networks(kind)
    if name not in known and not (LOCAL.fullmatch(name) and name.startswith(f"{kind}/")):
        raise unknown_value(flag, name, known)


def known_network(kind: str, text: str) -> str | None:
    """Return the network that a text names, such as "clip/openai-vit-b-32" for "ViT-B/32"; None if it names none."""
    if LOCAL.fullmatch(text) and text.startswith(f"{kind}/"):
        return text
    plain = without_signs(text)
    names = networks(kind)
    short = {name: name.removeprefix(f"{kind}/").removeprefix("openai-") for name in names}
    return next((name for name in names if text == name or plain in (name.removeprefix(f"{kind}/"), short[name])), None)


def without_signs(text: str) -> str:
    """Return a model's name without the signs that OpenAI's names have: "vit-l-14-336" for "ViT-L/14@336px"."""
    return text.lower().replace("/", "-").replace(":", "-").replace("@", "-").removesuffix("px")


def local_name(kind: str, hashes: Sequence[str], config: dict[str, Any]) -> str:
    """Return the name of the network made from a user's files, which their sha256 and the config decide."""
    content = json.dumps([*hashes, config], sort_keys=True)
    return f"{kind}/local-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def network_path(name: str, cache: Cache | None = None) -> Path:
    """Return the path of a network's file, which need not exist yet."""
    if name.startswith(STARTER):
        return starter_folder() / f"{name.removeprefix(STARTER)}.safetensors"
    return (cache or Cache()).folder / name / NETWORK


def starter_folder() -> Path:
    """Return the folder of the networks that ship with clipgen."""
    return Path(str(files(STARTER_PACKAGE))) / "weights"


def is_ready(name: str, cache: Cache | None = None) -> bool:
    """Tell whether a network can be read without a download or a conversion.

    False for a published one that was converted from other files than those that the catalogue names now.
    """
    if name in PACKAGED:
        return is_installed(name)
    cache = cache or Cache()
    path = network_path(name, cache)
    header = read_header(path)
    if name.startswith(STARTER):
        return header is not None
    if header is None or read_digest(path) is None:  # the digest is written last
        return False
    if is_own(name):
        return True
    made_from = header.made_from
    records = files_of(name)
    return len(made_from) == len(records) and all(
        any(cache.expected_sha256(form) in (None, digest) for form in forms_of(record))
        for record, digest in zip(records, made_from, strict=True)
    )


def missing(names: Iterable[str], cache: Cache | None = None) -> list[Record]:
    """Return the records of the files to download before these networks can be used, each once."""
    cache = cache or Cache()
    wanted = [name for name in dict.fromkeys(names) if not is_own(name) and not is_ready(name, cache)]
    return [record for name in wanted for record in sources(name, cache) if find_file(record, cache) is None]


def is_own(name: str) -> bool:
    """Tell whether a network never needs a download: it comes with clipgen, a package, or a file of the user's."""
    return name.startswith(STARTER) or name in PACKAGED or LOCAL.fullmatch(name) is not None


def cached_networks(cache: Cache) -> list[str]:
    """Return the names of the networks in a cache, sorted."""
    return sorted("/".join(path.parts[-3:-1]) for path in cache.folder.glob(f"*/*/{NETWORK}"))


def network_damage(name: str, cache: Cache) -> str | None:
    """Compare the file of a cached network with its recorded hash; return what is wrong, None if nothing is.

    That of a package is compared with the hash of its row. Raises WeightsMissingError if the package is not installed.
    """
    packaged = name in PACKAGED
    path = find_packaged(name) if packaged else network_path(name, cache)
    wanted, found = PACKAGED[name].sha256 if packaged else read_digest(path), sha256_of(path)
    return None if found == wanted else f"its sha256 is {found}, not {wanted}"


def prunable(cache: Cache) -> list[Path]:
    """Return the files in a cache that are no longer needed.

    These are remains of downloads and of earlier versions, and downloaded files whose converted network is whole. The
    recorded hash of a file that was trusted on first use stays, for the next download is checked by it. Files that
    clipgen did not write stay, too.
    """
    found = cache.leftovers()
    for name in cached_networks(cache):
        path = network_path(name, cache)
        if not (is_own(name) or name in IN_PARTS or name in RECORDS):
            if read_header(path) and read_digest(path):
                found += [path, beside(path, DIGEST)]
        elif not is_own(name) and is_ready(name, cache) and network_damage(name, cache) is None:
            originals = [form for record in files_of(name) for form in forms_of(record) if cache.has(form)]
            found += [cache.path(record) for record in originals]
            found += [beside(cache.path(record), DIGEST) for record in originals if record.sha256]
    return list(dict.fromkeys(found))


def sha256_of_network(name: str, cache: Cache | None = None) -> str:
    """Return the sha256 by which a network is known, in hexadecimal digits; "" if none is.

    For a starter network, or one that comes with a package, it is that of the file there; for a published one that of
    the file to download, with the hashes of several files joined by "+"; for a local one that of the converted network
    in the cache. No file of weights is read. Raises UsageError for an unknown published name.
    """
    if name.startswith(STARTER):
        return _starter_hashes().get(network_path(name).name, "")
    if name in PACKAGED:
        return PACKAGED[name].sha256
    cache = cache or Cache()
    if is_own(name):
        return read_digest(network_path(name, cache)) or ""
    header = read_header(network_path(name, cache)) if is_ready(name, cache) else None
    records = sources(name, cache, header.made_from if header else ())
    hashes = [cache.expected_sha256(record) for record in records]
    return "+".join(one for one in hashes if one) if all(hashes) else ""


def _starter_hashes() -> dict[str, str]:
    """Read the file that `sha256sum` wrote of the starter networks: file name -> hash."""
    lines = (starter_folder() / SHA256SUMS).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def stride(name: str) -> int:
    """Return the side of a generator's latent cell in pixels.

    Raises WeightsMissingError for a local network that is not in the cache.
    """
    kind, config = _described(name)
    return int(_CELLS[kind](config) * config.get("space_to_depth", 1))


def code_count(name: str) -> int | None:
    """Return how many codes a generator's network has; None if it has no tokens, or for ""; raises as `stride` does."""
    return _number_in_config(name, _CODES)


def sequence_length(name: str) -> int | None:
    """Return how many tokens a picture has if all are in one cell; None otherwise; raises as `stride` does."""
    return _number_in_config(name, _LENGTHS)


def _number_in_config(name: str, keys: dict[str, str]) -> int | None:
    """Return the number under a key that depends on the kind; None for other kinds, and for ""."""
    kind, config = _described(name) if name else ("", {})
    return int(config[keys[kind]]) if kind in keys else None


def _described(name: str) -> tuple[str, dict[str, Any]]:
    """Return the kind and the config of a generator's network."""
    header = read_header(network_path(name))
    if header is not None:
        return header.kind, header.config
    if LOCAL.fullmatch(name):
        raise missing_local(name)
    return name.split("/")[0], files_of(name)[0].config


def missing_local(name: str) -> WeightsMissingError:
    """Make the error for a local network that is not in the cache."""
    kind = name.split("/")[0]
    own = {"clip": "--clip with --clip-weights", "classifier": "--perceptor timm:NAME with --perceptor-weights"}
    own["token-prior"] = "--preset FOLDER"
    flag = own.get(kind, f"--{kind}")
    return WeightsMissingError(
        f"the network {name} was made from a file of yours and is not here: name the file again, by {flag} of a run or "
        "of `clipgen replay`"
    )


def read_header(path: Path) -> Header | None:
    """Read the header of a network's file; None if there is no such file, or clipgen did not write it."""
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
