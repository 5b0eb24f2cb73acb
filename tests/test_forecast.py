"""The phases of a run are those that it goes through, and the time left in them changes smoothly."""

from dataclasses import replace
from itertools import pairwise

import pytest
from fakes import fake_models, job, plan

from clipgen.config.plan import Plan
from clipgen.config.resolve import resolve
from clipgen.engine.cost import CostEstimate
from clipgen.engine.forecast import EASE, GUIDING, STAGES, Cost, Forecast, Part, Phase, phases_of
from clipgen.session.candidates import candidate_phases

HALVES = Cost((Part(0.5, 0.1), Part(1.0, 0.2)), 0.01)
TICK = 0.05
"""Seconds between two looks at what is shown."""
WHOLE = Cost((Part(1.0, 0.2),), 0.01)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def starter(**settings: object) -> Plan:
    return resolve(job(preset="starter", steps=50, **settings))[0]


def names(phases: list[Phase]) -> list[str]:
    return [phase.name for phase in phases]


def test_a_run_proposes_guides_grows_and_writes_its_films() -> None:
    phases = phases_of(starter(), HALVES, (".mp4", ".gif"))
    assert names(phases) == [
        *("preparing", "proposing", "decoding", "choosing"),
        *("guiding", "img2img", "upsampling", "guiding", "writing", "writing"),
    ]
    guiding = [phase for phase in phases if phase.name == GUIDING]
    assert [(phase.steps, phase.seconds) for phase in guiding] == [((0, 25), 2.5), ((25, 50), 5.0)]


def test_an_init_image_is_not_decoded_and_does_not_grow() -> None:
    wanted = starter(init="photo.png")
    assert names(phases_of(wanted, WHOLE)) == ["preparing", "proposing", "img2img", "upsampling", "guiding"]


def test_without_an_unclip_there_are_steps_only() -> None:
    assert names(phases_of(plan(), WHOLE)) == ["preparing", "guiding"]


@pytest.mark.parametrize(("done", "spans"), [(0, [(0, 25), (25, 50)]), (10, [(10, 25), (25, 50)]), (30, [(30, 50)])])
def test_a_resumed_run_has_the_steps_that_are_left(done: int, spans: list[tuple[int, int]]) -> None:
    phases = phases_of(starter(), HALVES, done=done)
    assert [phase.steps for phase in phases if phase.steps] == spans
    assert ("upsampling" in names(phases)) == (done < 25)


def test_pictures_in_lockstep_are_proposed_one_after_the_other() -> None:
    one, three = phases_of(starter(), HALVES), phases_of(starter(), HALVES, pictures=3)
    assert names(three)[:7] == ["preparing", *("proposing", "decoding", "choosing") * 2]
    for name in (*STAGES, GUIDING):
        each = [sum(phase.seconds for phase in phases if phase.name == name) for phases in (one, three)]
        assert each[1] == pytest.approx(3 * each[0])


def test_candidates_are_judged_in_groups() -> None:
    phases = candidate_phases(starter(), 5, HALVES)
    assert [phase.name for phase in phases if phase.name in ("preparing", "judging")] == ["preparing", "judging"] * 2
    assert {phase.steps for phase in phases if phase.steps} == {(0, 5), (5, 10)}


def test_the_measured_parts_are_those_in_which_steps_cost_the_same() -> None:
    asked = starter()
    cost = CostEstimate(asked, fake_models()).measured()
    assert [part.until for part in cost.parts] == [0.5, 1.0]
    assert 0 < cost.parts[0].seconds < cost.parts[1].seconds
    flat = replace(asked, generator=replace(asked.generator, small_until=0.0))
    assert [part.until for part in CostEstimate(flat, fake_models()).measured().parts] == [1.0]


def play(phases: list[Phase], slowness: dict[str, float]) -> list[tuple[float, float, float]]:
    """Go through phases of which some take longer than expected; returns what was shown all the while.

    That is the time, the time left, and the time that was in fact left.
    """
    clock = Clock()
    forecast = Forecast(phases, clock)
    shown: list[tuple[float, float]] = []
    for phase in phases:
        begun, lasts, before = clock.now, phase.seconds * slowness.get(phase.kind, 1.0), -1
        if not phase.steps:
            forecast.enter(phase.name)
        while clock.now < begun + lasts:
            if phase.steps:
                first, last = phase.steps
                index = first + int((clock.now - begun) / lasts * (last - first))
                if index != before:
                    forecast.step(index)
                before = index
            shown.append((clock.now, forecast.left()))
            clock.now += TICK
    return [(at, left, clock.now - at) for at, left in shown]


@pytest.mark.parametrize("slowness", [{}, {"unclip": 3.0}, {"unclip": 0.3}, {"guiding": 2.5}, {"guiding": 0.4}])
def test_the_time_left_never_jumps(slowness: dict[str, float]) -> None:
    shown = play(phases_of(starter(), Cost((Part(0.5, 0.3), Part(1.0, 0.6)), 0.05), (".mp4",)), slowness)
    for (then, before, _), (now, after, _) in pairwise(shown):
        expected = max(before - (now - then), 0) + 1
        factor = EASE ** (now - then) + 1e-9
        assert expected / factor <= after + 1 <= expected * factor


def test_what_is_expected_comes_true() -> None:
    for _, left, truly in play(phases_of(starter(), Cost((Part(0.5, 0.3), Part(1.0, 0.6)), 0.05), (".mp4",)), {}):
        assert left == pytest.approx(truly, abs=2.0)


def test_a_slow_machine_is_known_after_a_few_phases() -> None:
    shown = play(phases_of(starter(), Cost((Part(0.5, 0.3), Part(1.0, 0.6)), 0.05)), {"unclip": 2.0, "guiding": 2.0})
    half = len(shown) // 2
    for _, left, truly in shown[half:]:
        assert left == pytest.approx(truly, rel=0.25, abs=3.0)


def test_a_stage_that_nobody_knows_goes_on_with_the_phase_before() -> None:
    clock = Clock()
    forecast = Forecast([Phase("decoding", 10), Phase("guiding", 5, (0, 5))], clock)
    forecast.enter("decoding")
    clock.now += 1
    before = forecast.left()
    forecast.enter("extending")
    assert forecast.left() == before


def test_the_bar_never_falls_and_ends_full() -> None:
    clock = Clock()
    forecast = Forecast([Phase("guiding", 10, (0, 10))], clock)
    seen = []
    for index in range(11):
        forecast.step(index)
        seen.append(forecast.fraction())
        clock.now += 1 + index % 3
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] > 0.8


def test_a_solver_that_denoises_once_a_level_is_expected_to_take_less() -> None:
    twice = starter()
    once = replace(twice, unclip=tuple(replace(row, solver="dpm++2m") for row in twice.unclip))
    twice = replace(twice, unclip=tuple(replace(row, solver="heun") for row in twice.unclip))
    for slow, quick in zip(phases_of(twice, WHOLE), phases_of(once, WHOLE), strict=True):
        assert slow.name == quick.name
        drawn = slow.name in STAGES and slow.name != "choosing"
        assert quick.seconds < 0.6 * slow.seconds if drawn else quick.seconds == slow.seconds
