"""Records of small networks on top of a CLIP's vectors."""

from __future__ import annotations

from clipgen.weights.records import HUB, Record

AESTHETIC = "aesthetic/laion-v2"
AESTHETIC_CLIP = "clip/openai-vit-l-14"
"""The CLIP whose image vectors it was trained on; on those of any other its scores mean nothing."""

_FILE = "sac+logos+ava1-l14-linearMSE.pth"
_COMMIT = "6934dd81792f086e613a121dbce43082cb8be85e"

HEADS = (
    Record(
        AESTHETIC,
        "aesthetic",
        _FILE,
        3_714_759,
        "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
        (
            "https://raw.githubusercontent.com/christophschuhmann/improved-aesthetic-predictor/"
            f"{_COMMIT}/{_FILE.replace('+', '%2B')}",
            f"{HUB}/camenduru/improved-aesthetic-predictor/resolve/main/{_FILE.replace('+', '%2B')}",
        ),
        "Apache-2.0",
        {"width": 768},
        "LAION's aesthetic predictor v2, for OpenAI's CLIP ViT-L-14",
        good_for="Pushes pictures towards what people rate as beautiful; it needs clip/openai-vit-l-14.",
        unpinned="no commit of camenduru/improved-aesthetic-predictor is known; the sha256 holds it to the same bytes",
    ),
)
