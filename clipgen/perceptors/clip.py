"""CLIP as clipgen sees it: texts and views in, unit vectors out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from open_clip import CLIP
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, SimpleTokenizer
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from clipgen import weights
from clipgen.errors import ClipgenError
from clipgen.starter.unclip.towers import register_towers
from clipgen.util.text import quoted

BYTE_TOKENS = 512  # every byte, alone and as the end of a word, comes before the merges
_UNSUPPORTED = (
    "custom_text",
    "multimodal_cfg",
    "hf_model_name",
    "hf_tokenizer_name",
    "tokenizer_kwargs",
    "timm_model_pretrained",
)


def small_tokenizer(merges: int, context_length: int) -> SimpleTokenizer:
    """open_clip's byte-pair tokenizer with only the first `merges` of its merges."""
    tokenizer = SimpleTokenizer(context_length=context_length)
    tokens = list(tokenizer.encoder)
    specials = [tokenizer.decoder[number] for number in tokenizer.all_special_ids]
    tokenizer.encoder = {token: number for number, token in enumerate(tokens[: BYTE_TOKENS + merges] + specials)}
    tokenizer.decoder = {number: token for token, number in tokenizer.encoder.items()}
    tokenizer.bpe_ranks = dict(list(tokenizer.bpe_ranks.items())[:merges])
    tokenizer.all_special_ids = [tokenizer.encoder[token] for token in specials]
    tokenizer.sot_token_id, tokenizer.eot_token_id = tokenizer.all_special_ids
    tokenizer.vocab_size = len(tokenizer.encoder)
    return tokenizer


def build_clip(config: dict[str, Any]) -> CLIP:
    """Build an open_clip CLIP from `embed_dim`, `vision_cfg`, `text_cfg` and `quick_gelu`, as its model configs do.

    Raises ClipgenError if the config asks for what this class is not, or for parts that would be downloaded.
    """
    vision, text = config["vision_cfg"], config["text_cfg"]
    other = [name for part in (config, vision, text) for name, value in part.items() if value and name in _UNSUPPORTED]
    if ":" in (vision.get("timm_model_name") or ""):
        other.append(vision["timm_model_name"])
    if other:
        raise ClipgenError(f"a CLIP with {quoted(other[0])} in its config is not supported: choose a plain one")
    register_towers()
    return CLIP(
        config["embed_dim"],
        CLIPVisionCfg(**vision),
        CLIPTextCfg(**text),
        quick_gelu=config.get("quick_gelu", False),
        init_logit_bias=config.get("init_logit_bias"),
    )


def _check_input(config: dict[str, Any]) -> None:
    """Raise ClipgenError unless mean and standard deviation of the input are three usable numbers each."""
    mean, std = config["mean"], config["std"]
    if not (len(mean) == len(std) == 3 and all(math.isfinite(x) for x in mean) and all(0 < x < math.inf for x in std)):
        raise ClipgenError(f"a CLIP's mean and std must be three numbers each, got {quoted(mean)} and {quoted(std)}")


class Perceptor(nn.Module):
    """A CLIP with its tokenizer, input size and normalisation.

    config: what `build_clip` takes, `mean` and `std` (per channel) of the input, and `merges` of the tokenizer, by
    default all that OpenAI's has.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        _check_input(config)
        self.clip = build_clip(config)
        self.size: int = config["vision_cfg"]["image_size"]
        length = config["text_cfg"].get("context_length", DEFAULT_CONTEXT_LENGTH)
        whole = "merges" not in config
        self.tokenizer = SimpleTokenizer(context_length=length) if whole else small_tokenizer(config["merges"], length)
        if self.tokenizer.vocab_size > (known := config["text_cfg"].get("vocab_size", CLIPTextCfg.vocab_size)):
            raise ClipgenError(f"a CLIP must know the {self.tokenizer.vocab_size} tokens of its tokenizer, not {known}")
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1), persistent=False)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (N, D)."""
        vectors: Tensor = self.clip.encode_text(self.tokens(texts).to(self.mean.device), normalize=True)
        return vectors

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Texts as numbers of tokens (N, T), cut to what the model reads."""
        numbers: Tensor = self.tokenizer(list(texts))
        return numbers

    def text_states(self, texts: Sequence[str]) -> Tensor:
        """What `token_states` makes of texts."""
        return self.token_states(self.tokens(texts))

    def token_states(self, tokens: Tensor) -> Tensor:
        """Tokens (N, T) of texts to their unit vectors and then those of each token: (N, 1 + T, D).

        A token's says what the text has said up to there; zeros stand for those after the end.
        """
        tokens = tokens.to(self.mean.device)
        read = self.clip.forward_intermediates(text=tokens, text_indices=1, normalize_intermediates=True)
        states = normalize(read["text_intermediates"][0] @ self.clip.text_projection, dim=2)
        here = torch.arange(tokens.shape[1]).to(tokens) <= tokens.argmax(1, keepdim=True)  # the end's is the highest
        return torch.cat([read["text_features"][:, None], states * here[:, :, None]], 1)

    def whole(self, images: Tensor) -> Tensor:
        """Whole images (N, 3, H, W) as views, whatever their shape."""
        return interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)

    def encode_images(self, views: Tensor) -> Tensor:
        """Views (N, 3, size, size), RGB in [0, 1], to unit vectors (N, D)."""
        vectors: Tensor = self.clip.encode_image((views - self.mean) / self.std, normalize=True)
        return vectors

    def encode_with_maps(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Views as for `encode_images` to unit vectors (N, D) and to what is in their cells: (N, C, h, w).

        Raises ClipgenError if the tower has no maps of features.
        """
        stages = getattr(getattr(self.clip.visual, "trunk", None), "stages", None)
        if not isinstance(stages, nn.Module):
            raise ClipgenError("this CLIP's image tower has no maps of features")
        maps: list[Tensor] = []
        hook = stages.register_forward_hook(lambda _module, _inputs, output: maps.append(output))
        try:
            vectors = self.encode_images(views)
        finally:
            hook.remove()
        return vectors, maps[0]

    def overlong(self, text: str) -> int:
        """By how many tokens a text is longer than the model reads; 0 if it fits."""
        tokens = len(self.tokenizer.encode(text)) + 2
        return max(0, tokens - int(self.tokenizer.context_length or tokens))


def build_perceptor(checkpoint: weights.Checkpoint) -> Perceptor:
    """The perceptor of a checkpoint with its weights in it. Raises ClipgenError if it is of another kind."""
    if checkpoint.kind != "clip":
        raise ClipgenError(f"a checkpoint of kind '{checkpoint.kind}' is no CLIP")
    perceptor = Perceptor(checkpoint.config)
    perceptor.clip.load_state_dict(checkpoint.tensors)
    return perceptor
