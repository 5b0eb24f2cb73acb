"""What the name of a CLIP says of a user's own weights: the architecture, the input, and the activation.

The activation leaves no trace in the shapes: OpenAI trained with QuickGELU, open_clip's authors mostly with the exact
GELU, and a network with the wrong one sees something else. open_clip decides by the name, and so does this module:
OpenAI's weights have QuickGELU, and so has a model called "...-quickgelu"; any other has what its config says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip

from clipgen.weights.catalogue import RECORDS
from clipgen.weights.clip_layouts import OPENAI_MARKS, TRANSFORMERS_ANCHORS
from clipgen.weights.clips import CLIP_MEAN, CLIP_STD, other_preprocessing
from clipgen.weights.config_files import says_quick_gelu
from clipgen.weights.foreign import read_foreign
from clipgen.weights.loader import clip_config
from clipgen.weights.registry import known_network, without_signs

QUICK = "-quickgelu"
"""Ends the names of models with that activation."""


def named_config(model: str, file: Path) -> tuple[dict[str, Any], str]:
    """Return the config of the CLIP in a file whose architecture is named, and what was assumed, or "".

    model: open_clip's name, "ViT-B-32", or one of `clipgen models list`. Raises UsageError for an unknown name.
    """
    plain = open_clip_name(model)
    published = None if plain else known_network("clip", model)
    if published in RECORDS:
        return clip_config(RECORDS[published].config), ""
    seen = {"mean": list(CLIP_MEAN), "std": list(CLIP_STD), **_input_of(plain)}
    if not plain and (base := open_clip_name(model.lower().removesuffix(QUICK))):
        return clip_config({"model": base, "quick_gelu": True, **seen}), ""
    config = clip_config({"model": plain or model, **seen})
    quick, said = _activation(plain or model, file, config)
    return config | ({"quick_gelu": True} if quick else {}), said


def open_clip_name(text: str) -> str | None:
    """Return open_clip's name of a model, which may be typed as OpenAI does, "ViT-L/14@336px"; None for no model."""
    models = {name.lower(): name for name in open_clip.list_models()}
    return text if text in models.values() else models.get(without_signs(text))


def _input_of(model: str | None) -> dict[str, Any]:
    """Return mean, std, and what is not OpenAI's in the preprocessing of a model of open_clip.

    Empty if its published weights do not agree, or there are none.
    """
    tags = open_clip.list_pretrained_tags_by_model(model) if model else []
    known = [open_clip.get_pretrained_cfg(model, tag) for tag in tags]
    found = [{"mean": list(one["mean"]), "std": list(one["std"])} | other_preprocessing(one) for one in known]
    return found[0] if found and all(one == found[0] for one in found) else {}


def _activation(model: str, file: Path, config: Mapping[str, Any]) -> tuple[bool, str]:
    """Tell whether weights need QuickGELU although the config of their model has none, and what was assumed, or ""."""
    if config.get("quick_gelu"):
        return False, ""
    state = read_foreign(file)
    if any(name.split(".")[-1] in OPENAI_MARKS for name in state):
        return True, ""
    if any(name.endswith(TRANSFORMERS_ANCHORS) for name in state):
        said = says_quick_gelu(file)
        if said is not None:
            return said, ""
    if model + QUICK not in open_clip.list_models():  # there are no weights with the other one
        return False, ""
    return False, (
        f"{file.name} does not tell its activation: took the exact GELU, as open_clip does for {model}; weights that "
        f"were fine-tuned from OpenAI's need --clip {model}{QUICK}"
    )
