"""Small networks in the places of the published ones, under their names, in their formats, served from this machine."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import pytest
import references
import torch
from fakes import Cli
from loopback import HOST, LoopbackServer, serves
from safetensors.torch import save_file
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.weights import fetch
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import RECORDS, forms_of

QUICK_CLIP = "clip/vit-b-32-laion2b_s34b_b79k"
VQGAN, CLIP, SECOND_CLIP, DVAE = "vqgan/imagenet-f16-16384", "clip/openai-vit-b-32", "clip/openai-rn50", "dvae/dall-e"
SMALL = ("a cat", "--size", "32x32", "--steps", "2", "--cutouts", "2", "--seed", "1")
DRAFT = (*SMALL, "--preset", "draft")
STRIDE = 16
VQGAN_CONFIG: dict[str, Any] = {
    "embed_dim": 8,
    "n_embed": 24,
    "ddconfig": {
        "double_z": False,
        "z_channels": 8,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "ch_mult": [1, 1, 1, 1, 1],
        "num_res_blocks": 1,
        "attn_resolutions": [16],
        "dropout": 0.0,
    },
}
DVAE_CONFIG = {"vocab_size": 40, "n_hid": 8, "n_blk_per_group": 2, "n_init": 16}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
CLIP_CONFIGS: dict[str, dict[str, Any]] = {
    "tiny-vit": {"embed_dim": 32, "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8}},
    "tiny-resnet": {"embed_dim": 16, "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16}},
}


def save_files(folder: Path) -> dict[str, Path]:
    """Write a file for each record, as its authors did; returns the paths by the records' names."""
    torch.manual_seed(0)
    paths = {name: folder / name.replace("/", "-") for name in (VQGAN, CLIP, SECOND_CLIP)}
    references.save_vqgan(references.vqgan(VQGAN_CONFIG), paths[VQGAN], "plain")
    for name, config in zip((CLIP, SECOND_CLIP), CLIP_CONFIGS.values(), strict=True):
        full = {**config, "text_cfg": TEXT, "quick_gelu": True}
        references.save_openai(references.clip(full), full, paths[name])
    small = {**CLIP_CONFIGS["tiny-vit"], "text_cfg": TEXT}
    paths[QUICK_CLIP] = folder / "quick.safetensors"
    save_file(references.clip(small).state_dict(), paths[QUICK_CLIP])
    for part, module in zip(("encoder", "decoder"), references.dvae(DVAE_CONFIG), strict=True):
        paths[f"{DVAE}-{part}"] = references.save_module(module, folder / f"{part}.pkl", zipped=True)
    return paths


@contextmanager
def served(
    paths: dict[str, Path], configs: dict[str, dict[str, Any]], patch: pytest.MonkeyPatch
) -> Iterator[LoopbackServer]:
    """Put files into the catalogue, under their records' names; those with published hashes get the files' own."""
    with LoopbackServer() as server:
        for name, path in paths.items():
            content = path.read_bytes()
            server.routes[f"/{path.name}"] = serves(content)
            known = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            record = replace(
                RECORDS[name],
                mirrors=(f"{server.address}/{path.name}",),
                config={**RECORDS[name].config, **configs.get(name, {})},
                **(known if RECORDS[name].sha256 else {}),
            )
            patch.setitem(RECORDS, name, record)
            for form in [one for one in forms_of(record) if one != record]:
                patch.delitem(RECORDS, form.name)
        quick = partial(fetch.Fetcher, pause_seconds=0.0, retries=1, allow_http_to=(HOST,))
        patch.setattr(fetch, "Fetcher", lambda cache=None, **settings: quick(cache or Cache(), **settings))
        yield server


def know_tiny_clips(folder: Path) -> None:
    """Tell open_clip of the small CLIPs, as its own models."""
    folder.mkdir()
    for name, config in CLIP_CONFIGS.items():
        (folder / f"{name}.json").write_text(json.dumps({**config, "text_cfg": TEXT}))
    open_clip.add_model_config(folder)


CONFIGS: dict[str, dict[str, Any]] = {
    VQGAN: VQGAN_CONFIG,
    CLIP: {"model": "tiny-vit"},
    SECOND_CLIP: {"model": "tiny-resnet"},
    QUICK_CLIP: {"model": "tiny-vit"},
    f"{DVAE}-encoder": DVAE_CONFIG,
    f"{DVAE}-decoder": DVAE_CONFIG,
}


@pytest.fixture(scope="session")
def files(tiny_clips: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_files(tmp_path_factory.mktemp("published"))


@pytest.fixture
def server(
    files: dict[str, Path], plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LoopbackServer]:
    """All of the files can be had from it, and none is in the cache."""
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    with served(files, CONFIGS, monkeypatch) as server:
        yield server


@pytest.fixture
def cli(server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Types a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, list(args))
