"""The settings of a prior that proposes the tokens that a run begins at. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clipgen.config.checks import check_whole, checked_number
from clipgen.config.settings import MAX_SCALE, check_model
from clipgen.errors import UsageError
from clipgen.util.text import quoted
from clipgen.weights.dalle_mini import TOKENIZER_OF
from clipgen.weights.registry import check_name

if TYPE_CHECKING:
    from clipgen.config.job import Job

PROPOSING = _, WHOLE = ("prior", "dalle-mini")
"""The starts, of STARTS, that a prior proposes."""
FIELDS = ("prior", "proposals", "temperature", "top_k", "top_p", "guidance_scale")
"""The fields of a job that are about its prior, named like the settings that they replace."""
KIND = "token-prior"
"""The kind of a prior's network."""
MAX_PROPOSALS = 1024
MAX_TOP_K = 2**20
MAX_TEMPERATURE = 10.0


@dataclass(frozen=True)
class PriorSettings:
    """A prior over the codes of an autoencoder (Ramesh et al., 2021, arXiv 2102.12092), and how codes are drawn.

    The perceptors of the run choose among the pictures of `proposals` grids of codes; the run begins at the best.
    """

    prior: str
    """Name of the prior's network."""
    autoencoder: str
    """Name of the autoencoder whose codes they are."""
    proposals: int = 16
    """How many grids of codes are drawn for a picture."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest code."""
    top_k: int = 0
    """Only so many of the likeliest codes are drawn; 0 for all."""
    top_p: float = 1.0
    """Only the likeliest codes are drawn whose probabilities add up to this."""
    guidance_scale: float = 1.0
    """Classifier-free guidance scale; 1 is no guidance."""

    def __post_init__(self) -> None:
        for name in self.networks:
            check_model("a network of the prior", name)
        check_whole("--proposals", self.proposals, 1, MAX_PROPOSALS)
        check_whole("--top-k", self.top_k, 0, MAX_TOP_K)
        for name, high in (("temperature", MAX_TEMPERATURE), ("top_p", 1.0), ("guidance_scale", MAX_SCALE)):
            flag = f"--{name.replace('_', '-')}"
            object.__setattr__(self, name, checked_number(flag, getattr(self, name), 0.0, high))

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of its networks, and of the tokenizer that it reads texts by if that is a file of its own."""
        tokenizer = TOKENIZER_OF.get(self.prior)
        return self.prior, self.autoencoder, *([tokenizer] if tokenizer else [])


def check_prior(job: Job) -> None:
    """Raise a UsageError unless what a job asks of its prior is possible, and it has one."""
    given = {name: value for name, value in _given(job).items() if name != "prior"}
    if given and job.start not in PROPOSING:
        name, value = next(iter(given.items()))
        raise UsageError(
            f"--{name.replace('_', '-')} {value} is about pictures that a prior proposes; add --start {PROPOSING[0]}"
        )
    if job.start == WHOLE and job.init is not None:
        raise UsageError(f"--start {WHOLE} completes no pictures; leave --init {quoted(job.init)} out")
    PriorSettings(job.prior or "token-prior/any", "vqgan/any", **given)
    if job.prior is not None:
        check_name("the prior", job.prior, KIND)


def asked(rows: Sequence[PriorSettings], job: Job) -> tuple[PriorSettings, ...]:
    """Return priors with what a job asks of them; one that it names goes with the autoencoder that it names."""
    changes = _given(job)
    if job.prior and job.network:
        changes["autoencoder"] = job.network
    return tuple(replace(row, **changes) for row in rows)


def asked_of(rows: Sequence[PriorSettings], usual: Sequence[PriorSettings]) -> dict[str, Any]:
    """Return the fields of a job that ask for these priors, where the usual ones are others."""
    pairs = zip(rows, usual, strict=False)
    found = {name: (getattr(row, name), getattr(other, name)) for row, other in pairs for name in FIELDS}
    return {name: value for name, (value, usually) in found.items() if value != usually}


def _given(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in FIELDS if getattr(job, name) is not None}
