"""The TiTok generator: test-time optimisation of a sequence of tokens (Lao Beyer et al., 2025, arXiv 2506.08257)."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clipgen.errors import UsageError
from clipgen.generators.clamp import clamp_with_grad
from clipgen.util.batches import mean_of_each, picture_by_picture
from clipgen.util.randomness import generator_for

if TYPE_CHECKING:
    from clipgen.config.settings import GeneratorSettings
    from clipgen.generators.titok_network import TiTokNetwork


def fading(step: int, total: int) -> float:
    """Return the strength of the noise at a step of a run: from 1 at its start to 0 at two thirds of it."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, 1.5 * step / max(total - 1, 1))))


class TiTokGenerator:
    """Latents (B, D, 1, n) of n tokens before they are quantised; the gradient passes through their directions.

    settings: their `sequence` says how much noise the tokens get in each step, and over how many steps they are
    averaged for the final picture. Raises UsageError for another size, or another number of tokens, than the network's.
    """

    def __init__(
        self, network: "TiTokNetwork", batch: int, size: tuple[int, int], settings: "GeneratorSettings"
    ) -> None:
        side, tokens = network.side, network.tokens
        if size != (side, side):
            raise UsageError(f"this TiTok makes pictures of {side}x{side} only, got {size[0]}x{size[1]}")
        if [row.tokens for row in settings.sequence] != [tokens]:
            raise UsageError(f"this TiTok makes pictures of {tokens} tokens only")
        [self._sequence] = settings.sequence
        codebook = network.codebook
        shape = (batch, codebook.shape[1], 1, tokens)
        self._network = network
        self._tokens = torch.zeros(shape, device=codebook.device, requires_grad=True)
        self._start, self._average, self._noise = (torch.zeros_like(self._tokens) for _ in range(3))
        self._step, self._ends = 0, False

    def parameters(self) -> Sequence[Tensor]:
        return [self._tokens]

    def tensors(self) -> dict[str, Tensor]:
        return {"start": self._start, "tokens": self._tokens, "average": self._average}

    def start_from_noise_(self, seeds: Sequence[int]) -> None:
        """Start from random codes."""
        count, shape = self._network.code_count, (1, self._network.tokens)
        draws = [torch.randint(count, shape, generator=generator_for(seed, 0, "latent")) for seed in seeds]
        self.start_from_tokens_(torch.stack(draws).to(self._start.device))

    def start_from_images_(self, images: Tensor) -> None:
        with torch.no_grad():
            self._start_from_(picture_by_picture(self._network.encode, images))

    def start_from_tokens_(self, tokens: Tensor) -> None:
        """Start at codes (B, 1, n)."""
        self._start_from_(self._network.lookup(tokens))

    def reencode_(self, images: Tensor, rest: Tensor | float = 0.0) -> Tensor:
        with torch.no_grad():
            encoded = picture_by_picture(self._network.encode, images)
            before = self._tokens - encoded
            self._tokens.copy_(encoded + rest)
        return before

    def set_step(self, step: int, total: int, seeds: Sequence[int]) -> None:
        self._step, self._ends = step, step >= total
        strength, shape = self._sequence.noise * fading(step, total), self._start.shape[1:]
        self._noise = torch.zeros_like(self._start)
        if strength:
            noise = [torch.randn(shape, generator=generator_for(seed, step, "tokens")) for seed in seeds]
            self._noise = strength * torch.stack(noise).to(self._start.device)

    def decode(self) -> Tensor:
        averaged = self._ends and self._sequence.ema > 0
        return clamp_with_grad(picture_by_picture(self._decode, self._average if averaged else self._noisy()))

    def _noisy(self) -> Tensor:
        return self._tokens + self._noise

    def _decode(self, tokens: Tensor) -> Tensor:
        return self._network.decode(self._network.straight_through(tokens))

    @torch.no_grad()
    def project_(self) -> None:
        """Keep the noise of the step in the tokens, and average them.

        The noise is added after the update, not before it: a step that is computed again, for lack of memory, draws the
        same noise, and the update does not depend on where the tokens are.
        """
        self._tokens.add_(self._noise)
        self._noise = torch.zeros_like(self._noise)
        if self._step:
            self._average.lerp_(self._tokens, 1 - self._sequence.ema)
        else:
            self._average.copy_(self._tokens)

    def distance_to_start(self) -> Tensor:
        return mean_of_each((self._noisy() - self._start).square())

    @torch.no_grad()
    def _start_from_(self, tokens: Tensor) -> None:
        for each in (self._tokens, self._start, self._average):
            each.copy_(tokens)
