"""The options that name models other than the preset's, and the fields of a job that they set."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.config.upscales import LANCZOS
from clipgen.errors import UsageError, unknown_value
from clipgen.util.text import quoted
from clipgen.weights.registry import HUB_PREFIX, TIMM_PREFIX, known_network, networks
from clipgen.weights.upscaler_records import KIND as UPSCALER

MODELS = "Models"
IN_ONE_FILE = ("vqgan", "titok")
"""The autoencoders whose option takes a name or a checkpoint in one file."""
AUTOENCODERS = (*IN_ONE_FILE, "kl", "dvae")
"""The backends whose network an option of the same name chooses."""
MIN_MODEL_WEIGHT, MAX_MODEL_WEIGHT = 1e-6, 1000.0
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:inf|nan)", re.IGNORECASE)


@dataclass(frozen=True)
class ModelOptions:
    """Models other than the preset's; the user's own files are read when `job_fields` is called."""

    clip: Annotated[
        list[str] | None,
        Option(
            "--clip",
            "A CLIP to guide with, instead of the preset's; repeat it to average the losses of several. ViT-B-32, "
            "RN50, another name from `clipgen models list`, or hf-hub:OWNER/NAME. :NUMBER after it is its weight.",
            "NAME[:WEIGHT]",
            panel=MODELS,
        ),
    ] = None
    clip_weights: Annotated[
        list[Path] | None,
        Option(
            "--clip-weights",
            "Your own weights for a --clip, which then names their architecture: ViT-B-32, or ViT-B-32-quickgelu if "
            "they come from OpenAI's; one file for each.",
            "FILE",
            panel=MODELS,
        ),
    ] = None
    perceptor: Annotated[
        list[str] | None,
        Option(
            "--perceptor",
            "A classifier of photographs to guide with; repeat it for several. efficientnet-lite0, -lite1, -lite2, or "
            "timm:NAME with --perceptor-weights. :NUMBER after it is its weight.",
            "NAME[:WEIGHT]",
            panel=MODELS,
        ),
    ] = None
    perceptor_weights: Annotated[
        list[Path] | None,
        Option(
            "--perceptor-weights",
            "Your own weights for a --perceptor timm:NAME, with the 1,000 classes of ImageNet; one file for each.",
            "FILE",
            panel=MODELS,
        ),
    ] = None
    vqgan: Annotated[
        str | None,
        Option(
            "--vqgan",
            "The VQGAN to use instead of the preset's: a name from `clipgen models list`, or your own checkpoint, in "
            "which it is found wherever it lies.",
            "NAME|FILE",
            panel=MODELS,
        ),
    ] = None
    vqgan_config: Annotated[
        Path | None,
        Option(
            "--vqgan-config",
            "The config of that checkpoint; without it, the architecture is inferred from the shapes of the tensors.",
            "FILE.yaml",
            panel=MODELS,
        ),
    ] = None
    dvae: Annotated[
        list[Path] | None,
        Option(
            "--dvae",
            "Your own dVAE to use instead of the preset's, in one file, or in two: give the option twice.",
            "FILE",
            panel=MODELS,
        ),
    ] = None
    kl: Annotated[
        list[str] | None,
        Option(
            "--kl",
            "The continuous autoencoder to use with --backend kl instead of the preset's: a name from `clipgen models "
            "list`, or your own checkpoint of Stable Diffusion's or a TAESD; of a TAESD in two files, give it twice.",
            "NAME|FILE",
            panel=MODELS,
        ),
    ] = None
    titok: Annotated[
        str | None,
        Option(
            "--titok",
            "The TiTok to use with --backend titok instead of the preset's: a name from `clipgen models list`, or your "
            "own file.",
            "NAME|FILE",
            panel=MODELS,
        ),
    ] = None
    upscaler: Annotated[
        str | None,
        Option(
            "--upscaler",
            "What --upscale enlarges by: a name from `clipgen models list`, your own file of an architecture that "
            "spandrel knows (Real-ESRGAN and many others), or lanczos.",
            "NAME|FILE|lanczos",
            panel=MODELS,
            default="Real-ESRGAN if it is installed, else lanczos",
        ),
    ] = None
    ema: Annotated[
        bool,
        Option(
            "--ema",
            "Take the moving averages of the weights (EMA) from your own files, which hold both.",
            panel=MODELS,
        ),
    ] = False
    offline: Annotated[bool, Option("--offline", "Download nothing; missing weights are an error.", panel=MODELS)] = (
        False
    )

    def job_fields(self, backend: str) -> dict[str, Any]:
        """Return the fields of a job that name models; empty if no option was given. Raises UsageError."""
        for name in AUTOENCODERS:
            if getattr(self, name) and backend != name:
                raise UsageError(f"--{name} goes with --backend {name}, not with {backend}")
        if self.vqgan_config and not self.vqgan:
            raise UsageError(
                f"--vqgan-config {self.vqgan_config} needs the checkpoint that it belongs to; add --vqgan FILE"
            )
        given = ((kind, getattr(self, kind)) for kind in IN_ONE_FILE)
        own = [text for kind, text in given if text and not known_network(kind, text)]
        own += [text for text in self.kl or [] if not known_network("kl", text)]
        if self.ema and not (own or self.dvae or self.clip_weights or self.perceptor_weights):
            raise UsageError(
                "--ema chooses among the weights in a file of yours; add --vqgan FILE or --clip-weights FILE"
            )
        found = {"clips": tuple(self._clips()), "classifiers": tuple(self._classifiers()), "network": self._network()}
        found["upscaler"] = self.upscaler and _upscaler(self.upscaler)
        return {name: value for name, value in found.items() if value}

    @cached_property
    def notes(self) -> list[str]:
        """What was taken from the user's own files, and what was assumed; `job_fields` adds to it."""
        return []

    @property
    def _how(self) -> dict[str, Any]:
        """How the user's own files are read."""
        return {"ema": self.ema, "note": self.notes.append}

    def _network(self) -> str | None:
        halves = [str(file) for file in self.dvae or []]
        if halves or len(self.kl or []) > 1:
            return self._in_halves("dvae" if halves else "kl", halves or self.kl or [])
        if self.kl:
            return self._autoencoder("kl", self.kl[0])
        given = ((kind, getattr(self, kind)) for kind in IN_ONE_FILE)
        return next((self._autoencoder(kind, text) for kind, text in given if text), None)

    def _autoencoder(self, kind: str, text: str) -> str:
        config = self.vqgan_config if kind == "vqgan" else None
        if name := known_network(kind, text):
            if config:
                raise UsageError(f"--vqgan-config goes with a checkpoint of your own; the config of {name} is known")
            return name
        if not _exists(text):
            raise unknown_value(f"--{kind}, where it names no file,", text, networks(kind))
        from clipgen.weights.imports import import_autoencoder

        return import_autoencoder(kind, Path(text), config, **self._how)

    def _in_halves(self, kind: str, texts: list[str]) -> str:
        whole = [name for name in (known_network(kind, text) for text in texts) if name]
        if whole and len(texts) > 1:
            raise UsageError(f"--{kind} names a whole network, {whole[0]}; give that alone, or two files of yours")
        from clipgen.weights.imports import import_halves

        return import_halves(kind, [Path(text) for text in texts], **self._how)

    def _clips(self) -> list[str]:
        names, files = self.clip or [], self.clip_weights or []
        if not files:
            return [_clip(name) for name in names]
        if names and len(names) != len(files):
            raise UsageError(
                f"--clip-weights is given {len(files)} times and --clip {len(names)} times; give one of each"
            )
        from clipgen.weights.imports import import_clip

        if not names:
            return [import_clip(None, file, **self._how) for file in files]
        whole = [(name, "") if known_network("clip", name) else split_weight(name, "--clip") for name in names]
        pairs = zip(whole, files, strict=True)
        return [import_clip(name, file, **self._how) + weight for (name, weight), file in pairs]

    def _classifiers(self) -> list[str]:
        names, files = self.perceptor or [], self.perceptor_weights or []
        own = [name for name in names if name.startswith(TIMM_PREFIX)]
        if len(own) != len(files):
            raise _unpaired(own, files)
        left = iter(files)
        return [
            self._imported(name, next(left)) if name.startswith(TIMM_PREFIX) else _classifier(name) for name in names
        ]

    def _imported(self, text: str, file: Path) -> str:
        from clipgen.weights.imports import import_classifier

        name, weight = split_weight(text)
        return import_classifier(name.removeprefix(TIMM_PREFIX), file, **self._how) + weight


