"""Logits over a codebook, of which each step samples one code for each cell: the two notebooks by Katherine Crowson.

"VQGAN+CLIP (codebook sampling method)" and "OpenAI dVAE+CLIP", 2021. There is no temperature: the logits sharpen alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Generator, Tensor

from clipgen.errors import UsageError
from clipgen.generators.clamp import clamp_with_grad
from clipgen.util.batches import mean_of_each, picture_by_picture
from clipgen.util.randomness import generator_for

if TYPE_CHECKING:
    from clipgen.config.settings import GeneratorSettings
    from clipgen.generators.networks import DVAENetwork, VQGANNetwork

BANNED = -100.0
"""What is added to the logit of a code that must not be sampled."""


class SampledCodes:
    """Logits (B, K, h, w) over the codes of a VQGAN.

    The decoder sees the sampled codes, and the gradient is that of their probabilities.
    """

    def __init__(
        self, network: VQGANNetwork | DVAENetwork, batch: int, size: tuple[int, int], settings: GeneratorSettings
    ) -> None:
        device = next(network.parameters()).device
        self._network, self._settings, self._batch = network, settings, batch
        shape = (batch, network.code_count, size[1] // network.stride, size[0] // network.stride)
        self._logits = torch.zeros(shape, device=device, requires_grad=True)
        self._bias = _bias(network.code_count, settings.banned).to(device)
        self._draws: list[tuple[int, int]] = []
        self._start = self._logits.detach().clone()

    def at_size(self, size: tuple[int, int]) -> Self:
        return type(self)(self._network, self._batch, size, self._settings)

    def parameters(self) -> Sequence[Tensor]:
        return [self._logits]

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start, "logits": self._logits}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start at logits of a standard normal distribution."""
        shape = self._logits.shape[1:]
        draws = [torch.randn(shape, generator=generator_for(seed, 0, "latent")) for seed in seeds]
        self._start_from_(torch.stack(draws))

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        """Sample from (seed, step) when decoding; take the likeliest codes, without noise, after the last step."""
        self._draws = [] if step == total else [(seed, step) for seed in seeds]

    def decode(self) -> Tensor:
        logits = self._logits + self._bias[:, None, None]
        if not self._draws:
            likeliest = torch.zeros_like(logits).scatter_(1, logits.argmax(1, keepdim=True), 1.0)
            return picture_by_picture(self._images, likeliest)
        # One by one: each has its own random numbers.
        return torch.cat(
            [self._sampled(one, *draw) for one, draw in zip(torch.split(logits, 1), self._draws, strict=True)]
        )

    def project_(self) -> None:
        """Do nothing: all logits are valid."""

    def _sampled(self, logits: Tensor, seed: int, step: int) -> Tensor:
        """Return the image of codes sampled by logits (1, K, h, w)."""
        generator = generator_for(seed, step, "codes", logits.device)
        likely = logits.softmax(1)
        cells = likely.detach()[0].flatten(1).T.contiguous()  # as what is drawn depends on the layout
        chosen = torch.multinomial(cells, 1, generator=generator).view(1, 1, *logits.shape[2:])
        hard = torch.zeros_like(likely).scatter_(1, chosen, 1.0)
        return self._images(hard + (likely - likely.detach()), generator)

    def _images(self, codes: Tensor, _generator: Generator | None = None) -> Tensor:
        """Decode codes (B, K, h, w), one-hot; a generator samples what the decoder leaves open, if anything."""
        network: VQGANNetwork = self._network  # type: ignore[assignment]
        return clamp_with_grad(network.decode(torch.einsum("bkhw,kd->bdhw", codes, network.codebook)))

    def _start_from_(self, logits: Tensor) -> None:
        with torch.no_grad():
            self._logits.copy_(logits)
        self._start = self._logits.detach().clone()


class SampledPixels(SampledCodes):
    """The same for a dVAE, whose decoder predicts the distribution of each pixel, of which one is sampled, too."""

    def start_from_images_(self, images: Tensor) -> None:
        """Start at the encoder's logits, as they are."""
        with torch.no_grad():
            self._start_from_(picture_by_picture(self._network.encode, images))

    def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
        with torch.no_grad():
            before, encoded = self._logits.clone(), picture_by_picture(self._network.encode, images)
            self._logits.copy_(encoded + rest)
        return before - encoded

    def distance_to_start(self) -> Tensor:
        return mean_of_each((self._logits - self._start).square())

    def _images(self, codes: Tensor, _generator: Generator | None = None) -> Tensor:
        network: DVAENetwork = self._network  # type: ignore[assignment]
        mean, log_scale = network.statistics(codes)
        if _generator is not None and self._settings.pixel_noise:
            mean = mean + self._settings.pixel_noise * log_scale.exp() * laplace(mean, _generator)
        return clamp_with_grad(network.unmapped(mean))


def _bias(count: int, banned: str) -> Tensor:
    """Return what is added to the logits (K,) of codes; raises UsageError for a banned one that is none of them."""
    codes = [int(code) for code in banned.split(",") if code]
    if codes and max(codes) >= count:
        raise UsageError(f"banned must be numbers of codes below {count}, got {max(codes)}")
    bias = torch.zeros(count)
    bias[codes] = BANNED
    return bias


def laplace(like: Tensor, generator: Generator) -> Tensor:
    """Sample noise of a standard Laplace distribution, in the shape of a tensor."""
    uniform = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype) * 2 - 1
    eps = torch.finfo(like.dtype).eps
    return -uniform.sign() * torch.log1p(-uniform.abs().clamp_max(1 - eps))
