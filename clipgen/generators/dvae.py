"""The dVAE generator: logits over the codes of DALL-E's discrete VAE, with straight-through Gumbel-softmax."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.generators.clamp import clamp_with_grad
from clipgen.generators.pyramid import Pyramid
from clipgen.util.batches import mean_of_each, picture_by_picture
from clipgen.util.randomness import generator_for

if TYPE_CHECKING:
    from clipgen.config.settings import GeneratorSettings
    from clipgen.generators.networks import DVAENetwork

PATCH = 4
"""Side, in cells, of the patches that start with similar logits."""
CERTAINTY = 4.0
"""Standard deviation of a cell's logits at the start from an image: large enough for most of the image to survive the
Gumbel noise of the first steps."""
LEAD = 0.01
"""How far the logit of a given token is above that of the next likeliest code."""
START_TEMPERATURE = 1.0
END_TEMPERATURE = 0.25


class DVAEGenerator:
    """Logits (B, K, h, w) over a codebook of K codes.

    Decoding samples one code for each cell, so the decoder sees one-hot codes only, while the gradient reaches all
    codes through the softmax (Jang et al., 2017, arXiv 1611.01144). Noise and temperature fall over the run: many codes
    are tried at first, and at the end each cell takes its likeliest code.

    settings: their `levels` is the number of resolutions that the logits are a sum of, see `Pyramid`.
    """

    def __init__(
        self, network: "DVAENetwork", batch: int, size: tuple[int, int], settings: "GeneratorSettings"
    ) -> None:
        device = next(network.parameters()).device
        shape = (batch, network.vocab_size, size[1] // network.stride, size[0] // network.stride)
        self._network, self._settings = network, settings
        self._logits = Pyramid(shape, device, settings.levels)
        self._start = self._logits.value().detach()
        self._noise = torch.zeros_like(self._start)
        self._temperature = START_TEMPERATURE

    def at_size(self, size: tuple[int, int]) -> Self:
        return type(self)(self._network, len(self._start), size, self._settings)

    def parameters(self) -> Sequence[Tensor]:
        return self._logits.levels

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start} | {f"level{k}": level for k, level in enumerate(self._logits.levels)}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start from Gaussian noise on a coarse grid, interpolated: patches left unguided look better than grain."""
        vocabulary, *cells = self._start.shape[1:]
        coarse = (vocabulary, *(max(side // PATCH, 2) for side in cells))
        draws = [torch.randn(coarse, generator=generator_for(seed, 0, "latent")) for seed in seeds]
        self._start_from_(interpolate(torch.stack(draws).to(self._start.device), cells, mode="bicubic"))

    def start_from_images_(self, images: Tensor) -> None:
        """Start from the encoder's logits for images (B, 3, H, W) in [0, 1], standardised in each cell.

        The likeliest codes stay the same, and one learning rate suits all images and networks.
        """
        with torch.no_grad():
            self._start_from_(picture_by_picture(self._standardised, images))

    def start_from_tokens_(self, tokens: Tensor) -> None:
        """Start from the encoder's logits for the picture of tokens (B, h, w), with the tokens as the likeliest codes.

        Where the encoder would choose another code, that one gets the logit of the token. Logits that know of the token
        alone would be so certain that no gradient reached another code.
        """
        with torch.no_grad():
            logits = picture_by_picture(self._standardised, picture_by_picture(self._network.images_of, tokens))
            highest, likeliest = logits.max(1, keepdim=True)
            logits.scatter_(1, likeliest, logits.gather(1, tokens[:, None]))
            self._start_from_(logits.scatter_(1, tokens[:, None], highest + LEAD))

    def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
        with torch.no_grad():
            before, encoded = self._logits.value(), picture_by_picture(self._standardised, images)
            self._logits.set_(encoded + rest)
        return before - encoded

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        progress = step / total
        self._temperature = START_TEMPERATURE * (END_TEMPERATURE / START_TEMPERATURE) ** progress
        strength = 0.5 * (1 + math.cos(math.pi * progress))
        shape, device = self._start.shape[1:], self._start.device
        noise = torch.stack([_gumbel(shape, generator_for(seed, step, "codes", device)) for seed in seeds])
        self._noise = strength * noise

    def decode(self) -> Tensor:
        return picture_by_picture(self._decode, self._logits.value() + self._noise)

    def _decode(self, noisy: Tensor) -> Tensor:
        soft = (noisy / self._temperature).softmax(1)
        hard = torch.zeros_like(soft).scatter_(1, noisy.argmax(1, keepdim=True), 1.0)
        # The value is exactly the one-hot codes, the gradient that of the softmax.
        codes = hard + (soft - soft.detach())
        return clamp_with_grad(self._network.decode(codes))

    def project_(self) -> None:
        """Do nothing: all logits are valid."""

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
    """Sample standard Gumbel noise, as minus the logarithm of exponential noise."""
    return -torch.empty(*shape, device=generator.device).exponential_(generator=generator).log()
