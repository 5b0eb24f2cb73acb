"""Sampling the codes of pictures from DALL-E mini, one code after the other, for several seeds at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipgen.config.priors import PriorSettings
from clipgen.errors import unknown_value
from clipgen.priors.dalle_mini import DalleMiniNetwork, Memory
from clipgen.priors.dalle_mini_text import TextTokenizer, normalised, read_tokenizer
from clipgen.priors.sampling import chances, draw, guided
from clipgen.weights.checkpoint import Checkpoint, build
from clipgen.weights.dalle_mini import TOKENIZER_OF
from clipgen.weights.loader import plain_file

TOGETHER = 16
"""How many pictures are sampled at once: 8 take 2.2 times as long as 1 on a CPU, and each its own memory."""


@dataclass(frozen=True)
class DalleMini:
    """A network with the tokenizer that it reads texts by."""

    network: DalleMiniNetwork
    tokenizer: TextTokenizer

    @property
    def code_count(self) -> int:
        """The number of codes."""
        return self.network.codes

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of codes."""
        side = math.isqrt(self.network.image_length)
        return side, side


def needed(name: str) -> tuple[str, ...]:
    """Return the names of what must be here to load a DALL-E mini. Raises UsageError for the name of another."""
    if name not in TOKENIZER_OF:
        raise unknown_value("the name of a DALL-E mini", name, TOKENIZER_OF)
    return name, TOKENIZER_OF[name]


def load(
    name: str, load_network: Callable[[str], Checkpoint], ready: Callable[[DalleMiniNetwork], DalleMiniNetwork]
) -> DalleMini:
    """Load a DALL-E mini by its name, "dalle-mini/mini"; downloads nothing.

    `load_network` finds a checkpoint by name and `ready` prepares a network to be used, on its device. Raises as
    `needed`, and WeightsMissingError with the command that gets the files if they are missing.
    """
    _, tokenizer = needed(name)
    texts = read_tokenizer(plain_file(tokenizer))
    return DalleMini(ready(build(load_network(name), "dalle-mini", DalleMiniNetwork)), texts)


def sample_tokens(dalle: DalleMini, text: str, seeds: Sequence[int], settings: PriorSettings) -> Tensor:
    """Return the codes (N, h, w), int64 on the CPU, of N pictures of a text, one for each seed.

    A seed gives the same picture in any batch, but for rounding. The network's place is where it computes.
    """
    network = dalle.network
    pair = [normalised(text), ""] if settings.guidance_scale != 1 else [normalised(text)]
    numbers = torch.tensor([dalle.tokenizer.encode(one, network.text_length) for one in pair])
    numbers = numbers.to(network.decoder.embed_tokens.weight.device)
    with torch.inference_mode():
        memory = network.remember(numbers, numbers != dalle.tokenizer.padding)
        groups = [seeds[first : first + TOGETHER] for first in range(0, len(seeds), TOGETHER)]
        found = [_sampled(network, memory, some, settings) for some in groups]
    side = math.isqrt(network.image_length)
    return torch.cat([torch.empty(0, network.image_length, dtype=torch.int64), *found]).view(-1, side, side)


def _sampled(network: DalleMiniNetwork, memory: Memory, seeds: Sequence[int], settings: PriorSettings) -> Tensor:
    """Return codes (n, image_length). memory: of the text, and of the empty one if there is guidance."""
    device, texts = memory.mask.device, len(memory.mask)
    uniform = chances(seeds, network.image_length)
    both = memory.rows(torch.arange(texts, device=device).repeat_interleave(len(seeds)))
    caches, drawn = network.caches(), torch.full((len(seeds), 1), network.start)
    codes = []
    for place in range(network.image_length):
        logits = network.logits(drawn.repeat(texts, 1).to(device), both, caches)[:, -1, : network.codes]
        seen = guided(logits.to("cpu", torch.float64), settings.guidance_scale)
        drawn = draw(seen, uniform[:, place], settings)[:, None]
        codes.append(drawn)
    return torch.cat(codes, 1)
