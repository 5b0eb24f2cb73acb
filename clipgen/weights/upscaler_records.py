"""Records of networks that enlarge pictures: Real-ESRGAN (Wang et al., 2021, arXiv 2107.10833). Torch-free."""

from __future__ import annotations

from clipgen.weights.records import Record

KIND = "upscaler"
X2, X4 = f"{KIND}/realesrgan-x2plus", f"{KIND}/realesrgan-x4plus"
BY_FACTOR = {2: X2, 4: X4}
"""The network that enlarges by a factor, unless another is named."""
_RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"

UPSCALERS = (
    Record(
        X2,
        KIND,
        "RealESRGAN_x2plus.pth",
        67_061_725,
        "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        (f"{_RELEASES}/v0.2.1/RealESRGAN_x2plus.pth",),
        "BSD-3-Clause",
        {},
        "Real-ESRGAN, enlarges pictures to twice their width and height",
        good_for="What --upscale 2 enlarges finished pictures by.",
    ),
    Record(
        X4,
        KIND,
        "RealESRGAN_x4plus.pth",
        67_040_989,
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        (f"{_RELEASES}/v0.1.0/RealESRGAN_x4plus.pth",),
        "BSD-3-Clause",
        {},
        "Real-ESRGAN, enlarges pictures to four times their width and height",
        good_for="What --upscale 4 enlarges finished pictures by.",
    ),
)
