"""CLIP as a perceptor: texts and image cutouts in, unit vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from importlib import import_module
from threading import get_ident
from typing import Any

import torch
from open_clip import CLIP
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from open_clip.transformer import CustomResidualAttentionBlock, QuickGELU, ResidualAttentionBlock
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from clipgen import weights
from clipgen.config.settings import COSINE, SPHERICAL
from clipgen.errors import ClipgenError, UsageError
from clipgen.perceptors.inputs import as_cutouts, check_normalisation, preparation
from clipgen.perceptors.text_tokens import token_count, tokenizer_of
from clipgen.util.text import quoted
from clipgen.weights.kinds import TOWER_PREFIX, TOWERS

_ATTENTION = "custom"
"""open_clip's own attention in image towers. That of torch transposes its input, which makes the product with frozen
weights a batched one: slower in float32, and much slower in bfloat16."""
_QUICK = 1.702
_UNSUPPORTED = ("multimodal_cfg", "hf_model_name", "tokenizer_mode", "embed_cls", "timm_model_pretrained")


def build_clip(config: dict[str, Any]) -> CLIP:
    """Build an untrained CLIP from an open_clip model config.

    config: `embed_dim`, `vision_cfg`, `text_cfg`, and optionally `quick_gelu` and `init_logit_bias`. Other keys are
    ignored: `custom_text`, too, which only keeps the text tower in a module of its own. Raises ClipgenError for
    unsupported architectures, and for parts that would be downloaded.
    """
    vision, text = config["vision_cfg"], config["text_cfg"]
    other = [name for part in (config, vision, text) for name, value in part.items() if value and name in _UNSUPPORTED]
    tower = vision.get("timm_model_name") or ""
    if ":" in tower:  # timm would download it, or open a folder
        other.append(tower)
    if other:
        raise ClipgenError(f"a CLIP with {quoted(other[0])} in its config is not supported: choose a plain one")
    if tower.startswith(TOWER_PREFIX):
        import_module(TOWERS).register_towers()
    return CLIP(
        config["embed_dim"],
        CLIPVisionCfg(**{"block_type": _ATTENTION, **vision}),
        CLIPTextCfg(**text),
        quick_gelu=config.get("quick_gelu", False),
        init_logit_bias=config.get("init_logit_bias"),
    )


def spherical_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return half the squared angle (...) between unit vectors a and b (..., D), which broadcast; in [0, π²/2].

    Equal to 2·arcsin(‖a - b‖ / 2)², the loss of the VQGAN-CLIP notebooks, whose gradient is infinite at opposite
    vectors; that of the arctangent is finite.
    """
    difference = torch.linalg.vector_norm(a - b, dim=-1)
    total = torch.linalg.vector_norm(a + b, dim=-1)
    return 2 * torch.atan2(difference, total).square()


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    SPHERICAL: lambda seen, targets: spherical_distance(seen[:, :, None], targets[:, None]),
    COSINE: lambda seen, targets: 1 - seen @ targets.transpose(1, 2),
}
"""By name: the distances (b, n, K) of unit vectors (b, n, D) from targets (b, K, D)."""


