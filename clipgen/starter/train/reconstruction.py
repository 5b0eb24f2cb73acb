"""How good an autoencoder is on drawn pictures that no recipe trains on."""

from __future__ import annotations

from pathlib import Path

from clipgen.starter.train.data import drawn_set
from clipgen.training import reconstruction
from clipgen.training.progress import Report, silent
from clipgen.training.reconstruction import Network

FRESH_SEED = 98  # of a set of pictures that no recipe trains on


def quality(network: Network, data: Path, count: int = 96, report: Report = silent) -> dict[str, float]:
    """Return PSNR, SSIM and the use of codes on fresh pictures, see `reconstruction.quality`."""
    pictures = drawn_set(data, count, 256, FRESH_SEED, report=report)
    report(f"measuring how well {count} fresh pictures are reconstructed")
    return reconstruction.quality(network, pictures)
