"""CLIPs called by hand, as open_clip's README does, to compare with what commands say of the same files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pretrained
import torch
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from clipgen.engine.models import perceptor_of

OPENAI = {"interpolation": "bicubic", "resize_mode": "shortest"}
SIGLIP = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
LETTERBOX = {"mean": [0.4] * 3, "std": [0.3] * 3, "interpolation": "bilinear", "resize_mode": "longest"}
LETTERBOX |= {"fill_color": 128}
TINY = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}
SIZES = ((64, 64), (200, 50), (33, 120), (31, 32), (500, 375))


class ByHand:
    """An open_clip model with its preprocessing and its tokenizer."""

    def __init__(self, model: Any, prepare: Any, tokenizer: Any) -> None:
        self.model, self.prepare, self.tokenizer = model, prepare, tokenizer

    @torch.no_grad()
    def cosines(self, pictures: Sequence[Image.Image], texts: Sequence[str]) -> Tensor:
        """(N, L)"""
        images = torch.stack([self.prepare(picture) for picture in pictures])
        seen, said = self.model.encode_image(images), self.model.encode_text(self.tokenizer(list(texts)))
        seen, said = seen / seen.norm(dim=-1, keepdim=True), said / said.norm(dim=-1, keepdim=True)
        return seen @ said.T

    @torch.no_grad()
    def probabilities(self, cosines: Tensor) -> Tensor:
        """(N, L)"""
        logits = self.model.logit_scale.exp() * cosines
        if self.model.logit_bias is None:
            return logits.softmax(-1)
        return torch.sigmoid(logits + self.model.logit_bias)


def starter(name: str) -> ByHand:
    """A CLIP of the starter set; its input is normalised as its file says, and prepared as OpenAI's."""
    perceptor = perceptor_of(name).eval()
    prepare = image_transform_v2(PreprocessCfg(size=64, mean=(0.5,) * 3, std=(0.25,) * 3), is_train=False)
    return ByHand(perceptor.clip, prepare, perceptor.tokenizer)


def random_clip(config: dict[str, Any], said: dict[str, Any], path: Path, *, sigmoid: bool = False) -> ByHand:
    """A CLIP with random weights, saved as open_clip's authors do on the hub: weights, and a config beside them."""
    config = {**config, **({"init_logit_bias": -10.0} if sigmoid else {})}
    torch.manual_seed(3)
    model = open_clip.CLIP(
        config["embed_dim"],
        CLIPVisionCfg(**config["vision_cfg"]),
        CLIPTextCfg(**config["text_cfg"]),
        init_logit_bias=config.get("init_logit_bias"),
    ).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path)
    path.with_name("open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": said}))
    known = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    prepare = image_transform_v2(PreprocessCfg(size=config["vision_cfg"]["image_size"], **known), is_train=False)
    return ByHand(model, prepare, open_clip.get_tokenizer("ViT-B-32"))


def pictures(folder: Path, sizes: Sequence[tuple[int, int]] = SIZES) -> list[Path]:
    """Write pictures with shapes in them, one of each size, the last one grey."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    paths = []
    for number, (width, height) in enumerate(sizes):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        picture = coarse.resize((width, height), Image.Resampling.BICUBIC)
        paths.append(folder / f"{number}.png")
        (picture.convert("L") if number == len(sizes) - 1 else picture).save(paths[-1])
    return paths


def opened(paths: Sequence[Path]) -> list[Image.Image]:
    """Read files as open_clip's README does."""
    found = []
    for path in paths:
        with Image.open(path) as picture:
            found.append(picture.copy())
    return found
