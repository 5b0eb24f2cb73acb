"""Small image tokenizers with random weights, as their authors save them, and what their authors compute."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import archives
import pretrained
import pytest
import references
import torch
from torch import Tensor
from torch.nn.functional import normalize

SHAPE: dict[str, Any] = {**pretrained.VQGAN_CONFIG["ddconfig"], "z_channels": 16}
LLAMAGEN: dict[str, Any] = {"embed_dim": 8, "n_embed": 24, "ddconfig": SHAPE, "quantizer": "cosine"}
IBQ: dict[str, Any] = {
    "embed_dim": 16,
    "n_embed": 24,
    "ddconfig": {**SHAPE, "num_res_blocks": 4},
    "quantizer": "dot",
}


def llamagen_names(state: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The tensors of taming's network under LlamaGen's names, with levels in the order of computation."""
    found = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[1] in ("down", "up"):
            level = int(parts[2]) if parts[1] == "down" else levels - 1 - int(parts[2])
            parts[1:3] = ["conv_blocks", str(level)]
            parts[3] = {"block": "res"}.get(parts[3], parts[3])
        elif parts[1] == "mid":
            parts[2] = {"block_1": "0", "attn_1": "1", "block_2": "2"}[parts[2]]
        found[".".join(parts)] = value
    return found


def save_llamagen(model: Any, path: Path) -> Path:
    """Save as LlamaGen's trainer does: a buffer of the codes used last, and the optimiser's state beside the model."""
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("loss.")}
    named = llamagen_names(state, len(SHAPE["ch_mult"]))
    named["quantize.codebook_used"] = torch.zeros(64)
    torch.save({"model": named, "steps": 3}, path)
    return path


def save_ibq(model: Any, averages: Any, path: Path) -> Path:
    """Save as Lightning does, with the averages under names without dots, as of latent diffusion."""
    flat = {name.replace(".", ""): value for name, value in averages.state_dict().items()}
    extra = {f"model_ema.{name}": value for name, value in flat.items()} | {"model_ema.decay": torch.tensor(0.999)}
    with pytest.MonkeyPatch.context() as patch:
        torch.save(archives.lightning(patch, {**model.state_dict(), **extra}), path)
    return path


def vqgan(config: dict[str, Any]) -> Any:
    """taming's network with random codes far from 0."""
    model = references.vqgan(config)
    with torch.no_grad():
        model.quantize.embedding.weight.normal_()
    return model


@torch.no_grad()
def features(model: Any, pictures: Tensor) -> Tensor:
    found: Tensor = model.quant_conv(model.encoder(2 * pictures - 1))
    return found


def by_cosine(model: Any, cells: Tensor) -> tuple[Tensor, Tensor]:
    """The codes (B, h, w) of largest cosine, and the unit vectors (B, D, h, w) that LlamaGen decodes."""
    codes = normalize(model.quantize.embedding.weight.detach(), dim=1)
    chosen = torch.einsum("bdhw,kd->bkhw", normalize(cells, dim=1), codes).argmax(1)
    return chosen, codes[chosen].movedim(-1, 1)


def by_dot_product(model: Any, cells: Tensor) -> tuple[Tensor, Tensor]:
    """The codes (B, h, w) of largest dot product, and their vectors (B, D, h, w), as of IBQ."""
    codes = model.quantize.embedding.weight.detach()
    chosen = torch.einsum("bdhw,kd->bkhw", cells, codes).argmax(1)
    return chosen, codes[chosen].movedim(-1, 1)
