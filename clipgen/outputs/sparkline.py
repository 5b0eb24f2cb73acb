"""Numbers as a line of blocks, as high as they are large."""

import itertools
import math
from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a line of at most `width` characters, each the mean of as many values; those not finite are left out."""
    finite = [value for value in values if math.isfinite(value)]
    count = min(width, len(finite))
    bounds = [round(part * len(finite) / count) for part in range(count + 1)] if count > 0 else []
    means = [sum(finite[start:end]) / (end - start) for start, end in itertools.pairwise(bounds)]
    if not means:
        return ""
    low, span = min(means), max(means) - min(means)
    top = len(LEVELS) - 1
    return "".join(LEVELS[round((mean - low) / span * top) if span > 0 else 0] for mean in means)
