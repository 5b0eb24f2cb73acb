"""The layouts of files of VQGANs and KL autoencoders, whose networks are nearly all that of taming-transformers.

LlamaGen and diffusers name the layers otherwise, count the levels of the decoder in the order in which they compute,
and diffusers has the attention's 1 x 1 convolutions as linear layers. vqgan-jax names and lays out tensors as flax
does. TAESD is a network of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

LLAMAGEN, DIFFUSERS, FLAX = "encoder.conv_blocks.", "encoder.down_blocks.", "encoder.down_0."
"""Begins names of tensors in the layouts of LlamaGen, of diffusers and of vqgan-jax, and in no other."""

TAESD = ("1.conv.0.weight", "18.conv.0.weight")
"""Tensors of TAESD's encoder and decoder, as its authors name them, of which only the one and only the other has."""

_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    LLAMAGEN: (
        (r"^encoder\.conv_blocks\.", "encoder.down."),
        (r"^decoder\.conv_blocks\.", "decoder.up."),
        (r"\.res\.", ".block."),
        (r"coder\.mid\.0\.", "coder.mid.block_1."),
        (r"coder\.mid\.1\.", "coder.mid.attn_1."),
        (r"coder\.mid\.2\.", "coder.mid.block_2."),
    ),
    DIFFUSERS: (
        (r"^encoder\.down_blocks\.", "encoder.down."),
        (r"^decoder\.up_blocks\.", "decoder.up."),
        (r"\.mid_block\.resnets\.0\.", ".mid.block_1."),
        (r"\.mid_block\.resnets\.1\.", ".mid.block_2."),
        (r"\.mid_block\.attentions\.0\.", ".mid.attn_1."),
        (r"\.resnets\.", ".block."),
        (r"\.attentions\.", ".attn."),
        (r"\.(down|up)samplers\.0\.", r".\1sample."),
        (r"\.conv_shortcut\.", ".nin_shortcut."),
        (r"\.group_norm\.", ".norm."),
        (r"\.(?:to_q|query)\.", ".q."),
        (r"\.(?:to_k|key)\.", ".k."),
        (r"\.(?:to_v|value)\.", ".v."),
        (r"\.(?:to_out\.0|proj_attn)\.", ".proj_out."),
        (r"\.conv_norm_out\.", ".norm_out."),
    ),
    FLAX: (
        (r"\.(down|up|block|attn)_(\d{1,3})\.", r".\1.\2."),
        (r"\.(block|attn)_(\d{1,3})\.", r".\1.\2."),
        (r"coder\.mid\.(block|attn)\.", r"coder.mid.\1_"),
        (r"\.(?:kernel|scale|embedding)$", ".weight"),
    ),
}
"""By layout: patterns in its names, and what taming-transformers has instead, one after the other."""
_LEVEL = re.compile(r"^decoder\.up\.(\d{1,3})\.")
_DECODER = re.compile(r"^decoder\.layers\.(\d{1,3})\.")
_ATTENTION = re.compile(r"\.attn(_1|\.\d+)\.(q|k|v|proj_out)\.weight$")


def layout_of(state: Mapping[str, Tensor]) -> str | None:
    """Return the layout of tensors, LLAMAGEN or DIFFUSERS; None for that of taming-transformers."""
    return next((mark for mark in _NAMES if any(name.startswith(mark) for name in state)), None)


def as_taming(state: Mapping[str, Tensor], _expected: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Return the tensors of a VQGAN or KL autoencoder, in any layout, under the names and shapes of taming's."""
    layout = layout_of(state)
    found = dict(state) if layout is None else {_renamed(name, layout): state[name] for name in state}
    found = _turned(found) if layout in (LLAMAGEN, DIFFUSERS) else found
    if layout == FLAX:  # whose convolutions have height, width, input, output
        found = {name: value.permute(3, 2, 0, 1) if value.ndim == 4 else value for name, value in found.items()}
    return {
        name: value[:, :, None, None] if value.ndim == 2 and _ATTENTION.search(name) else value
        for name, value in found.items()
    }


def _turned(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Count the levels of the decoder from the finest."""
    levels = {int(level[1]) for name in found if (level := _LEVEL.match(name))}
    last = max(levels, default=0)
    return {_LEVEL.sub(lambda level: f"decoder.up.{last - int(level[1])}.", name): found[name] for name in found}


def as_continuous(state: Mapping[str, Tensor], _expected: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Return the tensors of a continuous autoencoder, in any layout, under the names of clipgen's network.

    Those of TAESD are its authors' after "encoder." and "decoder."; diffusers does not count the decoder's first layer,
    which has no tensors.
    """
    found = {name.replace("encoder.layers.", "encoder.", 1): value for name, value in state.items()}
    return as_taming({_DECODER.sub(lambda name: f"decoder.{int(name[1]) + 1}.", name): found[name] for name in found})


def _renamed(name: str, layout: str) -> str:
    for pattern, replacement in _NAMES[layout]:
        name = re.sub(pattern, replacement, name)
    return name
