"""The files that networks are made from: which are on this machine, and which to download. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipgen.errors import UsageError
from clipgen.util.text import quoted
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import files_of, forms_of
from clipgen.weights.records import Record, hub_revision


def sources(network: str, cache: Cache, made_from: Sequence[str | None] = ()) -> tuple[Record, ...]:
    """Return the records of the files to make a network from, one for each of its parts.

    Of several files with the same weights it is the one that the network was made from, else the first that is here,
    else the first. made_from: the sha256 of the files that the network in the cache was made from.
    """
    digests = (*made_from, *[None] * len(files_of(network)))
    return tuple(_source(record, cache, digest) for record, digest in zip(files_of(network), digests, strict=False))


def _source(record: Record, cache: Cache, digest: str | None) -> Record:
    forms = forms_of(record)
    used = (form for form in forms if digest and cache.expected_sha256(form) == digest)
    here = (form for form in forms if find_file(form, cache) is not None)
    return next(used, None) or next(here, forms[0])


def find_file(record: Record, cache: Cache) -> Path | None:
    """Return the file of a record in this cache or in that of the Hugging Face hub; None if it is in neither."""
    if cache.has(record):
        return cache.path(record)
    if record.hub is None:
        return None
    revisions = (hub_revision(address) for address in record.mirrors if f"/{record.hub[0]}/" in address)
    found = (hub_file(*record.hub, revision) for revision in revisions)
    return next((path for path in found if path), None)


def hub_file(repository: str, file: str, revision: str | None = None) -> Path | None:
    """Return a file of a repository from the local cache of the Hugging Face hub; None if it is not there.

    revision: a commit or a branch, "main" by default. Asks no server. Raises UsageError for what cannot be the name of
    a repository.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repository, file, revision=revision)
    except HFValidationError as error:
        raise UsageError(f"{quoted(repository)} is no repository of the Hugging Face hub ({error})") from error
    return Path(found) if isinstance(found, str) else None
