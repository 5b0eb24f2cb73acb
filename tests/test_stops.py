"""A run that is stopped before its first step leaves nothing; one stopped later, what goes on."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import Cli, FakeProposal, Recorder, fake_models, install, plan, with_generator
from test_resume import stop_at
from torch import Tensor

from clipgen.config.presets import PRESETS
from clipgen.core.contracts import Outcome
from clipgen.engine import run
from clipgen.engine.optimise import Task, optimise_together
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import Interrupted
from clipgen.session import session
from clipgen.util import interrupts
from clipgen.util.interrupts import Stop

SMALL = ("--size", "32x32", "--steps", "12", "--cutouts", "2", "--seed", "1")
PROPOSING = replace(with_generator(plan(lr=0.4), small_until=0.5), unclip=PRESETS["starter"].guidance["unclip"].unclip)


class Kept:
    """Keeps snapshots, but none without need."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []

    def is_due(self, done: int, total: int) -> bool:
        return False

    def keep(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)


def press(*_: object, **__: object) -> None:
    signal.raise_signal(signal.SIGINT)
    pytest.fail("it was not stopped")


@pytest.mark.parametrize("command", [("red",), ("batch", "prompts.txt", "--together", "1"), ("batch", "prompts.txt")])
@pytest.mark.parametrize(
    "phase",
    [(session, "load_models", press), (run, "proposal_module", lambda _kind: SimpleNamespace(propose=press))],
)
def test_nothing_is_left_of_a_run_that_is_stopped_before_its_first_step(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, phase: tuple[Any, str, Any], command: tuple[str, ...]
) -> None:
    Path("prompts.txt").write_text("red\nblue\n")
    monkeypatch.setattr(*phase)
    result = cli(*command, *SMALL, "--video")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.splitlines()[-1] == "stopped"
    assert "failed" not in result.stderr
    assert not Path("outputs").exists()
    install(monkeypatch.setattr)
    assert "outputs/red-1.png" in cli(*command, *SMALL).stdout.split()


def test_the_second_signal_ends_a_run_without_a_word_of_failure(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "PATIENCE", 300)  # this process is not to end
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        stop_at(patch, 5)
        result = cli("red", *SMALL, "--video")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.splitlines()[-1] == "stopped"
    assert "failed" not in result.stderr
    assert not Path("outputs").exists()


def test_the_first_signal_says_how_to_go_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        result = cli("red", *SMALL)
    lines = result.stderr.splitlines()
    assert "continue with: clipgen resume outputs/red-1.png" in lines
    assert lines[-1] == "stopped"


def made(monkeypatch: pytest.MonkeyPatch, proposal: object, task: Task) -> Any:
    propose = SimpleNamespace(propose=lambda *_, **__: proposal)
    monkeypatch.setattr(run, "proposal_module", lambda _kind: propose)
    [result] = optimise_together([task], fake_models())
    return result


def test_an_enlargement_is_given_up_and_made_when_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(FakeProposal):
        def enlarge(self, images: Tensor, size: tuple[int, int]) -> Tensor:
            press()
            return images

    whole = made(monkeypatch, FakeProposal(), Task(PROPOSING))
    kept, recorder = Kept(), Recorder()
    with pytest.raises(KeyboardInterrupt):
        made(monkeypatch, Stopped(), Task(PROPOSING, sinks=[recorder], keeper=kept))
    assert recorder.outcomes == [Outcome.INTERRUPTED]
    assert [step.index for step in recorder.steps] == [0, 1, 2, 3, 4, 5, 6]
    assert [(each.done, each.grown) for each in kept.snapshots] == [(6, False)]
    resumed = made(monkeypatch, FakeProposal(), Task(PROPOSING, snapshot=kept.snapshots[0]))
    assert resumed.image.tobytes() == whole.image.tobytes()


def test_a_stop_from_another_thread_is_heard_between_the_stages_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop, stages = Stop(), []

    def propose(*_: object, on_stage: Any) -> FakeProposal:
        on_stage("first")
        stop.ask()
        on_stage("second")
        return FakeProposal()

    monkeypatch.setattr(run, "proposal_module", lambda _kind: SimpleNamespace(propose=propose))
    recorder = Recorder()
    with pytest.raises(Interrupted, match="before the first step"):
        optimise_together([Task(PROPOSING, sinks=[recorder])], fake_models(), stop=stop, on_stage=stages.append)
    assert (stages, recorder.steps, recorder.outcomes) == (["first"], [], [Outcome.FAILED])


def test_at_its_end_the_program_searches_for_no_garbage() -> None:
    program = "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count() > 0))"
    program += "; sys.argv[1:] = ['--version']; from clipgen.__main__ import main; main()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "True"
