"""The names of networks that judge: CLIPs and classifiers that need not have guided. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from clipgen.config.perceptor_names import STARTER_CLIPS as STARTER_CLIPS
from clipgen.errors import unknown_value
from clipgen.weights.registry import known_network, networks

CLIP, CLASSIFIER = "clip", "classifier"


def judge_names(texts: Sequence[str], flag: str = "--judge", kinds: Sequence[str] = (CLIP, CLASSIFIER)) -> list[str]:
    """Return the names of the weights that texts such as "ViT-B-32" stand for, each once. Raises UsageError."""
    return list(dict.fromkeys(_judge(text, flag, kinds) for text in texts))


def _judge(text: str, flag: str, kinds: Sequence[str]) -> str:
    if CLIP in kinds and text in STARTER_CLIPS:
        return text
    names = (known_network(kind, text) for kind in kinds)
    if found := next((name for name in names if name), None):
        return found
    known = [name for kind in kinds for name in networks(kind)]
    raise unknown_value(flag, text, [*(STARTER_CLIPS if CLIP in kinds else ()), *known])
