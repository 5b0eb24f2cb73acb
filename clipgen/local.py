"""Networks out of the user's own files, in any format that `clipgen.weights.foreign` reads.

Each gets a name that its content decides, "vqgan/local-0123456789abcdef", and is kept in the cache under that name: a
job names it without saying where the file lies, and the same file with the same config is the same network for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from clipgen import weights
from clipgen.conversion import SOURCES, convert, useful
from clipgen.errors import ClipgenError, UsageError, WeightsMissingError
from clipgen.library import Note, clip_config, keep
from clipgen.printable import one_line, quoted
from clipgen.weights.cache import Cache, sha256_of
from clipgen.weights.clips import CLIP_MEAN, CLIP_STD
from clipgen.weights.foreign import read_foreign
from clipgen.weights.shelf import hub_file, is_ready, local_name, read_header

MAX_CONFIG = 100_000
"""Bytes of a file with a config."""
OPENAI_MARK = "input_resolution"
"""A tensor that OpenAI's own archives of CLIPs have, and no others."""
HUB_PREFIX = "hf-hub:"
HUB_CONFIG = "open_clip_config.json"
HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
RESOLUTION = 256
"""At which the numbers in `attn_resolutions` count; the network is the same for any."""
QUANTIZERS = {"VQModel": "nearest", "VQModelInterface": "nearest", "GumbelVQ": "gumbel"}
"""Class names at the end of a YAML file's `target`; looked up here, never imported."""


def adopt_vqgan(file: Path, config: Path | None, note: Note) -> str:
    """Return the name of the VQGAN in a file; its config is that of a YAML file, or what the tensors' shapes tell."""
    if (own := _adopted_checkpoint(file, "vqgan", note)) is not None:
        return own
    settings = _read_yaml(config) if config else guess_vqgan(_state(file, "vqgan"), file)
    return _adopt([file], "vqgan", settings, note)


def adopt_dvae(files: Sequence[Path], note: Note) -> str:
    """Return the name of the dVAE in DALL-E's two files, encoder and decoder, or in one that clipgen trained."""
    if len(files) == 1 and (own := _adopted_checkpoint(files[0], "dvae", note)) is not None:
        return own
    if len(files) != 2:
        raise UsageError(f"--dvae takes two files, the encoder's and the decoder's, got {len(files)}")
    encoder, decoder = (_state(file, "dvae") for file in files)
    try:
        settings = {
            "vocab_size": encoder["blocks.output.conv.w"].shape[0],
            "n_hid": encoder["blocks.input.w"].shape[0],
            "n_blk_per_group": _count(encoder, "blocks.group_1.block_"),
            "n_init": decoder["blocks.input.w"].shape[0],
        }
    except (KeyError, IndexError) as error:
        raise UsageError(f"--dvae {files[0]} and {files[1]} are not DALL-E's encoder and decoder, in order") from error
    return _adopt(files, "dvae", settings, note)


def adopt_clip(model: str | None, file: Path, note: Note) -> str:
    """Return the name of the CLIP in a file: open_clip's `model`, or what the config beside the file says."""
    if (own := _adopted_checkpoint(file, "clip", note)) is not None:
        return own
    beside = file.with_name(HUB_CONFIG)
    if model is None and not beside.is_file():
        raise UsageError(
            f"--clip-weights {file}: say whose weights these are, as in --clip ViT-B-32, or put {HUB_CONFIG} beside it"
        )
    return _adopt([file], "clip", _named_config(model, file) if model else _hub_config(beside), note)


def adopt_hub(text: str, note: Note) -> str:
    """Return the name of a CLIP of the Hugging Face hub, "hf-hub:owner/name", whose files are in the hub's cache."""
    repository = text.removeprefix(HUB_PREFIX)
    config = hub_file(repository, HUB_CONFIG)
    found = [path for file in HUB_WEIGHTS if (path := hub_file(repository, file))]
    if config is None or not found:
        raise WeightsMissingError(
            f"--clip {text} is not in the cache of the Hugging Face hub; get it with: "
            f"hf download {repository} {HUB_CONFIG} {HUB_WEIGHTS[0]}"
        )
    return _adopt([found[0]], "clip", _hub_config(config), note)


