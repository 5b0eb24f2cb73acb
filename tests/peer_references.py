"""The loops of other programs, written again from their equations and with their authors' own networks.

Nothing here is clipgen's: numbers that are drawn at random come in as `Draws`, everything else is computed anew.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import kornia
import kornia.augmentation as K
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
Step = Callable[[Tensor], Tensor]


@dataclass
class Draws:
    """The random numbers of one step."""

    chains: Sequence[Sequence[dict[str, Tensor]]]
    """By group of cutouts, what each augmentation of Kornia drew."""
    crops: Sequence[tuple[int, int, int]]
    """Side, left and top."""
    noise: Tensor
    """What is added to the cutouts."""
    grey: float
    step: int
    codes: Tensor | None = None
    """The code (h·w,) sampled for each cell."""
    laplace: Tensor | None = None
    """Standard Laplace noise for the pixels."""


class Replace(torch.autograd.Function):
    """The value of the first, the gradient to the second."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor, _like: Tensor) -> Tensor:
        return value

    @staticmethod
    def backward(_ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, grad


class Clamp(torch.autograd.Function):
    """Clamp to [0, 1]; beyond, only gradients that lead back survive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        outward = ((x > 1) & (grad < 0)) | ((x < 0) & (grad > 0))
        return grad.masked_fill(outward, 0.0)


def replace(value: Tensor, like: Tensor) -> Tensor:
    result: Tensor = Replace.apply(value, like)
    return result


def clamp(x: Tensor) -> Tensor:
    result: Tensor = Clamp.apply(x)
    return result


@dataclass
class Prompt:
    text: str
    weight: float = 1.0
    stop: float = -math.inf


@dataclass
class Perceptor:
    """open_clip's CLIP and the loss of prompts."""

    model: open_clip.CLIP
    side: int
    prompts: Sequence[Prompt]
    spherical: float = 2.0
    """The factor of the loss."""

    def __post_init__(self) -> None:
        tokens = open_clip.get_tokenizer("ViT-B-32")([each.text for each in self.prompts])
        with torch.no_grad():
            self.embeds = self.model.encode_text(tokens)

    def loss(self, cutouts: Tensor) -> Tensor:
        mean, std = (torch.tensor(each, dtype=cutouts.dtype).view(3, 1, 1) for each in (MEAN, STD))
        seen = F.normalize(self.model.encode_image((cutouts - mean) / std), dim=1)
        total = cutouts.new_zeros(())
        for prompt, embed in zip(self.prompts, self.embeds, strict=True):
            chord = (seen - F.normalize(embed, dim=0)).norm(dim=1)
            distance = self.spherical * torch.arcsin(chord / 2) ** 2 * math.copysign(1, prompt.weight)
            stopped = torch.maximum(distance, torch.tensor(prompt.stop, dtype=cutouts.dtype))
            total = total + abs(prompt.weight) * replace(distance, stopped).mean()
        return total


@dataclass
class Loop:
    """One picture: a latent, how it is drawn, how it is seen, and Adam."""

    latent: Tensor
    lr: float
    draw: Callable[[Tensor, Draws], Tensor]
    cut: Callable[[Tensor, Draws], Tensor]
    perceptor: Perceptor
    low: Tensor | None = None
    high: Tensor | None = None
    decay: float = 0.0
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.latent.requires_grad_()
        self.set_rate(self.lr)

    def set_rate(self, lr: float) -> None:
        """Begin with a new optimiser."""
        self.optimizer = torch.optim.AdamW([self.latent], lr=lr, weight_decay=self.decay)

    def gradient(self, draws: Draws) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad()
        loss = self.perceptor.loss(self.cut(self.draw(self.latent, draws), draws))
        loss.backward()  # type: ignore[no-untyped-call]
        assert self.latent.grad is not None
        return loss.detach(), self.latent.grad.clone()

    def update(self) -> None:
        self.optimizer.step()
        if self.low is not None and self.high is not None:
            with torch.no_grad():
                self.latent.copy_(self.latent.maximum(self.low).minimum(self.high))


def quantised(model: Any) -> Callable[[Tensor, Draws], Tensor]:
    """z+quantize: each cell becomes its nearest code."""

    def draw(z: Tensor, _draws: Draws) -> Tensor:
        codes = model.quantize.embedding.weight
        nearest = torch.cdist(z.movedim(1, 3), codes[None]).argmin(-1)
        return clamp((model.decode(replace(codes[nearest].movedim(3, 1), z)) + 1) / 2)

    return draw


def sampled(model: Any) -> Callable[[Tensor, Draws], Tensor]:
    """Codebook sampling: logits (h·w, K), a code for each cell, and the gradient of its probability."""

    def draw(logits: Tensor, draws: Draws) -> Tensor:
        codes = model.quantize.embedding.weight
        side = math.isqrt(len(logits))
        hot = replace(F.one_hot(draws.codes, len(codes)).to(logits), logits.softmax(1))
        z = (hot @ codes).view(1, side, side, -1).permute(0, 3, 1, 2)
        return clamp((model.decode(z) + 1) / 2)

    return draw


def sampled_pixels(decoder: nn.Module, banned: Sequence[int], eps: float = 0.1) -> Callable[[Tensor, Draws], Tensor]:
    """DALL-E's dVAE: the same, and each pixel from its logit-Laplace distribution."""

    def draw(logits: Tensor, draws: Draws) -> Tensor:
        side, bias = math.isqrt(len(logits)), torch.zeros(logits.shape[1], dtype=logits.dtype)
        bias[list(banned)] = -100
        hot = replace(F.one_hot(draws.codes, logits.shape[1]).to(logits), (logits + bias).softmax(1))
        location, scale = decoder(hot.view(1, side, side, -1).permute(0, 3, 1, 2)).float().chunk(2, 1)
        pixels = torch.sigmoid(location + torch.exp(scale) * draws.laplace)
        return clamp((pixels - eps) / (1 - 2 * eps))

    return draw


def pooled(image: Tensor, side: int) -> Tensor:
    return (F.adaptive_avg_pool2d(image, (side, side)) + F.adaptive_max_pool2d(image, (side, side))) / 2


def through(cutouts: Tensor, chain: Sequence[Any], drawn: Sequence[dict[str, Tensor]]) -> Tensor:
    for augmentation, params in zip(chain, drawn, strict=True):
        cutouts = augmentation(cutouts, params=dict(params))
    return cutouts


def nerdyrodent_chain() -> tuple[Any, ...]:
    """Its augments Af Pe Ji Er."""
    return (
        K.RandomAffine(degrees=15, translate=0.1, shear=5, p=0.7, padding_mode="zeros", keepdim=True),
        K.RandomPerspective(distortion_scale=0.7, p=0.7),
        K.ColorJitter(brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1, p=0.7),
        K.RandomErasing(scale=(0.1, 0.4), ratio=(0.3, 1 / 0.3), same_on_batch=True, p=0.7),
    )


def nerdyrodent(side: int, count: int) -> Callable[[Tensor, Draws], Tensor]:
    """Its default cutouts, `latest`."""
    chain = nerdyrodent_chain()
    return lambda image, draws: through(torch.cat([pooled(image, side)] * count), chain, draws.chains[0]) + draws.noise


def drawn_crop(width: int, height: int, side: int) -> tuple[int, int, int]:
    """A crop as the notebooks draw it, by torch's global generator."""
    most, least = min(width, height), min(width, height, side)
    size = int(torch.rand([]) * (most - least) + least)
    return size, int(torch.randint(0, width - size + 1, ())), int(torch.randint(0, height - size + 1, ()))


def crops(side: int) -> Callable[[Tensor, Draws], Tensor]:
    """The notebooks' original cutouts."""

    def cut(image: Tensor, draws: Draws) -> Tensor:
        parts = [image[:, :, y : y + size, x : x + size] for size, x, y in draws.crops]
        return clamp(torch.cat([resampled(part, side) for part in parts]))

    return cut


def resampled(image: Tensor, side: int) -> Tensor:
    """Lanczos-2, written as a matrix along each axis, then a bicubic resize that keeps the corners."""
    size = image.shape[-1]
    if side < size:
        rows = torch.zeros(size, size, dtype=image.dtype)
        ratio = side / size
        reach = math.ceil(2 / ratio + 1) - 2
        weights = [_window(ratio * k) for k in range(-reach, reach + 1)]
        for place in range(size):
            for k, weight in zip(range(-reach, reach + 1), weights, strict=True):
                source = abs(place + k)
                source = 2 * (size - 1) - source if source >= size else source
                rows[place, source] += weight / sum(weights)
        image = rows @ image @ rows.T
    return F.interpolate(image, (side, side), mode="bicubic", align_corners=True)


def _window(x: float) -> float:
    if abs(x) >= 2:
        return 0.0
    return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x) * math.sin(math.pi * x / 2) / (math.pi * x / 2)


