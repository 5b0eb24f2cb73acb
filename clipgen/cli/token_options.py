"""The options about tokens, and the fields of a job that they set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.cli.options import ENGINE, PICTURE, typed
from clipgen.cli.values import expanded
from clipgen.config.priors import FIELDS as OF_PRIOR
from clipgen.config.priors import PROPOSING, PriorSettings
from clipgen.config.sequences import TYPED, SequenceSettings
from clipgen.config.tokens import FLAG


@dataclass(frozen=True)
class TokenOptions:
    """The tokens that the picture starts from, how they are proposed, and how a sequence of them is optimised."""

    init_tokens: Annotated[
        Path | None,
        Option(
            FLAG,
            "Start from this grid of tokens, one for each cell of the picture, as `clipgen reconstruct` writes it.",
            "FILE.npy",
            panel=PICTURE,
        ),
    ] = None
    proposals: Annotated[
        int | None,
        Option(
            "--proposals",
            f"With --start {' or '.join(PROPOSING)}: grids of tokens that are drawn, of which CLIP chooses one.",
            "NUMBER",
            panel=ENGINE,
            default=f"{PriorSettings.proposals}",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        Option(
            "--temperature",
            "For these tokens: below 1 the likely ones are drawn more often, at 0 always the likeliest.",
            "NUMBER",
            panel=ENGINE,
            default="1",
        ),
    ] = None
    top_k: Annotated[
        int | None,
        Option("--top-k", "For these: draw only so many of the likeliest.", "NUMBER", panel=ENGINE, default="0, all"),
    ] = None
    top_p: Annotated[
        float | None,
        Option(
            "--top-p",
            "For these: draw only the likeliest whose probabilities add up to this.",
            "NUMBER",
            panel=ENGINE,
            default="1",
        ),
    ] = None
    guidance_scale: Annotated[
        float | None,
        Option(
            "--guidance-scale",
            "For these: how much more they follow the prompt than without one; 1 is no classifier-free guidance.",
            "NUMBER",
            panel=ENGINE,
            default="the preset's",
        ),
    ] = None
    token_noise: Annotated[
        float | None,
        Option(
            "--token-noise",
            "With a TiTok: noise that its tokens get in the first step, and ever less up to two thirds of the run.",
            "NUMBER",
            panel=ENGINE,
            default="0",
        ),
    ] = None
    token_ema: Annotated[
        float | None,
        Option(
            "--token-ema",
            "With a TiTok: decay of the moving average of the tokens that is the final picture, such as 0.95.",
            "NUMBER",
            panel=ENGINE,
            default="0, the last tokens",
        ),
    ] = None
    token_reset: Annotated[
        int | None,
        Option(
            "--token-reset",
            "With a TiTok and --mask: steps between two encodings of the edited picture; 0 for never.",
            "NUMBER",
            panel=ENGINE,
            default=f"{SequenceSettings.reset}",
        ),
    ] = None

    def job_fields(self) -> dict[str, Any]:
        """Return the fields of a job that were given."""
        tokens = None if self.init_tokens is None else str(expanded(self.init_tokens, FLAG))
        return typed(init_tokens=tokens, **{name: getattr(self, name) for name in (*TYPED.values(), *OF_PRIOR[1:])})
