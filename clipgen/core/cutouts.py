"""Cutouts: many differently augmented parts of a picture, which make it hard to fool the perceptors.

As in VQGAN-CLIP (Crowson et al., 2022, arXiv 2204.08583), but all parameters are drawn beforehand from (seed, step), so
the cutouts of a picture do not depend on its neighbours in a batch. All cutouts are then computed in one call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, radians

import torch
import torch.nn.functional as F
from kornia.enhance import (
    adjust_brightness,
    adjust_contrast_with_mean_subtraction,
    adjust_saturation_with_gray_subtraction,
)
from torch import Tensor

from clipgen.config.settings import CutoutSettings
from clipgen.util.randomness import generator_for

SUPERSAMPLING = 2
"""A cutout is sampled at this multiple of its size along each axis, then averaged."""
_DRAWN = ("scale", "x", "y", "angle", "shear", "tilt_x", "tilt_y", "mirror", "light", "contrast", "saturation", "noise")


@dataclass(frozen=True)
class AugmentationParameters:
    """The parameters of n cutouts for each of B pictures, picture-major, on the CPU."""

    homographies: Tensor
    """(B·n, 3, 3) maps from cutout to picture coordinates; in both, x and y run from -1 to 1."""
    colour: Tensor
    """(B·n, 3) changes in brightness, contrast and saturation; 0 means none."""
    noise: Tensor
    """(B·n,) standard deviations of the pixel noise."""
    seeds: tuple[int, ...]
    step: int
    first: int = 0
    """Index of the first of these cutouts among those drawn for each picture."""
    drawn: int = 0
    """Number of cutouts drawn for each picture."""

    def part(self, first: int, last: int) -> "AugmentationParameters":
        """Return the parameters of cutouts `first` to `last` (exclusive) of each picture."""

        def cut(values: Tensor) -> Tensor:
            return values.view(len(self.seeds), -1, *values.shape[1:])[:, first:last].flatten(0, 1)

        homographies, colour, noise = map(cut, (self.homographies, self.colour, self.noise))
        return replace(self, homographies=homographies, colour=colour, noise=noise, first=self.first + first)


def draw_parameters(
    seeds: Sequence[int], step: int, count: int, size: tuple[int, int], settings: CutoutSettings
) -> AugmentationParameters:
    """Draw the parameters of `count` cutouts for each picture of `size` (width, height) from its seed and the step.

    There is one picture for each seed; its plain cutouts come first, then the whole ones, then the crops.
    """
    uniform = torch.cat([torch.rand(len(_DRAWN), count, generator=generator_for(s, step, "views")) for s in seeds], 1)
    drawn = dict(zip(_DRAWN, uniform, strict=True))
    plain = ceil(count * settings.share_plain)
    index = torch.arange(count).repeat(len(seeds))
    altered = (index >= plain).float()
    whole = index < plain + ceil(count * settings.share_whole)
    colour = torch.stack([_signed(drawn[name]) for name in ("light", "contrast", "saturation")], dim=1)
    return AugmentationParameters(
        homographies=_placement(drawn, altered, whole, size, settings) @ _distortion(drawn, altered, settings),
        colour=settings.jitter * colour * altered[:, None],
        noise=settings.noise * drawn["noise"].clamp_min(settings.least_noise) * altered,
        seeds=tuple(seeds),
        step=step,
        drawn=count,
    )


def make_cutouts(images: Tensor, parameters: AugmentationParameters, size: int) -> Tensor:
    """Return the cutouts (B·n, 3, size, size), picture-major, of images (B, 3, H, W) in [0, 1].

    Differentiable in `images`. Colour changes and noise can take cutouts slightly out of [0, 1].
    """
    cutouts = _warp(_shrink(images, 2 * SUPERSAMPLING * size), parameters.homographies, size)
    light, contrast, saturation = parameters.colour.to(images.device).unbind(1)
    cutouts = adjust_brightness(cutouts, light, clip_output=False)
    cutouts = adjust_contrast_with_mean_subtraction(cutouts, 1 + contrast)
    cutouts = adjust_saturation_with_gray_subtraction(cutouts, 1 + saturation)
    return cutouts + _noise(parameters, size, images.device)


def _placement(
    drawn: Mapping[str, Tensor], altered: Tensor, whole: Tensor, size: tuple[int, int], settings: CutoutSettings
) -> Tensor:
    """Return (N, 3, 3) maps from the square [-1, 1]² to the part of the picture that each cutout shows.

    A whole cutout covers the picture, whatever its aspect ratio; a crop is a square of pixels inside it.
    """
    zoom = 1 + settings.zoom * _signed(drawn["scale"]) * altered
    side = settings.min_scale + (settings.max_scale - settings.min_scale) * drawn["scale"]
    mirror = 1 - 2 * ((drawn["mirror"] < 0.5) & (altered > 0)).float() * settings.flip
    extents, centres = [], []
    for axis, pixels in zip("xy", size, strict=True):
        extent = torch.where(whole, zoom, side * min(size) / pixels)
        reach = torch.where(whole, torch.tensor(settings.zoom), 1 - extent)
        centres.append(reach * _signed(drawn[axis]) * altered)
        extents.append(extent)
    zero, one = torch.zeros_like(zoom), torch.ones_like(zoom)
    return _matrices([extents[0] * mirror, zero, centres[0]], [zero, extents[1], centres[1]], [zero, zero, one])


def _distortion(drawn: Mapping[str, Tensor], altered: Tensor, settings: CutoutSettings) -> Tensor:
    """Return (N, 3, 3) rotations, shears and perspective tilts about the centre of each cutout."""
    angle = radians(settings.degrees) * _signed(drawn["angle"]) * altered
    shear = settings.shear * _signed(drawn["shear"]) * altered
    # Half for each axis, as the two tilts add up in a corner.
    tilt_x = 0.5 * settings.perspective * _signed(drawn["tilt_x"]) * altered
    tilt_y = 0.5 * settings.perspective * _signed(drawn["tilt_y"]) * altered
    sine, cosine = angle.sin(), angle.cos()
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    return _matrices([cosine, cosine * shear - sine, zero], [sine, sine * shear + cosine, zero], [tilt_x, tilt_y, one])


def _matrices(*rows: Sequence[Tensor]) -> Tensor:
    """Stack rows of (N,) entries into (N, 3, 3)."""
    return torch.stack([torch.stack(list(row), dim=-1) for row in rows], dim=-2)


def _signed(uniform: Tensor) -> Tensor:
    """Map [0, 1] to [-1, 1]."""
    return 2 * uniform - 1


def _shrink(images: Tensor, limit: int) -> Tensor:
    """Shrink images whose shorter side exceeds the limit to that limit, so that sampling skips no pixel."""
    height, width = images.shape[2:]
    factor = limit / min(height, width)
    if factor >= 1:
        return images
    size = (round(height * factor), round(width * factor))
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def _warp(images: Tensor, homographies: Tensor, size: int) -> Tensor:
    """Sample the cutouts (B·n, 3, size, size) from images (B, 3, H, W), whose border is repeated outside.

    The cutouts of a picture, and the samples averaged into one pixel, are sampled as one tall image: repeating the
    picture for each cutout would cost half as much time again, and n times the memory for its gradient.
    """
    batch, samples = len(images), SUPERSAMPLING**2
    grid = _sampling_grid(homographies.to(images.device).view(batch, -1, 3, 3), size)
    tall = grid.reshape(batch, -1, size, 2)
    sampled = F.grid_sample(images, tall, mode="bilinear", padding_mode="border", align_corners=False)
    cutouts = sampled.view(batch, 3, samples, -1, size, size).mean(2)
    return cutouts.transpose(1, 2).reshape(-1, 3, size, size)


def _sampling_grid(homographies: Tensor, size: int) -> Tensor:
    """Return where n cutouts (B, n, 3, 3) sample their pictures: (B, s, s, n, size, size, 2), x and y in [-1, 1].

    s = SUPERSAMPLING: the axes before n are the row and the column of a sample within its pixel. The matrix product is
    written out, as a batched product with single points takes longer than the sampling.
    """
    fine = SUPERSAMPLING * size
    places = torch.arange(fine, dtype=torch.float32, device=homographies.device)
    centres = ((2 * places + 1) / fine - 1).view(size, SUPERSAMPLING).T
    x, y = centres[None, :, None, None, :], centres[:, None, None, :, None]
    entries = homographies[:, None, None, :, None, None]
    across, down, depth = (
        entries[..., row, 0] * x + entries[..., row, 1] * y + entries[..., row, 2] for row in range(3)
    )
    return torch.stack([across / depth, down / depth], dim=-1)


def _noise(parameters: AugmentationParameters, size: int, device: torch.device) -> Tensor:
    """Return the pixel noise (B·n, 3, size, size); a part of the cutouts gets the same noise as within all."""
    shape = (parameters.drawn, 3, size, size)
    here = slice(parameters.first, parameters.first + len(parameters.noise) // len(parameters.seeds))
    drawn = [generator_for(seed, parameters.step, "noise", device) for seed in parameters.seeds]
    fields = [torch.randn(shape, generator=generator, device=device)[here] for generator in drawn]
    return torch.cat(fields) * parameters.noise.to(device)[:, None, None, None]
