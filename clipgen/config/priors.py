"""The settings of a prior that proposes the tokens that a run begins at. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from clipgen.config.checks import check_whole, checked_number
from clipgen.config.settings import MAX_SCALE, check_model

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
        check_whole("top_k", self.top_k, 0, MAX_TOP_K)
        for name, high in (("temperature", MAX_TEMPERATURE), ("top_p", 1.0), ("guidance_scale", MAX_SCALE)):
            object.__setattr__(self, name, checked_number(name, getattr(self, name), 0.0, high))

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of its networks."""
        return self.prior, self.autoencoder
