"""DALL-E mini (Dayma et al., 2021): a BART that translates a text's tokens to those of a VQGAN's picture.

An encoder reads the text, a decoder writes the 16 x 16 codes of vqgan_imagenet_f16_16384 one after the other. The
layers are those of BART (Lewis et al., 2019, arXiv 1910.13461) with gated linear units (Shazeer, 2020,
arXiv 2002.05202) and the layer norms of NormFormer (Shleifer et al., 2021, arXiv 2110.09456), without biases. The
state-dict keys are BART's; the config has the names of the published config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

EPSILON = 1e-5
MAX_LAYERS = 256
COUNTED = ("encoder_layers", "decoder_layers")
PLAIN = {"scale_embedding": False, "tie_word_embeddings": False, "use_bias": False, "use_head_scale": False}
"""What the authors' code can do and neither published network does, with the value that both have."""


@dataclass(frozen=True)
class Memory:
    """A text as the decoder sees it: by layer, keys and values (B, heads, L, d), and what of them counts (B, 1, 1, L).

    B may be 1 for a decoder of any batch.
    """

    pairs: tuple[tuple[Tensor, Tensor], ...]
    mask: Tensor

    def rows(self, index: Tensor) -> Memory:
        """Return the memory of some texts of the batch: those of the numbers (N,), in their order."""
        return Memory(tuple((keys[index], values[index]) for keys, values in self.pairs), self.mask[index])