def split_weight(text: str, flag: str = "--perceptor") -> tuple[str, str]:
    """Split "ViT-B-32:0.5" into the name of a model and ":0.5"; "" if no weight follows the name.

    Raises UsageError, which names the flag, unless the weight is from MIN_MODEL_WEIGHT to MAX_MODEL_WEIGHT.
    """
    name, colon, number = text.rpartition(":")
    if not colon or not _NUMBER.fullmatch(number):
        return text, ""
    if not MIN_MODEL_WEIGHT <= float(number) <= MAX_MODEL_WEIGHT:
        raise UsageError(
            f"{flag} {quoted(text)}: the weight after the colon must be from {MIN_MODEL_WEIGHT:g} to "
            f"{MAX_MODEL_WEIGHT:g}"
        )
    return name, f":{number}"


def _clip(text: str) -> str:
    if name := known_network("clip", text):  # first, as in "ViT-L-14:336" the number belongs to the name
        return name
    plain, weight = split_weight(text, "--clip")
    if plain.startswith(HUB_PREFIX):
        from clipgen.weights.imports import import_hub

        return import_hub(plain) + weight
    if name := known_network("clip", plain):
        return name + weight
    raise unknown_value("--clip", text, networks("clip"))


def _classifier(text: str) -> str:
    plain, weight = split_weight(text)
    if name := known_network("classifier", plain):
        return name + weight
    raise unknown_value(f"--perceptor, unless it is {TIMM_PREFIX}NAME,", text, networks("classifier"))


def _upscaler(text: str) -> str:
    name = LANCZOS if text.lower() == LANCZOS else known_network(UPSCALER, text)
    if name:
        return name
    if not _exists(text):
        raise unknown_value("--upscaler, where it names no file,", text, [*networks(UPSCALER), LANCZOS])
    from clipgen.weights.imports import import_upscaler

    return import_upscaler(Path(text))


def _unpaired(names: list[str], files: list[Path]) -> UsageError:
    """Make the error for classifiers of timm and files of weights that are not as many."""
    if not files:
        return UsageError(f"--perceptor {names[0]} needs weights of yours; add --perceptor-weights FILE")
    if not names:
        return UsageError(f"--perceptor-weights {files[0]} needs its architecture; add --perceptor {TIMM_PREFIX}NAME")
    return UsageError(
        f"--perceptor-weights is given {len(files)} times and --perceptor {TIMM_PREFIX}NAME {len(names)} times; give "
        "one of each"
    )


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # no file can have such a name
        return False
