"""`clipgen losses`: what a picture can be asked to have beside the prompt."""

import json
from dataclasses import asdict

import typer

from clipgen.cli.inventory import print_table
from clipgen.cli.option_groups import flat
from clipgen.cli.output_options import JsonOnly
from clipgen.config.losses import LOSS_KINDS, TYPED_LOSSES, own_losses

HEAD = ("NAME", "USUAL WEIGHT", "THEN", "WHAT IT DOES")


@flat
def losses(*, output: JsonOnly) -> None:
    """List the losses for --loss NAME[:WEIGHT[:DETAIL]], and what each does.

    The usual weight is about as strong as the prompt.
    """
    kinds = {name: LOSS_KINDS[name] for name in TYPED_LOSSES} | dict(own_losses())
    if output.as_json:
        rows = [{"name": name, **asdict(kind)} for name, kind in kinds.items()]
        for row in rows:
            del row["read"]
        typer.echo(json.dumps({"losses": rows}, indent=2))
        return
    table = [
        (name, f"{kind.weight:g}", kind.detail or "-", kind.summary + (" (needs --init)" if kind.needs_init else ""))
        for name, kind in kinds.items()
    ]
    print_table(HEAD, table)
    typer.echo('\nclipgen "a lighthouse" --loss palette:5:navy,gold,white --loss symmetry')
