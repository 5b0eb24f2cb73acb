"""How other programs name the tensors of a CLIP, and what open_clip calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

OPENAI_MARKS = ("input_resolution", "context_length", "vocab_size")
"""Tensors that only OpenAI's own archives of CLIPs have, beside the network."""
TRANSFORMERS_ANCHORS = (
    "vision_model.embeddings.patch_embedding.weight",
    "text_model.embeddings.token_embedding.weight",
)
"""Tensors that a CLIP of transformers has in either tower."""
TEXT = "text."
"""Before the names of the text tower in open_clip's CustomTextCLIP."""

_WHOLE = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm": "ln_final",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm": "visual.ln_pre",  # so transformers spells it
    "vision_model.post_layernorm": "visual.ln_post",
}
_TURNED = {"text_projection.weight": "text_projection", "visual_projection.weight": "visual.proj"}
"""Matrices that the one multiplies from the left, the other from the right."""
_LAYER = re.compile(r"(text|vision)_model\.encoder\.layers\.(\d+)\.(.+)")
_TOWERS = {"text": "transformer", "vision": "visual.transformer"}
_PARTS = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_JOINED = re.compile(r"self_attn\.([qkv])_proj\.(weight|bias)")
_POSITION_IDS = ".embeddings.position_ids"


def as_open_clip(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a CLIP under the names that open_clip has for them; others keep theirs.

    expected: the state dict of open_clip's network. Understood are transformers' CLIPModel and open_clip's own
    CustomTextCLIP.
    """
    if any(anchor in state for anchor in TRANSFORMERS_ANCHORS):
        return _from_transformers(state)
    if TEXT + "token_embedding.weight" in state:
        return {name.removeprefix(TEXT) if name.removeprefix(TEXT) in expected else name: state[name] for name in state}
    return dict(state)


def _from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    joined: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        layer = _LAYER.fullmatch(name)
        if name in _TURNED and value.ndim == 2:
            found[_TURNED[name]] = value.T
        elif layer and (part := _JOINED.fullmatch(layer[3])):
            joined.setdefault(f"{_block(layer)}attn.in_proj_{part[2]}", {})[part[1]] = value
        elif layer:
            found[_block(layer) + _renamed(layer[3], _PARTS)] = value
        elif not name.endswith(_POSITION_IDS):  # computed anyway
            found[_renamed(name, _WHOLE)] = value
    return found | {name: torch.cat([parts[one] for one in "qkv"]) for name, parts in joined.items() if _alike(parts)}


def _block(layer: re.Match[str]) -> str:
    return f"{_TOWERS[layer[1]]}.resblocks.{layer[2]}."


def _renamed(name: str, names: Mapping[str, str]) -> str:
    """Return the new name of a tensor, or of the layer that it is in."""
    layer, _, tensor = name.rpartition(".")
    return names[name] if name in names else f"{names[layer]}.{tensor}" if layer in names else name


def _alike(parts: Mapping[str, Tensor]) -> bool:
    """Tell whether queries, keys and values are all there, in one shape."""
    return parts.keys() == set("qkv") and len({(value.shape, value.dtype) for value in parts.values()}) == 1
