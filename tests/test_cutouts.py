from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from clipgen.config.settings import CutoutSettings
from clipgen.core.cutouts import AugmentationParameters, draw_parameters, make_cutouts

S = 16
SQUARE = (64, 64)
USUAL = CutoutSettings()
STILL = CutoutSettings(0, 0, 0.5, 0.5, zoom=0, degrees=0, shear=0, perspective=0, jitter=0, noise=0)
"""Crops of half the side, and nothing else."""


def smooth(batch: int = 1, size: tuple[int, int] = SQUARE) -> Tensor:
    noise = torch.rand(batch, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return interpolate(noise, (size[1], size[0]), mode="bicubic").clamp(0, 1)


def cutouts(
    images: Tensor, count: int, settings: CutoutSettings, seeds: tuple[int, ...] = (0,), step: int = 0
) -> Tensor:
    size = images.shape[3], images.shape[2]
    return make_cutouts(images, draw_parameters(seeds, step, count, size, settings), S)


def corners(parameters: AugmentationParameters) -> Tensor:
    """Where the corners (N, 4, 2) of the cutouts lie in the picture."""
    square = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])
    mapped = square @ parameters.homographies.transpose(1, 2)
    return mapped[..., :2] / mapped[..., 2:]


def test_cutouts_are_ordered_by_picture() -> None:
    images = torch.stack([torch.full((3, *SQUARE), value) for value in (0.1, 0.5, 0.9)])
    made = cutouts(images, 4, STILL, seeds=(1, 2, 3))
    assert made.shape == (12, 3, S, S)
    torch.testing.assert_close(made.mean((1, 2, 3)), torch.tensor([0.1] * 4 + [0.5] * 4 + [0.9] * 4))


@pytest.mark.parametrize("side", [2 * S, 4 * S, 8 * S])
def test_a_plain_cutout_is_the_area_average_of_the_picture(side: int) -> None:
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    plain = cutouts(image, 1, replace(USUAL, share_plain=1))
    # Above 4 S the picture is first shrunk, with a wider filter than an average.
    tolerance = 1e-5 if side <= 4 * S else 0.15
    torch.testing.assert_close(plain, avg_pool2d(image, side // S), atol=tolerance, rtol=0)


@pytest.mark.parametrize("side", [S, 4 * S, 8 * S, 20 * S])
def test_every_pixel_of_a_plain_cutout_gets_a_gradient(side: int) -> None:
    image = torch.rand(1, 3, side, side, requires_grad=True)
    cutouts(image, 1, replace(USUAL, share_plain=1)).sum().backward()
    assert image.grad is not None
    assert (image.grad > 0).all()


def test_a_picture_in_a_batch_has_the_cutouts_that_it_has_alone() -> None:
    images = smooth(3)
    together = cutouts(images, 6, USUAL, seeds=(7, 8, 7), step=5).unflatten(0, (3, 6))
    for index, seed in enumerate((7, 8, 7)):
        alone = cutouts(images[index : index + 1], 6, USUAL, seeds=(seed,), step=5)
        torch.testing.assert_close(together[index], alone)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (2, 5), (5, 6)])
def test_a_part_of_the_cutouts_is_what_it_is_among_all_of_them(first: int, last: int) -> None:
    images, parameters = smooth(2), draw_parameters((7, 8), 5, 6, SQUARE, USUAL)
    whole = make_cutouts(images, parameters, S).unflatten(0, (2, 6))
    part = make_cutouts(images, parameters.part(first, last), S).unflatten(0, (2, last - first))
    torch.testing.assert_close(part, whole[:, first:last])


