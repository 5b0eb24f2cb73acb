"""What a prior proposes for a run: the picture of the best of many grids of codes, to start at.

DALL-E draws many pictures of a text and lets CLIP rerank them (Ramesh et al., 2021, section 2.6). It implements
`clipgen.core.contracts.Proposal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clipgen.config.priors import PriorSettings
from clipgen.config.prompts import Prompt
from clipgen.core.contracts import Loss, Perceptor
from clipgen.errors import UsageError
from clipgen.generators.networks import DVAENetwork, VQGANNetwork, build_network
from clipgen.perceptors.similarity import weighted_similarity
from clipgen.priors.dalle_mini_sampling import DalleMini, sample_tokens
from clipgen.priors.dalle_mini_sampling import load as load_dalle_mini
from clipgen.priors.sampling import sample
from clipgen.priors.transformer import TokenTransformer, build_token_transformer
from clipgen.util.images import resized
from clipgen.weights.checkpoint import Checkpoint

DALLE_MINI = "dalle-mini/"
"""Begins the names of its networks."""
OnStage = Callable[[str], None]
SEEN = 16
"""Pictures that are decoded and ranked together."""
STRIDE = 2**20
"""Between the seeds of proposals, so that the pictures of neighbouring seeds share none."""


@dataclass(frozen=True, eq=False)
class Networks:
    """A prior, and the autoencoder whose codes it has learned."""

    prior: TokenTransformer | DalleMini
    autoencoder: VQGANNetwork | DVAENetwork

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures, in pixels."""
        rows, columns = self.prior.grid
        return columns * self.autoencoder.stride, rows * self.autoencoder.stride

    def sample(self, text: str, seeds: Sequence[int], settings: PriorSettings, given: Tensor | None) -> Tensor:
        """Return codes (N, rows, columns), a grid for each seed; given (n,): what all of them begin with."""
        if isinstance(self.prior, TokenTransformer):
            return sample(self.prior, text, seeds, settings, given)
        return sample_tokens(self.prior, text, seeds, settings).to(next(self.autoencoder.parameters()).device)


def load(
    settings: PriorSettings,
    load_network: Callable[[str], Checkpoint],
    ready: Callable[[Any], Any],
    autoencoder: nn.Module | None = None,
) -> Networks:
    """Return the networks that the settings name; parameters as for that of the unCLIP.

    Raises UsageError for networks of other kinds or that do not fit each other, and what `load_network` raises.
    """
    if settings.prior.startswith(DALLE_MINI):
        prior = load_dalle_mini(settings.prior, load_network, ready)
    else:
        prior = ready(build_token_transformer(load_network(settings.prior)))
    if autoencoder is None:
        autoencoder = ready(build_network(load_network(settings.autoencoder)))
    if not isinstance(autoencoder, VQGANNetwork | DVAENetwork) or autoencoder.code_count != prior.code_count:
        raise UsageError(f"{settings.prior} has learned {prior.code_count} codes, which {settings.autoencoder} has not")
    return Networks(prior, autoencoder)


@torch.no_grad()
def propose(
    networks: Networks,
    settings: PriorSettings,
    prompts: Sequence[Sequence[Prompt]],
    seeds: Sequence[int],
    perceptors: Sequence[Perceptor],
    images: Tensor | None,
    mask: Tensor | None,
    size: tuple[int, int],
    on_stage: OnStage = lambda _stage: None,
) -> PriorProposal:
    """Draw codes for each picture with a text that pulls, and choose by the perceptors.

    prompts and seeds: those of each of B pictures. images (B, 3, H, W) in [0, 1] and mask (B, 1, H, W): the init images
    and what may change in them, or None; the rows of codes above the mask stay those of the images. size: width and
    height of the run's pictures. Raises UsageError for a shape that the prior does not draw.
    """
    width, height = networks.size
    if size[0] * height != size[1] * width:
        raise UsageError(
            f"--size {size[0]}x{size[1]}: {settings.prior} draws {width}x{height} only, or the same shape at another "
            f"size; give --size {min(size)}x{min(size)}"
        )
    proposed: dict[int, Tensor] = {}
    for row, prompt in enumerate(prompts):
        if not (text := ", ".join(one.text for one in prompt if one.weight > 0)):
            continue
        on_stage(f"proposing {settings.proposals} pictures")
        given = None if images is None or mask is None else kept_codes(networks, images[row], mask[row])
        drawn = [(seeds[row] + STRIDE * k) % 2**63 for k in range(settings.proposals)]
        parts = [drawn[start : start + SEEN] for start in range(0, len(drawn), SEEN)]
        grids = [networks.sample(text, part, settings, given) for part in parts]
        on_stage(f"choosing among {settings.proposals} pictures")
        proposed[row] = _best(networks, grids, prompt, perceptors)
    return PriorProposal(proposed)


def _best(
    networks: Networks, grids: Sequence[Tensor], prompt: Sequence[Prompt], perceptors: Sequence[Perceptor]
) -> Tensor:
    """Return the picture (3, h, w) that matches a prompt best, of grids of codes (n, rows, columns) of several."""
    able = [each for each in perceptors if getattr(each, "takes_images", True)]  # by whole texts: classifiers know few
    best, picture = -float("inf"), torch.empty(0)
    for codes in grids:
        pictures = networks.autoencoder.images_of(codes)
        scores = similarity(pictures, prompt, able or perceptors)
        if float(scores.max()) > best:
            best, picture = float(scores.max()), pictures[int(scores.argmax())]
    return picture


def kept_codes(networks: Networks, image: Tensor, mask: Tensor) -> Tensor:
    """Return the codes (n,) of the rows of an image (3, H, W) that lie above what a mask (1, H, W) lets change."""
    changing = mask[0].amax(1) >= 0.5
    first = int(changing.nonzero()[0]) / len(changing) if changing.any() else 1.0
    rows, columns = networks.prior.grid
    codes = networks.autoencoder.codes_of(resized(image[None], networks.size))[0]
    return codes.flatten()[: int(first * rows) * columns]


def similarity(images: Tensor, prompt: Sequence[Prompt], perceptors: Sequence[Perceptor]) -> Tensor:
    """Return how well images (N, 3, H, W) match the weighted texts of a prompt, (N,): a mean over perceptors."""
    texts = [(one.text, one.weight) for one in prompt]
    return torch.stack([weighted_similarity(images, each, texts) for each in perceptors]).mean(0)


@dataclass(frozen=True)
class PriorProposal:
    """The pictures that were chosen, by number of the picture, (3, h, w) in [0, 1]."""

    chosen: Mapping[int, Tensor]

    def images(self) -> Mapping[int, Tensor]:
        """Return the pictures."""
        return self.chosen

    def losses(self) -> Mapping[str, Loss]:
        """Return no losses: a prior only proposes where to begin."""
        return {}

    def target_weights(self, weights: Tensor) -> Tensor:
        """Return the weights of the texts as they are."""
        return weights

    def enlarge(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Return images (B, 3, h, w), resized."""
        return resized(images, size)
