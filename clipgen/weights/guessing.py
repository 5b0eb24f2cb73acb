"""Configs of networks, guessed from the names and shapes of their tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clipgen.errors import UsageError
from clipgen.util.text import one_line

MAX_REASON = 120
MAX_SHOWN, MAX_NAME = 3, 60
"""How many names of tensors are shown, and how many characters of each."""
RESOLUTION = 256
"""The image size that a guessed config assumes; `attn_resolutions` follows from it, the network does not."""
HEAD = 64
"""The width of a head of attention in every published TiTok."""


def guess_vqgan(state: Mapping[str, Tensor], file: str) -> dict[str, Any]:
    """Return the config of the VQGAN, of taming-transformers or latent diffusion, with tensors of these shapes.

    Raises UsageError, which names the file and says what is missing, if there is no such VQGAN.
    """
    gumbel = "quantize.embed.weight" in state
    try:
        shape = _guess_shape(state)
        codes, width = state["quantize.embed.weight" if gumbel else "quantize.embedding.weight"].shape
    except KeyError as error:
        raise UsageError(f"{file} has no VQGAN in it: {_lacks(state, error)}{_instead(state)}") from error
    except (ValueError, IndexError, ArithmeticError) as error:
        reason = one_line(repr(error), MAX_REASON)
        raise UsageError(f"{file} has no VQGAN in it: its tensors have other shapes ({reason})") from error
    return {"embed_dim": width, "n_embed": codes, "ddconfig": shape} | ({"quantizer": "gumbel"} if gumbel else {})


def _instead(state: Mapping[str, Tensor]) -> str:
    """Say what sort of autoencoder a file has instead, if that is known."""
    if _count(state, "encoder.down_blocks."):
        return "; it is in the layout of diffusers, which is not read: use the original checkpoint"
    if state.keys().isdisjoint(("quantize.embed.weight", "quantize.embedding.weight")):
        return "; an autoencoder without a codebook (KL) is no VQGAN"
    return ""


def _lacks(state: Mapping[str, Tensor], missing: KeyError) -> str:
    first = [one_line(name, MAX_NAME) for name in list(state)[:MAX_SHOWN]]
    more = ", ..." if len(state) > MAX_SHOWN else ""
    return f"{missing.args[0]} is not among its tensors, {len(state)} ({', '.join(first)}{more})"


def _guess_shape(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the `ddconfig` of encoder and decoder with tensors of these shapes."""
    first, inner = state["encoder.conv_in.weight"].shape, state["decoder.conv_in.weight"].shape[1]
    levels = range(_count(state, "encoder.down."))
    widths = [state[f"encoder.down.{k}.block.0.conv1.weight"].shape[0] for k in levels]
    if not widths:
        raise KeyError("encoder.down.0.block.0.conv1.weight")
    attended = any(name.startswith("encoder.mid.attn_1.") for name in state)
    pooled = len(widths) > 1 and "encoder.down.0.downsample.conv.weight" not in state
    return (
        {
            "double_z": state["encoder.conv_out.weight"].shape[0] == 2 * inner,
            "z_channels": inner,
            "resolution": RESOLUTION,
            "in_channels": first[1],
            "out_ch": state["decoder.conv_out.weight"].shape[0],
            "ch": first[0],
            "ch_mult": [each // first[0] for each in widths],
            "num_res_blocks": _count(state, "encoder.down.0.block."),
            "attn_resolutions": [RESOLUTION // 2**k for k in levels if _count(state, f"encoder.down.{k}.attn.")],
            "dropout": 0.0,
        }
        | ({} if attended else {"attn_type": "none"})
        | ({"resamp_with_conv": False} if pooled else {})
    )


def guess_dvae(state: Mapping[str, Tensor], files: str) -> dict[str, Any]:
    """Return the config of the dVAE of dall_e with tensors of these shapes, in "encoder." and "decoder.".

    Raises UsageError, which names the files, if there is none.
    """
    try:
        return {
            "vocab_size": state["encoder.blocks.output.conv.w"].shape[0],
            "n_hid": state["encoder.blocks.input.w"].shape[0],
            "n_blk_per_group": _count(state, "encoder.blocks.group_1.block_"),
            "n_init": state["decoder.blocks.input.w"].shape[0],
        }
    except KeyError as error:
        raise UsageError(f"{files} has no dVAE in it: {_lacks(state, error)}") from error
    except IndexError as error:
        raise UsageError(f"{files} has no dVAE in it: its tensors have other shapes") from error


def guess_titok(state: Mapping[str, Tensor], file: str) -> dict[str, Any]:
    """Return the config of the TiTok of one stage with tensors of these shapes.

    Raises UsageError, which names the file and says what is missing, if there is none.
    """
    try:
        return _guess_titok(state)
    except KeyError as error:
        raise UsageError(f"{file} has no TiTok in it that ends in pixels: {_lacks(state, error)}") from error
    except (ValueError, IndexError, ArithmeticError) as error:
        reason = one_line(repr(error), MAX_REASON)
        raise UsageError(f"{file} has no TiTok in it: its tensors have other shapes ({reason})") from error


def _guess_titok(state: Mapping[str, Tensor]) -> dict[str, Any]:
    codes, width = state["quantize.embedding.weight"].shape
    patch = state["encoder.patch_embed.weight"].shape[2]
    side = patch * math.isqrt(state["encoder.positional_embedding"].shape[0] - 1)
    pixel_codes, pixel_width = state["pixel_quantize.embedding.weight"].shape
    levels = range(_count(state, "pixel_decoder.up."))
    widths = [state[f"pixel_decoder.up.{k}.block.0.conv1.weight"].shape[0] for k in levels]
    if not widths:
        raise KeyError("pixel_decoder.up.0.block.0.conv1.weight")
    return {
        "side": side,
        "patch": patch,
        "tokens": state["latent_tokens"].shape[0],
        "n_embed": codes,
        "embed_dim": width,
        "encoder": _guess_transformer(state, "encoder"),
        "decoder": _guess_transformer(state, "decoder"),
        "pixels": {
            "n_embed": pixel_codes,
            "z_channels": pixel_width,
            "ch": widths[0],
            "ch_mult": [each // widths[0] for each in widths],
            "num_res_blocks": _count(state, "pixel_decoder.mid."),
        },
    }


def _guess_transformer(state: Mapping[str, Tensor], part: str) -> dict[str, int]:
    """Return the shape of a vision transformer; that a head has HEAD numbers is not in its tensors."""
    width = state[f"{part}.positional_embedding"].shape[1]
    return {"width": width, "layers": _count(state, f"{part}.transformer."), "heads": max(width // HEAD, 1)}


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Count the different parts that follow a prefix in the names, up to the next dot."""
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})
