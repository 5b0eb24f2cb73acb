"""Imports of networks from the user's own files, in any format that `clipgen.weights.foreign` reads.

An imported network is stored in the cache under a name that its content decides, "vqgan/local-0123456789abcdef". So a
job can name it without the path of the file, and the same file with the same config always is the same network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from clipgen import weights
from clipgen.errors import UsageError, WeightsMissingError
from clipgen.util.text import one_line, quoted
from clipgen.weights.cache import sha256_of
from clipgen.weights.clips import CLIP_MEAN, CLIP_STD
from clipgen.weights.conversion import check_against_config, convert, network_tensors
from clipgen.weights.foreign import read_foreign
from clipgen.weights.loader import clip_config, store
from clipgen.weights.registry import HUB_PREFIX, TIMM_PREFIX, hub_file, is_ready, local_name, read_header
from clipgen.weights.timm_models import CLASSES, classes_in, timm_config
from clipgen.weights.yaml_text import load_yaml

MAX_REASON = 120
MAX_CONFIG = 100_000
"""Bytes that a file with a config may have."""
OPENAI_MARK = "input_resolution"
"""A tensor that only OpenAI's own archives of CLIPs have."""
HUB_CONFIG = "open_clip_config.json"
HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
RESOLUTION = 256
"""The image size that a guessed config assumes; `attn_resolutions` follows from it, the network does not."""
QUANTIZERS = {"VQModel": "nearest", "VQModelInterface": "nearest", "GumbelVQ": "gumbel"}
"""The last part of a YAML file's `target`, which is looked up here and never imported -> `quantizer` of the config."""


def import_vqgan(file: Path, config: Path | None) -> str:
    """Import the VQGAN in a file and return its name.

    config: a YAML file of taming-transformers or latent diffusion; without it the tensors' shapes tell the config.
    Raises UsageError for files that cannot be read or hold no VQGAN, ClipgenError where file and config do not match.
    """
    _check_file(file, "vqgan")
    if read_header(file):
        if config:
            raise UsageError(f"--vqgan-config {config} is not needed: {file} says itself what it is; leave it out")
        return _import_own(file, "vqgan")
    return _import([file], "vqgan", read_yaml(config) if config else guess_vqgan(_state(file, "vqgan"), file))


def import_dvae(files: Sequence[Path]) -> str:
    """Import the dVAE in DALL-E's two files, encoder and decoder, or in one file of clipgen's, and return its name.

    Raises UsageError for files that cannot be read or are not these, ClipgenError where the two do not match.
    """
    for file in files:
        _check_file(file, "dvae")
    if len(files) == 1 and read_header(files[0]):
        return _import_own(files[0], "dvae")
    if len(files) != 2:
        raise UsageError(f"--dvae takes two files, the encoder's and the decoder's, got {len(files)}")
    return _import(files, "dvae", _guess_dvae(*files))


def import_clip(model: str | None, file: Path) -> str:
    """Import the CLIP in a file and return its name.

    model: open_clip's name of the architecture; None takes the config that lies beside the file, as on the Hugging Face
    hub. Raises UsageError where neither tells the config, ClipgenError where file and config do not match.
    """
    _check_file(file, "clip")
    if read_header(file):
        return _import_own(file, "clip")
    beside = file.with_name(HUB_CONFIG)
    if model is None and not beside.is_file():
        raise UsageError(
            f"--clip-weights {file}: say whose weights these are, as in --clip ViT-B-32, or put {HUB_CONFIG} beside it"
        )
    return _import([file], "clip", _named_config(model, file) if model else _hub_config(beside))


