"""TiTok: an autoencoder whose tokens are a sequence without places in the picture (Yu et al., 2024, arXiv 2406.07550).

The state-dict keys are those of the published files, whose decoder ends in that of MaskGIT's VQGAN.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from clipgen.errors import ClipgenError
from clipgen.generators.maskgit_layers import MaskGITDecoder

SPREAD = 0.02
"""Standard deviation of the embeddings of a network without weights."""


def _embedding(*shape: int) -> nn.Parameter:
    return nn.Parameter(SPREAD * torch.randn(shape))


class _Block(nn.Module):
    """A residual attention block, on (L, B, W)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads)
        layers = {"c_fc": nn.Linear(width, 4 * width), "gelu": nn.GELU(), "c_proj": nn.Linear(4 * width, width)}
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        wider: Tensor = x + self.mlp(self.ln_2(x))
        return wider


class _Transformer(nn.Module):
    """What encoder and decoder share: a vision transformer over a class token, `places` patches and the tokens."""

    def __init__(self, shape: Mapping[str, int], places: int, tokens: int):
        super().__init__()
        width = shape["width"]
        self.class_embedding = _embedding(1, width)
        self.positional_embedding = _embedding(places + 1, width)
        self.latent_token_positional_embedding = _embedding(tokens, width)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.ModuleList(_Block(width, shape["heads"]) for _ in range(shape["layers"]))

    def attend(self, patches: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return what becomes of patches (B, P, W) and tokens (B, n, W)."""
        first = self.class_embedding.expand(len(patches), 1, -1)
        placed = torch.cat([first, patches], 1) + self.positional_embedding
        x = torch.cat([placed, tokens + self.latent_token_positional_embedding], 1)
        x = self.ln_pre(x).transpose(0, 1)
        for block in self.transformer:
            x = block(x)
        after: Tensor = self.ln_post(x.transpose(0, 1))
        return after[:, 1 : 1 + patches.shape[1]], after[:, 1 + patches.shape[1] :]


class _Encoder(_Transformer):
    def __init__(self, config: Mapping[str, Any]):
        shape, patch = config["encoder"], config["patch"]
        super().__init__(shape, (config["side"] // patch) ** 2, config["tokens"])
        self.patch_embed = nn.Conv2d(3, shape["width"], patch, stride=patch)
        self.conv_out = nn.Conv2d(shape["width"], config["embed_dim"], 1)

    def forward(self, images: Tensor, queries: Tensor) -> Tensor:
        """Encode images (B, 3, S, S) in [0, 1] as latents (B, D, 1, n); queries: (n, W)."""
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)
        _, tokens = self.attend(patches, queries.expand(len(images), -1, -1))
        count, width = tokens.shape[1:]
        # The published networks were trained with this reshape, which mixes the axes instead of exchanging them.
        latents: Tensor = self.conv_out(tokens.reshape(-1, width, count, 1))
        return latents.reshape(len(images), -1, 1, count)


class _Decoder(_Transformer):
    def __init__(self, config: Mapping[str, Any], side: int):
        shape, codes = config["decoder"], config["pixels"]["n_embed"]
        super().__init__(shape, side**2, config["tokens"])
        width = shape["width"]
        self._side = side
        self.decoder_embed = nn.Linear(config["embed_dim"], width)
        self.mask_token = _embedding(1, 1, width)
        self.ffn = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.Tanh(), nn.Conv2d(2 * width, codes, 1))

    def forward(self, codes: Tensor) -> Tensor:
        """Decode code vectors (B, D, 1, n) to logits (B, K, h, w) over the codes of MaskGIT's VQGAN."""
        tokens = self.decoder_embed(codes.flatten(2).transpose(1, 2))
        patches, _ = self.attend(self.mask_token.expand(len(codes), self._side**2, -1), tokens)
        logits: Tensor = self.ffn(patches.transpose(1, 2).reshape(len(codes), -1, self._side, self._side))
        return logits


class _Codebook(nn.Module):
    """Holds the codes (K, D) under the key `embedding.weight`."""

    def __init__(self, codes: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(codes, width)


class TiTokNetwork(nn.Module):
    """TiTok of one stage: encoder, codebook of unit vectors, decoder to the codes of MaskGIT's VQGAN, its decoder.

    config: `side` of the pictures and of a `patch` in pixels; the number of `tokens`; `n_embed` codes of `embed_dim`
    numbers; `width`, `layers` and `heads` of `encoder` and `decoder`; `pixels`, the config of `MaskGITDecoder` with
    the number of its codes as `n_embed`. Raises ClipgenError for parts that do not fit together.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        pixels, factor = config["pixels"], 2 ** (len(config["pixels"]["ch_mult"]) - 1)
        self.stride = self.side = config["side"]
        self.tokens: int = config["tokens"]
        if self.side % config["patch"] or self.side % factor:
            raise ClipgenError(
                f"the side of a TiTok's pictures must be a multiple of {config['patch']} and {factor}, got {self.side}"
            )
        self.encoder = _Encoder(config)
        self.decoder = _Decoder(config, self.side // factor)
        self.latent_tokens = _embedding(self.tokens, config["encoder"]["width"])
        self.quantize = _Codebook(config["n_embed"], config["embed_dim"])
        self.pixel_quantize = _Codebook(pixels["n_embed"], pixels["z_channels"])
        self.pixel_decoder = MaskGITDecoder(pixels)

    @property
    def codebook(self) -> Tensor:
        """The codes (K, D), unit vectors."""
        return normalize(self.quantize.embedding.weight, dim=-1)

    @property
    def bulk(self) -> tuple[nn.Module, ...]:
        """What takes nearly all of the time of a step, and bears a lower precision."""
        return self.decoder, self.pixel_decoder

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, side, side) in [0, 1] as latents (B, D, 1, n), not quantised."""
        latents: Tensor = self.encoder(images, self.latent_tokens)
        return latents

    def nearest(self, latent: Tensor) -> Tensor:
        """Return the index (B, 1, n) of the code in the direction nearest to that of each token of (B, D, 1, n)."""
        cells = normalize(latent.detach().permute(0, 2, 3, 1).float(), dim=-1)
        similarities = cells @ self.codebook.detach().float().T
        nearest: Tensor = similarities.argmax(-1)
        return nearest

    def lookup(self, indices: Tensor) -> Tensor:
        """Return the code vectors (B, D, 1, n) of indices (B, 1, n)."""
        return self.codebook[indices].permute(0, 3, 1, 2)

    def straight_through(self, latent: Tensor) -> Tensor:
        """Quantise latents (B, D, 1, n) to the nearest codes; the gradient is that of their directions."""
        directions = normalize(latent, dim=1)
        return directions + (self.lookup(self.nearest(latent)) - directions).detach()

    def decode(self, codes: Tensor) -> Tensor:
        """Decode code vectors (B, D, 1, n) to images (B, 3, side, side), about [0, 1] but not clamped.

        The codes of MaskGIT's VQGAN are averaged by their probabilities, as in training.
        """
        shares = self.decoder(codes).softmax(1)
        images: Tensor = self.pixel_decoder(torch.einsum("bkhw,kd->bdhw", shares, self.pixel_quantize.embedding.weight))
        return images

    @property
    def code_count(self) -> int:
        """The size of the codebook."""
        return self.quantize.embedding.num_embeddings

    def codes_of(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, side, side) in [0, 1] as the indices (B, 1, n) of codes."""
        return self.nearest(self.encode(images))

    def images_of(self, codes: Tensor) -> Tensor:
        """Decode indices (B, 1, n) of codes to images (B, 3, side, side) in [0, 1]."""
        return self.decode(self.lookup(codes)).clamp(0, 1)
