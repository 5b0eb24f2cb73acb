"""Imports of networks from the user's own files, in any format that `clipgen.weights.foreign` reads.

An imported network is stored in the cache under a name that its content decides, "vqgan/local-0123456789abcdef". So a
job can name it without the path of the file, and the same file with the same config always is the same network.

All functions raise UsageError for a file that cannot be read, holds no such network, or does not match its config.
`ema`: take the moving averages of the weights, of a file that has both. `note`: takes what is to be said to the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from clipgen import weights
from clipgen.errors import ClipgenError, UsageError, WeightsMissingError
from clipgen.util.text import quoted
from clipgen.weights.cache import sha256_of
from clipgen.weights.clip_names import named_config
from clipgen.weights.clips import PREPROCESSING, other_preprocessing
from clipgen.weights.config_files import HUB_CONFIG, read_hub_config, read_yaml
from clipgen.weights.conversion import Configured, check_against_config, find_network
from clipgen.weights.files import hub_file
from clipgen.weights.guessing import guess_dvae, guess_kl, guess_titok, guess_vqgan
from clipgen.weights.loader import Note, store
from clipgen.weights.registry import HUB_PREFIX, TIMM_PREFIX, is_ready, local_name, network_path, read_header
from clipgen.weights.timm_models import CLASSES, classes_in, timm_config
from clipgen.weights.upscaler_records import KIND
from clipgen.weights.upscalers import build_upscaler, convert_upscaler

HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
FLAGS = {
    "clip": "--clip-weights",
    "classifier": "--perceptor-weights",
    "token-prior": "--preset",
    KIND: "--upscaler",
    **{kind: f"--{kind}" for kind in ("vqgan", "dvae", "kl", "titok")},
}
GUESSES: dict[str, Callable[[Mapping[str, Tensor], str], dict[str, Any]]] = {
    "vqgan": guess_vqgan,
    "dvae": guess_dvae,
    "kl": guess_kl,
    "titok": guess_titok,
}
"""By kind of autoencoder: what tells its config from its tensors and the name of the file."""


def _silent(_line: str) -> None:
    pass


def import_autoencoder(
    kind: str, file: Path, config: Path | None = None, *, ema: bool = False, note: Note = _silent
) -> str:
    """Import the autoencoder of a kind of GUESSES in a file and return its name.

    config: a YAML file of taming-transformers or latent diffusion; without it the tensors' shapes tell the config.
    """
    _check_file(file, kind)
    if read_header(file):
        if config:
            raise UsageError(f"--{kind}-config {config} is not needed: {file} says itself what it is; leave it out")
        return _import_own(file, kind, ema=ema)
    how = read_yaml(config) if config else lambda state: GUESSES[kind](state, file.name)
    return _import([file], kind, how, ema=ema, note=note)


def import_trained(kind: str, file: Path) -> str:
    """Import a network that `clipgen train` wrote and return its name."""
    _check_file(file, kind)
    return _import_own(file, kind, ema=False)


def import_halves(kind: str, files: Sequence[Path], *, ema: bool = False, note: Note = _silent) -> str:
    """Import an autoencoder in two files, encoder and decoder in any order, or in one file, and return its name."""
    for file in files:
        _check_file(file, kind)
    if len(files) == 1 and read_header(files[0]):
        return _import_own(files[0], kind, ema=ema)
    if len(files) > 2:
        raise UsageError(f"--{kind} takes two files, the encoder's and the decoder's, got {len(files)}")
    return _import(files, kind, lambda state: GUESSES[kind](state, _names(files)), ema=ema, note=note)


def import_clip(model: str | None, file: Path, *, ema: bool = False, note: Note = _silent) -> str:
    """Import the CLIP in a file and return its name.

    model: open_clip's name of the architecture, or a published CLIP's; None takes the config that lies beside the file,
    as on the Hugging Face hub. Raises UsageError where neither tells the config.
    """
    _check_file(file, "clip")
    if read_header(file):
        return _import_own(file, "clip", ema=ema)
    if model:
        with _reading("clip", [file]):
            config, said = named_config(model, file)
    elif (beside := file.with_name(HUB_CONFIG)).is_file():
        config, said = read_hub_config(beside)
    else:
        raise UsageError(
            f"--clip-weights {file}: say whose weights these are, as in --clip ViT-B-32, or put {HUB_CONFIG} beside it"
        )
    name = _import([file], "clip", config, ema=ema, note=note)
    if said:
        note(said)
    return name


def import_upscaler(file: Path) -> str:
    """Import the network in a file that enlarges pictures and return its name."""
    _check_file(file, KIND)
    name = local_name(KIND, [sha256_of(file)], {})
    if not is_ready(name):
        with _reading(KIND, [file]):
            checkpoint = convert_upscaler(file)
        build_upscaler(checkpoint.tensors, str(file))
        store(name, checkpoint)
    return name


def import_hub(text: str, *, ema: bool = False, note: Note = _silent) -> str:
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
    model, said = read_hub_config(config)
    name = _import([found[0]], "clip", model, ema=ema, note=note)
    if said:
        note(said)
    return name


def import_classifier(model: str, file: Path, *, ema: bool = False, note: Note = _silent) -> str:
    """Import the classifier of ImageNet's 1,000 classes in a file and return its name.

    model: timm's name of the architecture, "resnet50"; a tag of weights in it, as in "resnet50.a1_in1k", decides the
    mean and std of the input. Raises UsageError for an unknown name, or other classes.
    """
    _check_file(file, "classifier")
    config = timm_config(model)
    if header := read_header(file):
        if header.kind == "classifier" and header.config.get("model") != model:
            said = quoted(header.config.get("model"))
            raise UsageError(f"--perceptor {TIMM_PREFIX}{model}: {file} says that it is a {said}; name that one")
        _check_classes(header.config.get("classes", CLASSES), file)
        return _import_own(file, "classifier", ema=ema)

    def configured(state: Mapping[str, Tensor]) -> dict[str, Any]:
        _check_classes(classes_in(state, model), file)
        return config

    return _import([file], "classifier", config, configured, ema=ema, note=note)


def _check_classes(count: object, file: Path) -> None:
    """Raise UsageError unless the classes are those of ImageNet; None, for no classes at all, is left to others."""
    if count not in (None, CLASSES):
        raise UsageError(
            f"--perceptor-weights {file} has {quoted(count)} classes; only the {CLASSES} classes of ImageNet-1k have "
            "names that are known, so use weights with these"
        )


def _import(
    files: Sequence[Path],
    kind: str,
    config: dict[str, Any] | Configured,
    check: Configured | None = None,
    *,
    ema: bool,
    note: Note,
) -> str:
    """Import the network of a config. check: looks at its tensors first."""
    with _reading(kind, files):
        network = find_network(files, kind, config, check, averaged=ema)
    told = {key: value for key, value in network.config.items() if kind != "clip" or key not in PREPROCESSING}
    name = local_name(kind, [*map(sha256_of, network.files), *(["ema"] if ema else [])], told)
    if network.note:
        note(network.note)
    if not is_ready(name) or _is_prepared_otherwise(name, network.config):
        with _reading(kind, files):
            checkpoint = network.checkpoint()
        store(name, checkpoint)
    return name


def _is_prepared_otherwise(name: str, config: Mapping[str, Any]) -> bool:
    """Tell whether a config says of preprocessing, which is no part of a name, what the stored network does not."""
    said, header = other_preprocessing(config), read_header(network_path(name))
    return bool(said) and header is not None and other_preprocessing(header.config) != said


def _import_own(file: Path, kind: str, *, ema: bool) -> str:
    """Import a network from a file in clipgen's own format and return its name."""
    if ema:
        raise UsageError(f"--ema: {file} holds one network alone, with no EMA copy; leave it out")
    with _reading(kind, [file]):
        checkpoint = weights.read(file)
    if checkpoint.kind != kind:
        raise UsageError(f"{file} holds a {quoted(checkpoint.kind)}, not a {kind}")
    name = local_name(kind, [sha256_of(file)], {})
    if not is_ready(name):
        with _reading(kind, [file]):
            checkpoint = check_against_config(checkpoint, file)
        store(name, checkpoint)
    return name


@contextmanager
def _reading(kind: str, files: Sequence[Path]) -> Iterator[None]:
    """Make of any other error about a user's file a UsageError, which names the flag and the files."""
    try:
        yield
    except ClipgenError as error:
        if type(error) is not ClipgenError:
            raise
        named = all(file.name in str(error) for file in files)
        raise UsageError(f"{FLAGS[kind]}{'' if named else ' ' + _names(files)}: {error}") from error


def _names(files: Sequence[Path]) -> str:
    return " and ".join(file.name for file in files)


def _check_file(file: Path, kind: str) -> None:
    """Raise UsageError, which names the flag, unless the file can be read."""
    flag = FLAGS[kind]
    try:
        if not file.is_file():
            raise UsageError(f"{flag} {str(file)!r} is no file; check the path")
        file.open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{flag} {str(file)!r} cannot be read ({reason}); check the path") from error
