"""Configs of networks, guessed from the names and shapes of their tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clipgen.errors import UsageError
from clipgen.util.text import one_line
from clipgen.weights.autoencoder_layouts import LLAMAGEN, TAESD, as_continuous, as_taming, layout_of

MAX_REASON = 120
MAX_SHOWN, MAX_NAME = 3, 60
"""How many names of tensors are shown, and how many characters of each."""
IBQ_BLOCKS = 4
"""How many residual blocks each level of IBQ's networks has; all published VQGANs of taming-transformers have 2."""
MASKGIT = "decoder.up.1.upsample_conv.weight"
"""A tensor that, of all decoders, only MaskGIT's has."""
SCALES = {4: (0.18215, 0.0), 16: (0.3611, 0.1159)}
"""By channels of a KL autoencoder's latent: scale and shift of Stable Diffusion's and of FLUX.1's, which their files do
not say. Another autoencoder with as many channels differs from these by little."""
RESOLUTION = 256
"""The image size that a guessed config assumes; `attn_resolutions` follows from it, the network does not."""
HEAD = 64
"""The width of a head of attention in every published TiTok."""


def guess_vqgan(state: Mapping[str, Tensor], file: str) -> dict[str, Any]:
    """Return the config of the VQGAN with tensors of these shapes, in any layout that `as_taming` knows.

    Raises UsageError, which names the file and says what is missing, if there is no such VQGAN.
    """
    named = as_taming(state)
    gumbel = "quantize.embed.weight" in named
    try:
        shape = _guess_shape(named)
        codes, width = named["quantize.embed.weight" if gumbel else "quantize.embedding.weight"].shape
    except KeyError as error:
        raise UsageError(f"{file} has no VQGAN in it: {_lacks(named, error)}{_instead(named)}") from error
    except (ValueError, IndexError, ArithmeticError) as error:
        reason = one_line(repr(error), MAX_REASON)
        raise UsageError(f"{file} has no VQGAN in it: its tensors have other shapes ({reason})") from error
    quantizer = "gumbel" if gumbel else "cosine" if layout_of(state) == LLAMAGEN else _by_depth(shape)
    guessed = {"quantizer": quantizer, "architecture": "maskgit" if MASKGIT in named else ""}
    known = {name: value for name, value in guessed.items() if value}
    return {"embed_dim": width, "n_embed": codes, "ddconfig": shape} | known


def _by_depth(shape: Mapping[str, Any]) -> str:
    """Tell IBQ's networks, which choose codes otherwise, from taming's, whose tensors have the same names."""
    return "dot" if shape["num_res_blocks"] == IBQ_BLOCKS else ""


def _instead(state: Mapping[str, Tensor]) -> str:
    """Say what sort of autoencoder a file has instead, if that is known."""
    if state.keys().isdisjoint(("quantize.embed.weight", "quantize.embedding.weight")):
        return "; an autoencoder without a codebook (KL) is no VQGAN: give it with --backend kl --kl"
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


def guess_kl(state: Mapping[str, Tensor], file: str) -> dict[str, Any]:
    """Return the config of the continuous autoencoder with tensors of these shapes.

    Raises UsageError, which names the file and says what is missing, if there is none.
    """
    named, none = as_continuous(state), f"{file} has no continuous autoencoder in it: "
    if half := next((name for name in TAESD if name in named), ""):
        found, other = ("encoder", "decoder") if half == TAESD[0] else ("decoder", "encoder")
        raise UsageError(f"{none}it is a TAESD's {found} alone; give --kl twice, with the file of its {other}, too")
    if "quantize.embedding.weight" in named or "quantize.embed.weight" in named:
        raise UsageError(f"{none}it has a codebook, so that it is a VQGAN; give it with --vqgan")
    try:
        if f"encoder.{TAESD[0]}" in named:
            pooled = {"pooled": True} if any(".pool." in name for name in named) else {}
            return {"channels": named["encoder.14.weight"].shape[0], **pooled}
        shape, pointwise = _guess_shape(named), named.get("post_quant_conv.weight")
    except KeyError as error:
        raise UsageError(f"{none}{_lacks(named, error)}") from error
    except (ValueError, IndexError, ArithmeticError) as error:
        raise UsageError(f"{none}its tensors have other shapes ({one_line(repr(error), MAX_REASON)})") from error
    width = {} if pointwise is None else {"embed_dim": pointwise.shape[1]}
    scale, shift = SCALES.get(shape["z_channels"], (1.0, 0.0))
    return {"ddconfig": shape, **width, "scale": scale, "shift": shift}


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
