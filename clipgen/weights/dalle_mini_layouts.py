"""The layouts of files of DALL-E mini: flax's, with all layers of a part in one array or apart, and min-dalle's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

_LAYER = re.compile(r"^(encoder|decoder)\.layers\.FlaxBart(?:En|De)coderLayer(s|_\d{1,3})\.(.*)$")
"""A layer's tensor in flax: of all layers, stacked, or of the one with a number."""
_NAMES = {
    "FlaxBartAttention_0": "self_attn",
    "FlaxBartAttention_1": "encoder_attn",
    "LayerNorm_0": "pre_self_attn_layer_norm",
    "LayerNorm_1": "self_attn_layer_norm",
    "LayerNorm_2": "pre_encoder_attn_layer_norm",
    "LayerNorm_3": "encoder_attn_layer_norm",
    "GLU_0": "glu",
    "GLU_0.LayerNorm_0": "glu.ln0",
    "GLU_0.LayerNorm_1": "glu.ln1",
    "GLU_0.Dense_0": "glu.fc0",
    "GLU_0.Dense_1": "glu.fc1",
    "GLU_0.Dense_2": "glu.fc2",
}
"""By the name of a module in a layer, which flax counts in the order in which it computes: BART's."""
_VALUES = {"kernel": "weight", "scale": "weight", "embedding": "weight"}
_UNSCALED = re.compile(r"(pre_\w+_layer_norm|glu\.ln[01]|final_ln)\.weight$")
"""The layer norms that a matrix follows, which does their scaling; the published files have only a bias of them."""


def as_dalle_mini(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a DALL-E mini, in any layout, under the names and shapes of clipgen's network.

    expected: the network's tensors; of those that scale a layer norm, the ones that no file has are all one.
    """
    found = dict(_renamed(state))
    unscaled = (name for name in expected if name not in found and _UNSCALED.search(name))
    return found | {name: torch.ones(expected[name].shape) for name in unscaled}


def _renamed(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, value in state.items():
        plain = name.removeprefix("model.")
        if plain.startswith("lm_head."):
            plain = f"decoder.{plain}"
        path, _, last = plain.rpartition(".")
        value = value.transpose(-1, -2) if last == "kernel" and value.ndim > 1 else value
        plain = f"{path}.{_VALUES.get(last, last)}"
        layer = _LAYER.match(plain)
        if layer is None:
            yield plain, value
        elif layer[2] != "s":
            yield f"{layer[1]}.layers.{layer[2][1:]}.{_in_layer(layer[3])}", value
        elif value.ndim:
            for number, one in enumerate(value):
                yield f"{layer[1]}.layers.{number}.{_in_layer(layer[3])}", one


def _in_layer(name: str) -> str:
    """Return BART's name of a tensor in a layer."""
    path, _, last = name.rpartition(".")
    module, _, inner = path.partition(".")
    if path in _NAMES or not inner:
        return f"{_NAMES.get(path, path)}.{last}"
    return f"{_NAMES.get(module, module)}.{inner}.{last}"
