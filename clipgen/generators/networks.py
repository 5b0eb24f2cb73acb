"""The two autoencoders as their authors' own layers, wrapped so that pictures are RGB in [0, 1] at the seam.

VQGAN: taming-transformers (Esser et al., 2021), state-dict keys as its VQModel and GumbelVQ; the first stages of
latent-diffusion (Rombach et al., 2022) are the same networks. dVAE: DALL-E (Ramesh et al., 2021).
Each takes an optional `space_to_depth` of n: the network then sees n x n blocks of pixels as channels, which makes a
small one much faster at the same width. Pretrained networks have 1.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch
from dall_e import Decoder as DallEDecoder
from dall_e import Encoder as DallEEncoder
from dall_e.utils import logit_laplace_eps
from taming.modules.diffusionmodules.model import Decoder as TamingDecoder
from taming.modules.diffusionmodules.model import Encoder as TamingEncoder
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from clipgen import weights
from clipgen.errors import ClipgenError, UsageError


class _Codebook(nn.Module):
    """Holds the codes under taming's key, `quantize.embedding.weight`."""

    def __init__(self, codes: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(codes, width)

    @property
    def codes(self) -> Tensor:
        """The codes (K, D)."""
        return self.embedding.weight

    def latent(self, features: Tensor) -> Tensor:
        """What the encoder makes of a picture (B, D, h, w), in the space of the codes: it is there already."""
        return features


class _GumbelCodebook(nn.Module):
    """Holds the codes under the keys of taming's GumbelVQ: `quantize.embed`, and `quantize.proj` that chooses them."""

    def __init__(self, codes: int, width: int):
        super().__init__()
        self.proj = nn.Conv2d(width, codes, 1)
        self.embed = nn.Embedding(codes, width)

    @property
    def codes(self) -> Tensor:
        """The codes (K, D)."""
        return self.embed.weight

    def latent(self, features: Tensor) -> Tensor:
        """Turn what the encoder makes of a picture (B, D, h, w) into the likeliest codes.

        taming draws one at random by those chances, also when it does not train.
        """
        codes: Tensor = self.embed(self.proj(features).argmax(1))
        return codes.permute(0, 3, 1, 2)


_QUANTIZERS: dict[str, type[_Codebook] | type[_GumbelCodebook]] = {"nearest": _Codebook, "gumbel": _GumbelCodebook}
_ATTENTION = ("vanilla", "none")


class VQGANNetwork(nn.Module):
    """taming's VQModel or GumbelVQ without its losses: encoder, codebook, decoder.

    config: `embed_dim`, `n_embed` and `ddconfig` as in taming's and latent-diffusion's YAML files, where `attn_type`
    "none" leaves out the attention in the middle; `quantizer` "nearest", the default, or "gumbel"; `space_to_depth`,
    by default 1.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        shape, self.block = config["ddconfig"], config.get("space_to_depth", 1)
        width, attention = config["embed_dim"], shape.get("attn_type", "vanilla")
        if attention not in _ATTENTION:
            raise ClipgenError(f"attn_type of a VQGAN must be one of {', '.join(_ATTENTION)}, got {attention!r}")
        if not shape["in_channels"] == shape["out_ch"] == 3 * self.block**2:
            raise ClipgenError(f"a VQGAN must have {3 * self.block**2} channels of pixels, got {shape['in_channels']}")
        with contextlib.redirect_stdout(io.StringIO()):  # taming prints its latent's shape
            self.encoder = TamingEncoder(**shape)
            self.decoder = TamingDecoder(**shape)
        if attention == "none":  # taming ignores what latent-diffusion added
            self.encoder.mid.attn_1 = self.decoder.mid.attn_1 = nn.Identity()
        self.quantize = _QUANTIZERS[config.get("quantizer", "nearest")](config["n_embed"], width)
        self.quant_conv = nn.Conv2d(shape["z_channels"], width, 1)
        self.post_quant_conv = nn.Conv2d(width, shape["z_channels"], 1)
        self.stride = self.block * 2 ** (len(shape["ch_mult"]) - 1)

    @property
    def codebook(self) -> Tensor:
        """The codes (K, D)."""
        return self.quantize.codes

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] to the latent (B, D, h, w), before quantisation where it is by distance."""
        return self.quantize.latent(self.quant_conv(self.encoder(pixel_unshuffle(images * 2 - 1, self.block))))

    def nearest(self, latent: Tensor) -> Tensor:
        """Index (B, h, w) of the code nearest to each cell."""
        cells = latent.detach().permute(0, 2, 3, 1).float()
        codes = self.codebook.detach().float()
        distances = codes.pow(2).sum(1) - 2 * cells @ codes.T  # + |cell|^2, the same for all codes
        nearest: Tensor = distances.argmin(-1)
        return nearest

    def lookup(self, indices: Tensor) -> Tensor:
        """Code indices (B, h, w) to their vectors (B, D, h, w)."""
        return self.codebook[indices].permute(0, 3, 1, 2)

    def straight_through(self, latent: Tensor) -> Tensor:
        """The codes nearest to the latent (B, D, h, w); the gradient passes to the latent as if it were them."""
        codes = self.lookup(self.nearest(latent))
        return latent + (codes - latent).detach()

    def decode(self, codes: Tensor) -> Tensor:
        """Code vectors (B, D, h, w) to pictures (B, 3, H, W), about [0, 1] but not clamped."""
        drawn = pixel_shuffle(self.decoder(self.post_quant_conv(codes)), self.block)
        return (drawn + 1) / 2


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
        common["device"] = torch.get_default_device()  # dall_e would take the CPU whatever torch was told
        self.encoder = DallEEncoder(input_channels=channels, **common)
        self.decoder = DallEDecoder(output_channels=channels, n_init=config["n_init"], **common)
        self.stride = 8 * self.block

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] to logits (B, K, h, w)."""
        mapped = (1 - 2 * logit_laplace_eps) * images + logit_laplace_eps
        logits: Tensor = self.encoder(pixel_unshuffle(mapped, self.block))
        return logits

    def statistics(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, K, h, w), one-hot or soft, to the logit-Laplace mean and log-scale, each (B, 3, H, W)."""
        mean, log_scale = self.decoder(codes).float().chunk(2, dim=1)
        return pixel_shuffle(mean, self.block), pixel_shuffle(log_scale, self.block)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, K, h, w), one-hot or soft, to pictures (B, 3, H, W), about [0, 1] but not clamped."""
        mean, _ = self.statistics(codes)
        images: Tensor = (torch.sigmoid(mean) - logit_laplace_eps) / (1 - 2 * logit_laplace_eps)
        return images


Network = VQGANNetwork | DVAENetwork
NETWORKS: dict[str, type[VQGANNetwork] | type[DVAENetwork]] = {"vqgan": VQGANNetwork, "dvae": DVAENetwork}


def build_network(checkpoint: weights.Checkpoint) -> Network:
    """The network of a checkpoint with its weights in it. UsageError if it is no generator's."""
    if checkpoint.kind not in NETWORKS:
        raise UsageError(f"a checkpoint of kind '{checkpoint.kind}' is no generator: one of {', '.join(NETWORKS)} is")
    network = NETWORKS[checkpoint.kind](checkpoint.config)
    network.load_state_dict(checkpoint.tensors)
    return network
