from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from clipgen.config.presets import CutoutSettings
from clipgen.core.cutouts import Draw, draw_views, make_views

S = 16
SQUARE = (64, 64)
USUAL = CutoutSettings()
STILL = CutoutSettings(0, 0, 0.5, 0.5, zoom=0, degrees=0, shear=0, perspective=0, jitter=0, noise=0)
"""Crops of half the side, and nothing else."""


def smooth(batch: int = 1, size: tuple[int, int] = SQUARE) -> Tensor:
    noise = torch.rand(batch, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return interpolate(noise, (size[1], size[0]), mode="bicubic").clamp(0, 1)


def views(images: Tensor, count: int, settings: CutoutSettings, seeds: tuple[int, ...] = (0,), step: int = 0) -> Tensor:
    size = images.shape[3], images.shape[2]
    return make_views(images, draw_views(seeds, step, count, size, settings), S)


def corners(draw: Draw) -> Tensor:
    """Where the corners (N, 4, 2) of the views lie in the picture."""
    square = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])
    mapped = square @ draw.homographies.transpose(1, 2)
    return mapped[..., :2] / mapped[..., 2:]


def test_views_are_ordered_by_picture() -> None:
    images = torch.stack([torch.full((3, *SQUARE), value) for value in (0.1, 0.5, 0.9)])
    made = views(images, 4, STILL, seeds=(1, 2, 3))
    assert made.shape == (12, 3, S, S)
    torch.testing.assert_close(made.mean((1, 2, 3)), torch.tensor([0.1] * 4 + [0.5] * 4 + [0.9] * 4))


