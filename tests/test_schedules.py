import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipgen.config.schedules import KEYFRAMES, SCHEDULES, Schedule
from clipgen.config.timing import LR_SCHEDULE
from clipgen.errors import UsageError

values = st.floats(-1e6, 1e6)
BETWEEN_TWO = sorted({*SCHEDULES} - {KEYFRAMES})


@given(st.sampled_from(BETWEEN_TWO), values, values, st.floats(0, 1))
def test_a_schedule_stays_between_its_start_and_its_end(kind: str, start: float, end: float, progress: float) -> None:
    value = Schedule(kind, start, end).at(progress)
    slack = 1e-9 * (abs(start) + abs(end))
    assert min(start, end) - slack <= value <= max(start, end) + slack


@pytest.mark.parametrize("kind", BETWEEN_TWO)
def test_a_schedule_begins_at_its_start_and_never_turns_back(kind: str) -> None:
    seen = [Schedule(kind, 3.0, -1.0).at(step / 50) for step in range(51)]
    assert seen[0] == 3.0
    assert seen == sorted(seen, reverse=True)


def test_a_constant_never_changes() -> None:
    assert {Schedule.constant(0.3).at(step / 7) for step in range(8)} == {0.3}


def test_a_cosine_is_half_way_in_the_middle_and_at_its_end_at_the_end() -> None:
    schedule = Schedule("cosine", 4.0, 2.0)
    assert schedule.at(0.5) == pytest.approx(3.0)
    assert schedule.at(0.25) == pytest.approx(3 + math.sqrt(0.5))
    assert schedule.at(1.0) == 2.0


def test_the_learning_rate_falls_to_a_tenth() -> None:
    assert (LR_SCHEDULE.at(0.0), LR_SCHEDULE.at(1.0)) == (1.0, pytest.approx(0.1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("cosin", 1.0, 0.0), "did you mean cosine"),
        (("cosine", math.nan, 0.0), "the start of a schedule"),
        (("cosine", 0.0, math.inf), "the end of a schedule"),
        (("constant", 1e7, 1e7), "the start of a schedule"),
        (("constant", True, 1.0), "the start of a schedule"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(settings: tuple[str, float, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Schedule(*settings)
