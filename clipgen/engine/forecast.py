"""How long a run takes: its phases, which are known in advance, and the time left in all of them. Torch-free."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from clipgen.config.films import USUAL, Timing
from clipgen.config.plan import Plan

PREPARING, GUIDING, JUDGING, WRITING = "preparing", "guiding", "judging", "writing"

STAGES = {
    "proposing": 2.7,
    "decoding": 9.0,
    "choosing": 4.0,
    "img2img": 16.0,
    "upsampling": 23.0,
}
"""What a stage of the unCLIP costs for a candidate and one text, in passes of its perceptors (see `Cost`), with Heun's
method: measured on two cores."""
OF_PRIOR = {"proposing": 5.0, "choosing": 1.5}
"""What a stage of a prior costs for one proposal, likewise."""
SOLVERS = {"heun": 1.0, "dpm++2m": 0.53}
"""How long a solver takes beside Heun's method, which denoises twice where others do it once."""
STEERED = 2.0
"""How much longer it takes to propose candidates that are laid out like an init image."""
PASSES = {PREPARING: 10.0, JUDGING: 10.0}
"""What other phases cost, likewise: small ones, of which little is known."""
FILM_PASSES = {".mp4": 0.25, ".webm": 0.25, ".gif": 0.5, ".apng": 0.5}
"""What a frame of 256x256 pixels costs, likewise."""
FILM_PIXELS = 256 * 256

