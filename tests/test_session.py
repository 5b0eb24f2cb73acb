"""A session makes pictures without a command line: it loads models once, can be stopped, and tells a listener."""

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import Cli, Recorder, fake_models, install
from fakes import job as small_job
from PIL import Image
from test_recipe import pixels

import clipgen
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome, Step
from clipgen.engine.models import Models
from clipgen.errors import Interrupted, UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session import api, session
from clipgen.session.batch import Asked, Batch
from clipgen.session.options import Listener, OutputOptions
from clipgen.session.resume import own_paths, state_of, unfinished_picture
from clipgen.session.session import Session
from clipgen.session.state import Workspace
from clipgen.util.interrupts import Stop

OUT = Path("outputs")


def job(prompt: str = "red", **settings: Any) -> Job:
    return small_job(prompt, **{"preset": "starter", "seed": 1, **settings})


@pytest.fixture(autouse=True)
def loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The backends whose models were loaded, in order; they are the fakes, and the folder is empty."""
    loaded: list[str] = []

    def load_models(plan: Plan, _device: str, _note: object = None) -> Models:
        loaded.append(plan.backend)
        return fake_models(plan.backend)

    monkeypatch.chdir(tmp_path)
    install(monkeypatch.setattr)
    monkeypatch.setattr(session, "load_models", load_models)
    monkeypatch.setattr(api, "_session", functools.cache(Session))  # without the models that other tests have loaded
    return loaded


class At:
    """A sink that does something when a step is shown."""

    def __init__(self, index: int, act: Callable[[], None]) -> None:
        self._index, self._act = index, act

    def on_step(self, step: Step) -> None:
        if step.index == self._index:
            self._act()

    def close(self, outcome: Outcome) -> None: ...


def in_another_thread(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_one_picture_is_that_of_the_command_line(cli: Cli) -> None:
    made = Session("cpu")
    path = made.make_alone(*made.plan(job()), OUT)
    assert path == OUT / "red-1.png"
    flags = ("--size", "48x32", "--steps", "12", "--cutouts", "6", "--lr", "0.1", "--seed", "1")
    assert cli("red", *flags, "-o", "typed.png").exit_code == 0
    assert path.read_bytes() == Path("typed.png").read_bytes()
    assert [file.name for file in OUT.iterdir()] == ["red-1.png"]


def test_models_are_loaded_once_for_many_pictures_and_anew_for_other_models(loads: list[str]) -> None:
    made = Session("cpu")
    for prompt, settings in (("red", {}), ("blue", {"seed": 5}), ("green", {"steps": 3, "size": (32, 32)})):
        made.make_alone(*made.plan(job(prompt, **settings)), OUT)
    assert loads == ["vqgan"]
    made.make_alone(*made.plan(job(backend="dvae")), OUT)
    made.make_alone(*made.plan(job(backend="dvae", seed=2)), OUT)
    made.make_alone(*made.plan(job(seed=3)), OUT)
    assert loads == ["vqgan", "dvae", "vqgan"]


def test_a_stop_from_another_thread_keeps_what_was_reached_and_a_state() -> None:
    made = Session("cpu", listener=Listener(progress=lambda _label: [At(4, lambda: in_another_thread(made.stop.ask))]))
    path = made.make_alone(*made.plan(job()), OUT)
    recipe = read_recipe(path)
    assert (recipe.outcome, recipe.steps_done) == (Outcome.INTERRUPTED, 5)
    workspace = Workspace.open(state_of(path))
    assert workspace.has_snapshot
    with unfinished_picture(workspace, own_paths(workspace), "red") as picture:
        Session("cpu").make(picture)
    whole = Session("cpu").make_alone(*made.plan(job()), Path("whole"))
    assert path.read_bytes() == whole.read_bytes()
    assert [file.name for file in OUT.iterdir()] == ["red-1.png"]


def test_a_session_runs_in_a_thread_and_can_be_stopped_from_the_main_one() -> None:
    """Signals are the main thread's; a session in another one must do without them."""
    begun = threading.Event()
    made = Session("cpu", listener=Listener(progress=lambda _label: [At(1, begun.set)]))
    paths: list[Path] = []
    thread = threading.Thread(target=lambda: paths.append(made.make_alone(*made.plan(job(steps=100_000)), OUT)))
    thread.start()
    assert begun.wait(30)
    made.stop.ask()
    thread.join(30)
    assert read_recipe(paths[0]).outcome is Outcome.INTERRUPTED


