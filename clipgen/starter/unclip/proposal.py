"""What the unCLIP proposes for a run: pictures to start at, features to guide to, and how to enlarge.

It implements `clipgen.core.contracts.Proposal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from clipgen.config.prompts import Prompt
from clipgen.config.settings import UnclipSettings
from clipgen.core.contracts import Loss, Moment
from clipgen.core.losses import prompt_loss
from clipgen.errors import UsageError
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.starter.unclip.coarse_decoder import build_coarse_decoder
from clipgen.starter.unclip.decoder import build_decoder
from clipgen.starter.unclip.pipeline import SQUARE, OnStage, Pipeline, ignore_stage
from clipgen.starter.unclip.prior import Prior, build_prior
from clipgen.starter.unclip.unclip import Conditioning, Unclip, UnclipPerceptor
from clipgen.util.images import resized
from clipgen.weights.checkpoint import Checkpoint

TURN_UNTIL = 0.8
"""The fraction of a run in which an init image turns into the picture drawn over it."""
TURN_VARIANCE = 0.0005
"""The mean squared difference that counts as much as the whole distance to a text."""


def load(
    settings: UnclipSettings,
    load_network: Callable[[str], Checkpoint],
    ready: Callable[[Any], Any],
    autoencoder: nn.Module | None = None,
) -> Unclip:
    """Return the networks that the settings name.

    `load_network` finds a checkpoint by name and `ready` prepares a network to be used, on its device. `autoencoder` is
    the network of `settings.autoencoder`, where it is loaded already. Raises UsageError for networks of other kinds or
    that do not fit each other, and what `load_network` raises.
    """
    if autoencoder is None:
        autoencoder = ready(build_network(load_network(settings.autoencoder)))
    if not isinstance(autoencoder, VQGANNetwork):
        raise UsageError(f"the autoencoder of an unCLIP must be a VQGAN, and {settings.autoencoder} is none")
    unclip = Unclip(
        ready(build_prior(load_network(settings.prior))),
        ready(build_coarse_decoder(load_network(settings.coarse_decoder))),
        ready(build_decoder(load_network(settings.decoder))),
        ready(build_decoder(load_network(settings.upsampler))),
        autoencoder,
    )
    if not unclip.fits:
        raise UsageError(f"the networks of the unCLIP do not fit each other: {', '.join(settings.networks)}")
    return unclip


@torch.no_grad()
def propose(
    unclip: Unclip,
    settings: UnclipSettings,
    prompts: Sequence[Sequence[Prompt]],
    seeds: Sequence[int],
    perceptors: Sequence[UnclipPerceptor],
    images: Tensor | None,
    size: tuple[int, int],
    device: torch.device,
    on_stage: OnStage = ignore_stage,
) -> UnclipProposal:
    """Draw, for each picture with a text that pulls, features of all its texts; those that push are negated.

    prompts and seeds: those of each of B pictures. images (B, 3, H, W) in [0, 1]: the init images, to which the
    features keep, or None; then a picture is decoded, too, with the aspect ratio of `size` (width, height). `on_stage`
    is called before each stage of each picture, also of `UnclipProposal.enlarge`.
    """
    shape = size if images is None or settings.init_img2img_noise else SQUARE
    pipeline = Pipeline(unclip, settings, perceptors, on_stage, shape)
    weights = _padded([[prompt.weight for prompt in row] for row in prompts], device)
    stops = _padded([[prompt.stop for prompt in row] for row in prompts], device)
    features = weights.new_zeros(len(prompts), unclip.prior.length)
    targets = features.clone()
    decoded: dict[int, Tensor] = {}
    drawn_over: dict[int, Tensor] = {}
    texts: dict[int, Conditioning] = {}
    for row in (weights > 0).any(1).nonzero()[:, 0].tolist():
        texts[row] = _conditioning(prompts[row], perceptors, device)
        if texts[row].joined.shape[2] != unclip.prior.config["text"]:
            raise UsageError("the perceptors of the plan are not those that its unCLIP has learned from")
        if images is None:
            features[row], decoded[row] = pipeline.draw(texts[row], seeds[row])
            targets[row] = pipeline.target(features[row], decoded[row])
        elif settings.init_img2img_noise:
            features[row], drawn_over[row] = pipeline.draw_over(images[row], texts[row], seeds[row])
            targets[row] = pipeline.target(features[row], drawn_over[row])
        else:
            targets[row] = features[row] = pipeline.draw_near(images[row], texts[row], seeds[row])
    loss = FeatureLoss(unclip.prior, targets, weights.clamp(min=0), stops, tuple(map(len, prompts)))
    return UnclipProposal(pipeline, seeds, texts, features, decoded, loss, PictureLoss(drawn_over))


@dataclass(frozen=True, eq=False)
class FeatureLoss:
    """How far the cutouts of the pictures are from the features that were drawn."""

    prior: Prior
    features: Tensor
    """(B, E)"""
    weights: Tensor
    """(B, K), at least 0: how much each text pulls to the features of its picture."""
    stops: Tensor
    """(B, K): as `Prompt.stop`."""
    counts: tuple[int, ...]
    """How many texts each picture has."""

    def __call__(self, moment: Moment) -> Tensor:
        """Return (b,), the `prompt_loss` of the distance to the features."""
        maps = [moment.maps[number] for number in sorted(moment.maps)]
        seen = self.prior.shorten([each.flatten(0, 1) for each in maps]).view(*maps[0].shape[:2], -1)
        distances = self.prior.distance(seen, self.features[moment.rows])[:, :, None]
        most = max(self.counts[moment.rows])  # with more zeros sums are rounded otherwise
        weights, stops = self.weights[moment.rows, :most], self.stops[moment.rows, :most]
        return prompt_loss(distances.expand(-1, -1, stops.shape[1]), weights, stops)


@dataclass(frozen=True, eq=False)
class PictureLoss:
    """How far the pictures are from those that they turn into; it fades out in the course of the run."""

    pictures: Mapping[int, Tensor]
    """By the number of the picture, (3, S, S) in [0, 1]; others are free."""

    def __call__(self, moment: Moment) -> Tensor:
        """Return (b,), mean squared differences in units of TURN_VARIANCE."""
        share = max(1 - moment.progress / TURN_UNTIL, 0.0) / TURN_VARIANCE
        first = moment.rows.start or 0
        squares = [
            (image - self._at(row, image)).square().mean() if row in self.pictures else image.new_zeros(())
            for row, image in enumerate(moment.images, start=first)
        ]
        return share * torch.stack(squares)

    def _at(self, row: int, image: Tensor) -> Tensor:
        return resized(self.pictures[row][None], (image.shape[2], image.shape[1]))[0]


@dataclass(frozen=True, eq=False)
class UnclipProposal:
    """The proposal for B pictures; those without a text that pulls have none."""

    pipeline: Pipeline
    seeds: Sequence[int]
    texts: Mapping[int, Conditioning]
    """By the number of the picture, for those with a text that pulls."""
    features: Tensor
    """(B, E), as drawn."""
    decoded: Mapping[int, Tensor]
    """By the number of the picture, (3, H, W) in [0, 1]; empty where the run starts at init images."""
    loss: FeatureLoss
    turn: PictureLoss
    """How far pictures that start at init images are from those drawn over these."""

    def images(self) -> Mapping[int, Tensor]:
        """Return by the number of the picture the decoded one (3, H, W) in [0, 1] that it starts at."""
        return self.decoded

    def losses(self) -> Mapping[str, Loss]:
        """Return the distance to the features that were drawn."""
        return {"unclip": self.loss} | ({"turn": self.turn} if self.turn.pictures else {})

    def target_weights(self, weights: Tensor) -> Tensor:
        """Return how much texts still count by themselves, of weights (B, K).

        Where features were drawn, texts that push are negated in these, and count no more.
        """
        drawn = torch.tensor([row in self.texts for row in range(len(weights))], device=weights.device)
        return torch.where(drawn[:, None], self.pipeline.settings.text_weight * weights.clamp(min=0), weights)

    @torch.no_grad()
    def enlarge(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Return images (B, 3, h, w) at `size` (width, height), by img2img and upsampling where the settings have it.

        Pictures without features are resized.
        """
        enlarged = resized(images, size).clone()  # which returns those of this size themselves
        if self.pipeline.settings.img2img_noise:
            for row, texts in self.texts.items():
                large = self.pipeline.enlarge(images[row], self.features[row], texts, self.seeds[row])
                enlarged[row] = resized(large[None], size)[0]
        return enlarged


def _conditioning(
    prompts: Sequence[Prompt], perceptors: Sequence[UnclipPerceptor], device: torch.device
) -> Conditioning:
    """Read the prompts of one picture, leaving out those of weight 0."""
    counted = [prompt for prompt in prompts if prompt.weight]
    weights = torch.tensor([prompt.weight for prompt in counted]).to(device)
    states = [each.text_states([prompt.text for prompt in counted]) for each in perceptors]
    return Conditioning(states, weights / weights.clamp(min=0).sum())


def _padded(rows: Sequence[Sequence[float]], device: torch.device) -> Tensor:
    """Return (B, K); texts that a picture has fewer than others get zeros."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)
