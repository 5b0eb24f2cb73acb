"""Downloads of weights that come in several files: if one cannot be had, another with the same weights is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from clipgen.errors import ClipgenError
from clipgen.weights.catalogue import forms_of
from clipgen.weights.fetch import Fetcher
from clipgen.weights.records import Record, describe_size


def pull_any(fetcher: Fetcher, record: Record, pull: Callable[[Record], Path]) -> tuple[Record, Path]:
    """Download a file, or else another with the same weights; returns the record of the file that came, and its path.

    pull: downloads one file with the fetcher. Raises what it raises for the last file, and at once when offline.
    """
    forms = forms_of(record)
    for form, other in pairwise(forms[forms.index(record) :]):
        try:
            return form, pull(form)
        except ClipgenError as error:
            if fetcher.is_offline:
                raise
            fetcher.note(f"{error}; trying {other.file} instead, {describe_size(other)}")
    return forms[-1], pull(forms[-1])