def test_a_listener_is_told_what_is_done() -> None:
    said: list[tuple[str, object]] = []
    recorder = Recorder()

    def saved(picture: Path, films: Sequence[Path], record: Mapping[str, Any]) -> None:
        said.append(("saved", (picture, list(films), record["outcome"], all(film.stat().st_size for film in films))))

    def progress(label: str) -> list[Recorder]:
        said.append(("progress", label))
        return [recorder]

    def warnings(plan: Plan, models: Models) -> list[str]:
        return [f"{plan.text} by {len(models.guides)}"]

    listener = Listener(
        note=lambda line: said.append(("note", line)),
        error=lambda line: said.append(("error", line)),
        saved=saved,
        progress=progress,
        warnings=warnings,
    )
    made = Session("cpu", options=OutputOptions(films=(".gif",)), listener=listener)
    made.make_alone(*made.plan(job(size=(45, 32))), OUT, "one picture")
    assert said == [
        ("note", "size 45x32 rounded to 48x32: vqgan draws in cells of 8x8 pixels"),
        ("note", "red by 1"),
        ("progress", "one picture"),
        ("saved", (OUT / "red-1.png", [OUT / "red-1.gif"], "finished", True)),
    ]
    assert [step.index for step in recorder.steps] == list(range(13))
    assert recorder.outcomes == [Outcome.FINISHED]


def test_a_listener_is_told_how_a_stopped_picture_goes_on() -> None:
    said: list[str] = []
    made = Session("cpu", listener=Listener(error=said.append, progress=lambda _label: [At(2, made.stop.ask)]))
    path = made.make_alone(*made.plan(job()), OUT)
    assert said == [f"continue with: clipgen resume {path}"]


def test_long_runs_are_announced_once_where_that_is_wanted() -> None:
    said: list[str] = []
    made = Session("cpu", listener=Listener(note=said.append, says_duration=True))
    plan, init = made.plan(job())
    slow = replace(plan, preset="draft")  # the starter set is quick, and nothing is said of it
    for seed in (1, 2):
        made.make_alone(replace(slow, seed=seed), init, OUT)
    assert [line.split(" take about ")[0] for line in said] == ["12 steps at 48x32"]


def test_a_picture_that_is_to_keep_its_state_does() -> None:
    made = Session("cpu", options=OutputOptions(keep_state=True, metadata=False))
    path = made.make_alone(*made.plan(job()), OUT)
    assert Workspace.open(state_of(path)).has_snapshot


@pytest.mark.parametrize("seconds", [-1.0, 1e9, float("nan")])
def test_options_are_checked(seconds: float) -> None:
    with pytest.raises(UsageError, match="--save-every must be from 0 to 86400 seconds"):
        OutputOptions(save_every=seconds)


def test_generate_twice_loads_the_models_once(loads: list[str]) -> None:
    settings = {"preset": "starter", "device": "cpu", "size": (32, 32), "steps": 3, "cutouts": 2, "seed": 1}
    first = clipgen.generate("red", **settings)
    second = clipgen.generate("blue", **settings)
    assert loads == ["vqgan"]
    assert (first.plan.text, second.plan.text) == ("red", "blue")
    assert clipgen.generate("red", **settings).image.tobytes() == first.image.tobytes() != second.image.tobytes()
    assert list(Path().iterdir()) == []  # nothing is written