EASE = 1.2
"""The time left that is shown follows a new estimate by at most this factor a second, so that it never jumps."""
MOST = 1.45
"""And by at most this factor between two readings."""
PRIOR_SECONDS = 1.0
"""How many expected seconds the expectation counts for, against the time that phases of a kind have taken."""
LAST_SHARE = 0.05
"""What is left of a phase that takes longer than it was expected to, as a share of that."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Part:
    """A part of a run in which every step takes the same time."""

    until: float
    """Where it ends, as a fraction of the steps."""
    seconds: float
    """Seconds for a step of one picture."""


@dataclass(frozen=True)
class Cost:
    """What a run costs on this machine."""

    parts: tuple[Part, ...]
    """The parts of the run, in order; the last one ends at 1."""
    one_pass: float
    """Seconds in which the guiding perceptors see one cutout, and find its gradient."""


@dataclass(frozen=True)
class Phase:
    """A part of what is done, and how many seconds it is expected to take."""

    name: str
    """The first word of the description that announces it, as in "decoding 32 candidates"."""
    seconds: float
    steps: tuple[int, int] | None = None
    """The steps at which it begins and ends, of guided steps."""

    @property
    def kind(self) -> str:
        """What it has in common with phases from which its speed can be told."""
        return "unclip" if self.name in STAGES else self.name


def phases_of(
    plan: Plan,
    cost: Cost,
    films: Sequence[str] = (),
    timing: Timing = USUAL,
    *,
    pictures: int = 1,
    done: int = 0,
    judged: bool = False,
) -> list[Phase]:
    """Return the phases of a run of pictures in lockstep, from when its models are loaded.

    films: suffixes of the films of each picture, which have this timing. done: how many steps were made before.
    judged: whether a judge sees the pictures in the end.
    """

    def stages(*names: str) -> list[Phase]:
        return [_stage(name, plan, cost) for _ in range(pictures) for name in names] if plan.unclip else []

    proposed = [phase for row in plan.prior for phase in _of_prior(row.proposals, cost)]
    phases = [_other(PREPARING, cost), *stages(*_proposal(plan)), *proposed * pictures]
    begin = done
    for part in cost.parts:
        end = int(plan.steps * part.until)
        if end > begin or end == plan.steps:
            phases.append(Phase(GUIDING, (end - begin) * part.seconds * pictures, (begin, end)))
            begin = end
        if part.until == plan.generator.small_until and end > done and plan.unclip[:1] and plan.unclip[0].img2img_noise:
            phases += stages("img2img", "upsampling")
    written = [_film(suffix, plan, cost, timing) for suffix in films]
    phases += written * pictures
    return [*phases, _other(JUDGING, cost)] if judged else phases


def _proposal(plan: Plan) -> tuple[str, ...]:
    """Return the stages of the unCLIP before the first step."""
    if not plan.init:
        return "proposing", "decoding", "choosing"
    if any(row.init_img2img_noise for row in plan.unclip):
        return "proposing", "img2img", "upsampling"
    return "proposing", "choosing"


def _film(suffix: str, plan: Plan, cost: Cost, timing: Timing) -> Phase:
    frames = min(plan.steps + 1, timing.frames_of(suffix)) * plan.size[0] * plan.size[1] / FILM_PIXELS
    return Phase(WRITING, FILM_PASSES[suffix] * frames * cost.one_pass)


def _stage(name: str, plan: Plan, cost: Cost) -> Phase:
    settings, texts = plan.unclip[0], sum(bool(prompt.weight) for prompt in plan.prompts)
    count = {"img2img": settings.img2img_candidates, "upsampling": settings.upsampler_candidates}
    passes = STAGES[name] * count.get(name, settings.candidates) * (texts + 1) / 2  # 1: without a text, for guidance
    if name != "choosing":
        passes *= SOLVERS[settings.solver]
    if name == "proposing" and plan.init and settings.init_img2img_noise:
        passes *= STEERED
    return Phase(name, passes * cost.one_pass)


def _of_prior(proposals: int, cost: Cost) -> list[Phase]:
    return [Phase(name, passes * proposals * cost.one_pass) for name, passes in OF_PRIOR.items()]


def _other(name: str, cost: Cost) -> Phase:
    return Phase(name, PASSES[name] * cost.one_pass)


class Forecast:
    """The time left in all phases, by how long those before have taken in relation to what was expected of them."""

    def __init__(self, phases: Sequence[Phase], clock: Clock = time.monotonic) -> None:
        self._phases, self._clock = phases, clock
        self._at = -1
        self._since = self._begun = self._stepped = clock()
        self._share = 0.0
        self._taken: dict[str, tuple[float, float]] = {}
        self._shown: tuple[float, float] | None = None
        self._fraction = 0.0

    def enter(self, name: str) -> None:
        """Note that the next phase of this name begins; without one, the phase so far goes on."""
        later = range(self._at + 1, len(self._phases))
        found = next((k for k in later if self._phases[k].name == name), None)
        if found is not None:
            self._move(found)

    def step(self, index: int) -> None:
        """Note that so many steps of the run are made."""
        here = max(self._at, 0)
        rest = takewhile(lambda k: k == here or self._phases[k].name != PREPARING, range(here, len(self._phases)))
        spans = [(k, span) for k in rest if (span := self._phases[k].steps)]
        inside = [(k, span) for k, span in spans if span[0] <= index < span[1]]
        for k, (begin, end) in (inside or [(k, span) for k, span in spans if index == span[1]])[:1]:
            if k != self._at:
                self._move(k)
            self._share = (index - begin) / max(end - begin, 1)
            self._stepped = self._clock()

    def left(self) -> float:
        """Return the seconds left in all, which change smoothly from call to call."""
        now, estimate = self._clock(), self._estimate()
        if self._shown is not None:
            before, then = self._shown
            # A second more or less is no jump, however little is left.
            expected, most = max(before - (now - then), 0.0) + 1, min(EASE ** (now - then), MOST)
            estimate = min(max(estimate + 1, expected / most), expected * most) - 1
        self._shown = max(estimate, 0.0), now
        return self._shown[0]

    def fraction(self) -> float:
        """Return how much of all is done, in [0, 1]; it never falls."""
        passed = self._clock() - self._since
        self._fraction = max(self._fraction, passed / max(passed + self.left(), 1e-9))
        return self._fraction

    def _move(self, place: int) -> None:
        """Learn from the phase that ends, and begin another one."""
        now = self._clock()
        if self._at >= 0:
            phase = self._phases[self._at]
            taken, expected = self._taken.get(phase.kind, (0.0, 0.0))
            self._taken[phase.kind] = taken + now - self._begun, expected + phase.seconds
        self._at, self._begun, self._stepped, self._share = place, now, now, 0.0

    def _estimate(self) -> float:
        """Return the seconds left, as far as they are known now."""
        later = sum(phase.seconds * self._slowness(phase.kind) for phase in self._phases[self._at + 1 :])
        if self._at < 0:
            return later
        phase, now = self._phases[self._at], self._clock()
        whole = phase.seconds * self._slowness(phase.kind)
        if phase.steps is None:
            return later + max(whole - (now - self._begun), whole * LAST_SHARE)
        one = whole / max(phase.steps[1] - phase.steps[0], 1)
        return later + max(whole * (1 - self._share) - min(now - self._stepped, one), 0.0)

    def _slowness(self, kind: str) -> float:
        """Return how many times longer than expected phases of a kind take, by those that are behind."""
        taken, expected = self._taken.get(kind, (0.0, 0.0))
        phase = self._phases[self._at] if self._at >= 0 else None
        if phase and phase.kind == kind and phase.steps:
            taken, expected = taken + self._stepped - self._begun, expected + self._share * phase.seconds
        taken, expected = taken + self._usual(kind) * PRIOR_SECONDS, expected + PRIOR_SECONDS
        if phase and phase.kind == kind and not phase.steps:
            passed = self._clock() - self._begun
            if passed > phase.seconds * taken / expected:
                taken, expected = taken + passed, expected + phase.seconds
        return taken / expected

    def _usual(self, kind: str) -> float:
        """Return what is assumed of a kind until it is seen: of guided steps, which are measured, no slowness."""
        if kind == GUIDING or not self._taken:
            return 1.0
        taken = sum(seconds for seconds, _ in self._taken.values())
        expected = sum(seconds for _, seconds in self._taken.values())
        return (taken + PRIOR_SECONDS) / (expected + PRIOR_SECONDS)
