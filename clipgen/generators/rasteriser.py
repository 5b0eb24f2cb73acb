"""Strokes as pixels, differentiably: paths of cubic Bézier curves, painted in order on white paper, with round ends.

A stroke covers the part of a pixel that a band of its width would, were it straight there: that is what anti-aliased
renderers of SVG show. Curves are split into straight pieces, too short for an eye or a renderer to tell, and a pixel
belongs to the nearest of them. What does not reach a pixel is never computed for it, and nothing that does is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from clipgen.generators.compositing import Layers
from clipgen.util.batches import rows_together

FLATNESS = 0.1
"""How far a curve may be from its straight pieces, in pixels."""
MAX_PIECES = 64
"""The most pieces of one curve, a power of 2."""
TILE = 8
"""Side of the squares of pixels that are sought through together."""
AT_ONCE = {"cpu": 1 << 17}
"""How many distances are computed together on a kind of device: what fits into the cache of a processor."""
AT_ONCE_ELSEWHERE = 1 << 24
_BEZIER = ((1.0, 0.0, 0.0, 0.0), (-3.0, 3.0, 0.0, 0.0), (3.0, -6.0, 3.0, 0.0), (-1.0, 3.0, -3.0, 1.0))
"""By power of the parameter: how much each control point of a cubic counts."""


def rasterise(points: Tensor, widths: Tensor, colours: Tensor, size: tuple[int, int]) -> Tensor:
    """Paint N strokes for each of B pictures of `size` (width, height); returns (B, 3, H, W) in [0, 1].

    points: (B, N, 3S + 1, 2), the control points of S joined cubics, x and y in pixels from the upper left corner.
    widths: (B, N) in pixels, at least 0. colours: (B, N, 4), RGB and opacity in [0, 1]. The first stroke lies lowest.
    Differentiable in all three; on a CPU each picture is, to the last bit, what it is on its own.
    """
    parts = [_Rasterised.apply(points[rows], widths[rows], colours[rows], *size) for rows in rows_together(points)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@dataclass(frozen=True)
class _Reached:
    """H pairs of a stroke and a pixel that it reaches, in the order of the strokes."""

    stroke: Tensor
    """(H,) index among all strokes of all pictures."""
    pixel: Tensor
    """(H,) index among all pixels of all pictures."""
    shares: Tensor
    """(H, P): how much each control point counts where the stroke is nearest to the centre of the pixel."""


class _Rasterised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, widths: Tensor, colours: Tensor, width: int, height: int) -> Tensor:
        batch = len(points)
        paths, halves, paint = points.flatten(0, 1), widths.flatten() / 2, colours.flatten(0, 1)
        reached = _reached(paths, halves, batch, (width, height))
        away = _away(paths, reached, (width, height))
        distance = away.norm(dim=1)
        cover = coverage(distance, halves[reached.stroke])
        layers = Layers.of(reached.pixel, batch * width * height)
        mixed = paint[reached.stroke]
        canvas, below, above = layers.over(mixed[:, :3], cover * mixed[:, 3])
        ctx.save_for_backward(
            paint, halves, reached.stroke, reached.pixel, reached.shares, away, distance, cover, below, above
        )
        ctx.shape = points.shape
        return canvas.view(batch, height, width, 3).permute(0, 3, 1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        paint, halves, stroke, pixel, shares, away, distance, cover, below, above = ctx.saved_tensors
        mixed, half = paint[stroke], halves[stroke]
        seen = grad.permute(0, 2, 3, 1).reshape(-1, 3)[pixel] * above[:, None]
        of_alpha = (seen * (mixed[:, :3] - below)).sum(1)
        of_cover = of_alpha * mixed[:, 3]
        inner, outer = (distance + 0.5 < half).to(cover), (distance - 0.5 > -half).to(cover)
        of_foot = away * (of_cover * (outer - inner) / distance.clamp_min(1e-9))[:, None]
        of_half = of_cover * ((1 - inner) + (1 - outer)) * (cover > 0)
        columns = torch.cat(
            [
                (shares[:, :, None] * of_foot[:, None]).flatten(1),
                (of_half / 2)[:, None],
                seen * (cover * mixed[:, 3])[:, None],
                (of_alpha * cover)[:, None],
            ],
            1,
        )
        total = _summed(columns, stroke, len(halves))
        batch, count, ends, _ = ctx.shape
        on_points, on_widths, on_colours = torch.split(total, [2 * ends, 1, 4], 1)
        return on_points.view(ctx.shape), on_widths.view(batch, count), on_colours.view(batch, count, 4), None, None


def coverage(distance: Tensor, half: Tensor) -> Tensor:
    """Return how much of a pixel at this distance from the middle of a band lies in it; half: half its width."""
    return (torch.minimum(distance + 0.5, half) - torch.maximum(distance - 0.5, -half)).clamp_min(0)


def pieces_of(points: Tensor) -> Tensor:
    """Return into how many pieces (M,), a power of 2, each cubic of strokes (M, 3S + 1, 2) is to be split.

    A chord of 1/k of a cubic is no further from it than an eighth of its largest second derivative over k^2.
    """
    bends = points[:, 2:] - 2 * points[:, 1:-1] + points[:, :-2]
    inner = torch.ones(bends.shape[1], dtype=torch.bool, device=points.device)
    inner[2::3] = False  # across the point where two cubics meet
    most = 6 * bends[:, inner].norm(dim=2).amax(1)
    needed = (most / (8 * FLATNESS)).sqrt().clamp(1, MAX_PIECES)
    return torch.exp2(needed.log2().ceil()).long()


def basis(cubics: int, pieces: int, like: Tensor) -> Tensor:
    """Return how much each control point counts at the ends of all pieces, (cubics · pieces + 1, 3 · cubics + 1)."""
    at = torch.linspace(0, 1, pieces + 1, device=like.device, dtype=like.dtype)
    one = at[:, None] ** torch.arange(4, device=like.device) @ at.new_tensor(_BEZIER)
    whole = like.new_zeros(cubics * pieces + 1, 3 * cubics + 1)
    for cubic in range(cubics):
        whole[cubic * pieces : (cubic + 1) * pieces + 1, 3 * cubic : 3 * cubic + 4] = one
    return whole


def _reached(paths: Tensor, halves: Tensor, batch: int, size: tuple[int, int]) -> _Reached:
    """Return what M strokes, `batch` times as many for each picture, reach: paths (M, P, 2), halves (M,)."""
    pieces, per_picture = pieces_of(paths), len(paths) // batch
    parts = []
    for count in sorted(set(pieces.tolist())):
        chosen = (pieces == count).nonzero()[:, 0]
        ends = basis((paths.shape[1] - 1) // 3, count, paths)
        lines = ends @ paths[chosen]
        for found in _searched(lines, halves[chosen], ends, size):
            stroke = chosen[found.stroke]
            picture = stroke // per_picture * (size[0] * size[1])
            parts.append(_Reached(stroke, found.pixel + picture, found.shares))
    none = _Reached(pieces.new_zeros(0), pieces.new_zeros(0), paths.new_zeros(0, paths.shape[1]))
    whole = _joined(parts or [none])
    order = whole.stroke.argsort(stable=True)
    return _Reached(*(getattr(whole, each.name)[order] for each in fields(whole)))


def _joined(parts: list[_Reached]) -> _Reached:
    return _Reached(*(torch.cat([getattr(part, each.name) for part in parts]) for each in fields(_Reached)))


def _searched(lines: Tensor, halves: Tensor, ends: Tensor, size: tuple[int, int]) -> list[_Reached]:
    """Return the pixels of one picture that lines (m, K + 1, 2) reach, with what the control points count there."""
    stroke, column, row = _tiles(lines, halves + 0.5, size)
    at_once = AT_ONCE.get(lines.device.type, AT_ONCE_ELSEWHERE) // (TILE * TILE * (lines.shape[1] - 1))
    inside = torch.arange(TILE * TILE, device=lines.device)
    parts = []
    for chunk in torch.split(torch.arange(len(stroke), device=lines.device), max(at_once, 1)):
        own = stroke[chunk]
        x, y = column[chunk, None] * TILE + inside % TILE, row[chunk, None] * TILE + inside // TILE
        squares, piece = _nearest(x + 0.5, y + 0.5, lines[own])
        hit = (squares.sqrt() < halves[own, None] + 0.5) & (x < size[0]) & (y < size[1])
        tile, place = hit.nonzero(as_tuple=True)
        mine, at = own[tile], piece[tile, place]
        across, down = x[tile, place], y[tile, place]
        along = _along(across + 0.5, down + 0.5, lines[mine, at], lines[mine, at + 1])[:, None]
        parts.append(_Reached(mine, down * size[0] + across, torch.lerp(ends[at], ends[at + 1], along)))
    return parts


def _tiles(lines: Tensor, reach: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tiles that lines (m, K + 1, 2) may reach: (T,) indices of lines, columns and rows, line by line."""
    most = lines.new_tensor([-(-side // TILE) - 1 for side in size])
    first = ((lines.amin(1) - reach[:, None]) / TILE).floor().clamp_min(0)
    last = torch.minimum(((lines.amax(1) + reach[:, None]) / TILE).floor(), most)
    columns, rows = (last - first + 1).clamp_min(0).long().unbind(1)
    counts = columns * rows
    line = torch.arange(len(lines), device=lines.device).repeat_interleave(counts)
    number = torch.arange(len(line), device=lines.device) - (counts.cumsum(0) - counts)[line]
    column = first[line, 0].long() + number % columns[line]
    row = first[line, 1].long() + number // columns[line]
    radius = (TILE - 1) / 2 * math.sqrt(2)  # from the middle of a tile to its outermost pixels
    at_once = AT_ONCE.get(lines.device.type, AT_ONCE_ELSEWHERE) // (lines.shape[1] - 1)
    near = [
        _nearest((column[part, None] + 0.5) * TILE, (row[part, None] + 0.5) * TILE, lines[line[part]])[0][:, 0].sqrt()
        < reach[line[part]] + radius
        for part in torch.split(torch.arange(len(line), device=lines.device), max(at_once, 1))
    ]
    kept = torch.cat([*near, line.new_zeros(0, dtype=torch.bool)]).nonzero()[:, 0]
    return line[kept], column[kept], row[kept]


def _nearest(x: Tensor, y: Tensor, lines: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared distances (n, p) of points (n, p) from lines (n, K + 1, 2), and which piece is nearest."""
    starts, steps = lines[:, :-1].permute(2, 1, 0)[..., None], lines.diff(dim=1).permute(2, 1, 0)[..., None]
    (left, top), (dx, dy) = starts, steps
    across, down = x - left, y - top  # (K, n, p)
    along = (across * dx).addcmul_(down, dy).mul_(_inverse(dx, dy)).clamp_(0, 1)
    across.addcmul_(along, dx, value=-1)
    down.addcmul_(along, dy, value=-1)
    nearest: tuple[Tensor, Tensor] = across.square_().addcmul_(down, down).min(0)
    return nearest[0], nearest[1]


def _along(x: Tensor, y: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Return where on pieces from `start` to `end` (H, 2), from 0 to 1, points (H,) are nearest."""
    dx, dy = (end - start).unbind(1)
    return (((x - start[:, 0]) * dx + (y - start[:, 1]) * dy) * _inverse(dx, dy)).clamp(0, 1)


def _inverse(dx: Tensor, dy: Tensor) -> Tensor:
    return 1 / (dx * dx + dy * dy).clamp_min(1e-12)


def _away(paths: Tensor, reached: _Reached, size: tuple[int, int]) -> Tensor:
    """Return (H, 2): from the nearest place of the stroke to the centre of the pixel."""
    foot = (reached.shares[:, None] @ paths[reached.stroke])[:, 0]
    place = reached.pixel % (size[0] * size[1])
    return torch.stack([place % size[0], place // size[0]], 1) + 0.5 - foot


def _summed(values: Tensor, stroke: Tensor, count: int) -> Tensor:
    """Return the sums (count, C) of values (H, C) of each stroke."""
    return values.new_zeros(count, values.shape[1]).scatter_add_(0, stroke[:, None].expand_as(values), values)
