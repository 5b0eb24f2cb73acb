"""Sampling the codes of pictures from DALL-E mini, one code after the other, for several seeds at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipgen.errors import UsageError, unknown_value
from clipgen.priors.dalle_mini import DalleMiniNetwork, Memory
from clipgen.priors.dalle_mini_text import TextTokenizer, normalised, read_tokenizer
from clipgen.util.randomness import generator_for
from clipgen.weights.checkpoint import Checkpoint, build
from clipgen.weights.dalle_mini import TOKENIZER_OF
from clipgen.weights.loader import plain_file

STREAM = "dalle-mini"
TOGETHER = 16
"""How many pictures are sampled at once: 8 take 2.2 times as long as 1 on a CPU, and each its own memory."""


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn. Raises UsageError for a setting that is no such number.

    guidance: the scale s of "super conditioning", whose logits are u + s (c - u), where c is with the text and u with
    an empty one; 1 is without. temperature: what logits are divided by. top_k: how many of the likeliest codes may be
    drawn, 0 for all. top_p: what probability these must have together, 1 for all.
    """

    guidance: float = 10.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        limits = {
            "guidance": (self.guidance >= 0, "0 or more"),
            "temperature": (self.temperature > 0, "more than 0"),
            "top_k": (self.top_k >= 0, "0 or more"),
            "top_p": (0 < self.top_p <= 1, "more than 0 and at most 1"),
        }
        for name, (fits, wanted) in limits.items():
            if not (fits and math.isfinite(getattr(self, name))):
                raise UsageError(f"{name} of DALL-E mini must be {wanted}, got {getattr(self, name)}")


@dataclass(frozen=True)
class DalleMini:
    """A network with the tokenizer that it reads texts by."""

    network: DalleMiniNetwork
    tokenizer: TextTokenizer


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


def sample_tokens(dalle: DalleMini, text: str, seeds: Sequence[int], sampling: Sampling | None = None) -> Tensor:
    """Return the codes (N, h, w), int64 on the CPU, of N pictures of a text, one for each seed.

    A seed gives the same picture in any batch, but for rounding. The network's place is where it computes.
    """
    network, sampling = dalle.network, sampling or Sampling()
    pair = [normalised(text), ""] if sampling.guidance != 1 else [normalised(text)]
    numbers = torch.tensor([dalle.tokenizer.encode(one, network.text_length) for one in pair])
    numbers = numbers.to(network.decoder.embed_tokens.weight.device)
    with torch.inference_mode():
        memory = network.remember(numbers, numbers != dalle.tokenizer.padding)
        groups = [seeds[first : first + TOGETHER] for first in range(0, len(seeds), TOGETHER)]
        found = [_sampled(network, memory, some, sampling) for some in groups]
    side = math.isqrt(network.image_length)
    return torch.cat([torch.empty(0, network.image_length, dtype=torch.int64), *found]).view(-1, side, side)


def _sampled(network: DalleMiniNetwork, memory: Memory, seeds: Sequence[int], sampling: Sampling) -> Tensor:
    """Return codes (n, image_length). memory: of the text, and of the empty one if there is guidance."""
    device, texts = memory.mask.device, len(memory.mask)
    generators = [generator_for(seed, 0, STREAM) for seed in seeds]
    chances = torch.stack([torch.rand(network.image_length, generator=g, dtype=torch.float64) for g in generators])
    both = memory.rows(torch.arange(texts, device=device).repeat_interleave(len(seeds)))
    caches, drawn = network.caches(), torch.full((len(seeds), 1), network.start)
    codes = []
    for place in range(network.image_length):
        logits = network.logits(drawn.repeat(texts, 1).to(device), both, caches)[:, -1, : network.codes]
        drawn = draw(guided(logits.to("cpu", torch.float64), texts, sampling.guidance), chances[:, place], sampling)
        codes.append(drawn)
    return torch.cat(codes, 1)


def guided(logits: Tensor, texts: int, scale: float) -> Tensor:
    """Return the logits (n, V) of super conditioning. logits: with the text, then, of 2 texts, with the empty one."""
    if texts == 1:
        return logits
    with_text, without = logits.chunk(2)
    return without + scale * (with_text - without)


def draw(logits: Tensor, chances: Tensor, sampling: Sampling) -> Tensor:
    """Draw a code (n, 1) from each row of logits (n, V). chances (n,): uniform in [0, 1), they decide which.

    Limits apply as in the authors' code: the temperature, then top_k, then top_p of what is left; the code with which
    top_p is passed is among those that may be drawn.
    """
    ordered, order = (logits / sampling.temperature).sort(dim=-1, descending=True, stable=True)
    if sampling.top_k:
        ordered = ordered[:, : sampling.top_k]
    likely = ordered.softmax(-1)
    before = likely.cumsum(-1) - likely
    likely = likely.where(before < sampling.top_p, torch.zeros_like(likely))
    ends = likely.cumsum(-1)
    at = torch.searchsorted(ends, (chances.to(ends) * ends[:, -1])[:, None], right=True)
    return order.gather(1, at.clamp(max=ordered.shape[1] - 1))
