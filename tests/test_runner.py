import builtins
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakePerceptor, Recorder, colour, fake_models, job, scheduled
from PIL import Image

import clipgen
from clipgen.config.job import Job, parse_prompts
from clipgen.core.contracts import Outcome, Step
from clipgen.engine import runner
from clipgen.engine.runner import run, run_together
from clipgen.errors import ClipgenError, OutOfMemoryError, UsageError
from clipgen.generators import GENERATORS

every_backend = pytest.mark.parametrize("backend", GENERATORS)


@every_backend
def test_a_prompt_becomes_a_picture_of_it(backend: str) -> None:
    recorder = Recorder()
    result = run(job(backend=backend, steps=40), fake_models(backend), [recorder])
    red, green, blue = colour(result)
    assert red > 170 > 90 > max(green, blue)
    losses = [float(step.loss) for step in recorder.steps]
    assert losses[-1] < 0.3 * losses[0]
    assert result.score > 0.9 > float(recorder.steps[0].score)
    assert recorder.outcomes == [Outcome.FINISHED]


@every_backend
def test_every_state_is_reported_once_and_the_last_is_the_result(backend: str) -> None:
    recorder = Recorder()
    result = run(job(backend=backend), fake_models(backend), [recorder])
    assert [(step.index, step.total) for step in recorder.steps] == [(index, 12) for index in range(13)]
    last = recorder.steps[-1]
    assert not any(t.requires_grad for s in recorder.steps for t in (s.loss, s.score, s.image, *s.terms.values()))
    assert (last.image[0].permute(1, 2, 0) * 255).round().byte().numpy().tobytes() == result.image.tobytes()
    assert float(last.score) == pytest.approx(result.score)
    assert float(last.loss) == pytest.approx(sum(float(term) for term in last.terms.values()))


@every_backend
def test_the_same_job_gives_the_same_pixels_whatever_the_global_random_state(backend: str) -> None:
    pictures = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        pictures.append(run(job(backend=backend, steps=3, lr=0.02), fake_models(backend)).image.tobytes())
    assert pictures[0] == pictures[1]
    assert run(job(backend=backend, steps=3, lr=0.02, seed=1), fake_models(backend)).image.tobytes() != pictures[0]


@every_backend
def test_a_picture_made_together_with_others_is_the_one_made_alone(backend: str) -> None:
    models = fake_models(backend)
    jobs = [job("red", backend=backend), job("blue:2|red:-1|white", backend=backend, seed=4), job(backend=backend)]
    together = run_together(jobs, models)
    for result, alone in zip(together, [run(one, models) for one in jobs], strict=True):
        difference = np.asarray(result.image, dtype=int) - np.asarray(alone.image, dtype=int)
        assert np.abs(difference).max() <= 1
        assert result.score == pytest.approx(alone.score, abs=1e-4)
        assert result.job == alone.job


def test_defaults_are_filled_in_and_the_job_of_a_result_makes_it_again() -> None:
    first = run(Job(parse_prompts("red"), size=(30, 30), steps=3), fake_models())
    assert first.job.size == (32, 32)
    assert None not in (first.job.lr, first.job.cutouts)
    assert run(first.job, fake_models()).image.tobytes() == first.image.tobytes()


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
    with pytest.raises(KeyboardInterrupt):
        run(job(backend=backend), fake_models(backend), [recorder, interrupter])
    for sink in (interrupter, recorder):
        assert sink.outcomes == [Outcome.INTERRUPTED]
        assert [step.index for step in sink.steps] == [*range(index + 2)]
    # The picture to keep is drawn as a final one, without the noise of the dVAE's draws.
    free = Recorder()
    run(job(backend=backend), fake_models(backend), [free])
    assert torch.equal(free.steps[index + 1].image, recorder.steps[-1].image) == (backend == "vqgan")


@pytest.mark.parametrize("index", [11, 12])
def test_ctrl_c_at_the_end_leaves_a_finished_picture(index: int) -> None:
    interrupter = Interrupter(index)
    with pytest.raises(KeyboardInterrupt):
        run(job(), fake_models(), [interrupter])
    assert interrupter.outcomes == [Outcome.FINISHED]
    assert interrupter.steps[-1].index == 12


def test_a_second_ctrl_c_gives_up() -> None:
    interrupter = Interrupter(5, times=2)
    with pytest.raises(KeyboardInterrupt):
        run(job(), fake_models(), [interrupter])
    assert interrupter.outcomes == [Outcome.FAILED]


class Failing(Recorder):
    def __init__(self, *, on_step: bool = False, close: bool = False) -> None:
        super().__init__()
        self.fails = on_step, close

    def on_step(self, step: Step) -> None:
        if self.fails[0]:
            raise ClipgenError("no room")

    def close(self, outcome: Outcome) -> None:
        super().close(outcome)
        if self.fails[1]:
            raise ClipgenError("no room")


@pytest.mark.parametrize(
    ("fails", "outcome"), [({"on_step": True}, Outcome.FAILED), ({"close": True}, Outcome.FINISHED)]
)
def test_a_sink_that_fails_stops_the_run_and_all_are_closed(fails: dict[str, bool], outcome: Outcome) -> None:
    sinks = [Recorder(), Failing(**fails), Recorder()]
    with pytest.raises(ClipgenError, match="no room"):
        run(job(), fake_models(), sinks)
    assert [sink.outcomes for sink in sinks] == [[outcome]] * 3


class Blind(FakePerceptor):
    """Raises what it is told, from the third look on."""

    def __init__(self, answer: Exception) -> None:
        super().__init__()
        self.answer, self.looks = answer, 0

    def encode_images(self, views: torch.Tensor) -> torch.Tensor:
        self.looks += 1
        if self.looks < 3:
            return super().encode_images(views)
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
    models = replace(fake_models(), perceptors=(scheduled(Blind(answer)),))
    with pytest.raises(error, match=said):
        run(job(), models, [recorder])
    assert recorder.outcomes == [Outcome.FAILED]
    assert len(recorder.steps) < 13


@pytest.mark.parametrize("change", [{"size": (32, 32)}, {"steps": 3}, {"lr": 0.2}, {"cutouts": 3}, {"backend": "dvae"}])
def test_jobs_that_differ_too_much_are_not_made_together(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"same {next(iter(change))}"):
        run_together([job(), job(**change)], fake_models())


def test_init_images_must_come_with_the_jobs_that_name_them() -> None:
    picture = Image.new("RGB", (32, 32))
    for jobs, inits in (([job(init="a.png")], []), ([job()], [picture]), ([job(init="a.png"), job()], [picture])):
        with pytest.raises(UsageError, match="init image"):
            run_together(jobs, fake_models(), inits=inits)


def test_generate_makes_a_picture_and_says_what_it_decided(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(runner, "load_models", lambda job, device, note=None: fake_models(job.backend))
    result = clipgen.generate("red", backend="dvae", steps=2, size=(30, 30))
    assert (result.job.backend, result.job.steps, result.image.size) == ("dvae", 2, (32, 32))
    assert any("rounded to 32x32" in note for note in result.notes)
    again = clipgen.generate(result.job, seed=7)
    assert again.job == replace(result.job, seed=7)
    Image.new("RGB", (20, 20)).save(
        tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (20, 20), "red")]
    )
    started = clipgen.generate("red", steps=1, init=tmp_path / "a.gif")
    assert [note for note in started.notes if "animated" in note or "shape of the init" in note] == [*started.notes][
        ::2
    ]
