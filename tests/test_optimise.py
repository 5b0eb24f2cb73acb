"""From plans to pictures: what the sinks see, how a run ends, and what is refused."""

import builtins
import signal
import threading
from dataclasses import replace
from typing import Any

import pytest
import torch
from fakes import FakePerceptor, Recorder, colour, fake_models, guided_by, install, plan, with_generator
from PIL import Image
from torch import Tensor

import clipgen
from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome, Step
from clipgen.engine.optimise import Task, optimise, optimise_together
from clipgen.errors import ClipgenError, OutOfMemoryError, UsageError
from clipgen.generators import GENERATORS
from clipgen.util.interrupts import Stop

every_backend = pytest.mark.parametrize("backend", GENERATORS)


@every_backend
def test_a_prompt_becomes_a_picture_of_it(backend: str) -> None:
    recorder = Recorder()
    result = optimise(plan(backend=backend, steps=40), fake_models(backend), [recorder])
    red, green, blue = colour(result)
    assert red > 170 > 90 > max(green, blue)
    losses = [float(step.loss) for step in recorder.steps]
    assert losses[-1] < 0.3 * losses[0]
    assert result.score > 0.9 > float(recorder.steps[0].score)
    assert recorder.outcomes == [Outcome.FINISHED]


@every_backend
def test_every_state_is_reported_once_and_the_last_is_the_result(backend: str) -> None:
    recorder = Recorder()
    asked = plan(backend=backend)
    result = optimise(asked, fake_models(backend), [recorder])
    assert [(step.index, step.total) for step in recorder.steps] == [(index, 12) for index in range(13)]
    last = recorder.steps[-1]
    assert not any(t.requires_grad for s in recorder.steps for t in (s.loss, s.score, s.image, *s.terms.values()))
    assert all(t.shape == () for s in recorder.steps for t in (s.loss, s.score, *s.terms.values()))
    assert (last.image.permute(1, 2, 0) * 255).round().byte().numpy().tobytes() == result.image.tobytes()
    assert float(last.score) == result.score
    assert (result.plan, result.outcome) == (asked, Outcome.FINISHED)


@every_backend
def test_the_same_plan_gives_the_same_pixels_whatever_the_global_random_state(backend: str) -> None:
    pictures = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        pictures.append(optimise(plan(backend=backend, steps=3, lr=0.02), fake_models(backend)).image.tobytes())
    assert pictures[0] == pictures[1]
    other = optimise(plan(backend=backend, steps=3, lr=0.02, seed=1), fake_models(backend))
    assert other.image.tobytes() != pictures[0]


class Interrupter(Recorder):
    """Presses Ctrl-C when it sees a given step."""

    def __init__(self, index: int, times: int = 1) -> None:
        super().__init__()
        self.index, self.times = index, times

    def on_step(self, step: Step) -> None:
        super().on_step(step)
        if step.index == self.index:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


@every_backend
@pytest.mark.parametrize("index", [0, 5, 7])
def test_ctrl_c_hands_over_what_was_reached(backend: str, index: int) -> None:
    interrupter, recorder = Interrupter(index), Recorder()
    asked = with_generator(plan(backend=backend), small_until=0.0)
    with pytest.raises(KeyboardInterrupt):
        optimise(asked, fake_models(backend), [recorder, interrupter])
    for sink in (interrupter, recorder):
        assert sink.outcomes == [Outcome.INTERRUPTED]
        assert [step.index for step in sink.steps] == [*range(index + 2)]
    # The picture to keep is drawn as a final one, without the noise of the dVAE's draws.
    free = Recorder()
    optimise(asked, fake_models(backend), [free])
    assert torch.equal(free.steps[index + 1].image, recorder.steps[-1].image) == (backend != "dvae")


@pytest.mark.parametrize("index", [11, 12])
def test_ctrl_c_at_the_end_leaves_a_finished_picture(index: int) -> None:
    interrupter = Interrupter(index)
    with pytest.raises(KeyboardInterrupt):
        optimise(plan(), fake_models(), [interrupter])
    assert interrupter.outcomes == [Outcome.FINISHED]
    assert interrupter.steps[-1].index == 12


def test_a_second_ctrl_c_gives_up() -> None:
    interrupter = Interrupter(5, times=2)
    with pytest.raises(KeyboardInterrupt):
        optimise(plan(), fake_models(), [interrupter])
    assert interrupter.outcomes == [Outcome.FAILED]


def test_a_stop_from_another_thread_ends_the_run_after_the_step_that_is_being_made() -> None:
    stop = Stop()

    class Asker(Recorder):
        def on_step(self, step: Step) -> None:
            super().on_step(step)
            if step.index == 5:
                thread = threading.Thread(target=stop.ask)
                thread.start()
                thread.join()

    asker, neighbour = Asker(), Recorder()
    tasks = [Task(plan(), sinks=[asker]), Task(plan("blue", seed=1), sinks=[neighbour])]
    for made in optimise_together(tasks, fake_models(), stop=stop):
        assert not isinstance(made, ClipgenError)
        assert made.outcome is Outcome.INTERRUPTED
    for sink in (asker, neighbour):
        assert [step.index for step in sink.steps] == [*range(7)]
        assert sink.outcomes == [Outcome.INTERRUPTED]


