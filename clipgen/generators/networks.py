"""The autoencoders with codes, built from their authors' own layers and wrapped to take and return RGB in [0, 1].

VQGAN: taming-transformers (Esser et al., 2021), with the state-dict keys of its VQModel and GumbelVQ; the first stages
of latent-diffusion (Rombach et al., 2022), IBQ (Shi et al., 2024) and LlamaGen (Sun et al., 2024) are the same.
dVAE: DALL-E (Ramesh et al., 2021).
Each takes an optional `space_to_depth` of n: the network then sees n x n blocks of pixels as channels, which makes a
small network much faster at the same width. Pretrained networks have 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from dall_e import Decoder as DallEDecoder
from dall_e import Encoder as DallEEncoder
from dall_e.utils import logit_laplace_eps
from torch import Tensor, nn
from torch.nn.functional import one_hot, pixel_shuffle, pixel_unshuffle

from clipgen import weights
from clipgen.errors import ClipgenError, UsageError
from clipgen.generators.kl_networks import KLNetwork, TinyNetwork, kl_network
from clipgen.generators.maskgit_layers import MaskGITDecoder, MaskGITEncoder
from clipgen.generators.quantizers import QUANTIZERS
from clipgen.generators.taming_layers import coders_of_taming
from clipgen.generators.titok_network import TiTokNetwork

_CODERS: dict[str, Callable[[dict[str, Any]], tuple[Any, Any]]] = {
    "taming": coders_of_taming,
    "maskgit": lambda shape: (MaskGITEncoder(shape), MaskGITDecoder(shape)),
}
"""By architecture of a VQGAN: returns encoder and decoder of a `ddconfig`."""


class VQGANNetwork(nn.Module):
    """taming's VQModel or GumbelVQ without its losses: encoder, codebook, decoder.

    config: `embed_dim`, `n_embed` and `ddconfig` as in taming's and latent-diffusion's YAML files, where `attn_type`
    "none" removes the attention in the middle; `quantizer`: a key of QUANTIZERS, by default "nearest"; `architecture`:
    "taming", the default, or "maskgit", of pixels in [0, 1] and without 1 x 1 convolutions around the codes; `signed`:
    whether taming's has pixels in [-1, 1], by default, or in [0, 1]; `space_to_depth`, by default 1. Raises
    ClipgenError for what it cannot be.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        shape, self.block = config["ddconfig"], config.get("space_to_depth", 1)
        width, architecture = config["embed_dim"], config.get("architecture", "taming")
        if not shape["in_channels"] == shape["out_ch"] == 3 * self.block**2:
            raise ClipgenError(f"a VQGAN must have {3 * self.block**2} channels of pixels, got {shape['in_channels']}")
        self.encoder, self.decoder = _CODERS[architecture](shape)
        self.quantize = QUANTIZERS[config.get("quantizer", "nearest")](config["n_embed"], width)
        has_convolutions = architecture == "taming"
        self._signed = has_convolutions and bool(config.get("signed", True))
        self.quant_conv = nn.Conv2d(shape["z_channels"], width, 1) if has_convolutions else nn.Identity()
        self.post_quant_conv = nn.Conv2d(width, shape["z_channels"], 1) if has_convolutions else nn.Identity()
        self.stride = self.block * 2 ** (len(shape["ch_mult"]) - 1)

    @property
    def codebook(self) -> Tensor:
        """The codes (K, D)."""
        return self.quantize.codes

    @property
    def bulk(self) -> nn.Module:
        """What takes nearly all of the time of a step, and bears a lower precision."""
        decoder: nn.Module = self.decoder
        return decoder

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1] as latents (B, D, h, w) in the space of the codes, see `quantizers`."""
        pixels = images * 2 - 1 if self._signed else images
        return self.quantize.latent(self.quant_conv(self.encoder(pixel_unshuffle(pixels, self.block))))

    def projection(self) -> Callable[[Tensor], Tensor]:
        """Return what brings latents (B, D, h, w) back among the codes that the network has now."""
        return self.quantize.projection()

    def nearest(self, latent: Tensor) -> Tensor:
        """Return the index (B, h, w) of the code nearest, in Euclidean distance, to each cell of (B, D, h, w)."""
        cells = latent.detach().permute(0, 2, 3, 1).float()
        codes = self.codebook.detach().float()
        distances = codes.pow(2).sum(1) - 2 * cells @ codes.T  # + |cell|^2, the same for all codes
        nearest: Tensor = distances.argmin(-1)
        return nearest

    def lookup(self, indices: Tensor) -> Tensor:
        """Return the code vectors (B, D, h, w) of indices (B, h, w)."""
        return self.codebook[indices].permute(0, 3, 1, 2)

    def straight_through(self, latent: Tensor) -> Tensor:
        """Quantise latents (B, D, h, w) to the nearest codes; the gradient passes unchanged (arXiv 1711.00937)."""
        codes = self.lookup(self.nearest(latent))
        return latent + (codes - latent).detach()

    def decode(self, codes: Tensor) -> Tensor:
        """Decode code vectors (B, D, h, w) to images (B, 3, H, W), about [0, 1] but not clamped."""
        drawn = pixel_shuffle(self.decoder(self.post_quant_conv(codes)), self.block)
        return (drawn + 1) / 2 if self._signed else drawn

    @property
    def code_count(self) -> int:
        """The size of the codebook."""
        return len(self.codebook)

    def codes_of(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1] as the indices (B, h, w) of codes."""
        return self.nearest(self.encode(images))

    def images_of(self, codes: Tensor) -> Tensor:
        """Decode indices (B, h, w) of codes to images (B, 3, H, W) in [0, 1]."""
        return self.decode(self.lookup(codes)).clamp(0, 1)


