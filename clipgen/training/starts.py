"""Networks to start at instead of random weights: those that ship, published ones, and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipgen.config.own_presets import FILE, read_own_preset
from clipgen.errors import UsageError
from clipgen.training.progress import Report
from clipgen.training.settings import Settings
from clipgen.util.text import quoted
from clipgen.weights import Checkpoint, loader
from clipgen.weights.config_files import HUB_CONFIG
from clipgen.weights.imports import FLAGS, import_autoencoder, import_clip
from clipgen.weights.registry import STARTER, known_network, read_header

FLAG = "--from"
NEAREST = "nearest"
"""The quantizer of the VQGANs that can be trained."""


def find_start(kind: str, text: str, report: Report) -> Checkpoint:
    """Return the network of a kind that a text names: "starter/vqgan", "ViT-B-32", or a file.

    Raises UsageError if it names none, or one that cannot be trained, and WeightsMissingError for one to download.
    """
    path = Path(text).expanduser()
    if text.startswith(STARTER):
        name: str | None = text
    elif path.is_file():
        name = _imported(kind, path, report)
    else:
        name = known_network(kind, text)
    if name is None:
        raise UsageError(
            f"{FLAG} {quoted(text)} is neither a file nor the name of a {kind}; clipgen models list names all"
        )
    found = loader.load(name, report)
    if found.kind != kind:
        raise UsageError(f"{FLAG} {text} is a {quoted(found.kind)}: give a {kind}")
    if kind == "vqgan" and (quantizer := found.config.get("quantizer", NEAREST)) != NEAREST:
        raise UsageError(f"{FLAG} {text} has a {quantizer} codebook: only those of nearest codes can be trained here")
    return found


@dataclass(frozen=True)
class Beside:
    """The autoencoder in a preset's folder whose codes a prior learns."""

    kind: str
    path: Path
    sha256: str
    side: int
    """Of the pictures that it has learned, in pixels."""


def autoencoder_beside(folder: Path) -> Beside:
    """Return the VQGAN of a preset, or else its dVAE. Raises UsageError, which tells how to train one, without any."""
    preset = read_own_preset(folder, "--out") if (folder / FILE).exists() else None
    kind = next((kind for kind in ("vqgan", "dvae") if preset and kind in preset.networks), None)
    if preset is None or kind is None:
        raise UsageError(
            f"--out {folder} has no autoencoder whose codes a prior could learn; first: clipgen train vqgan --data "
            f"PICTURES --out {folder}"
        )
    return Beside(kind, preset.path(kind), preset.networks[kind].sha256, preset.size[0])


def _imported(kind: str, path: Path, report: Report) -> str:
    if kind == "clip" and not (read_header(path) or path.with_name(HUB_CONFIG).is_file()):
        raise UsageError(f"{FLAG} {path}: put {HUB_CONFIG} beside it, which tells what kind of CLIP it is")
    try:
        return import_clip(None, path, note=report) if kind == "clip" else import_autoencoder(kind, path, note=report)
    except UsageError as error:
        raise UsageError(str(error).replace(FLAGS[kind], FLAG)) from error


def side_of(start: Checkpoint | None, settings: Settings) -> int:
    """Return the side of the pictures to train on.

    Raises UsageError where a CLIP, or the autoencoder of a prior, sees another than was asked for.
    """
    if settings.kind == "prior":
        side = autoencoder_beside(settings.out).side
        if settings.resolution not in (None, side):
            raise UsageError(
                f"--resolution {settings.resolution}: the autoencoder there draws {side} pixels; leave it out"
            )
        return side
    if start is None or start.kind != "clip":
        return settings.side
    size = start.config["vision_cfg"]["image_size"]
    side = int(size[0] if isinstance(size, list | tuple) else size)
    if settings.resolution not in (None, side):
        raise UsageError(f"--resolution {settings.resolution}: {settings.start} sees {side} pixels; leave it out")
    return side