@pytest.mark.parametrize("side", [2 * S, 4 * S, 8 * S])
def test_a_plain_view_is_the_area_average_of_the_picture(side: int) -> None:
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    plain = views(image, 1, replace(USUAL, share_plain=1))
    # Above 4 S the picture is first shrunk, with a wider filter than an average.
    tolerance = 1e-5 if side <= 4 * S else 0.15
    torch.testing.assert_close(plain, avg_pool2d(image, side // S), atol=tolerance, rtol=0)


@pytest.mark.parametrize("side", [S, 4 * S, 8 * S, 20 * S])
def test_every_pixel_of_a_plain_view_gets_a_gradient(side: int) -> None:
    image = torch.rand(1, 3, side, side, requires_grad=True)
    views(image, 1, replace(USUAL, share_plain=1)).sum().backward()
    assert image.grad is not None
    assert (image.grad > 0).all()


def test_a_picture_in_a_batch_has_the_views_that_it_has_alone() -> None:
    images = smooth(3)
    together = views(images, 6, USUAL, seeds=(7, 8, 7), step=5).unflatten(0, (3, 6))
    for index, seed in enumerate((7, 8, 7)):
        alone = views(images[index : index + 1], 6, USUAL, seeds=(seed,), step=5)
        torch.testing.assert_close(together[index], alone)


def test_views_are_a_function_of_seed_and_step() -> None:
    image = smooth()
    torch.manual_seed(0)
    first = views(image, 8, USUAL, seeds=(3,), step=4)
    torch.manual_seed(1)
    assert torch.equal(first, views(image, 8, USUAL, seeds=(3,), step=4))
    for seed, step in ((3, 5), (4, 4)):
        assert (first[1:] - views(image, 8, USUAL, seeds=(seed,), step=step)[1:]).abs().amax((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("part", ["homographies", "colour", "noise"])
def test_every_part_of_a_draw_changes_with_seed_and_step(part: str) -> None:
    draws = [draw_views([seed], step, 8, SQUARE, USUAL) for seed, step in ((3, 4), (3, 5), (4, 4))]
    first, *others = (getattr(draw, part)[1:] for draw in draws)
    for other in others:
        assert (first - other).flatten(1 if first.ndim > 1 else 0).abs().amax(-1).min() > 1e-4


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_the_shares_of_plain_whole_and_crop_hold_and_one_is_always_plain(count: int) -> None:
    draw = draw_views([0], 0, count, SQUARE, replace(USUAL, degrees=0, shear=0, perspective=0))
    scales = draw.homographies[:, 0, 0]
    assert torch.equal(draw.homographies[0], torch.eye(3))
    assert draw.noise[0] == 0
    plain, whole = -(-count // 8), min(-(-count // 4), count - -(-count // 8))
    assert (scales == 1).sum() == plain
    assert ((scales >= 0.9) & (scales <= 1.1))[plain : plain + whole].all()
    assert ((scales >= USUAL.min_scale) & (scales <= USUAL.max_scale))[plain + whole :].all()


@pytest.mark.parametrize("size", [(64, 64), (128, 32), (24, 96)])
def test_crops_are_squares_of_pixels_within_the_picture(size: tuple[int, int]) -> None:
    settings = replace(STILL, min_scale=0.3, max_scale=0.9)
    places = corners(draw_views([1], 2, 200, size, settings))
    assert places.abs().max() <= 1 + 1e-5
    extent = (places.amax(1) - places.amin(1)) / 2 * torch.tensor(size)
    torch.testing.assert_close(extent[:, 0], extent[:, 1])
    assert extent.min() >= 0.3 * min(size) * 0.999
    assert extent.max() <= 0.9 * min(size) * 1.001
    # They reach all borders.
    assert (places.amin((0, 1)) < -0.9).all()
    assert (places.amax((0, 1)) > 0.9).all()


def test_both_axes_shift() -> None:
    places = corners(draw_views([0], 0, 300, SQUARE, replace(STILL, share_whole=1, zoom=0.2))).mean(1)
    assert (places.std(0) > 0.05).all()
    assert places.abs().max() <= 0.2


@pytest.mark.parametrize("name", ["degrees", "shear", "perspective"])
def test_each_distortion_moves_the_corners_within_its_range(name: str) -> None:
    strengths = {"degrees": 20.0, "shear": 0.2, "perspective": 0.3}
    settings = replace(STILL, share_whole=1, **{name: strengths[name]})
    moved = (
        corners(draw_views([0], 0, 300, SQUARE, settings)) - corners(draw_views([0], 0, 1, SQUARE, STILL)) * 2
    ).abs()
    still = corners(draw_views([0], 0, 300, SQUARE, replace(STILL, share_whole=1)))
    moved = (corners(draw_views([0], 0, 300, SQUARE, settings)) - still).norm(dim=-1).amax(1)
    farthest = {"degrees": 2 * 2**0.5 * 0.1737, "shear": 0.2, "perspective": 2**0.5 * 0.3 / 0.7}[name]
    assert 0.8 * farthest < moved.max() <= farthest * 1.001


def test_a_shift_shows_the_part_of_the_picture_that_it_points_at() -> None:
    image = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    draw = draw_views([0], 0, 20, SQUARE, STILL)
    centres = corners(draw).mean(1)[:, 0]
    seen = make_views(image, draw, S).mean((1, 2, 3))
    torch.testing.assert_close(seen, (centres + 1) / 2, atol=0.01, rtol=0)


def test_beyond_the_border_the_border_repeats() -> None:
    image = torch.full((1, 3, 64, 64), 0.7)
    made = views(image, 50, replace(USUAL, jitter=0, noise=0, zoom=0.5, degrees=45))
    torch.testing.assert_close(made, torch.full_like(made, 0.7))


def test_flipping_mirrors_about_half_of_the_altered_views() -> None:
    draw = draw_views([0], 0, 200, SQUARE, replace(STILL, share_plain=0.25, share_whole=0.75, flip=True))
    mirrored = draw.homographies[:, 0, 0] < 0
    assert not mirrored[:50].any()
    assert 50 < int(mirrored.sum()) < 100
    assert (draw_views([0], 0, 200, SQUARE, STILL).homographies[:, 0, 0] > 0).all()


def test_noise_and_jitter_have_the_strength_that_they_are_given() -> None:
    grey = torch.full((1, 3, *SQUARE), 0.5)
    noise = views(grey, 200, replace(STILL, noise=0.2)) - 0.5
    assert noise.std((1, 2, 3)).max() < 0.22
    assert float(noise.std((1, 2, 3)).mean()) == pytest.approx(0.1, rel=0.2)
    light = views(grey, 200, replace(STILL, jitter=0.2)).mean((1, 2, 3)) - 0.5
    assert 0.15 < light.abs().max() <= 0.2


def test_contrast_and_saturation_change_on_their_own() -> None:
    picture = torch.tensor([0.6, 0.5, 0.5])[:, None, None].repeat(1, *SQUARE)
    picture[:, :, 32:] -= 0.2
    jitter = torch.linspace(-0.2, 0.2, 9)
    for column in (1, 2):
        colour = torch.zeros(9, 3)
        colour[:, column] = jitter
        draw = replace(draw_views([0], 0, 9, SQUARE, replace(STILL, share_plain=1)), colour=colour)
        made = make_views(picture[None], draw, S)
        contrast = made[..., 0].mean((1, 2)) - made[..., -1].mean((1, 2))
        saturation = made[:, 0].mean((1, 2)) - made[:, 1].mean((1, 2))
        torch.testing.assert_close(contrast, 0.2 * (1 + jitter * (column == 1)))
        torch.testing.assert_close(saturation, 0.1 * (1 + jitter))


def test_the_gradient_reaches_every_picture_through_its_own_views_only() -> None:
    images = smooth(2).requires_grad_()
    views(images, 5, USUAL, seeds=(0, 1))[:5].sum().backward()
    assert images.grad is not None
    assert images.grad[0].abs().sum() > 0
    assert images.grad[1].abs().sum() == 0
