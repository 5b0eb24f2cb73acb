"""How long strokes take beside CLIP ViT-B/32 at its full size: `pytest -m slow -s tests/test_strokes_speed.py`."""

import sys
import time
from collections.abc import Callable
from statistics import median

import pytest
import torch

from clipgen.config.preset import DRAWN
from clipgen.config.presets import PRESETS
from clipgen.generators.strokes import StrokeGenerator
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.weights.catalogue import files_of
from clipgen.weights.loader import network_config

SIDE = 224
ROUNDS = 3


def seconds(compute: Callable[[], torch.Tensor]) -> float:
    begun = time.perf_counter()
    compute().square().sum().backward()
    return time.perf_counter() - begun


@pytest.mark.slow
def test_strokes_take_less_time_than_clip(capsys: pytest.CaptureFixture[str]) -> None:
    strokes = StrokeGenerator(torch.device("cpu"), 1, (SIDE, SIDE), DRAWN)
    strokes.start_from_noise_([0])
    broad = StrokeGenerator(torch.device("cpu"), 1, (SIDE, SIDE), DRAWN)
    broad.start_from_images_(torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))
    (record,) = files_of("clip/openai-vit-b-32")
    perceptor = CLIPPerceptor(dict(network_config(record))).eval().requires_grad_(False)
    counts = sorted({1, 4, 16, PRESETS["draft"].generators["strokes"].cutouts})
    cutouts = {count: torch.rand(count, 3, SIDE, SIDE).requires_grad_() for count in counts}
    ratios: dict[tuple[str, int], list[float]] = {}
    for number in range(ROUNDS + 1):  # the first warms up
        drawn = {"thin strokes": seconds(strokes.decode), "broad strokes": seconds(broad.decode)}
        for count, views in cutouts.items():
            seen = seconds(lambda views=views: perceptor.encode_images(views))  # type: ignore[misc]
            for name, taken in drawn.items() if number else ():
                ratios.setdefault((name, count), []).append(taken / seen)
    with capsys.disabled():
        sys.stdout.write(
            f"\n256 strokes at {SIDE}x{SIDE}, forward and backward, beside CLIP ViT-B/32's, {ROUNDS} rounds\n"
        )
        for (name, count), found in ratios.items():
            shown = f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
            sys.stdout.write(f"  {name}, {count} cutouts: {shown}\n")