def test_a_run_in_another_thread_can_be_stopped_too() -> None:
    stop, recorder, reached = Stop(), Recorder(), threading.Event()
    on_step = recorder.on_step

    def watched(step: Step) -> None:
        on_step(step)
        if step.index == 3:
            reached.set()

    recorder.on_step = watched  # type: ignore[method-assign]
    run = threading.Thread(
        target=optimise, args=(plan(steps=100_000), fake_models(), [recorder]), kwargs={"stop": stop}
    )
    run.start()
    assert reached.wait(60)
    stop.ask()
    run.join(60)
    assert not run.is_alive()
    assert recorder.outcomes == [Outcome.INTERRUPTED]


class Failing(Recorder):
    """Fails at a step, or when it is closed."""

    def __init__(self, error: Exception, index: int | None) -> None:
        super().__init__()
        self.error, self.index = error, index

    def on_step(self, step: Step) -> None:
        super().on_step(step)
        if self.index == step.index:
            raise self.error

    def close(self, outcome: Outcome) -> None:
        super().close(outcome)
        if self.index is None:
            raise self.error


@pytest.mark.parametrize("index", [0, 5, 12, None])
@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "gone"), ValueError("closed"), RuntimeError("CUDA"), MemoryError(), KeyError("x")]
)
def test_a_sink_that_fails_is_left_out_and_costs_only_itself(error: Exception, index: int | None) -> None:
    failing, others = Failing(error, index), [Recorder(), Recorder()]
    made = optimise(plan(), fake_models(), [others[0], failing, others[1]])
    assert made.image.tobytes() == optimise(plan(), fake_models()).image.tobytes()
    [note] = made.notes
    assert note.startswith(f"warning: Failing was left out after {type(error).__name__}")
    for sink in others:
        assert (sink.outcomes, len(sink.steps)) == ([Outcome.FINISHED], 13)
    assert failing.outcomes == [Outcome.FINISHED if index is None else Outcome.FAILED]
    assert len(failing.steps) == (13 if index is None else index + 1)


def test_what_could_not_be_written_is_the_error_of_the_picture_after_all_sinks_are_closed() -> None:
    sinks = [Recorder(), Failing(ClipgenError("no room"), None), Recorder()]
    with pytest.raises(ClipgenError, match="no room"):
        optimise(plan(), fake_models(), sinks)
    assert [sink.outcomes for sink in sinks] == [[Outcome.FINISHED]] * 3


class Blind(FakePerceptor):
    """Raises what it is told, from the third look on."""

    def __init__(self, answer: Exception) -> None:
        super().__init__()
        self.answer, self.looks = answer, 0

    def encode_images(self, cutouts: Tensor) -> Tensor:
        self.looks += 1
        if self.looks < 3:
            return super().encode_images(cutouts)
        raise self.answer


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemoryError, "smaller --size or fewer --cutouts"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), OutOfMemoryError, "smaller --size"),
        (builtins.MemoryError(), OutOfMemoryError, "smaller --size"),
        (RuntimeError("something else"), RuntimeError, "something else"),
    ],
)
def test_failures_are_named_and_reported_as_failed(answer: Exception, error: type[Exception], said: str) -> None:
    recorder = Recorder()
    with pytest.raises(error, match=said):
        optimise(plan(), guided_by(Blind(answer)), [recorder])
    assert recorder.outcomes == [Outcome.FAILED]
    assert len(recorder.steps) < 13


@pytest.mark.parametrize(
    "change", [{"size": (32, 32)}, {"steps": 3}, {"lr": 0.2}, {"cutouts": 3}, {"backend": "dvae"}, {"start": "noise"}]
)
def test_plans_that_differ_too_much_are_not_made_together(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must agree in all but prompts, seed and init image"):
        optimise_together([Task(plan()), Task(plan(**change))], fake_models())


def test_init_images_must_come_with_the_plans_that_name_them() -> None:
    picture, named, unnamed = Image.new("RGB", (32, 32)), plan(init="a.png"), plan()
    for tasks in ([Task(named)], [Task(unnamed, picture)], [Task(named, picture), Task(named)]):
        with pytest.raises(UsageError, match="init image"):
            optimise_together(tasks, fake_models())


def test_generate_makes_a_picture_and_says_what_it_decided(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    install(monkeypatch.setattr)
    result = clipgen.generate("red", backend="dvae", steps=2, size=(30, 30))
    assert (result.plan.backend, result.plan.steps, result.image.size) == ("dvae", 2, (32, 32))
    assert any("rounded to 32x32" in note for note in result.notes)
    again = clipgen.generate(clipgen.Job(result.plan.prompts, backend="dvae", steps=2, size=(32, 32)), seed=7)
    assert again.plan == replace(result.plan, seed=7)
    Image.new("RGB", (20, 20)).save(
        tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (20, 20), "red")]
    )
    started = clipgen.generate("red", steps=1, init=tmp_path / "a.gif")
    assert [any(words in note for note in started.notes) for words in ("animated", "shape of the init")] == [True] * 2


def test_the_plan_of_a_result_makes_it_again() -> None:
    first = optimise(plan(size=(30, 30), steps=3), fake_models())
    assert first.plan.size == (32, 32)
    read = Plan.from_json(first.plan.to_json())
    assert optimise(read, fake_models()).image.tobytes() == first.image.tobytes()
