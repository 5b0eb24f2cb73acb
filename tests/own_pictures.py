"""Captioned pictures and networks that are small enough to train in a test."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clipgen.training import autoencoders, clip, own, prior
from clipgen.training.architectures import clip_config, dvae_config, prior_config, vqgan_config
from clipgen.training.own import train_own
from clipgen.training.settings import Settings
from clipgen.weights import Checkpoint, read

COLOURS = {"red": (200, 30, 30), "blue": (30, 40, 210)}
SIDE = 16


def write_pictures(folder: Path, count: int = 24) -> Path:
    """Write small pictures, each of a colour that its captions name in two wordings."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for k in range(count):
        name = list(COLOURS)[k % 2]
        pixels = np.clip(rng.normal(COLOURS[name], 20, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{k:02}.png")
        (folder / f"{k:02}.txt").write_text(f"a {name} square\nsomething {name}\n")
    return folder


def shrink(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Have the trainers build tiny networks, in float32 whatever the processor has, and import them into a cache."""
    monkeypatch.setenv("CLIPGEN_CACHE", str(cache))

    def tiny_clip(size: str, side: int) -> dict[str, Any]:
        config = clip_config(size, side)
        config["text_cfg"] |= {"width": 16, "heads": 2, "layers": 1, "context_length": 8}
        return {**config, "embed_dim": 16}

    def tiny_vqgan(size: str, side: int) -> dict[str, Any]:
        config = vqgan_config(size, side)
        config["ddconfig"] |= {"ch_mult": [1, 1], "z_channels": 32}
        return {**config, "embed_dim": 8, "n_embed": 16}

    def tiny_dvae(size: str, side: int) -> dict[str, Any]:
        return {**dvae_config(size, side), "vocab_size": 16, "n_hid": 8, "n_init": 8}

    def tiny_prior(size: str, codes: int, side: int) -> dict[str, Any]:
        shape = {"width": 16, "heads": 2, "patterns": ["full"], "text_length": 8}
        return {**prior_config(size, codes, side), **shape}

    monkeypatch.setattr(prior, "prior_config", tiny_prior)
    monkeypatch.setattr(own, "computes_bf16", lambda _device: False)
    monkeypatch.setattr(clip, "clip_config", tiny_clip)
    monkeypatch.setattr(autoencoders, "vqgan_config", tiny_vqgan)
    monkeypatch.setattr(autoencoders, "dvae_config", tiny_dvae)


def train(kind: str, data: Path, out: Path, said: list[str] | None = None, **values: Any) -> Checkpoint:
    """Train a network for a few steps and return it."""
    given = {"resolution": SIDE, "steps": 6, "batch": 4, **values}
    given = {name: value for name, value in given.items() if value is not None}
    lines = [] if said is None else said
    return read(train_own(Settings(kind, data, out, **given), torch.device("cpu"), lines.append))
