"""A user's own files of weights, in the folder that a test runs in, and commands that name them."""

import json
from pathlib import Path
from typing import Any

import pretrained
import references
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from clipgen.cli.app import app

SMALL = ("a cat", "--size", "32x32", "--steps", "1", "--cutouts", "2", "--seed", "1")


def cli(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


def saved(config: dict[str, Any], path: Path = Path("my.ckpt"), layout: str = "plain") -> Path:
    references.save_vqgan(references.vqgan(config), path, layout)
    return path


def hub_folder(folder: Path) -> dict[str, Any]:
    """What the hub's cache holds of a CLIP whose input is normalised in its own way."""
    config = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT, "quick_gelu": True}
    folder.mkdir(parents=True)
    save_file(references.clip(config).state_dict(), folder / "open_clip_model.safetensors")
    said = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    return {**config, "mean": [0.5] * 3, "std": [0.25] * 3}