class DVAENetwork(nn.Module):
    """DALL-E's discrete VAE.

    config: `vocab_size`, `n_hid`, `n_blk_per_group`, `n_init` as dall_e names them; `space_to_depth`, by default 1.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.block = config.get("space_to_depth", 1)
        self.vocab_size: int = config["vocab_size"]
        channels = 3 * self.block**2
        common = {name: config[name] for name in ("vocab_size", "n_hid", "n_blk_per_group")}
        common["device"] = torch.get_default_device()  # dall_e would ignore torch's default device
        self.encoder = DallEEncoder(input_channels=channels, **common)
        self.decoder = DallEDecoder(output_channels=channels, n_init=config["n_init"], **common)
        self.stride = 8 * self.block

    @property
    def bulk(self) -> nn.Module:
        """What takes nearly all of the time of a step, and bears a lower precision."""
        decoder: nn.Module = self.decoder
        return decoder

    def encode(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1] as logits (B, K, h, w)."""
        mapped = (1 - 2 * logit_laplace_eps) * images + logit_laplace_eps
        logits: Tensor = self.encoder(pixel_unshuffle(mapped, self.block))
        return logits

    def statistics(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Decode codes (B, K, h, w), one-hot or soft, to logit-Laplace mean and log-scale, each (B, 3, H, W)."""
        mean, log_scale = self.decoder(codes).float().chunk(2, dim=1)
        return pixel_shuffle(mean, self.block), pixel_shuffle(log_scale, self.block)

    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes (B, K, h, w), one-hot or soft, to images (B, 3, H, W), about [0, 1] but not clamped."""
        return self.unmapped(self.statistics(codes)[0])

    def unmapped(self, mean: Tensor) -> Tensor:
        """Turn logit-Laplace means (B, 3, H, W), or samples, into images, about [0, 1] but not clamped."""
        images: Tensor = (torch.sigmoid(mean) - logit_laplace_eps) / (1 - 2 * logit_laplace_eps)
        return images

    @property
    def code_count(self) -> int:
        """The size of the vocabulary."""
        return self.vocab_size

    def codes_of(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) in [0, 1] as the indices (B, h, w) of the likeliest codes."""
        return self.encode(images).argmax(1)

    def images_of(self, codes: Tensor) -> Tensor:
        """Decode indices (B, h, w) of codes to images (B, 3, H, W) in [0, 1]."""
        vectors = one_hot(codes, self.vocab_size).movedim(-1, 1).float()
        return self.decode(vectors).clamp(0, 1)


Network = VQGANNetwork | DVAENetwork | KLNetwork | TinyNetwork | TiTokNetwork
NETWORKS: dict[str, Callable[[dict[str, Any]], Network]] = {
    "vqgan": VQGANNetwork,
    "dvae": DVAENetwork,
    "kl": kl_network,
    "titok": TiTokNetwork,
}


def build_network(checkpoint: weights.Checkpoint) -> Network:
    """Build the network of a checkpoint, with its weights. Raises UsageError if it is not a generator's."""
    if checkpoint.kind not in NETWORKS:
        raise UsageError(f"a checkpoint of kind '{checkpoint.kind}' is not a generator; {', '.join(NETWORKS)} are")
    network = NETWORKS[checkpoint.kind](checkpoint.config)
    network.load_state_dict(checkpoint.tensors)
    return network
