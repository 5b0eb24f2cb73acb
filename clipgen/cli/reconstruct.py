"""`clipgen reconstruct PICTURE`: what autoencoders keep of pictures, and the tokens that they make of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli.autoencoder_options import AutoencoderOptions
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.output_options import DEFAULT_FOLDER, OutputOptions
from clipgen.cli.picture_files import picture_files
from clipgen.cli.report import Notes
from clipgen.config.job import parse_size
from clipgen.config.presets import Size
from clipgen.config.resolve import refit
from clipgen.errors import UsageError
from clipgen.session.naming import check_out, folder_and_stem
from clipgen.util.devices import pick_device
from clipgen.weights import registry

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from clipgen.generators.tokens import Tokenizer
    from clipgen.judge.reconstruction import Reconstruction

MAX_PICTURES = 10_000
ONE = "{}-reconstructed"
SEVERAL = "reconstructed"
"""The usual names of the sheet."""

Pictures = Annotated[
    list[Path], typer.Argument(metavar="PICTURE|FOLDER", help="Pictures, and folders of pictures.", show_default=False)
]
AskedSize = Annotated[
    str | None,
    Option(
        "--size",
        "Cut and scale every picture to this width and height.",
        "WxH",
        default="its own, at most 256 pixels on the longer side, cut to whole cells",
    ),
]
Tokens = Annotated[
    bool,
    Option(
        "--tokens",
        "Write the tokens of several pictures, too, each as a .npy file and as a picture with a colour for each code; "
        "those of a single picture are always written.",
    ),
]
Alone = Annotated[bool, Option("--alone", "Write each reconstruction alone, too.")]
ReconstructOutput = Annotated[
    OutputOptions,
    only("out", "as_json", "quiet"),
    redeclared(
        out={
            "text": "Where to write the sheet; other files go beside it. Nothing is ever overwritten.",
            "default": f"{DEFAULT_FOLDER}/<picture>-reconstructed.png",
        },
        as_json={"text": "Print one JSON document, which has the numbers of each picture, instead of a table."},
    ),
]


@dataclass(frozen=True)
class Made:
    """A picture, and what a model made of it."""

    path: Path
    model: str
    made: Reconstruction


@dataclass(frozen=True)
class Written:
    """What to write of each picture beside the sheet."""

    tokens: bool
    alone: bool


@flat
def reconstruct(
    pictures: Pictures,
    *,
    models: AutoencoderOptions,
    size: AskedSize = None,
    tokens: Tokens = False,
    alone: Alone = False,
    output: ReconstructOutput,
) -> None:
    """Encode pictures and decode them again: a sheet of both, and how much of them is left.

    Prints PSNR (dB) and SSIM, how many different codes were used, and their perplexity; of several pictures the means
    with 95 % intervals.
    """
    check_out(output.out)
    asked = None if size is None else parse_size(size)
    found = picture_files(pictures, "reconstruct")
    if len(found) > MAX_PICTURES:
        raise UsageError(f"reconstruct takes up to {MAX_PICTURES:,} pictures, got {len(found):,}; name fewer")
    names, notes = models.names(), output.notes()
    stride = math.lcm(*map(registry.stride, names))
    if asked is not None:
        asked, said = refit(asked, stride, " and ".join(names))
        notes.say(said)
    notes.say([*models.notes, f"reconstructed by {', '.join(names)}"])
    _reconstruct_all(found, names, asked, Written(tokens or len(found) == 1, alone), models.device, output)


def _reconstruct_all(
    found: Sequence[Path], names: Sequence[str], size: Size | None, wanted: Written, device: str, output: OutputOptions
) -> None:
    """Reconstruct all pictures that can be read, and report on them; after Ctrl-C on those that were done."""
    import torch

    from clipgen.cli.reconstruct_report import Report
    from clipgen.engine.models import load_tokenizer

    notes, where = output.notes(), torch.device(pick_device(device))
    networks = {name: load_tokenizer(name, where, notes.note) for name in names}
    folder, stem = folder_and_stem(output.out, ONE.format(found[0].stem) if len(found) == 1 else SEVERAL)
    report = Report(folder, stem, {name: network.code_count for name, network in networks.items()}, wanted)
    try:
        for number, made in enumerate(_made(found, networks, where, size, notes, report.skipped), start=1):
            report.add(made)
            if len(found) > 1:
                notes.note(f"{number}/{len(found)} {made[0].path}")
    finally:
        report.close(output)
    if not report.rows:
        raise UsageError(next(iter(report.skipped.values())))


def _made(
    found: Sequence[Path],
    networks: Mapping[str, Tokenizer],
    device: torch.device,
    size: Size | None,
    notes: Notes,
    skipped: dict[str, str],
) -> Iterator[list[Made]]:
    """Yield what all models make of each picture that can be read; notes and `skipped` have the others."""
    from clipgen.engine.models import memory_errors
    from clipgen.judge.reconstruction import on_grid, reconstruct
    from clipgen.util.images import load_image

    stride = math.lcm(*(network.stride for network in networks.values()))
    for path in found:
        try:
            image: Image = on_grid(load_image(path, "the picture")[0], stride, size)
        except UsageError as error:
            skipped[str(path)] = str(error)
            if len(found) > 1:
                notes.note(f"left out: {error}")
            continue
        with memory_errors(" and ".join(networks), "a smaller --size"):
            yield [Made(path, name, reconstruct(image, network, device)) for name, network in networks.items()]
