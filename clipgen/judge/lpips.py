"""LPIPS, a distance of pictures as people see it (Zhang et al., 2018, arXiv 1801.03924): version 0.1, on AlexNet.

Its weights are in two files that other packages bring: those of AlexNet, which torchvision downloads into the cache of
torch's hub, and the few of the metric itself. They are used where they are; nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from clipgen.util.regular import sha256_of
from clipgen.util.text import one_line

ALEXNET = "alexnet-owt-7be5be79.pth"
ALEXNET_SHA256 = "7be5be79"
"""How the SHA-256 of torchvision's file begins."""
METRIC_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"
METRIC = {"lpips": "weights/v0.1/alex.pth", "torchmetrics": "functional/image/lpips_models/alex.pth"}
"""The file of the metric in each package that has it."""
MAX_BYTES, MAX_REASON = 300_000_000, 200
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of the channels, which are in [-1, 1]."""
TAPS = (1, 4, 7, 9, 11)
"""The layers of AlexNet whose outputs are compared: its ReLUs."""
SMALLEST = 32
"""Side, in pixels, of which anything is left in the last of these."""


class LPIPS(nn.Module):
    """Compares images (1, 3, H, W) in [0, 1], of at least SMALLEST pixels a side."""

    def __init__(self, alexnet: Mapping[str, Tensor], metric: Mapping[str, Tensor]) -> None:
        super().__init__()
        from torchvision.models import alexnet as make

        with torch.device("meta"):  # so that no random weights are drawn
            self._layers = make().features[: TAPS[-1] + 1]
        prefix = "features."
        own = {name.removeprefix(prefix): value for name, value in alexnet.items() if name.startswith(prefix)}
        self._layers.load_state_dict(own, assign=True)
        self._weights = [metric[f"lin{k}.model.1.weight"] for k in range(len(TAPS))]
        self.requires_grad_(False)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the distance, (); 0 for equal images."""
        shift, scale = (torch.tensor(values)[None, :, None, None] for values in (SHIFT, SCALE))
        seen = (2 * torch.cat([one, other]) - 1 - shift) / scale
        total, heads = torch.zeros(()), iter(self._weights)
        for number, layer in enumerate(self._layers):
            seen = layer(seen)
            if number in TAPS:
                first, second = (seen / (1e-8 + seen.square().sum(1, keepdim=True)).sqrt()).split(1)
                total = total + ((first - second).square() * next(heads)).sum(1).mean()
        return total


def find_lpips() -> LPIPS | str:
    """Return the metric if its weights are on this machine, else a line that says what is missing."""
    alexnet = _torch_home() / "hub" / "checkpoints" / ALEXNET
    metric = next(filter(None, (_in_package(name, file) for name, file in METRIC.items())), None)
    if metric is None or not alexnet.is_file():
        missing = f"the file {alexnet} of torchvision's" if metric else "the package lpips or torchmetrics"
        return f"LPIPS is left out, as it needs {missing}"
    try:
        if (
            not sha256_of(alexnet, MAX_BYTES).startswith(ALEXNET_SHA256)
            or sha256_of(metric, MAX_BYTES) != METRIC_SHA256
        ):
            return f"LPIPS is left out, as {alexnet} or {metric} is not the published file"
        # Python 2 wrote them, which `clipgen.weights.foreign` does not read.
        return LPIPS(*(torch.load(path, map_location="cpu", weights_only=True) for path in (alexnet, metric)))
    except Exception as error:  # torch raises all kinds of exceptions on files of another content
        return f"LPIPS is left out: {one_line(str(error), MAX_REASON)}"


def _torch_home() -> Path:
    """Return the folder where torch keeps what it downloads, as its documentation has it."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser()


def _in_package(name: str, file: str) -> Path | None:
    """Return a file inside an installed package, which is not imported; None if it is not there."""
    found = find_spec(name)
    folders = [Path(folder) / file for folder in (found.submodule_search_locations or ())] if found else []
    return next((path for path in folders if path.is_file()), None)
