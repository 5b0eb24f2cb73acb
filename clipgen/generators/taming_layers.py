"""Encoder and decoder of taming-transformers, which VQGANs and KL autoencoders have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taming.modules.diffusionmodules import model as taming
from torch import nn
from torch.nn.functional import silu

from clipgen.errors import ClipgenError

taming.print = lambda *_: None  # it prints its latent's shape; `redirect_stdout` would replace stdout for all threads
_PUBLISHED = taming.nonlinearity
taming.nonlinearity = silu  # the same function, of which one tensor is kept for the gradient instead of two


@contextmanager
def as_published() -> Iterator[None]:
    """Have VQGANs compute inside the block exactly as taming's code does, to compare with it."""
    taming.nonlinearity = _PUBLISHED
    try:
        yield
    finally:
        taming.nonlinearity = silu


_ATTENTION = ("vanilla", "none")


def coders_of_taming(shape: dict[str, Any]) -> tuple[Any, Any]:
    """Return the encoder and decoder of a `ddconfig`, of pixels in [-1, 1].

    `attn_type` "none", as latent-diffusion has it, removes the attention in the middle. Raises ClipgenError for others.
    """
    attention = shape.get("attn_type", "vanilla")
    if attention not in _ATTENTION:
        raise ClipgenError(f"attn_type of an autoencoder must be one of {', '.join(_ATTENTION)}, got {attention!r}")
    encoder, decoder = taming.Encoder(**shape), taming.Decoder(**shape)
    if attention == "none":  # an option of latent-diffusion, which taming ignores
        encoder.mid.attn_1 = decoder.mid.attn_1 = nn.Identity()
    return encoder, decoder