def import_hub(text: str) -> str:
    """Import the CLIP "hf-hub:owner/name" from the local cache of the Hugging Face hub and return its name.

    Asks no server. Raises WeightsMissingError with the command that downloads it if it is not in that cache.
    """
    repository = text.removeprefix(HUB_PREFIX)
    config = hub_file(repository, HUB_CONFIG)
    found = [path for file in HUB_WEIGHTS if (path := hub_file(repository, file))]
    if config is None or not found:
        raise WeightsMissingError(
            f"--clip {text} is not in the cache of the Hugging Face hub; get it with: "
            f"hf download {repository} {HUB_CONFIG} {HUB_WEIGHTS[0]}"
        )
    return _import([found[0]], "clip", _hub_config(config))


def import_classifier(model: str, file: Path) -> str:
    """Import the classifier of ImageNet's 1,000 classes in a file and return its name.

    model: timm's name of the architecture, "resnet50"; a tag of weights in it, as in "resnet50.a1_in1k", decides the
    mean and std of the input. Raises UsageError for an unknown name, a file that cannot be read, or other classes;
    ClipgenError where file and architecture do not match.
    """
    _check_file(file, "classifier")
    config = timm_config(model)
    if header := read_header(file):
        if header.kind == "classifier" and header.config.get("model") != model:
            said = quoted(header.config.get("model"))
            raise UsageError(f"--perceptor {TIMM_PREFIX}{model}: {file} says that it is a {said}; name that one")
        _check_classes(header.config.get("classes", CLASSES), file)
        return _import_own(file, "classifier")
    _check_classes(classes_in(_state(file, "classifier"), model), file)
    return _import([file], "classifier", config)


def _check_classes(count: object, file: Path) -> None:
    """Raise UsageError unless the classes are those of ImageNet; None, for no classes at all, is left to others."""
    if count not in (None, CLASSES):
        raise UsageError(
            f"--perceptor-weights {file} has {quoted(count)} classes; only the {CLASSES} classes of ImageNet-1k have "
            "names that are known, so use weights with these"
        )


