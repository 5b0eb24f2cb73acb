"""Drawing codes from a prior: temperature, top-k, top-p, classifier-free guidance; a seed gives the same codes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from clipgen.config.priors import PriorSettings
from clipgen.priors.transformer import PADDING, TokenTransformer
from clipgen.util.randomness import generator_for


def restricted(logits: Tensor, settings: PriorSettings) -> Tensor:
    """Return probabilities (B, K) of logits (B, K) over the likeliest codes, as the settings have it.

    top-k keeps k of them; top-p (Holtzman et al., 2020) the fewest whose probabilities reach p, at least one.
    """
    if settings.temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits)
    probabilities = (logits / settings.temperature).softmax(1)
    falling, order = probabilities.sort(dim=1, descending=True, stable=True)
    before = falling.cumsum(1) - falling
    rank = torch.arange(logits.shape[1], device=logits.device)
    kept = ((before < settings.top_p) | (rank == 0)) & (rank < (settings.top_k or logits.shape[1]))
    chosen = torch.zeros_like(probabilities).scatter_(1, order, falling * kept)
    return chosen / chosen.sum(1, keepdim=True)


def drawn(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Return codes (B,) by the inverse of the cumulated probabilities (B, K) at numbers (B,) in [0, 1)."""
    cumulated = probabilities.double().cumsum(1)
    codes = torch.searchsorted(cumulated, (uniform.double() * cumulated[:, -1])[:, None], right=True)[:, 0]
    return codes.clamp(max=probabilities.shape[1] - 1)


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
    guided = settings.guidance_scale != 1
    if guided:
        words = torch.cat([words, torch.full_like(words, PADDING)])
    uniform = torch.stack([torch.rand(prior.cells, generator=generator_for(seed, 0, "prior")) for seed in seeds])
    uniform = uniform.to(prior.device)
    logits, cache = prior.begin(words, codes.repeat(1 + guided, 1))
    while True:
        if guided:
            conditional, unconditional = logits.chunk(2)
            logits = unconditional + settings.guidance_scale * (conditional - unconditional)
        new = drawn(restricted(logits, settings), uniform[:, codes.shape[1]])
        codes = torch.cat([codes, new[:, None]], 1)
        if codes.shape[1] == prior.cells:
            return codes.view(-1, *prior.grid)
        logits = prior.advance(new.repeat(1 + guided), cache)
