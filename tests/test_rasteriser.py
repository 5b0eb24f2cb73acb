"""The rasteriser against a dense reference, finite differences and an independent renderer of SVG."""

import io
import math

import numpy as np
import pytest
import resvg_py
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor

from clipgen.generators import rasteriser
from clipgen.generators.rasteriser import coverage, pieces_of, rasterise
from clipgen.generators.vector import Drawing

Strokes = tuple[Tensor, Tensor, Tensor]


def strokes(
    batch: int = 1, count: int = 12, *, side: float = 40.0, width: float = 5.0, cubics: int = 2, seed: int = 0
) -> Strokes:
    draws = torch.Generator().manual_seed(seed)
    first = torch.rand(batch, count, 1, 2, generator=draws)
    steps = 0.5 * (torch.rand(batch, count, 3 * cubics, 2, generator=draws) - 0.5)
    points = torch.cat([first, first + steps.cumsum(2)], 2) * side
    widths = width * torch.rand(batch, count, generator=draws)
    return points, widths, torch.rand(batch, count, 4, generator=draws)


def curve(points: Tensor, pieces: int) -> Tensor:
    """The places (k, 2) on the cubics of points (3S + 1, 2), by de Casteljau's algorithm."""
    places = []
    for begin in range(0, len(points) - 1, 3):
        for number in range(pieces + 1):
            row, at = points[begin : begin + 4], number / pieces
            while len(row) > 1:
                row = (1 - at) * row[:-1] + at * row[1:]
            places.append(row[0])
    return torch.stack(places)


def dense(points: Tensor, widths: Tensor, colours: Tensor, size: tuple[int, int]) -> Tensor:
    """One picture, by the distance of every pixel from every piece of every stroke, painted one after the other."""
    width, height = size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = torch.stack([x, y], -1).to(points).reshape(-1, 1, 2) + 0.5
    canvas = points.new_ones(height * width, 3)
    for path, thick, colour, count in zip(points, widths, colours, pieces_of(points).tolist(), strict=True):
        line = curve(path, count)
        start, step = line[:-1], line.diff(dim=0)
        along = ((centres - start) * step).sum(2) / (step * step).sum(1).clamp_min(1e-12)
        distance = (centres - start - along.clamp(0, 1)[..., None] * step).square().sum(2).min(1).values.sqrt()
        alpha = coverage(distance, thick / 2)[:, None] * colour[3]
        canvas = (1 - alpha) * canvas + alpha * colour[:3]
    return canvas.reshape(height, width, 3).permute(2, 0, 1)


@pytest.mark.parametrize("size", [(40, 40), (61, 23), (8, 8), (1, 1)])
@pytest.mark.parametrize("width", [0.4, 6.0, 60.0])
def test_a_picture_is_that_of_the_dense_reference(size: tuple[int, int], width: float) -> None:
    drawn = strokes(2, side=max(size), width=width)
    for row, image in enumerate(rasterise(*drawn, size)):
        torch.testing.assert_close(image, dense(*(each[row] for each in drawn), size), atol=2e-5, rtol=0)


def test_strokes_outside_and_at_the_edge_are_cut_off_exactly() -> None:
    points, widths, colours = strokes(count=40, side=64, width=9.0)
    shifted = points - 24  # some are all outside, some reach in
    image = rasterise(shifted, widths, colours, (32, 32))[0]
    torch.testing.assert_close(image, dense(shifted[0], widths[0], colours[0], (32, 32)), atol=2e-5, rtol=0)
    assert torch.equal(rasterise(points + 1000, widths, colours, (32, 32)), torch.ones(1, 3, 32, 32))


def test_small_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = strokes(count=30)
    whole = rasterise(*drawn, (40, 40))
    monkeypatch.setattr(rasteriser, "AT_ONCE", {"cpu": 500})
    assert torch.equal(rasterise(*drawn, (40, 40)), whole)


def test_each_picture_is_the_same_alone_and_together() -> None:
    drawn = [each.requires_grad_() for each in strokes(3, count=20)]
    alone = [[each.detach()[row : row + 1].clone().requires_grad_() for each in drawn] for row in range(3)]
    weights = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    together = rasterise(*drawn, (40, 40))
    (together * weights).sum().backward()
    for row, own in enumerate(alone):
        image = rasterise(*own, (40, 40))
        (image * weights[row]).sum().backward()
        assert torch.equal(image[0], together[row])
        for mine, theirs in zip(own, drawn, strict=True):
            assert torch.equal(mine.grad[0], theirs.grad[row])


@pytest.mark.parametrize("width", [0.8, 7.0])
def test_gradients_are_those_of_finite_differences(width: float) -> None:
    points, widths, colours = (each.double().requires_grad_() for each in strokes(count=4, side=12, width=width))
    weights = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(2)).double()

    def painted(*drawn: Tensor) -> Tensor:
        return (rasterise(*drawn, (12, 12)) * weights).sum()

    assert torch.autograd.gradcheck(painted, (points, widths, colours), eps=1e-7, atol=2e-4, rtol=2e-4)


def test_no_strokes_are_blank_paper() -> None:
    assert torch.equal(rasterise(*strokes(2, 0), (5, 4)), torch.ones(2, 3, 4, 5))


def test_a_straight_stroke_covers_what_its_width_does() -> None:
    points = torch.tensor([[0.0, 5.5], [10.0, 5.5], [20.0, 5.5], [30.0, 5.5]])[None, None]
    black = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]])
    for width in (0.3, 1.0, 2.5, 4.0):
        image = rasterise(points, torch.full((1, 1), width), black, (30, 11))
        assert math.isclose(float(1 - image[0, 0, :, 15].mean()) * 11, width, rel_tol=1e-5)


def seen_by_renderer(svg: str) -> np.ndarray:
    rendered = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg))))
    return np.asarray(rendered.convert("RGB"), dtype=np.float64) / 255


@pytest.mark.parametrize("size", [(96, 96), (224, 224), (400, 300)])
@pytest.mark.parametrize(("count", "width"), [(300, 2.0), (64, 14.0)])
def test_an_independent_renderer_shows_the_same(size: tuple[int, int], count: int, width: float) -> None:
    unit = max(min(size) / 224, 1.0)  # no stroke that is begun as usual gets thinner
    points, widths, colours = strokes(count=count, side=max(size), width=width * unit)
    drawing = Drawing(points[0], widths[0].clamp_min(unit), colours[0], size)
    ours = drawing.image(count).permute(1, 2, 0).double().numpy()
    theirs = seen_by_renderer(drawing.svg())
    assert theirs.shape == ours.shape
    assert structural_similarity(ours, theirs, channel_axis=2, data_range=1.0) > 0.97
    assert np.abs(ours - theirs).mean() < 0.025