def guess_vqgan(state: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """Return the config of the VQGAN, of taming-transformers or latent diffusion, with tensors of these shapes.

    state: as `network_tensors` returns it. Raises UsageError, which names the file, if there is no such VQGAN.
    """
    gumbel = "quantize.embed.weight" in state
    try:
        codes, width = state["quantize.embed.weight" if gumbel else "quantize.embedding.weight"].shape
        shape = _guess_shape(state)
    except (KeyError, ValueError, IndexError, ArithmeticError) as error:
        raise UsageError(f"--vqgan {file} has no VQGAN in it: {one_line(repr(error), MAX_REASON)}") from error
    return {"embed_dim": width, "n_embed": codes, "ddconfig": shape} | ({"quantizer": "gumbel"} if gumbel else {})


def _guess_shape(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the `ddconfig` of encoder and decoder with tensors of these shapes."""
    first, inner = state["encoder.conv_in.weight"].shape, state["decoder.conv_in.weight"].shape[1]
    levels = range(_count(state, "encoder.down."))
    widths = [state[f"encoder.down.{k}.block.0.conv1.weight"].shape[0] for k in levels]
    attended = any(name.startswith("encoder.mid.attn_1.") for name in state)
    return {
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
    } | ({} if attended else {"attn_type": "none"})


def _guess_dvae(encoder_file: Path, decoder_file: Path) -> dict[str, Any]:
    """Return the config of the dVAE of dall_e that has tensors of these shapes."""
    encoder, decoder = (_state(file, "dvae") for file in (encoder_file, decoder_file))
    try:
        return {
            "vocab_size": encoder["blocks.output.conv.w"].shape[0],
            "n_hid": encoder["blocks.input.w"].shape[0],
            "n_blk_per_group": _count(encoder, "blocks.group_1.block_"),
            "n_init": decoder["blocks.input.w"].shape[0],
        }
    except (KeyError, IndexError) as error:
        raise UsageError(
            f"--dvae {encoder_file} and {decoder_file} are not DALL-E's encoder and decoder, in this order"
        ) from error


def _import(files: Sequence[Path], kind: str, config: dict[str, Any]) -> str:
    name = local_name(kind, [sha256_of(file) for file in files], config)
    if not is_ready(name):
        store(name, convert(files, kind, config))
    return name


def _import_own(file: Path, kind: str) -> str:
    """Import a network from a file in clipgen's own format and return its name."""
    checkpoint = weights.read(file)
    if checkpoint.kind != kind:
        raise UsageError(f"{file} holds a {quoted(checkpoint.kind)}, not a {kind}")
    name = local_name(kind, [sha256_of(file)], {})
    if not is_ready(name):
        store(name, check_against_config(checkpoint, file))
    return name


def _check_file(file: Path, kind: str) -> None:
    """Raise UsageError, which names the flag, unless the file can be read."""
    flag = {"clip": "--clip-weights", "classifier": "--perceptor-weights"}.get(kind, f"--{kind}")
    try:
        if not file.is_file():
            raise UsageError(f"{flag} {str(file)!r} is no file; check the path")
        file.open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{flag} {str(file)!r} cannot be read ({reason}); check the path") from error


def _state(file: Path, kind: str) -> dict[str, Tensor]:
    return network_tensors(read_foreign(file), kind)


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Count the different parts that follow a prefix in the names, up to the next dot."""
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the config of a VQGAN from a YAML file of taming-transformers or latent diffusion, as plain data.

    Raises UsageError for anything else, aliases and large files included.
    """
    try:
        model = load_yaml(_read_text(path, "--vqgan-config"))["model"]
        model = model["params"].get("first_stage_config", model)
        target, params = str(model["target"]).split(".")[-1], model["params"]
        shape = {name: _plain(value) for name, value in params["ddconfig"].items()}
        config = {"embed_dim": _plain(params["embed_dim"]), "n_embed": _plain(params["n_embed"]), "ddconfig": shape}
    except yaml.YAMLError as error:
        reason = one_line(str(error), MAX_REASON)
        raise UsageError(f"--vqgan-config {path} cannot be read as YAML ({reason}); check the file") from error
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = one_line(repr(error), MAX_REASON)
        raise UsageError(f"--vqgan-config {path} is no config of a VQGAN ({reason}); leave it out") from error
    if target not in QUANTIZERS:
        raise UsageError(f"--vqgan-config {path} is of a {quoted(target)}; known are {', '.join(QUANTIZERS)}")
    return config | ({"quantizer": "gumbel"} if QUANTIZERS[target] == "gumbel" else {})


def _read_text(path: Path, flag: str) -> str:
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise UsageError(f"{flag} {path} is larger than {MAX_CONFIG} bytes, as no config of a network is")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{flag} {path} cannot be read ({reason}); check the path") from error


def _plain(value: object) -> object:
    """Return a number, boolean, short text or short list of whole numbers. Raises ValueError for anything else."""
    if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < 50):
        return value
    if isinstance(value, list) and len(value) <= 16 and all(isinstance(one, int) for one in value):
        return value
    raise ValueError("neither a number nor a list of numbers")


def _named_config(model: str, file: Path) -> dict[str, Any]:
    """Return open_clip's config of a model, with QuickGELU for OpenAI's own archives, which were trained with it."""
    config = clip_config({"model": model, "mean": list(CLIP_MEAN), "std": list(CLIP_STD)})
    return config | ({"quick_gelu": True} if OPENAI_MARK in read_foreign(file) else {})


def _hub_config(path: Path) -> dict[str, Any]:
    """Read the config that open_clip puts beside weights, as plain data. Raises UsageError for anything else."""
    try:
        said = json.loads(_read_text(path, "the config"))
        model, seen = dict(said["model_cfg"]), said["preprocess_cfg"]
        return model | {name: [float(x) for x in seen[name]] for name in ("mean", "std")}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(f"{path} is no config of open_clip ({one_line(repr(error), MAX_REASON)})") from error
