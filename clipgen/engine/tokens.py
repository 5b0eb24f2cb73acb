"""Runs that begin at tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from clipgen.config.plan import Plan
from clipgen.config.preset import CODES
from clipgen.config.tokens import FLAG, no_tokens
from clipgen.core.contracts import Generator
from clipgen.errors import UsageError
from clipgen.generators.tokens import StartsFromTokens, Tokenizer
from clipgen.steering.given import Given
from clipgen.util.randomness import generator_for


def with_tokens_decoded(plan: Plan, given: Given, network: nn.Module, count: int) -> Given:
    """Return what `count` pictures are given, with the picture of its tokens, if there are any, as the init image.

    Losses that hold a picture to its init image then hold it to that one. Raises UsageError unless the tokens are there
    if the plan names some, fit its size, and are codes of the network.
    """
    if bool(plan.init_tokens) != (given.tokens is not None):
        raise UsageError("a plan that names tokens must come with them, and no other")
    if given.tokens is None:
        return given
    if not isinstance(network, Tokenizer):
        raise no_tokens(FLAG, plan.backend)
    cells = plan.generator.cells(plan.size)
    if given.tokens.shape[1:] != cells or int(given.tokens.max()) >= network.code_count:
        raise UsageError(f"{FLAG}: they are not codes of {plan.generator.weights} for a picture of the plan's size")
    with torch.no_grad():
        shown = network.images_of(given.tokens)
    return replace(given, init=shown.expand(count, -1, -1, -1))


def first_tokens(plan: Plan, given: Given, network: nn.Module, seeds: Sequence[int]) -> Tensor | None:
    """Return the tokens (B, h, w) that latents begin at: those given, or a random code for each cell; None for neither.

    Raises UsageError if the network has no codes.
    """
    if given.tokens is not None:
        return given.tokens.expand(len(seeds), -1, -1)
    if plan.start != CODES:
        return None
    if not isinstance(network, Tokenizer):
        raise no_tokens(f"--start {CODES}", plan.backend)
    height, width = (side // network.stride for side in reversed(plan.size))
    draws = [generator_for(seed, 0, "latent") for seed in seeds]
    codes = [torch.randint(network.code_count, (height * width,), generator=each) for each in draws]
    device = next(network.parameters()).device
    return torch.stack(codes).view(-1, height, width).to(device)


def start_from_tokens_(plan: Plan, generator: Generator, tokens: Tensor) -> None:
    """Start latents at tokens (B, h, w); raises UsageError if they have none."""
    if not isinstance(generator, StartsFromTokens):
        raise no_tokens(f"--start {plan.start}", plan.backend)
    generator.start_from_tokens_(tokens)
