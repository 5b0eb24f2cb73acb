"""The dVAE generator: logits over the codes of DALL-E's discrete VAE, drawn by straight-through Gumbel-softmax."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor
from torch.nn.functional import interpolate, one_hot

from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.pyramid import Pyramid
from clipgen.util.batches import mean_of_each, picture_by_picture
from clipgen.util.randomness import generator_for

if TYPE_CHECKING:
    from clipgen.generators.networks import DVAENetwork

PATCH = 4
"""Cells a side of a patch that starts at the same logits."""
CERTAINTY = 4.0
"""Standard deviation of the logits of a cell that starts at an image: enough for most of it to be seen through the
noise that codes are drawn with at first."""
START_TEMPERATURE = 1.0
END_TEMPERATURE = 0.25


class DVAEGenerator:
    """Logits (B, K, h, w) over a vocabulary of K codes.

    Decoding draws one code a cell, so that the decoder only ever sees pictures that it knows, and sends the gradient
    to all codes through the softmax (arXiv 1611.01144). Noise and temperature fall over the run: first many codes
    are tried, at the end the picture is the likeliest code everywhere.

    levels: how many resolutions the logits are a sum of, see `Pyramid`.
    """

    def __init__(self, network: "DVAENetwork", batch: int, size: tuple[int, int], levels: int) -> None:
        device = next(network.parameters()).device
        shape = (batch, network.vocab_size, size[1] // network.stride, size[0] // network.stride)
        self._network = network
        self._logits = Pyramid(shape, device, levels)
        self._start = self._logits.value().detach()
        self._noise = torch.zeros_like(self._start)
        self._temperature = START_TEMPERATURE

    def at_size(self, size: tuple[int, int]) -> Self:
        return type(self)(self._network, len(self._start), size, len(self._logits.levels))

    def parameters(self) -> Sequence[Tensor]:
        return self._logits.levels

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start} | {f"level{k}": level for k, level in enumerate(self._logits.levels)}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start at normal noise on a coarse grid, stretched: where nothing pulls, patches look better than a grain."""
        vocabulary, *cells = self._start.shape[1:]
        coarse = (vocabulary, *(max(side // PATCH, 2) for side in cells))
        draws = [torch.randn(coarse, generator=generator_for(seed, 0, "latent")) for seed in seeds]
        self._start_from_(interpolate(torch.stack(draws).to(self._start.device), cells, mode="bicubic"))

    def start_from_images_(self, images: Tensor) -> None:
        """Start at the encoder's logits, brought to the same mean and deviation in each cell.

        So the likeliest codes stay as they are, and one learning rate suits all images and weights.
        """
        with torch.no_grad():
            self._start_from_(picture_by_picture(self._standardised, images))

    def reencode_(self) -> None:
        with torch.no_grad():
            self._logits.set_(picture_by_picture(self._standardised, self.decode()))

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        progress = step / total
        self._temperature = START_TEMPERATURE * (END_TEMPERATURE / START_TEMPERATURE) ** progress
        strength = 0.5 * (1 + math.cos(math.pi * progress))
        shape = self._start.shape[1:]
        noise = torch.stack([_gumbel(shape, generator_for(seed, step, "codes")) for seed in seeds])
        self._noise = strength * noise.to(self._start.device)

    def decode(self) -> Tensor:
        return picture_by_picture(self._decode, self._logits.value() + self._noise)

    def _decode(self, noisy: Tensor) -> Tensor:
        soft = (noisy / self._temperature).softmax(1)
        hard = one_hot(noisy.argmax(1), noisy.shape[1]).movedim(-1, 1).to(soft.dtype)
        # Forward exactly the one-hot codes, backward the gradient of the softmax.
        codes = hard + (soft - soft.detach())
        return clamp_with_grad(self._network.decode(codes))

    def project_(self) -> None:
        """Do nothing: every logit is legal."""

    def distance_to_start(self) -> Tensor:
        return mean_of_each((self._logits.value() - self._start).square())

    def _standardised(self, images: Tensor) -> Tensor:
        logits = self._network.encode(images)
        centred = logits - logits.mean(1, keepdim=True)
        return CERTAINTY * centred / centred.std(1, keepdim=True).clamp_min(1e-6)

    def _start_from_(self, logits: Tensor) -> None:
        self._logits.set_(logits)
        self._start = self._logits.value().detach()


def _gumbel(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw standard Gumbel noise, as minus the logarithm of exponential noise."""
    return -torch.empty(*shape).exponential_(generator=generator).log()