class CLIPPerceptor(nn.Module):
    """A CLIP with its tokenizer, input size and normalisation (Radford et al., 2021, arXiv 2103.00020).

    config: as for `build_clip`, plus the `mean` and `std` per channel of the input. An optional `merges` limits the
    tokenizer to that many of OpenAI's merges. Raises ClipgenError if the config is not that of a usable CLIP, and
    WeightsMissingError if its tokenizer is not here.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        check_normalisation("a CLIP", config["mean"], config["std"])
        self.config = config
        self.size = _side(config["vision_cfg"]["image_size"])
        self._prepare = preparation(self.size, config)
        self.clip = build_clip(config)
        self.tokenizer = tokenizer_of(config)
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1), persistent=False)

    @torch.no_grad()
    def fold_(self) -> None:
        """Replace the QuickGELU of a frozen image tower, x · sigmoid(1.702 x), by a SiLU between scaled layers.

        The function stays the same; for its gradient one tensor is kept instead of two.
        """
        blocks = [each for each in self.clip.visual.modules() if isinstance(each, CustomResidualAttentionBlock)]
        for mlp in (block.mlp for block in blocks if isinstance(block.mlp.gelu, QuickGELU)):
            mlp.c_fc.weight.mul_(_QUICK)
            mlp.c_fc.bias.mul_(_QUICK)
            mlp.c_proj.weight.div_(_QUICK)
            mlp.gelu = nn.SiLU()

    @torch.no_grad()
    def unfolded(self) -> CLIPPerceptor:
        """Return a CLIP with the same weights that computes as OpenAI's code does, with the attention of torch."""
        twin = type(self)({**self.config, "vision_cfg": {**self.config["vision_cfg"], "block_type": "default"}})
        twin.clip.load_state_dict(self.clip.state_dict())
        folded = [isinstance(each, nn.SiLU) for name, each in self.clip.visual.named_modules() if name.endswith("gelu")]
        blocks = [each for each in twin.clip.visual.modules() if isinstance(each, ResidualAttentionBlock)]
        for block, is_folded in zip(blocks, folded, strict=True):
            if is_folded:
                block.mlp.c_fc.weight.div_(_QUICK)
                block.mlp.c_fc.bias.div_(_QUICK)
                block.mlp.c_proj.weight.mul_(_QUICK)
        return twin.eval().requires_grad_(False).to(self.mean.device)

    @property
    def bulk(self) -> nn.Module:
        """What takes nearly all of the time of a step, and bears a lower precision."""
        tower: nn.Module = self.clip.visual
        return tower

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode N texts as unit vectors (N, D)."""
        vectors: Tensor = self.clip.encode_text(self.tokens(texts).to(self.mean.device), normalize=True)
        return vectors

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Encode N texts as token ids (N, T), truncated to the context length T and padded with 0."""
        numbers: Tensor = self.tokenizer(list(texts))
        return numbers

    def tokens_over_limit(self, text: str) -> int:
        """Return by how many tokens a text exceeds the context length; 0 if it fits."""
        tokens = token_count(self.tokenizer, text)
        return max(0, tokens - int(self.tokenizer.context_length or tokens))

    def text_states(self, texts: Sequence[str]) -> Tensor:
        """Encode N texts as `token_states` does their tokens, (N, 1 + T, D)."""
        return self.token_states(self.tokens(texts))

    def token_states(self, tokens: Tensor) -> Tensor:
        """Encode tokens (N, T) as the unit vector of each text, followed by those of its tokens: (N, 1 + T, D).

        The text tower is causal, so the vector of a token stands for the text up to there. Those after the end token
        are 0.
        """
        tokens = tokens.to(self.mean.device)
        found = self.clip.forward_intermediates(text=tokens, text_indices=1, normalize_intermediates=True)
        states = normalize(found["text_intermediates"][0] @ self.clip.text_projection, dim=2)
        end = tokens.argmax(1, keepdim=True)  # the end token has the highest id
        inside = torch.arange(tokens.shape[1]).to(tokens) <= end
        return torch.cat([found["text_features"][:, None], states * inside[:, :, None]], 1)

    def whole(self, images: Tensor) -> Tensor:
        """Resize whole images (N, 3, H, W), of any aspect ratio, to cutouts (N, 3, size, size)."""
        return as_cutouts(images, self.size)

    def prepared(self, picture: Image.Image) -> Tensor:
        """Resize and crop a whole picture as open_clip does for this CLIP: (3, size, size), RGB in [0, 1].

        Guidance sees `whole` images: its pictures are tensors, and need a gradient.
        """
        return self._prepare(picture)

    def encode_images(self, cutouts: Tensor) -> Tensor:
        """Encode cutouts (N, 3, size, size), RGB in [0, 1], as unit vectors (N, D)."""
        vectors: Tensor = self.clip.encode_image((cutouts - self.mean) / self.std, normalize=True)
        return vectors

    distance = SPHERICAL
    """One of DISTANCES."""

    def by(self, distance: str) -> CLIPPerceptor:
        """Return a perceptor with the same networks that measures distances otherwise."""
        twin = copy(self)
        twin.distance = distance
        return twin

    def distances(self, seen: Tensor, targets: Tensor) -> Tensor:
        """Return the distances (b, n, K) of unit vectors (b, n, D) and (b, K, D)."""
        return DISTANCES[self.distance](seen, targets)

    def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
        """Return the cosines (b, n, K) of unit vectors (b, n, D) and (b, K, D)."""
        return seen @ targets.transpose(1, 2)

    def encode_with_maps(self, cutouts: Tensor) -> tuple[Tensor, Tensor]:
        """Encode cutouts (N, 3, size, size), RGB in [0, 1], as unit vectors (N, D) and feature maps (N, C, h, w).

        The maps are the last ones of the image tower before pooling. Raises ClipgenError for a tower without them:
        only convolutional towers of timm are supported.
        """
        stages = getattr(getattr(self.clip.visual, "trunk", None), "stages", None)
        if not isinstance(stages, nn.Module):
            raise ClipgenError("this CLIP's image tower has no feature maps")
        maps: list[Tensor] = []
        here = get_ident()  # another thread may use the same tower meanwhile
        hook = stages.register_forward_hook(
            lambda _module, _inputs, output: maps.append(output) if get_ident() == here else None
        )
        try:
            vectors = self.encode_images(cutouts)
        finally:
            hook.remove()
        return vectors, maps[0].float()


def _side(image_size: object) -> int:
    """Return the side of the square images that a config says as one number or two. Raises ClipgenError for others."""
    sides = image_size if isinstance(image_size, list | tuple) else [image_size]
    if len(set(map(str, sides))) != 1 or len(sides) > 2 or type(sides[0]) is not int:
        raise ClipgenError(f"a CLIP must see square images, of one image_size; its config says {quoted(image_size)}")
    return sides[0]


def clip_network(config: dict[str, Any]) -> CLIP:
    """Build the untrained CLIP of a perceptor's config, checked as by `CLIPPerceptor`."""
    return CLIPPerceptor(config).clip


def build_perceptor(checkpoint: weights.Checkpoint) -> CLIPPerceptor:
    """Build a perceptor with the weights of a checkpoint. Raises UsageError if the checkpoint is not a CLIP."""
    if checkpoint.kind != "clip":
        raise UsageError(f"a checkpoint of kind '{checkpoint.kind}' is not a CLIP")
    perceptor = CLIPPerceptor(checkpoint.config)
    perceptor.clip.load_state_dict(checkpoint.tensors)
    perceptor.fold_()
    return perceptor
