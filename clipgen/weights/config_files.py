"""The files in which other programs keep the configs of networks, read as plain data: nothing they name is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from clipgen.errors import UsageError
from clipgen.util.text import one_line, quoted
from clipgen.weights.clips import CLIP_MEAN, CLIP_STD, other_preprocessing
from clipgen.weights.yaml_text import load_yaml

MAX_REASON = 120
MAX_CONFIG = 100_000
"""Bytes that a file with a config may have."""
HUB_CONFIG = "open_clip_config.json"
"""The file that open_clip puts beside the weights of a CLIP."""
TRANSFORMERS_CONFIG = "config.json"
"""The file that transformers puts there."""
QUANTIZERS = {
    "VQModel": "nearest",
    "VQModelInterface": "nearest",
    "VQNoDiscModel": "nearest",
    "EMAVQ": "nearest",
    "GumbelVQ": "gumbel",
    "IBQ": "dot",
}
"""The last part of a YAML file's `target` or `class_path`, which is looked up here and never imported -> `quantizer` of
the config."""
WITHOUT = "leave it out, and the shapes of the tensors tell the config"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the config of a VQGAN from a YAML file of taming-transformers, latent diffusion or IBQ, as plain data.

    Raises UsageError for anything else, aliases, interpolations and large files included.
    """
    try:
        model = load_yaml(_read_text(path, "--vqgan-config"))["model"]
        model = model.get("params", {}).get("first_stage_config", model)
        named = ("class_path", "init_args") if "class_path" in model else ("target", "params")
        target, params = str(model[named[0]]).split(".")[-1], model[named[1]]
        shape = {name: _plain(name, value) for name, value in params["ddconfig"].items()}
        config = {name: _plain(name, params[name]) for name in ("embed_dim", "n_embed")} | {"ddconfig": shape}
    except yaml.YAMLError as error:
        reason = one_line(str(error), MAX_REASON)
        raise UsageError(f"--vqgan-config {path} cannot be read as YAML ({reason}); check the file") from error
    except KeyError as error:
        raise UsageError(f"--vqgan-config {path} is no config of a VQGAN: it has no {error}; {WITHOUT}") from error
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = one_line(str(error), MAX_REASON)
        raise UsageError(f"--vqgan-config {path} is no config of a VQGAN ({reason}); {WITHOUT}") from error
    if target not in QUANTIZERS:
        raise UsageError(
            f"--vqgan-config {path} is of a {quoted(target)}; known are {', '.join(QUANTIZERS)}; {WITHOUT}"
        )
    _check_shape(shape, path)
    quantizer = QUANTIZERS[target]
    return config | ({} if quantizer == "nearest" else {"quantizer": quantizer})


def _check_shape(shape: dict[str, Any], path: Path) -> None:
    """Refuse what no VQGAN here can be, and say what `double_z` is where that is left to the authors' code.

    That code doubles the latent for the mean and variance of KL autoencoders; a VQGAN cannot use the second half.
    """
    if shape.setdefault("double_z", False) is not False:
        raise UsageError(
            f"--vqgan-config {path} says double_z: {shape['double_z']}, as for KL autoencoders; a VQGAN has false"
        )
    channels = [shape.get("in_channels", 3), shape.get("out_ch", 3)]
    if channels != [3, 3]:
        raise UsageError(
            f"--vqgan-config {path} is of a VQGAN with in_channels {channels[0]} and out_ch {channels[1]}; only RGB, 3 "
            "and 3, is supported"
        )


def _read_text(path: Path, flag: str) -> str:
    """Read a short text in UTF-8, with or without a byte-order mark."""
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise UsageError(f"{flag} {path} is larger than {MAX_CONFIG} bytes, as no config of a network is")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UsageError(f"{flag} {path} cannot be read ({reason}); check the path") from error


def _plain(name: object, value: object) -> object:
    """Return a number, boolean, short text or short list of whole numbers. Raises ValueError for anything else."""
    if any(isinstance(one, str) and "${" in one for one in (value if isinstance(value, list) else [value])):
        raise ValueError(f"{quoted(name)} is {quoted(value)}, which refers to another value; write the number itself")
    if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < 50):
        return value
    if isinstance(value, list) and len(value) <= 16 and all(isinstance(one, int) for one in value):
        return value
    raise ValueError(f"{quoted(name)} is neither a number nor a list of numbers")


def read_hub_config(path: Path) -> tuple[dict[str, Any], str]:
    """Read the config that open_clip puts beside weights, as plain data, and what is to be said of it, or "".

    A config of the model alone, without the `mean` and `std` of its input, gets OpenAI's, which open_clip takes then.
    Raises UsageError for anything else.
    """
    try:
        said = json.loads(_read_text(path, "the config"))
        model = dict(said.get("model_cfg", said))
        if not {"embed_dim", "vision_cfg", "text_cfg"} <= model.keys():
            raise KeyError("model_cfg")
        seen = said.get("preprocess_cfg", {})
        assumed = "mean" not in seen and "std" not in seen
        seen = {**seen, "mean": CLIP_MEAN, "std": CLIP_STD} if assumed else seen
        config = model | {name: [float(x) for x in seen[name]] for name in ("mean", "std")} | other_preprocessing(seen)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UsageError(f"{path} is no config of open_clip ({one_line(repr(error), MAX_REASON)})") from error
    return config, f"{path.name} says no mean and std of the input: took OpenAI's" if assumed else ""


def says_quick_gelu(file: Path) -> bool | None:
    """Tell whether transformers' config beside a file of weights says QuickGELU; None if it says nothing of it."""
    beside = file.with_name(TRANSFORMERS_CONFIG)
    try:
        said = json.loads(_read_text(beside, "the config")) if beside.is_file() else {}
        named = said["vision_config"]["hidden_act"]
    except (UsageError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return None if not isinstance(named, str) else named == "quick_gelu"
