"""`clipgen models list`: the networks by kind, with what each is good for, in lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from clipgen.util.text import visible
from clipgen.weights.catalogue import IN_PARTS
from clipgen.weights.files import sources
from clipgen.weights.records import describe_sizes
from clipgen.weights.registry import network_of

if TYPE_CHECKING:
    from clipgen.weights.cache import Cache

WIDTH = 80
HEADINGS = {
    "clip": "CLIPs tell how well a picture fits a text: they guide (--clip) and judge.",
    "vqgan": "VQGANs draw with a codebook of picture parts (--vqgan).",
    "dvae": "dVAEs draw with a codebook, too (--dvae).",
    "kl": "Continuous autoencoders draw without a codebook (--kl).",
    "titok": "TiToks draw with a short sequence of tokens (--titok).",
    "dalle-mini": "DALL-E minis write a picture's codes for a text.",
    "tokenizer": "Tokenizers of texts; each DALL-E mini needs its own.",
    "aesthetic": "Scores of beauty (--loss aesthetic).",
    "classifier": "Classifiers know the 1,000 classes of ImageNet (--perceptor).",
    "upscaler": "Networks that enlarge finished pictures (--upscale, --upscaler).",
}
"""By kind of network; any other has its kind as the heading."""
LEGEND = (
    "*  belongs to a preset     ready  can be used at once     here  is downloaded",
    "clipgen models show NAME  says more of one     clipgen models pull NAME  gets it",
)


def lines(rows: Sequence[dict[str, Any]], cache: Cache) -> Iterator[str]:
    """Yield the lines of the list. rows: as `inventory` returns them."""
    networks = merged(rows, cache)
    kinds = dict.fromkeys((*HEADINGS, *(row["kind"] for row in networks)))
    for kind in kinds:
        some = [row for row in networks if row["kind"] == kind]
        if some:
            yield HEADINGS.get(kind, kind)
            yield ""
            for row in some:
                yield from _of(row)
            yield ""
    yield from LEGEND


def merged(rows: Sequence[dict[str, Any]], cache: Cache) -> list[dict[str, Any]]:
    """Return a row for each network, of the rows for each file: parts together, and the file that would be taken."""
    by_name = {row["name"]: row for row in rows}
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = network_of(row["name"])
        if name in found:
            continue
        if "file" not in row:  # not of the catalogue
            found[name] = row
            continue
        records = sources(name, cache)
        files = [by_name[record.name] for record in records]
        found[name] = {
            **files[0],
            "name": name,
            "summary": files[0]["summary"] if name not in IN_PARTS else "; ".join(one["summary"] for one in files),
            "size": describe_sizes(records),
            "cached": all(one["cached"] for one in files),
            "partial_bytes": sum(one["partial_bytes"] for one in files),
            "needs_trust_on_first_use": any(one["needs_trust_on_first_use"] for one in files),
        }
    return list(found.values())


def state_of(row: dict[str, Any]) -> str:
    """Return in a word or two what of a network is on this machine; "" for nothing."""
    return "ready" if row["ready"] else "here" if row["cached"] else "in part" if row["partial_bytes"] else ""


def _of(row: dict[str, Any]) -> Iterator[str]:
    size = row["size"].replace("about ", "~").replace("1 file of unknown size", "?").replace("of unknown size", "?")
    mark = "*" if row["presets"] else " "
    yield f"{mark} {visible(row['name']):<46} {size:>9}  {state_of(row)}".rstrip()
    package = f", package {row['package']}" if "package" in row else ""
    trust = " No published hash." if row["needs_trust_on_first_use"] else ""
    text = f"{visible(row['good_for'] or row['summary'] + '.')} Licence: {row['licence']}{package}.{trust}"
    yield from wrapped(text, "    ", "    ")


def wrapped(text: str, first: str, rest: str) -> list[str]:
    """Break a text into lines that begin with `first` and `rest`; a name is never broken at its hyphens."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
