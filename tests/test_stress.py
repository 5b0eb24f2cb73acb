"""Hundreds of cases from a seed, in nine kinds: whatever happens, nothing is lost, torn, overwritten or told."""

import os

import pytest
import stress_inputs
import stress_runs
from stress import Act, run_cases

KINDS: dict[str, tuple[Act, int]] = {
    "signals": (stress_runs.signals, 80),
    "processes": (stress_runs.processes, 24),
    "resume": (stress_runs.resume, 80),
    "batch": (stress_runs.batch, 60),
    "disk": (stress_runs.disk, 80),
    "memory": (stress_runs.shortage, 60),
    "hostile": (stress_inputs.hostile, 100),
    "downloads": (stress_inputs.downloads, 80),
    "numbers": (stress_inputs.numbers, 80),
    "privacy": (stress_inputs.privacy, 40),
}
"""What a case does, and how many there are: 684 in all. Processes get signals, too, but real ones."""
SHARE = float(os.environ.get("CLIPGEN_STRESS", "1"))
"""How many of the cases to run."""


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_torn_or_told(kind: str) -> None:
    act, count = KINDS[kind]
    failures = run_cases(kind, act, max(1, round(SHARE * count)))
    assert not failures, "\n".join(failures)
