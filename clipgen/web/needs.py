"""What the presets need and this machine lacks: which files, how large, on what terms. Torch-free.

Weights are named by a preset and the few settings that choose its models, never by an address or a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clipgen.config.choice import chosen_preset, networks_with
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.preset import AUTO, OWN
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.errors import UsageError
from clipgen.util.text import readable_bytes
from clipgen.web.failures import ConflictError
from clipgen.web.options import read_settings
from clipgen.weights import registry
from clipgen.weights.cache import Cache
from clipgen.weights.fetch import is_offline
from clipgen.weights.records import Record, bytes_of

CHOICES = ("preset", "backend", "recipe", "start")
"""The settings that choose models."""
PULL = "clipgen models pull"
OFFLINE = "downloads are switched off by HF_HUB_OFFLINE"
_ANY = parse_prompts("a cat")  # which all presets know


@dataclass(frozen=True)
class Need:
    """What a preset needs that is not on this machine."""

    preset: str
    records: tuple[Record, ...]

    @cached_property
    def files(self) -> tuple[Record, ...]:
        """The files that can be downloaded here."""
        return tuple(record for record in self.records if Cache().expected_sha256(record))

    @property
    def by_hand(self) -> tuple[Record, ...]:
        """The files that nothing can be checked by: only the user may trust them."""
        return tuple(record for record in self.records if record not in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return what the page shows."""
        cache = Cache()
        return {
            "preset": self.preset,
            "bytes": sum(bytes_left(record, cache) for record in self.files),
            "exact": all(record.size is not None for record in self.files),
            "files": [_described(record, cache) for record in self.files],
            "by_hand": [_described(record, cache) for record in self.by_hand],
            "command": command_for(self.by_hand) if self.by_hand else None,
        }


def bytes_left(record: Record, cache: Cache) -> int:
    """Return how many bytes of a file have not arrived yet."""
    try:
        arrived = cache.part(record).stat().st_size
    except OSError:  # there is none, or it has just become the file
        arrived = 0
    return max(bytes_of(record) - arrived, 0)


def _described(record: Record, cache: Cache) -> dict[str, Any]:
    return {
        "name": record.name,
        "file": record.file,
        "bytes": bytes_of(record),
        "left": bytes_left(record, cache),
        "licence": record.licence,
    }


def command_for(records: Iterable[Record]) -> str:
    """Return the command of the terminal that gets files."""
    records, cache = list(records), Cache()
    names = dict.fromkeys(registry.network_of(record.name) for record in records)
    trust = [] if all(map(cache.expected_sha256, records)) else ["--trust-on-first-use"]
    return " ".join((PULL, *names, *trust))


def needs(settings: Mapping[str, Any], device: str = "auto") -> list[Need]:
    """Return what each preset needs with some settings; the presets that cannot have them are left out."""
    names = (AUTO, *(name for name in PRESETS if name != OWN))
    found = (need_of({**settings, "preset": name}, device) for name in names)
    return [need for need in found if need is not None]


def need_of(settings: Mapping[str, Any], device: str = "auto") -> Need | None:
    """Return what a preset needs; None if it cannot have the other settings, or they make no job.

    settings: untrusted; those that choose no models are not looked at. Raises UsageError for an unknown value.
    """
    asked = read_settings({name: settings[name] for name in CHOICES if name in settings})
    try:
        job = Job(_ANY, **asked)
        names = networks_with(job, chosen_preset(job, device)[0])
    except UsageError:
        return None
    return None if names is None else Need(job.preset, tuple(registry.missing(names)))


def check_here(plan: Plan, settings: Mapping[str, Any], coming: Sequence[Record], device: str = "auto") -> None:
    """Raise ConflictError, which says what to do, if networks of a plan are not on this machine.

    settings: those that were asked for. coming: the files that are being downloaded.
    """
    lacking = registry.missing(plan.networks)
    if not lacking:
        return
    size = readable_bytes(sum(bytes_left(record, Cache()) for record in lacking))
    line = f"preset {plan.preset} needs {size} that are not on this machine"
    command = command_for(lacking)
    if all(record in coming for record in lacking):
        raise ConflictError(f"{line} yet; draw this once the download is over")
    if is_offline():
        raise ConflictError(f"{line}, and {OFFLINE}; start clipgen web without it, or get them before, with: {command}")
    need = need_of(settings, device)
    if need and all(record in need.files for record in lacking):
        raise ConflictError(f"{line} yet; press Download, below the choice of preset, or type: {command}")
    raise ConflictError(f"{line}; get them with: {command}")
