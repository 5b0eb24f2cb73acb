"""`clipgen decode TOKENS.npy`: a grid of tokens as the picture that an autoencoder draws of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli.autoencoder_options import AutoencoderOptions
from clipgen.cli.option_groups import flat, only, redeclared
from clipgen.cli.output_options import DEFAULT_FOLDER, OutputOptions
from clipgen.cli.report import echo_path
from clipgen.cli.values import expanded
from clipgen.config.plan import MAX_PIXELS, spell
from clipgen.config.tokens import no_tokens, picture_of
from clipgen.errors import UsageError
from clipgen.session.naming import check_out, folder_and_stem, suffix_of
from clipgen.util.devices import pick_device
from clipgen.weights import registry

if TYPE_CHECKING:
    from clipgen.util.tokens import TokenGrid

WHAT = "the tokens"

Tokens = Annotated[
    Path,
    typer.Argument(
        metavar="TOKENS.npy",
        help="Rows and columns of codes, as `clipgen reconstruct` and numpy.save write them.",
        show_default=False,
    ),
]
DecodeModels = Annotated[AutoencoderOptions, only("backend", "vqgan", "vqgan_config", "dvae", "titok", "ema", "device")]
DecodeOutput = Annotated[
    OutputOptions, only("out", "as_json", "quiet"), redeclared(out={"default": f"{DEFAULT_FOLDER}/<tokens>.png"})
]


@flat
def decode(tokens: Tokens, *, models: DecodeModels, output: DecodeOutput) -> None:
    """Decode a grid of tokens to a picture, and print its path.

    The file does not say which model made it: name that model.
    """
    check_out(output.out)
    from clipgen.util.tokens import TokenGrid

    path = expanded(tokens, WHAT)
    grid = TokenGrid.read(path, WHAT)
    names = models.names()
    if len(names) > 1:
        raise UsageError(f"decode takes one model, got {', '.join(names)}; leave one out")
    [name] = names
    if registry.code_count(name) is None:
        raise no_tokens("decode", name.split("/")[0])
    grid.check(registry.code_count(name) or 0, name, f"{WHAT} {str(path)!r}")
    size = picture_of(grid.size, name, f"{WHAT} {str(path)!r}")
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(
            f"{WHAT} {str(path)!r} are a picture of {spell(size)} with {name}; cut them to {MAX_PIXELS:,} pixels"
        )
    output.notes().say([*models.notes, f"{spell(size)} from {spell(grid.size)} tokens, taken as codes of {name}"])
    made = _write(grid, name, models.device, output.out, path.stem)
    output.results().print_json({"path": str(made), "model": name, "size": list(size), "tokens": list(grid.size)})
    if not output.as_json:
        echo_path(made)


def _write(grid: TokenGrid, name: str, device: str, out: Path, stem: str) -> Path:
    """Write the picture of tokens to a file, or into a folder under a name of its own; returns the path."""
    import torch

    from clipgen.engine.models import load_tokenizer, memory_errors
    from clipgen.judge.reconstruction import decode as decoded
    from clipgen.outputs.picture_file import write_marked
    from clipgen.outputs.xmp import TRAINED
    from clipgen.util.files import replacing, reserved

    where = torch.device(pick_device(device))
    network = load_tokenizer(name, where)
    with memory_errors(name, "a smaller part of the tokens"):
        picture = decoded(grid.codes, network, where)
    suffix = suffix_of(out)
    with reserved(*folder_and_stem(out, stem), (suffix,)) as paths:
        with replacing(paths[suffix]) as partial:
            write_marked(partial, picture, TRAINED, suffix)
        return paths[suffix]