def pixray_chains(side: int, aspect: float, step: int, grey: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Its augmentations of close views, and of wide ones."""

    def perspective(distortion: float, **border: Any) -> K.RandomPerspective:
        class Bordered(K.RandomPerspective):
            def apply_transform(self, input, params, flags, transform=None):  # type: ignore[no-untyped-def]  # noqa: A002
                return kornia.geometry.transform.warp_perspective(
                    input, transform, input.shape[-2:], align_corners=flags["align_corners"], **border
                )

        return Bordered(distortion, p=0.7)

    fill = {"padding_mode": "fill", "fill_value": torch.full((3,), grey)}
    natural = min(aspect, 1 / aspect)
    share, shift = (natural, (1 - natural) / 2) if aspect != 1 else (0.95, 0.025)
    shifts = (shift if aspect <= 1 else 0.0, shift if aspect >= 1 else 0.0)
    scales = (share, share) if aspect == 1 else (0.9 * share, share)
    colour = K.ColorJitter(hue=0.1, saturation=0.1, p=0.8)
    close = (
        perspective(0.4, padding_mode="border" if step % 2 else "reflection"),
        K.RandomResizedCrop((side, side), (0.25, 0.95), (0.85, 1.2), cropping_mode="resample", p=1.0),
        colour,
    )
    wide = (
        K.RandomAffine(0, shifts, scales, p=1.0, **fill),
        K.CenterCrop(side, cropping_mode="resample", p=1.0),
        perspective(0.2, **fill),
        colour,
    )
    return close, wide


def pixray(side: int, count: int, aspect: float = 1.0) -> Callable[[Tensor, Draws], Tensor]:
    """60 % close views, 40 % wide ones, each batch rescaled to its own range."""

    def cut(image: Tensor, draws: Draws) -> Tensor:
        view = pooled(image, side)
        if aspect != 1:
            view = kornia.geometry.transform.rescale(view, (1, aspect) if aspect > 1 else (1 / aspect, 1))
        near, (close, wide) = int(0.6 * count), pixray_chains(side, aspect, draws.step, draws.grey)
        parts = (
            through(torch.cat([view] * near), close, draws.chains[0]),
            through(torch.cat([view] * (count - near)), wide, draws.chains[1]),
        )
        batch = torch.cat(parts) + draws.noise
        batch = batch - batch.min()
        return batch / batch.max()

    return cut
