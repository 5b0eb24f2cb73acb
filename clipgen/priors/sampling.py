"""Drawing codes from a prior: temperature, top-k, top-p, classifier-free guidance; a seed gives the same codes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from clipgen.config.priors import PriorSettings
from clipgen.priors.transformer import PADDING, TokenTransformer
from clipgen.util.randomness import generator_for

STREAM = "prior"


def chances(seeds: Sequence[int], count: int) -> Tensor:
    """Return numbers (N, count) in [0, 1), float64: for each seed one for each code."""
    draws = [generator_for(seed, 0, STREAM) for seed in seeds]
    return torch.stack([torch.rand(count, generator=each, dtype=torch.float64) for each in draws])


def guided(logits: Tensor, scale: float) -> Tensor:
    """Return the logits (N, K) u + s (c - u) of classifier-free guidance (Ho and Salimans, 2022, arXiv 2207.12598).

    logits: c with the text, (N, K), and then, unless the scale is 1, u with none, (N, K).
    """
    if scale == 1:
        return logits
    conditional, unconditional = logits.chunk(2)
    return unconditional + scale * (conditional - unconditional)


def draw(logits: Tensor, uniform: Tensor, settings: PriorSettings) -> Tensor:
    """Return a code (N,) for each row of logits (N, K). uniform (N,): numbers in [0, 1), which decide.

    The temperature comes first, then top-k, then top-p of what is left (Holtzman et al., 2020, arXiv 1904.09751): the
    code with which p is reached is among those that may be drawn.
    """
    ordered, order = logits.sort(dim=1, descending=True, stable=True)
    if settings.temperature == 0:
        return order[:, 0]
    if settings.top_k:
        ordered = ordered[:, : settings.top_k]
    likely = (ordered / settings.temperature).softmax(1)
    before = likely.cumsum(1) - likely
    kept = before < settings.top_p
    kept[:, 0] = True
    ends = (likely * kept).cumsum(1)
    place = torch.searchsorted(ends, (uniform.to(ends) * ends[:, -1])[:, None], right=True)
    return order.gather(1, place.clamp(max=ordered.shape[1] - 1))[:, 0]


@torch.no_grad()
def sample(
    prior: TokenTransformer,
    text: str,
    seeds: Sequence[int],
    settings: PriorSettings,
    given: Tensor | None = None,
) -> Tensor:
    """Return the codes (N, rows, columns) of N pictures of a text, one for each seed.

    given: (n,) codes of the upper rows, which all pictures begin with.
    """
    words = prior.read([text]).expand(len(seeds), -1)
    codes = words.new_zeros(len(seeds), 0) if given is None else given.expand(len(seeds), -1)
    if codes.shape[1] == prior.cells:
        return codes.view(-1, *prior.grid)
    if both := settings.guidance_scale != 1:
        words = torch.cat([words, torch.full_like(words, PADDING)])
    uniform = chances(seeds, prior.cells)
    logits, cache = prior.begin(words, codes.repeat(1 + both, 1))
    while True:
        seen = guided(logits.to("cpu", torch.float64), settings.guidance_scale)
        new = draw(seen, uniform[:, codes.shape[1]], settings).to(codes.device)
        codes = torch.cat([codes, new[:, None]], 1)
        if codes.shape[1] == prior.cells:
            return codes.view(-1, *prior.grid)
        logits = prior.advance(new.repeat(1 + both), cache)
