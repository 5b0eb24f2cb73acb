"""The option that names tokens to start from, and the field of a job that it sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.cli.options import PICTURE, typed
from clipgen.cli.values import expanded
from clipgen.config.tokens import FLAG


@dataclass(frozen=True)
class TokenOptions:
    """The tokens that the picture starts from."""

    init_tokens: Annotated[
        Path | None,
        Option(
            FLAG,
            "Start from this grid of tokens, one for each cell of the picture, as `clipgen reconstruct` writes it.",
            "FILE.npy",
            panel=PICTURE,
        ),
    ] = None

    def job_fields(self) -> dict[str, Any]:
        """Return the field of a job, if it was given."""
        return typed(init_tokens=None if self.init_tokens is None else str(expanded(self.init_tokens, FLAG)))
