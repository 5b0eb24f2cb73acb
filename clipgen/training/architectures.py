"""The networks that are trained on captioned pictures, as configs by size and side. Torch-free."""

from __future__ import annotations

from typing import Any

from clipgen.training.settings import MEDIUM, SMALL

_CLIP: dict[str, Any] = {"merges": 4096, "init_logit_bias": -4.0, "mean": [0.5] * 3, "std": [0.25] * 3}
_TEXT = {"vocab_size": 4096 + 514}
_TOWERS: dict[str, dict[str, Any]] = {
    SMALL: {
        "embed_dim": 128,
        "text_cfg": {**_TEXT, "context_length": 32, "width": 128, "heads": 4, "layers": 2},
        "tower": "clipgen_conv7",
    },
    MEDIUM: {
        "embed_dim": 256,
        "text_cfg": {**_TEXT, "context_length": 48, "width": 256, "heads": 8, "layers": 4},
        "tower": "clipgen_conv12",
    },
}
_WIDTHS: dict[str, dict[str, Any]] = {
    SMALL: {"ch": 32, "ch_mult": [2, 3], "z_channels": 96, "embed_dim": 32, "n_embed": 512, "num_res_blocks": 1},
    MEDIUM: {"ch": 64, "ch_mult": [2, 3], "z_channels": 192, "embed_dim": 64, "n_embed": 2048, "num_res_blocks": 2},
}
_DVAES: dict[str, dict[str, Any]] = {
    SMALL: {"vocab_size": 512, "n_hid": 24, "n_blk_per_group": 1, "n_init": 64},
    MEDIUM: {"vocab_size": 2048, "n_hid": 48, "n_blk_per_group": 2, "n_init": 128},
}
_PRIORS: dict[str, dict[str, Any]] = {
    SMALL: {"text_length": 24, "width": 192, "heads": 6, "layers": 6},
    MEDIUM: {"text_length": 48, "width": 512, "heads": 8, "layers": 12},
}
FINE_UP_TO = 64
"""Pictures of up to so many pixels a side have a cell for each 4 x 4 pixels in a VQGAN, larger ones for 8 x 8."""


def clip_config(size: str, side: int) -> dict[str, Any]:
    """Return the config of a CLIP for pictures of `side` pixels, in open_clip's words."""
    row = _TOWERS[size]
    vision = {"image_size": side, "timm_pool": "avgmax", "timm_proj": "linear", "timm_model_name": row["tower"]}
    return {**_CLIP, "embed_dim": row["embed_dim"], "text_cfg": dict(row["text_cfg"]), "vision_cfg": vision}


def vqgan_config(size: str, side: int) -> dict[str, Any]:
    """Return the config of a VQGAN for pictures of `side` pixels, in taming's words."""
    row, block = dict(_WIDTHS[size]), 2 if side <= FINE_UP_TO else 4
    shape = {
        "double_z": False,
        "resolution": side // block,
        "in_channels": 3 * block**2,
        "out_ch": 3 * block**2,
        "attn_resolutions": [],
        "dropout": 0.0,
        **{name: row[name] for name in ("z_channels", "ch", "ch_mult", "num_res_blocks")},
    }
    return {"space_to_depth": block, "embed_dim": row["embed_dim"], "n_embed": row["n_embed"], "ddconfig": shape}


def prior_config(size: str, codes: int, side: int) -> dict[str, Any]:
    """Return the config of a prior over grids of `side` x `side` codes.

    All its layers have full attention: the patterns of DALL-E's save nothing where masks are dense.
    """
    row = _PRIORS[size]
    shape = {"codes": codes, "grid": [side, side], "patterns": ["full"] * row["layers"]}
    return {"merges": 4096, "text_length": row["text_length"], "width": row["width"], "heads": row["heads"], **shape}


def dvae_config(size: str, _side: int) -> dict[str, Any]:
    """Return the config of a dVAE, in dall_e's words; it has a cell for each 8 x 8 pixels."""
    return dict(_DVAES[size])