def guess_vqgan(state: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """Return the config of the VQGAN of taming or latent diffusion that has tensors of these shapes."""
    gumbel = "quantize.embed.weight" in state
    try:
        codes, width = state["quantize.embed.weight" if gumbel else "quantize.embedding.weight"].shape
        first, last = state["encoder.conv_in.weight"].shape, state["encoder.conv_out.weight"].shape
        inner = state["decoder.conv_in.weight"].shape[1]
        levels = range(_count(state, "encoder.down."))
        widths = [state[f"encoder.down.{k}.block.0.conv1.weight"].shape[0] for k in levels]
        out = state["decoder.conv_out.weight"].shape[0]
    except (KeyError, ValueError, IndexError) as error:
        raise UsageError(f"--vqgan {file} has no VQGAN in it: {one_line(repr(error), 100)}") from error
    attention = "vanilla" if any(name.startswith("encoder.mid.attn_1.") for name in state) else "none"
    shape = {
        "double_z": last[0] == 2 * inner,
        "z_channels": inner,
        "resolution": RESOLUTION,
        "in_channels": first[1],
        "out_ch": out,
        "ch": first[0],
        "ch_mult": [each // first[0] for each in widths],
        "num_res_blocks": _count(state, "encoder.down.0.block."),
        "attn_resolutions": [RESOLUTION // 2**k for k in levels if _count(state, f"encoder.down.{k}.attn.")],
        "dropout": 0.0,
    } | ({"attn_type": "none"} if attention == "none" else {})
    return {"embed_dim": width, "n_embed": codes, "ddconfig": shape} | ({"quantizer": "gumbel"} if gumbel else {})


def _adopt(files: Sequence[Path], kind: str, config: dict[str, Any], note: Note) -> str:
    name = local_name(kind, [_hash(file, kind) for file in files], config)
    if not is_ready(name, Cache()):
        keep(name, convert(files, kind, config), note)
    return _kept(name)


def _adopted_checkpoint(file: Path, kind: str, note: Note) -> str | None:
    """Return the name of a network that clipgen wrote itself; None for any other file."""
    header = read_header(file)
    if header is None:
        return None
    if header.kind != kind:
        raise UsageError(f"{file} holds a {quoted(header.kind)}, not a {kind}")
    name = local_name(kind, [_hash(file, kind)], {})
    if not is_ready(name, Cache()):
        keep(name, weights.read(file), note)
    return _kept(name)


def _kept(name: str) -> str:
    """Return the name of a network that must be in the cache now, as it is found nowhere else."""
    if not is_ready(name, Cache()):
        raise ClipgenError(f"{name} cannot be kept in {Cache().folder}; make room, or set CLIPGEN_CACHE to a folder")
    return name


def _hash(file: Path, kind: str) -> str:
    flag = "--clip-weights" if kind == "clip" else f"--{kind}"
    try:
        if not file.is_file():
            raise UsageError(f"{flag} {str(file)!r} is no file; check the path")
        return sha256_of(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag} {str(file)!r} cannot be read ({error}); check the path") from error


def _state(file: Path, kind: str) -> dict[str, Tensor]:
    _hash(file, kind)
    return useful(read_foreign(file), SOURCES[kind])


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many different numbers follow a prefix in the names."""
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read the arguments of a VQGAN from the YAML file that taming or latent diffusion has for it, as data."""
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise UsageError(f"--vqgan-config {path} is larger than {MAX_CONFIG} bytes, as none of a VQGAN is")
        model = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
        model = model["params"].get("first_stage_config", model)
        target, params = str(model["target"]).split(".")[-1], model["params"]
        shape = {name: _plain(value) for name, value in params["ddconfig"].items()}
        config = {"embed_dim": _plain(params["embed_dim"]), "n_embed": _plain(params["n_embed"]), "ddconfig": shape}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = one_line(str(error), 120)
        raise UsageError(f"--vqgan-config {path} cannot be read as YAML ({reason}); check the file") from error
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UsageError(f"--vqgan-config {path} is no config of a VQGAN ({one_line(repr(error), 100)})") from error
    if target not in QUANTIZERS:
        raise UsageError(f"--vqgan-config {path} is of a {quoted(target)}; known are {', '.join(QUANTIZERS)}")
    return config | ({"quantizer": "gumbel"} if QUANTIZERS[target] == "gumbel" else {})


def _plain(value: object) -> object:
    """Return a number, a switch, a short text, or a short list of whole numbers; anything else is a ValueError."""
    if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < 50):
        return value
    if isinstance(value, list) and len(value) <= 16 and all(isinstance(one, int) for one in value):
        return value
    raise ValueError("neither a number nor a list of numbers")


def _named_config(model: str, file: Path) -> dict[str, Any]:
    """Return the config of open_clip's model, with the QuickGELU that OpenAI's own archives were trained with."""
    config = clip_config({"model": model, "mean": list(CLIP_MEAN), "std": list(CLIP_STD)})
    _hash(file, "clip")
    return config | ({"quick_gelu": True} if OPENAI_MARK in read_foreign(file) else {})


def _hub_config(path: Path) -> dict[str, Any]:
    """Read the config that open_clip puts beside weights, as data."""
    try:
        said = json.loads(path.read_text(encoding="utf-8")[:MAX_CONFIG])
        seen = said["preprocess_cfg"]
        return {**said["model_cfg"], "mean": [float(x) for x in seen["mean"]], "std": [float(x) for x in seen["std"]]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no config of open_clip ({one_line(repr(error), 100)})") from error