def test_cutouts_are_a_function_of_seed_and_step() -> None:
    image = smooth()
    torch.manual_seed(0)
    first = cutouts(image, 8, USUAL, seeds=(3,), step=4)
    torch.manual_seed(1)
    assert torch.equal(first, cutouts(image, 8, USUAL, seeds=(3,), step=4))
    for seed, step in ((3, 5), (4, 4)):
        assert (first[1:] - cutouts(image, 8, USUAL, seeds=(seed,), step=step)[1:]).abs().amax((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("part", ["homographies", "colour", "noise"])
def test_every_part_of_the_parameters_changes_with_seed_and_step(part: str) -> None:
    draws = [draw_parameters([seed], step, 8, SQUARE, USUAL) for seed, step in ((3, 4), (3, 5), (4, 4))]
    first, *others = (getattr(each, part)[1:] for each in draws)
    for other in others:
        assert (first - other).flatten(1 if first.ndim > 1 else 0).abs().amax(-1).min() > 1e-4


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_the_shares_of_plain_whole_and_crop_hold_and_one_is_always_plain(count: int) -> None:
    parameters = draw_parameters([0], 0, count, SQUARE, replace(USUAL, degrees=0, shear=0, perspective=0))
    scales = parameters.homographies[:, 0, 0]
    assert torch.equal(parameters.homographies[0], torch.eye(3))
    assert parameters.noise[0] == 0
    plain, whole = -(-count // 8), min(-(-count // 4), count - -(-count // 8))
    assert (scales == 1).sum() == plain
    assert ((scales >= 0.9) & (scales <= 1.1))[plain : plain + whole].all()
    assert ((scales >= USUAL.min_scale) & (scales <= USUAL.max_scale))[plain + whole :].all()


@pytest.mark.parametrize("size", [(64, 64), (128, 32), (24, 96)])
def test_crops_are_squares_of_pixels_within_the_picture(size: tuple[int, int]) -> None:
    settings = replace(STILL, min_scale=0.3, max_scale=0.9)
    places = corners(draw_parameters([1], 2, 200, size, settings))
    assert places.abs().max() <= 1 + 1e-5
    extent = (places.amax(1) - places.amin(1)) / 2 * torch.tensor(size)
    torch.testing.assert_close(extent[:, 0], extent[:, 1])
    assert extent.min() >= 0.3 * min(size) * 0.999
    assert extent.max() <= 0.9 * min(size) * 1.001
    # They reach all borders.
    assert (places.amin((0, 1)) < -0.9).all()
    assert (places.amax((0, 1)) > 0.9).all()


def test_both_axes_shift() -> None:
    places = corners(draw_parameters([0], 0, 300, SQUARE, replace(STILL, share_whole=1, zoom=0.2))).mean(1)
    assert (places.std(0) > 0.05).all()
    assert places.abs().max() <= 0.2


@pytest.mark.parametrize("name", ["degrees", "shear", "perspective"])
def test_each_distortion_moves_the_corners_within_its_range(name: str) -> None:
    strengths = {"degrees": 20.0, "shear": 0.2, "perspective": 0.3}
    settings = replace(STILL, share_whole=1, **{name: strengths[name]})
    still = corners(draw_parameters([0], 0, 300, SQUARE, replace(STILL, share_whole=1)))
    moved = (corners(draw_parameters([0], 0, 300, SQUARE, settings)) - still).norm(dim=-1).amax(1)
    farthest = {"degrees": 2 * 2**0.5 * 0.1737, "shear": 0.2, "perspective": 2**0.5 * 0.3 / 0.7}[name]
    assert 0.8 * farthest < moved.max() <= farthest * 1.001


def test_a_shift_shows_the_part_of_the_picture_that_it_points_at() -> None:
    image = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    parameters = draw_parameters([0], 0, 20, SQUARE, STILL)
    centres = corners(parameters).mean(1)[:, 0]
    seen = make_cutouts(image, parameters, S).mean((1, 2, 3))
    torch.testing.assert_close(seen, (centres + 1) / 2, atol=0.01, rtol=0)


def test_beyond_the_border_the_border_repeats() -> None:
    image = torch.full((1, 3, 64, 64), 0.7)
    made = cutouts(image, 50, replace(USUAL, jitter=0, noise=0, zoom=0.5, degrees=45))
    torch.testing.assert_close(made, torch.full_like(made, 0.7))


def test_flipping_mirrors_about_half_of_the_altered_cutouts() -> None:
    parameters = draw_parameters([0], 0, 200, SQUARE, replace(STILL, share_plain=0.25, share_whole=0.75, flip=True))
    mirrored = parameters.homographies[:, 0, 0] < 0
    assert not mirrored[:50].any()
    assert 50 < int(mirrored.sum()) < 100
    assert (draw_parameters([0], 0, 200, SQUARE, STILL).homographies[:, 0, 0] > 0).all()


def test_noise_and_jitter_have_the_strength_that_they_are_given() -> None:
    grey = torch.full((1, 3, *SQUARE), 0.5)
    noise = cutouts(grey, 200, replace(STILL, noise=0.2)) - 0.5
    assert noise.std((1, 2, 3)).max() < 0.22
    assert float(noise.std((1, 2, 3)).mean()) == pytest.approx(0.1, rel=0.2)
    light = cutouts(grey, 200, replace(STILL, jitter=0.2)).mean((1, 2, 3)) - 0.5
    assert 0.15 < light.abs().max() <= 0.2


def test_contrast_and_saturation_change_on_their_own() -> None:
    picture = torch.tensor([0.6, 0.5, 0.5])[:, None, None].repeat(1, *SQUARE)
    picture[:, :, 32:] -= 0.2
    jitter = torch.linspace(-0.2, 0.2, 9)
    for column in (1, 2):
        colour = torch.zeros(9, 3)
        colour[:, column] = jitter
        parameters = replace(draw_parameters([0], 0, 9, SQUARE, replace(STILL, share_plain=1)), colour=colour)
        made = make_cutouts(picture[None], parameters, S)
        contrast = made[..., 0].mean((1, 2)) - made[..., -1].mean((1, 2))
        saturation = made[:, 0].mean((1, 2)) - made[:, 1].mean((1, 2))
        torch.testing.assert_close(contrast, 0.2 * (1 + jitter * (column == 1)))
        torch.testing.assert_close(saturation, 0.1 * (1 + jitter))


def test_the_gradient_reaches_every_picture_through_its_own_cutouts_only() -> None:
    images = smooth(2).requires_grad_()
    cutouts(images, 5, USUAL, seeds=(0, 1))[:5].sum().backward()
    assert images.grad is not None
    assert images.grad[0].abs().sum() > 0
    assert images.grad[1].abs().sum() == 0
