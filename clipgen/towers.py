"""Image towers of the starter CLIPs, as timm models that open_clip can name in a config.

timm's own small networks shrink a picture 32 times, to 2x2 cells at 64 pixels, and learn the drawn world at a third of
the pace of these, which shrink it 16 times.
"""

from __future__ import annotations

from typing import Any

from timm.models import is_model, register_model
from timm.models._builder import build_model_with_cfg
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

RESIDUAL = ByoModelCfg(
    stem_type="3x3",
    stem_pool="",
    stem_chs=24,
    blocks=(
        ByoBlockCfg("basic", d=1, c=48, s=1),
        ByoBlockCfg("basic", d=1, c=96, s=2),
        ByoBlockCfg("basic", d=1, c=192, s=2),
        ByoBlockCfg("basic", d=1, c=256, s=2),
    ),
)
DARK = ByoModelCfg(
    stem_type="3x3",
    stem_pool="",
    stem_chs=32,
    blocks=(
        ByoBlockCfg("dark", d=1, c=64, s=1, br=0.5),
        ByoBlockCfg("dark", d=2, c=128, s=2, br=0.5),
        ByoBlockCfg("dark", d=2, c=256, s=2, br=0.5),
        ByoBlockCfg("dark", d=2, c=320, s=2, br=0.5),
    ),
    act_layer="silu",
)


def _build(shape: ByoModelCfg, pretrained: bool, options: dict[str, Any]) -> ByobNet:
    settings = {"num_classes": 1000, "pool_size": (4, 4), "first_conv": "stem.conv", "classifier": "head.fc"}
    network: ByobNet = build_model_with_cfg(
        ByobNet, "clipgen", pretrained, model_cfg=shape, **{**options, "pretrained_cfg": settings}
    )
    return network


def clipgen_residual(pretrained: bool = False, **options: Any) -> ByobNet:
    """Build four stages of plain residual blocks (He et al., 2016): the guide's tower."""
    return _build(RESIDUAL, pretrained, options)


def clipgen_dark(pretrained: bool = False, **options: Any) -> ByobNet:
    """Build seven Darknet blocks (Redmon and Farhadi, 2018): the judge's tower."""
    return _build(DARK, pretrained, options)


def register_towers() -> None:
    """Let configs name the towers in open_clip's `timm_model_name`; doing so again changes nothing."""
    for tower in (clipgen_residual, clipgen_dark):
        if not is_model(tower.__name__):
            register_model(tower)
