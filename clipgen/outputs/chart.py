"""Charts of how something grows, as SVG: logarithmic axes, on which a power law is a straight line. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

WIDTH, HEIGHT, EDGE = 320, 260, 52
COLOURS = ("#1b6ca8", "#c0392b", "#2e7d32", "#8e44ad")

Points = Sequence[tuple[float, float]]


def exponent(points: Points) -> float:
    """Return b of the power law y = a·x^b that fits best: least squares on logarithms. At least two different x."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = (sum(axis) / len(logs) for axis in zip(*logs, strict=True))
    across = sum((x - mean_x) * (y - mean_y) for x, y in logs)
    return float(across / sum((x - mean_x) ** 2 for x, _ in logs))


def chart(panels: Mapping[str, Mapping[str, Points]]) -> str:
    """Return an SVG image of panels side by side, each with lines by name; all values are above 0."""
    paper = '<rect width="100%" height="100%" fill="white"/>'  # or the text vanishes on a dark page
    parts = [paper, *(_panel(title, lines, place) for place, (title, lines) in enumerate(panels.items()))]
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    style = 'font-family="sans-serif" font-size="11"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(parts) + "\n</svg>\n"


def _panel(title: str, lines: Mapping[str, Points], place: int) -> str:
    pairs = [pair for points in lines.values() for pair in points]
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    across, down = _scale(xs, EDGE, WIDTH - 16), _scale(ys, HEIGHT - 36, 40)
    parts = [f'<g transform="translate({WIDTH * place} 0)">', _text(WIDTH / 2, 18, title, "middle")]
    parts += [_text(across(x), HEIGHT - 18, f"{x:g}", "middle") for x in sorted(set(xs))]
    parts += [_text(EDGE - 6, down(y), f"{y:.3g}", "end") for y in sorted({min(ys), max(ys)})]
    for number, (name, points) in enumerate(lines.items()):
        colour, path = COLOURS[number % len(COLOURS)], " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(EDGE + 4, 34 + 13 * number, name, "start", colour))
    return "\n".join([*parts, "</g>"])


def _scale(values: Sequence[float], first: float, last: float) -> Callable[[float], float]:
    """Return the place, from `first` to `last`, of each of the values on a logarithmic axis."""
    low, high = math.log(min(values)), math.log(max(values))
    return lambda value: first + (last - first) * ((math.log(value) - low) / (high - low) if high > low else 0.5)


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
