"""What has discrete tokens: networks that turn images into codes and back, and generators that can start from codes."""

from typing import Protocol, runtime_checkable

from torch import Tensor


class Autoencoder(Protocol):
    """A network that turns images into latents and back."""

    stride: int
    """Side of a cell of its latents, or of a picture whose codes are a sequence, (B, 1, n), in pixels."""

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1], of sides that the stride divides, as latents (B, ..., h, w)."""

    def decode(self, latent: Tensor, /) -> Tensor:
        """Decode latents, or codes, to images (B, 3, H, W), about [0, 1] but not clamped."""


@runtime_checkable
class Tokenizer(Autoencoder, Protocol):
    """A network whose latents are codes: an autoencoder with a codebook, one code for each cell."""

    @property
    def code_count(self) -> int:
        """The number K of codes."""

    def codes_of(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1], of sides that the stride divides, as codes (B, h, w) from 0 to K-1."""

    def images_of(self, codes: Tensor) -> Tensor:
        """Decode codes (B, h, w) to images (B, 3, H, W) in [0, 1]."""


@runtime_checkable
class StartsFromTokens(Protocol):
    """A generator that can start from codes."""

    def start_from_tokens_(self, tokens: Tensor) -> None:
        """Start where decoding without noise gives the images of codes (B, h, w)."""
