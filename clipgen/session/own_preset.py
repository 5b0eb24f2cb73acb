"""`--preset FOLDER`: what networks of one's own mean for a job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipgen.config.own_presets import OwnPreset, read_own_preset
from clipgen.config.preset import OWN, PRIOR
from clipgen.config.presets import PRESETS
from clipgen.config.priors import KIND
from clipgen.errors import UsageError
from clipgen.weights.registry import read_header

AUTOENCODERS = ("vqgan", "dvae")
"""The networks that draw; a folder's first one is its default."""


def is_folder(preset: str | None) -> bool:
    """Tell whether the value of `--preset` is the path of a folder, and not a name."""
    if preset is None or preset in PRESETS:
        return False
    try:
        return os.sep in preset or Path(preset).is_dir()
    except (OSError, ValueError):  # no file can have such a name
        return False


def own_fields(folder: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a job that a preset of one's own stands for, but for those that are given.

    Its networks are imported under names that their content decides. Raises UsageError for a folder that is none, or
    that lacks what is asked for.
    """
    from clipgen.weights.imports import import_trained

    preset = read_own_preset(Path(folder).expanduser())
    drawing = next((kind for kind in AUTOENCODERS if kind in preset.networks), "pixels")
    given = {name: value for name, value in given.items() if value is not None}
    fields: dict[str, Any] = {"backend": drawing, **given, "preset": OWN}
    if "clips" not in given:
        fields["clips"] = (import_trained("clip", preset.path("clip")),)
    backend = fields["backend"]
    if backend in AUTOENCODERS and "network" not in given:
        fields["network"] = import_trained(backend, preset.path(backend))
    if given.get("start") == PRIOR:
        fields["prior"] = _prior(preset, backend, import_trained)
    if not ("size" in given or "init" in given):
        fields["size"] = preset.size
    return fields


def _prior(preset: OwnPreset, backend: str, import_trained: Any) -> str:
    """Return the name of the prior; raises UsageError if it has not learned the codes of the backend's network."""
    path = preset.path("prior")
    header = read_header(path)
    of = header.config.get("autoencoder", {}) if header else {}
    if backend not in preset.networks or of.get("sha256") != preset.networks[backend].sha256:
        raise UsageError(
            f"--start {PRIOR}: its prior has learned the codes of another {of.get('kind', 'network')} "
            f"than its {backend} is now; run clipgen train prior --data PICTURES --out {preset.folder} again"
        )
    name: str = import_trained(KIND, path)
    return name
