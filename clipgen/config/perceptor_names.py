"""The names of perceptors that a job has: of those that guide, each with a weight, and of those that judge. Torch-free.

Names are those of `clipgen.weights.registry`.
"""

from __future__ import annotations

from clipgen.config.prompts import MAX_WEIGHT
from clipgen.errors import UsageError, unknown_value
from clipgen.util.text import quoted
from clipgen.weights.registry import LOCAL, check_name, networks

MAX_PERCEPTORS = 8
KINDS = ("clip", "classifier")
"""Of networks that can judge."""
STARTER_CLIPS = ("starter/judge", "starter/clip", "starter/clip-fine")
"""The CLIPs of the drawn world; the first of them never guides."""
BEST_CLIPS = (
    "clip/pe-core-bigg-14-448",
    "clip/pe-core-l-14-336",
    "clip/vit-h-14-dfn5b",
    "clip/mobileclip2-s4-dfndr2b",
    "clip/vit-l-14-dfn2b",
    "clip/eva02-l-14-merged2b_s4b_b131k",
    "clip/mobileclip2-b-dfndr2b",
    "clip/vit-l-14-datacomp_xl_s13b_b90k",
    "clip/vit-l-14-metaclip_fullcc",
    "clip/pe-core-b-16",
    "clip/vit-h-14-laion2b_s32b_b79k",
    "clip/mobileclip2-s2-dfndr2b",
    "clip/openai-vit-l-14-336",
    "clip/vit-b-16-dfn2b",
    "clip/openai-vit-l-14",
    "clip/vit-l-14-laion2b_s32b_b82k",
    "clip/openai-rn50x64",
    "clip/vit-b-16-datacomp_xl_s13b_b90k",
    "clip/vit-b-32-256-datacomp_s34b_b86k",
    "clip/pe-core-s-16-384",
    "clip/vit-b-16-metaclip_fullcc",
    "clip/convnext_base_w-laion2b_s13b_b82k_augreg",
    "clip/openai-rn50x16",
    "clip/vit-b-16-laion2b_s34b_b88k",
    "clip/vit-b-32-datacomp_xl_s13b_b90k",
    "clip/openai-vit-b-16",
    "clip/vit-b-32-laion2b_s34b_b79k",
    "clip/openai-rn50x4",
    "clip/openai-vit-b-32",
    "clip/openai-rn101",
    "clip/pe-core-t-16-384",
    "clip/openai-rn50",
    "clip/hps-v2.1",
)
"""Published CLIPs by their zero-shot accuracy on ImageNet, as open_clip's table of results or their authors have it.

Last comes the one that was tuned to what people prefer."""


def weighted(text: str) -> tuple[str, float]:
    """Split "clip/rn50:0.5" into name and weight, which is 1 if it is left out. Raises UsageError for a bad weight."""
    name, colon, weight = text.partition(":")
    if not colon:
        return name, 1.0
    try:
        number = float(weight)
    except ValueError:
        number = -1.0
    if not 0 < number <= MAX_WEIGHT:
        raise UsageError(
            f"the weight of {quoted(name)} must be a number above 0 and at most {MAX_WEIGHT:g}, got {quoted(weight)}"
        )
    return name, number


def checked_guides(flag: str, kind: str, names: object) -> tuple[str, ...]:
    """Return the names of guides, with their weights, as a tuple; raises UsageError for duplicates and bad names."""
    listed = _listed(flag, names)
    plain = [weighted(name)[0] if isinstance(name, str) else name for name in listed]
    for name in plain:
        check_name(flag, name, kind)
    _check_distinct(flag, plain)
    return listed


def checked_judges(names: object) -> tuple[str, ...]:
    """Return the names of judges as a tuple; raises UsageError for duplicates and invalid names."""
    listed = _listed("--judge", names)
    for name in listed:
        _check_judge(name)
    _check_distinct("--judge", listed)
    return listed


def _check_judge(name: object) -> None:
    known = [*STARTER_CLIPS, *(each for kind in KINDS for each in networks(kind))]
    is_local = isinstance(name, str) and LOCAL.fullmatch(name) and name.split("/")[0] in KINDS
    if not (name in known or is_local):
        raise unknown_value("--judge", name, known)


def _listed(flag: str, names: object) -> tuple[str, ...]:
    if not isinstance(names, list | tuple):
        raise UsageError(f"{flag} must be a list of names, got {quoted(names)}")
    return tuple(names)


def _check_distinct(flag: str, names: list[str] | tuple[str, ...]) -> None:
    if len(names) > MAX_PERCEPTORS:
        raise UsageError(f"{flag} can be given up to {MAX_PERCEPTORS} times, got {len(names)}")
    if len(set(names)) < len(names):
        raise UsageError(f"{flag} names the same network twice; name each once")