class _Attention(nn.Module):
    """Attention of queries from (B, T, C) to keys and values from another or the same sequence."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"a width of {width} is no multiple of {heads} heads")
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.out_proj = nn.Linear(width, width, bias=False)

    def pair(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and the values (B, heads, T, d) of a sequence (B, T, C)."""
        return self._split(self.k_proj(x)), self._split(self.v_proj(x))

    def forward(self, x: Tensor, pair: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        queries = self._split(self.q_proj(x))
        keys, values = (part.expand(len(x), -1, -1, -1) for part in pair)
        found = scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        out: Tensor = self.out_proj(found.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class _GLU(nn.Module):
    """A gated linear unit between two layer norms."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.ln0, self.ln1 = nn.LayerNorm(width, EPSILON), nn.LayerNorm(inner, EPSILON)
        self.fc0, self.fc1 = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.fc2 = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.ln0(x)
        out: Tensor = self.fc2(self.ln1(gelu(self.fc0(x)) * self.fc1(x)))
        return out


class _EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.pre_self_attn_layer_norm = nn.LayerNorm(width, EPSILON)
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width, EPSILON)
        self.glu = _GLU(width, inner)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normed = self.pre_self_attn_layer_norm(x)
        x = x + self.self_attn_layer_norm(self.self_attn(normed, self.self_attn.pair(normed), mask))
        out: Tensor = x + self.glu(x)
        return out


class _DecoderLayer(_EncoderLayer):
    """A layer of the encoder that also attends to the text, between its own attention and its GLU."""

    def __init__(self, width: int, heads: int, inner: int):
        super().__init__(width, heads, inner)
        self.pre_encoder_attn_layer_norm = nn.LayerNorm(width, EPSILON)
        self.encoder_attn = _Attention(width, heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(width, EPSILON)

    def decode(self, x: Tensor, mask: Tensor, text: tuple[Tensor, Tensor], text_mask: Tensor, cache: _Cache) -> Tensor:
        """Return the layer's output (B, T, C) for the places that follow those in the cache, which it extends."""
        normed = self.pre_self_attn_layer_norm(x)
        known = cache.extended(self.self_attn.pair(normed))
        x = x + self.self_attn_layer_norm(self.self_attn(normed, known, mask))
        normed = self.pre_encoder_attn_layer_norm(x)
        x = x + self.encoder_attn_layer_norm(self.encoder_attn(normed, text, text_mask))
        out: Tensor = x + self.glu(x)
        return out


class _Cache:
    """The keys and values of one layer of the decoder, for the places that were decoded; memory for `length` places."""

    def __init__(self, length: int):
        self.length, self.count = length, 0
        self._kept: tuple[Tensor, Tensor] | None = None

    def extended(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Append keys and values (B, heads, T, d), and return all of them."""
        if self._kept is None:
            keys, values = (part.new_empty((*part.shape[:2], self.length, part.shape[3])) for part in pair)
            self._kept = keys, values
        start, self.count = self.count, self.count + pair[0].shape[2]
        for kept, part in zip(self._kept, pair, strict=True):
            kept[:, :, start : self.count] = part
        return self._kept[0][:, :, : self.count], self._kept[1][:, :, : self.count]


class _Embedded(nn.Module):
    """What encoder and decoder share: tokens and their places as vectors, layers, and a last layer norm."""

    def __init__(self, tokens: int, places: int, width: int, layers: list[nn.Module]):
        super().__init__()
        self.embed_tokens, self.embed_positions = nn.Embedding(tokens, width), nn.Embedding(places, width)
        self.layernorm_embedding, self.final_ln = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)
        self.layers = nn.ModuleList(layers)

    def embedded(self, tokens: Tensor, start: int) -> Tensor:
        """Return the vectors (B, T, C) of tokens (B, T) from a place on."""
        places = self.embed_positions.weight[start : start + tokens.shape[1]]
        vectors: Tensor = self.layernorm_embedding(self.embed_tokens(tokens) + places)
        return vectors


class _Decoder(_Embedded):
    def __init__(self, tokens: int, places: int, width: int, layers: list[nn.Module]):
        super().__init__(tokens, places, width, layers)
        self.lm_head = nn.Linear(width, tokens, bias=False)


class DalleMiniNetwork(nn.Module):
    """The network of a config, without weights. Raises ValueError for one that describes another network.

    Sizes: `text_length` tokens of a text, `image_length` codes of a picture, of which the first `codes` of
    `image_vocab_size` + 1 are the VQGAN's; `start` is the token before a picture's first.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        _check(config)
        width = int(config["d_model"])
        shapes = {
            part: (width, int(config[f"{part}_attention_heads"]), int(config[f"{part}_ffn_dim"]))
            for part in ("encoder", "decoder")
        }
        self.text_length, self.image_length = int(config["max_text_length"]), int(config["image_length"])
        self.start = int(config["decoder_start_token_id"])
        tokens = int(config["image_vocab_size"]) + 1
        self.codes = int(config.get("codes", tokens - 1))
        self.encoder = _Embedded(
            int(config["encoder_vocab_size"]),
            self.text_length,
            width,
            [_EncoderLayer(*shapes["encoder"]) for _ in range(config["encoder_layers"])],
        )
        self.decoder = _Decoder(
            tokens,
            self.image_length,
            width,
            [_DecoderLayer(*shapes["decoder"]) for _ in range(config["decoder_layers"])],
        )

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the encoder's vectors (B, L, C) of texts' tokens (B, L). mask: which of them count (B, L), bool."""
        x, seen = self.encoder.embedded(tokens, 0), mask[:, None, None]
        for layer in self.encoder.layers:
            x = layer(x, seen)
        out: Tensor = self.encoder.final_ln(x)
        return out

    def remember(self, tokens: Tensor, mask: Tensor) -> Memory:
        """Encode texts' tokens (B, L), with which of them count (B, L), for the decoder."""
        x = self.encode(tokens, mask)
        return Memory(tuple(layer.encoder_attn.pair(x) for layer in self._layers()), mask[:, None, None])

    def caches(self) -> list[_Cache]:
        """Return what `logits` keeps of the places that it was called for: nothing yet."""
        return [_Cache(self.image_length) for _ in self.decoder.layers]

    def logits(self, tokens: Tensor, text: Memory, caches: list[_Cache] | None = None) -> Tensor:
        """Return the logits (B, T, image_vocab_size + 1) of what follows each of the tokens (B, T) of pictures.

        tokens: the start token and codes; with caches, those after the tokens of earlier calls alone.
        """
        caches = self.caches() if caches is None else caches
        start, count = caches[0].count, tokens.shape[1]
        places = torch.arange(start + count, device=tokens.device)
        mask = places[None, :] <= places[start:, None]
        x = self.decoder.embedded(tokens, start)
        for layer, pair, cache in zip(self._layers(), text.pairs, caches, strict=True):
            x = layer.decode(x, mask, pair, text.mask, cache)
        out: Tensor = self.decoder.lm_head(self.decoder.final_ln(x))
        return out

    def _layers(self) -> list[_DecoderLayer]:
        return [layer for layer in self.decoder.layers if isinstance(layer, _DecoderLayer)]


def _check(config: Mapping[str, Any]) -> None:
    for name in COUNTED:
        if not (isinstance(config[name], int) and 0 < config[name] <= MAX_LAYERS):
            raise ValueError(f"{name} is {config[name]}")
    for name, value in PLAIN.items():
        if config.get(name, value) != value:
            raise ValueError(f"{name} is {config[name]}, as in no published DALL-E mini")
    if not 0 < config.get("codes", 1) <= config["image_vocab_size"]:
        raise ValueError(f"codes is {config['codes']}")
    if not 0 <= config["decoder_start_token_id"] <= config["image_vocab_size"]:
        raise ValueError(f"decoder_start_token_id is {config['decoder_start_token_id']}")