def test_generate_takes_a_job_whose_fields_can_be_replaced() -> None:
    sink = Recorder()
    result = clipgen.generate(job(size=(45, 32)), steps=3, device="cpu", sinks=[sink])
    assert (result.plan.steps, result.plan.size, result.outcome) == (3, (48, 32), Outcome.FINISHED)
    assert result.notes == ("size 45x32 rounded to 48x32: vqgan draws in cells of 8x8 pixels",)
    assert [step.index for step in sink.steps] == [0, 1, 2, 3]


def test_generate_can_be_stopped() -> None:
    stop = Stop()
    result = clipgen.generate(job(), device="cpu", stop=stop, sinks=[At(2, lambda: in_another_thread(stop.ask))])
    assert result.outcome is Outcome.INTERRUPTED


def test_what_generate_made_can_be_typed(cli: Cli) -> None:
    made = clipgen.generate(job(), device="cpu")
    typed = ("red", "--seed", str(job().seed), "--size", "48x32", "--steps", str(made.plan.steps))
    assert cli(*typed, "--preset", "starter", "--cutouts", "6", "--lr", "0.1", "-o", "typed.png").exit_code == 0
    assert pixels(Path("typed.png")) == made.image.tobytes()
    assert read_recipe(Path("typed.png")).plan == made.plan


def test_generate_takes_the_plan_of_a_picture_with_changes() -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    made = clipgen.generate(job(init="init.png", init_weight=0.5), device="cpu")
    assert clipgen.generate(made.plan, device="cpu").image.tobytes() == made.image.tobytes()
    for changes in ({"start": "noise"}, {"init": None}):
        other = clipgen.generate(made.plan, device="cpu", steps=2, **changes).plan
        assert (other.init, other.weight_of("init"), other.steps) == ("", 0.0, 2)
    sized = clipgen.generate(made.plan, device="cpu", size=[40, 32])
    assert (sized.plan.size, sized.notes) == ((40, 32), ())
    assert clipgen.generate(made.plan, device="cpu", size=None).plan.size == made.plan.size
    with pytest.raises(UsageError, match=r"^size must be a width and a height, got \(32,\)"):
        clipgen.generate(made.plan, device="cpu", size=[32])
    with pytest.raises(UsageError, match=r"did you mean steps\?"):
        clipgen.generate(made.plan, device="cpu", stepz=3)


def test_a_session_that_was_stopped_makes_no_more_pictures() -> None:
    made = Session("cpu")
    plan, init = made.plan(job())
    made.stop.ask()
    with pytest.raises(Interrupted):
        made.make_alone(plan, init, OUT)
    assert list(OUT.iterdir()) == []


def test_a_session_that_is_stopped_while_seeds_are_tried_makes_no_picture() -> None:
    made = Session("cpu", listener=Listener(progress=lambda _label: [At(1, made.stop.ask)]))
    with pytest.raises(Interrupted):
        made.make_best(*made.plan(job()), OUT, candidates=6, keep=3)
    assert not OUT.exists()


def test_a_batch_that_is_stopped_leaves_the_pictures_that_wait(loads: list[str]) -> None:
    made = Session("cpu")
    listener = Listener(error=lambda _line: made.stop.ask())  # at the second line
    batch = Batch(made, job(), None, OUT, OutputOptions(), listener, device="cpu", together=8)
    batch.make_all([Asked(1, "red", ""), Asked(2, "", ""), Asked(3, "blue", "")])
    assert list(OUT.iterdir()) == []
    assert [failure["line"] for failure in batch.failed] == [2]


def test_nothing_is_said_to_be_saved_of_a_run_that_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Path] = []
    made = Session("cpu", listener=Listener(saved=lambda picture, _films, _record: said.append(picture)))
    monkeypatch.setattr(session, "load_models", lambda *_: (_ for _ in ()).throw(UsageError("no")))
    with pytest.raises(UsageError):
        made.make_alone(*made.plan(job()), OUT)
    assert said == []


def test_nothing_is_said_of_how_long_pixels_of_the_starter_set_take() -> None:
    said: list[str] = []
    made = Session("cpu", listener=Listener(note=said.append, says_duration=True))
    made.make_alone(*made.plan(job(backend="pixels")), OUT)
    assert said == []
