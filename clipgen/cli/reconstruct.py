"""`clipgen reconstruct PICTURE`: what autoencoders keep of pictures, and the tokens that they make of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipgen.cli.autoencoder_options import AutoencoderOptions
from clipgen.cli.inventory import print_table
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.output_options import DEFAULT_FOLDER, OutputOptions
from clipgen.cli.picture_files import picture_files
from clipgen.cli.report import Notes, echo_path
from clipgen.config.job import parse_size
from clipgen.config.preset import Size
from clipgen.config.sequences import other_size
from clipgen.config.sizes import refit
from clipgen.errors import UsageError
from clipgen.session.naming import check_png, folder_and_stem
from clipgen.util.devices import pick_device
from clipgen.weights import registry

if TYPE_CHECKING:
    import torch

    from clipgen.generators.tokens import Autoencoder
    from clipgen.judge.lpips import LPIPS
    from clipgen.session.reconstructions import Made, Reconstructions

MAX_PICTURES = 10_000
ONE = "{}-reconstructed"
SEVERAL = "reconstructed"
"""The usual names of the sheet."""
DIGITS = {"psnr": 2, "ssim": 4, "lpips": 4, "codes": 1, "share": 4, "perplexity": 1}
"""Decimals of each measure."""

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
        as_json={"text": "Print one JSON document, which has all numbers of each picture, instead of a table."},
    ),
]


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

    Prints PSNR (dB), SSIM and, where its weights are, LPIPS; how many different codes were used, if there are any, and
    their perplexity; of several pictures also the means with 95 % intervals.
    """
    check_png(output.out)
    asked = None if size is None else parse_size(size)
    found = picture_files(pictures, "reconstruct")
    if len(found) > MAX_PICTURES:
        raise UsageError(f"reconstruct takes up to {MAX_PICTURES:,} pictures, got {len(found):,}; name fewer")
    names, notes = models.names(), output.notes()
    asked, said = _size(asked, names)
    notes.say(said)
    notes.say([*models.notes, f"reconstructed by {', '.join(names)}"])
    folder, stem = folder_and_stem(output.out, ONE.format(found[0].stem) if len(found) == 1 else SEVERAL)
    from clipgen.session.reconstructions import Reconstructions

    counts = {name: registry.code_count(name) or 0 for name in names}
    made = Reconstructions(folder, stem, counts, tokens=tokens or len(found) == 1, alone=alone)
    _fill(made, found, names, asked, models.device, output)


def _size(asked: Size | None, names: Sequence[str]) -> tuple[Size | None, list[str]]:
    """Return the size of all pictures on the grid of some networks, None for that of each, and notes about it."""
    notes = []
    for name in names:
        if registry.sequence_length(name) is not None:
            side = registry.stride(name)
            if asked is None:
                notes = [f"every picture is cut and scaled to {side}x{side}, the only size of {name}"]
            elif asked != (side, side):
                raise other_size(asked, side, name)
            asked = side, side
    if asked is None:
        return None, []
    size, said = refit(asked, math.lcm(*map(registry.stride, names)), " and ".join(names))
    return size, [*notes, *said]


def _fill(
    made: Reconstructions,
    found: Sequence[Path],
    names: Sequence[str],
    size: Size | None,
    device: str,
    output: OutputOptions,
) -> None:
    """Reconstruct all pictures that can be read, and report on them; after Ctrl-C on those that were done."""
    import torch

    from clipgen.engine.models import load_autoencoder
    from clipgen.judge.lpips import LPIPS, find_lpips

    notes, where, lpips = output.notes(), torch.device(pick_device(device)), find_lpips()
    if isinstance(lpips, str):
        notes.note(lpips)
    networks = {name: load_autoencoder(name, where, notes.note) for name in names}
    skipped: dict[str, str] = {}
    try:
        measured = lpips if isinstance(lpips, LPIPS) else None
        for one in _each(found, networks, where, size, measured, skipped, notes):
            made.add(one)
            if len(found) > 1:
                notes.note(f"{made.count + len(skipped)}/{len(found)} {one[0].path}")
    finally:
        if made.rows:
            _report(made, skipped, output)
    if not made.rows:
        first, *others = skipped.values()
        raise UsageError(first + (f"; {len(others)} more cannot be read either" if others else ""))


def _each(
    found: Sequence[Path],
    networks: Mapping[str, Autoencoder],
    device: torch.device,
    size: Size | None,
    lpips: LPIPS | None,
    skipped: dict[str, str],
    notes: Notes,
) -> Iterator[list[Made]]:
    """Yield what all models make of each picture that can be read; `skipped` gets why the others cannot."""
    from clipgen.engine.models import memory_errors
    from clipgen.judge.reconstruction import on_grid, reconstruct
    from clipgen.session.reconstructions import Made
    from clipgen.util.images import load_image

    stride = math.lcm(*(network.stride for network in networks.values()))
    for path in found:
        try:
            image = on_grid(load_image(path, "the picture")[0], stride, size)
        except UsageError as error:
            skipped[str(path)] = str(error)
            if len(found) > 1:
                notes.note(f"left out: {error}")
            continue
        with memory_errors(" and ".join(networks), "a smaller --size"):
            made = [Made(path, name, reconstruct(image, network, device, lpips)) for name, network in networks.items()]
        yield made


def _report(made: Reconstructions, skipped: Mapping[str, str], output: OutputOptions) -> None:
    """Write the sheet, and print the numbers and the paths of all files."""
    from clipgen.session.reconstructions import MAX_SHOWN

    sheet = made.write_sheet()
    if made.count > MAX_SHOWN:
        output.notes().note(f"the sheet shows the first {MAX_SHOWN} of {made.count} pictures")
    if output.as_json:
        left_out = [{"path": name, "error": error} for name, error in skipped.items()]
        document = {"sheet": str(sheet), "pictures": made.rows, "means": made.means(), "skipped": left_out}
        output.results().print_json(document)
        return
    _print_tables(made)
    for path in (sheet, *(Path(name) for row in made.rows for name in row["files"])):
        echo_path(path)


def _print_tables(made: Reconstructions) -> None:
    """Print the numbers of each picture, and of several the means; what no picture has is left out."""
    shown = [name for name in DIGITS if name != "lpips" or any(row["lpips"] is not None for row in made.rows)]
    head = tuple(map(str.upper, shown))
    rows = [(row["path"], row["model"], *(_number(row, name) for name in shown)) for row in made.rows]
    print_table(("PICTURE", "MODEL", *head), rows)
    if made.count > 1:
        means = [(row["model"], *(_interval(row, name) for name in shown), *_together(row)) for row in made.means()]
        print_table((f"MEAN OF {made.count}", *head, "CODES OF ALL", "PERPLEXITY"), means)


def _together(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["together"] is None:
        return "-", "-"
    return f"{row['together']['codes']} of {row['codebook']}", f"{row['together']['perplexity']:.1f}"


def _number(row: Mapping[str, Any], name: str) -> str:
    digits = 0 if name == "codes" else DIGITS[name]
    return _none(name) if row[name] is None else f"{row[name]:.{digits}f}"


def _interval(row: Mapping[str, Any], name: str) -> str:
    found, digits = row[name], DIGITS[name]
    if found is None:
        return _none(name)
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def _none(name: str) -> str:
    """Return what stands for a number that is not there: PSNR is infinite for equal pictures."""
    return "inf" if name == "psnr" else "-"
