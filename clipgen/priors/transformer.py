"""DALL-E's second stage: a transformer over the tokens of a text and of a picture (Ramesh et al., 2021, section 2.2).

It predicts each token from those before it: first those of the text, then the codes of an autoencoder, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from clipgen import weights
from clipgen.config.priors import KIND
from clipgen.errors import ClipgenError
from clipgen.perceptors.text_tokens import small_tokenizer
from clipgen.priors.attention import attention_mask
from clipgen.weights import Checkpoint

PADDING = -1
"""Stands for "no token" after the end of a text; each position has its own learned embedding for it."""
TEXT_SHARE = 1 / 8
"""Weight of the loss of the text; that of the picture has the rest (appendix B.2)."""
SMALL = 0.02
"""Standard deviation of fresh weights."""
MOST_LAYERS, MOST_POSITIONS = 128, 2**13
"""The deepest network, and the longest sequence, whose masks must fit into memory."""


@dataclass
class Cache:
    """The keys and values of the positions so far, by layer: each (B, heads, L, D), of which `length` are filled."""

    keys: list[Tensor]
    values: list[Tensor]
    length: int = 0


class Block(nn.Module):
    """A layer of a pre-norm transformer."""

    mask: Tensor

    def __init__(self, width: int, heads: int, mask: Tensor):
        super().__init__()
        self.heads = heads
        self.norm_in = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, states: Tensor, cache: Cache | None, layer: int) -> Tensor:
        """Return the states (B, n, D) of n positions after the layer; with a cache they follow those in it."""
        count, length, width = states.shape
        qkv = self.qkv(self.norm_in(states)).view(count, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        first = 0
        if cache is not None:
            first = cache.length
            cache.keys[layer][:, :, first : first + length] = key
            cache.values[layer][:, :, first : first + length] = value
            key, value = (part[:, :, : first + length] for part in (cache.keys[layer], cache.values[layer]))
        mask = self.mask[first : first + length, : first + length]
        seen = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        states = states + self.out(seen.transpose(1, 2).reshape(count, length, width))
        after: Tensor = states + self.mlp(self.norm_mlp(states))
        return after


class TokenTransformer(nn.Module):
    """A prior over the codes of a picture, given a text.

    config: `text_length`, at most so many tokens of a text; `merges`: how many of OpenAI's merges its tokenizer knows;
    `codes`: the size of the autoencoder's codebook; `grid`: rows and columns of codes; `width` and `heads`; `patterns`:
    the attention pattern of each layer, names of `attention.PATTERNS`. Raises ClipgenError for what it cannot be.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.text_length = int(config["text_length"])
        self.grid = int(config["grid"][0]), int(config["grid"][1])
        self.cells, self.code_count = self.grid[0] * self.grid[1], int(config["codes"])
        width, heads = int(config["width"]), int(config["heads"])
        self.heads = heads
        patterns = config["patterns"]
        if len(patterns) > MOST_LAYERS or width % heads or not 0 < self.text_length + self.cells <= MOST_POSITIONS:
            raise ClipgenError(f"a prior of width {width}, {heads} heads and {self.cells} codes cannot be built")
        self.tokenizer = small_tokenizer(int(config["merges"]), self.text_length)
        self.text_embedding = nn.Embedding(self.tokenizer.vocab_size, width)
        self.padding = nn.Parameter(torch.empty(self.text_length, width))
        self.text_positions = nn.Parameter(torch.empty(self.text_length, width))
        self.code_embedding = nn.Embedding(self.code_count, width)
        self.row_positions = nn.Parameter(torch.empty(self.grid[0], 1, width))
        self.column_positions = nn.Parameter(torch.empty(1, self.grid[1], width))
        self.blocks = nn.ModuleList(
            Block(width, heads, attention_mask(name, self.text_length, *self.grid)) for name in patterns
        )
        self.norm_out = nn.LayerNorm(width)
        self.code_logits = nn.Linear(width, self.code_count)
        self._fill()

    def _fill(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=SMALL)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.padding.device

    def read(self, texts: list[str]) -> Tensor:
        """Return the tokens (N, T) of texts, with PADDING after the end of each; what is too long is cut off."""
        ids = self.tokenizer(texts)
        ended = (ids == self.tokenizer.eot_token_id).cumsum(1).cumsum(1)  # 1 at the end token, more after it
        return torch.where(ended > 1, PADDING, ids).to(self.device)

    def forward(self, text: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of each next token: of the text (B, T - 1, V), and of the codes (B, N, K).

        text: (B, T), see `read`; all PADDING is no text. codes: (B, N), all of a picture's.
        """
        states = self._through(torch.cat([self._text(text), self._codes(codes[:, :-1], 0)], 1), None)
        of_text = states[:, : self.text_length - 1] @ self.text_embedding.weight.T
        return of_text, self.code_logits(states[:, self.text_length - 1 :])

    def begin(self, text: Tensor, codes: Tensor) -> tuple[Tensor, Cache]:
        """Return the logits (B, K) of the code after the first n, which are (B, n), and the cache to go on with."""
        shape = len(text), self.heads, self.text_length + self.cells, self.padding.shape[1] // self.heads
        keys, values = ([self.padding.new_zeros(shape) for _ in self.blocks] for _ in range(2))
        cache = Cache(keys, values)
        states = torch.cat([self._text(text), self._codes(codes, 0)], 1)
        return self._next(states, cache), cache

    def advance(self, codes: Tensor, cache: Cache) -> Tensor:
        """Return the logits (B, K) of the next code after one more, (B,)."""
        return self._next(self._codes(codes[:, None], cache.length - self.text_length), cache)

    def _next(self, states: Tensor, cache: Cache) -> Tensor:
        after = self._through(states, cache)
        cache.length += states.shape[1]
        logits: Tensor = self.code_logits(after[:, -1])
        return logits

    def _text(self, text: Tensor) -> Tensor:
        known = self.text_embedding(text.clamp(min=0))
        return torch.where((text == PADDING)[..., None], self.padding, known) + self.text_positions

    def _codes(self, codes: Tensor, first: int) -> Tensor:
        places = (self.row_positions + self.column_positions).flatten(0, 1)
        embedded: Tensor = self.code_embedding(codes) + places[first : first + codes.shape[1]]
        return embedded

    def _through(self, states: Tensor, cache: Cache | None) -> Tensor:
        for layer, block in enumerate(self.blocks):
            states = block(states, cache, layer)
        normed: Tensor = self.norm_out(states)
        return normed


def token_losses(logits: tuple[Tensor, Tensor], text: Tensor, codes: Tensor) -> dict[str, Tensor]:
    """Return the losses in nats a token: of the text, of the codes, and both weighted, as "loss".

    logits, text and codes as for `TokenTransformer.forward`; PADDING is not learned.
    """
    of_text = cross_entropy(logits[0].flatten(0, 1), text[:, 1:].flatten(), ignore_index=PADDING, reduction="sum")
    of_text = of_text / (text[:, 1:] != PADDING).sum().clamp(min=1)
    of_codes = cross_entropy(logits[1].flatten(0, 1), codes.flatten())
    return {"text": of_text, "codes": of_codes, "loss": TEXT_SHARE * of_text + (1 - TEXT_SHARE) * of_codes}


def build_token_transformer(checkpoint: Checkpoint) -> TokenTransformer:
    """Build a prior with the weights of a checkpoint; raises as `weights.build` does."""
    return weights.build(checkpoint, KIND, TokenTransformer)
