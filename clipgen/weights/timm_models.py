"""Classifiers of timm: what is known of an architecture by its name, and how other programs name its tensors."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from clipgen.errors import UsageError
from clipgen.util.text import MAX_QUOTED, quoted
from clipgen.weights.registry import TIMM_PREFIX

CLASSES = 1000
"""Of ImageNet-1k, the one set of classes whose names are known."""

LITE_MARK = "_conv_stem.weight"
"""A tensor that only files of efficientnet-lite-pytorch have."""
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""The layers of a block, efficientnet-lite-pytorch's name -> timm's; a plain one expands nothing first."""
_COUNTER = ".num_batches_tracked"


def check_timm_model(name: object) -> None:
    """Raise UsageError with the nearest names unless timm has this architecture, which may end in a tag of weights.

    Nothing else that timm would open or download, such as "hf-hub:owner/name", passes.
    """
    import timm

    known = timm.list_models()
    if name in known or name in timm.list_pretrained():
        return
    near = difflib.get_close_matches(str(name)[:MAX_QUOTED], known, n=3, cutoff=0.0)
    raise UsageError(f"--perceptor: timm has no model {quoted(name)}; the nearest are {', '.join(near)}")


def timm_config(name: str) -> dict[str, Any]:
    """Return the config of a classifier by timm's name: its model, and the size, mean and std of its input.

    Asks no server. Raises UsageError if timm has no such model, or one that sees no square pictures in colour.
    """
    check_timm_model(name)
    said = _pretrained(name)
    channels, height, width = getattr(said, "input_size", (0, 0, 0))
    if channels != 3 or height != width:
        raise UsageError(
            f"--perceptor {TIMM_PREFIX}{name} is for no square pictures in colour; use another architecture"
        )
    return {"model": name, "size": width, "mean": list(said.mean), "std": list(said.std)}


def classes_in(state: Mapping[str, Tensor], name: str) -> int | None:
    """Return how many classes the weights of a timm model tell apart; None if they have no such layer.

    state: as `network_tensors` returns it.
    """
    head = getattr(_pretrained(name), "classifier", None) or ()
    layers = [head] if isinstance(head, str) else [*head]
    biases = (state.get(f"{layer}.bias") for layer in (*layers, "_fc"))
    return next((bias.shape[0] for bias in biases if bias is not None and bias.ndim == 1), None)


def _pretrained(name: str) -> Any:
    from timm.models import get_pretrained_cfg

    return get_pretrained_cfg(name)


def as_timm(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a file under the names that timm has for them.

    expected: the state dict of timm's network, in the order of its layers. A file of efficientnet-lite-pytorch, which
    counts the blocks through, is renamed; what is no part of one gets a name that timm has for nothing. The counters of
    batches that old files lack, and that no prediction needs, are added.
    """
    found = _from_lite(state, expected) if LITE_MARK in state else dict(state)
    counters = [name for name in expected if name.endswith(_COUNTER) and name not in found]
    return found | {
        name: torch.zeros((), dtype=torch.int64)
        for name in counters
        if f"{name.removesuffix(_COUNTER)}.running_mean" in found
    }


def _from_lite(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    stages = dict.fromkeys(".".join(name.split(".")[1:3]) for name in expected if name.startswith("blocks."))
    places = {f"_blocks.{index}": f"blocks.{stage}." for index, stage in enumerate(stages)}
    return {_timm_name(name, places, state): value for name, value in state.items()}


def _timm_name(name: str, places: Mapping[str, str], state: Mapping[str, Tensor]) -> str:
    """Return timm's name of a tensor of efficientnet-lite-pytorch. places: of the blocks in timm's network."""
    block = ".".join(name.split(".")[:2])
    place, rest = (places[block], name.removeprefix(f"{block}.")) if block in places else ("", name)
    inside = _EXPANDING if f"{block}._expand_conv.weight" in state else _PLAIN
    layers = inside if place else _ENDS
    layer, dot, tensor = rest.partition(".")
    if layer in layers:
        return f"{place}{layers[layer]}{dot}{tensor}"
    return name if name.startswith("_") else f"{name} beside {LITE_MARK}"
