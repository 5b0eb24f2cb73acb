"""The layouts of files of VQGANs and KL autoencoders, whose networks are all that of taming-transformers.

LlamaGen and diffusers name the layers otherwise, count the levels of the decoder in the order in which they compute,
and diffusers has the attention's 1 x 1 convolutions as linear layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

LLAMAGEN, DIFFUSERS = "encoder.conv_blocks.", "encoder.down_blocks."
"""Begins names of tensors in the layouts of LlamaGen and of diffusers, and in no other."""

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
}
"""By layout: patterns in its names, and what taming-transformers has instead, one after the other."""
_LEVEL = re.compile(r"^decoder\.up\.(\d{1,3})\.")
_ATTENTION = re.compile(r"\.attn(_1|\.\d+)\.(q|k|v|proj_out)\.weight$")


def layout_of(state: Mapping[str, Tensor]) -> str | None:
    """Return the layout of tensors, LLAMAGEN or DIFFUSERS; None for that of taming-transformers."""
    return next((mark for mark in _NAMES if any(name.startswith(mark) for name in state)), None)


def as_taming(state: Mapping[str, Tensor], _expected: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Return the tensors of a VQGAN or KL autoencoder, in any layout, under the names and shapes of taming's."""
    layout = layout_of(state)
    if layout is None:
        return dict(state)
    found = {_renamed(name, layout): value for name, value in state.items()}
    levels = {int(level[1]) for name in found if (level := _LEVEL.match(name))}
    last = max(levels, default=0)
    turned = {_LEVEL.sub(lambda level: f"decoder.up.{last - int(level[1])}.", name): found[name] for name in found}
    return {
        name: value[:, :, None, None] if value.ndim == 2 and _ATTENTION.search(name) else value
        for name, value in turned.items()
    }


def _renamed(name: str, layout: str) -> str:
    for pattern, replacement in _NAMES[layout]:
        name = re.sub(pattern, replacement, name)
    return name
