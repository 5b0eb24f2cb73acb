"""Ctrl-C and SIGTERM are answered at once, act when nothing is lost, and a second one ends the process."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

from clipgen.cli.failures import exit_code_of, signals_as_errors
from clipgen.errors import Interrupted
from clipgen.util import interrupts
from clipgen.util.interrupts import Abandoned, Stop, answered, held_back

both = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


def press(number: signal.Signals = signal.SIGINT) -> None:
    signal.raise_signal(number)


def test_the_first_signal_acts_at_the_end_of_what_it_would_have_harmed() -> None:
    reached = []

    def hold() -> None:
        with held_back() as stop:
            press()
            reached.append(stop.asked)

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert reached == [True]


def test_the_second_signal_acts_at_once() -> None:
    reached = []

    def hold() -> None:
        with held_back():
            press()
            reached.append(1)
            press()
            reached.append(2)

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert reached == [1]


def test_work_that_is_worth_nothing_is_given_up_at_the_first_signal() -> None:
    reached = []

    def hold() -> None:
        with held_back() as stop:
            try:
                with stop.abandoning():
                    press()
                    reached.append("abandoned")
            except Abandoned:
                reached.append("kept")

    with pytest.raises(KeyboardInterrupt) as caught:
        hold()
    assert (reached, type(caught.value)) == (["kept"], KeyboardInterrupt)


def test_a_stop_from_another_thread_gives_up_work_at_the_next_check() -> None:
    stop, checked = Stop(), []

    def work() -> None:
        with stop.abandoning():
            stop.check()
            checked.append(stop.asked)
            thread = threading.Thread(target=stop.ask)
            thread.start()
            thread.join()
            stop.check()

    for _ in range(2):  # the second time it was asked for before
        with pytest.raises(Abandoned):
            work()
        stop.check()  # only work that can be given up
    assert checked == [False]


def said_by(hold: Callable[[], AbstractContextManager[object]]) -> list[str]:
    """Return what is said when Ctrl-C is pressed in a block that waits for that."""
    lines: list[str] = []
    enough = threading.Event()

    def work() -> None:
        with answered(lambda line: (lines.append(line), enough.set())), hold():
            try:
                press()
            finally:
                assert enough.wait(60)

    with pytest.raises(KeyboardInterrupt):
        work()
    return lines


def test_what_is_held_back_is_acknowledged_with_what_happens_next() -> None:
    assert said_by(lambda: held_back(promise="after this step")) == ["after this step"]


def test_what_takes_long_to_end_is_acknowledged_too() -> None:
    assert said_by(nullcontext) == [interrupts.STOPPING]


def test_the_handlers_of_before_are_back() -> None:
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}

    def work() -> None:
        with signals_as_errors(), held_back():
            press()

    with pytest.raises(Interrupted):
        work()
    assert {number: signal.getsignal(number) for number in interrupts.SIGNALS} == before
    assert signal.set_wakeup_fd(-1) == -1


@both
def test_a_signal_is_one_line_and_an_exit_code(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        with signals_as_errors():
            press(number)

    assert exit_code_of(interrupted, debug=False) == code
    assert capsys.readouterr().err == "stopped\n"


def test_a_signal_that_became_another_error_on_its_way_is_still_one() -> None:
    def work() -> None:
        with signals_as_errors():
            try:
                press()
            except KeyboardInterrupt as error:
                raise ImportError("partly initialised") from error

    with pytest.raises(Interrupted, match="stopped"):
        work()


def test_signals_that_were_ignored_stay_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals_as_errors():
        press()


BUSY = """
import hashlib, threading
from clipgen.cli.failures import exit_code_of, signals_as_errors
from clipgen.util.interrupts import at_the_latest
def busy():
    with signals_as_errors(), at_the_latest(lambda: print("cleared", flush=True)):
        threading.Timer(0.2, print, ["begun"], {"flush": True}).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # nothing interrupts this call, which takes many minutes
raise SystemExit(exit_code_of(busy, debug=False))
"""

IN_A_CALLBACK = """
import signal, weakref
from clipgen.cli.failures import exit_code_of, signals_as_errors
class Thing: pass
def work():
    with signals_as_errors():
        thing = Thing()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.{name}))
        del thing
        while True: pass
raise SystemExit(exit_code_of(work, debug=False))
"""

STARTING = """
import signal
from clipgen.__main__ import main
import builtins
imported = builtins.__import__
def pressed(name, *rest):
    if name == "{place}":
        signal.raise_signal(signal.{name})
    return imported(name, *rest)
builtins.__import__ = pressed
main()
"""


def process_of(program: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    environment = {"PYTHONPATH": ":".join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=pipe, text=True, env=environment)


@both
def test_the_second_signal_ends_a_process_whose_main_thread_hears_nothing(number: signal.Signals, code: int) -> None:
    with process_of(BUSY) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert process.stderr.readline() == f"{interrupts.STOPPING}\n"
        process.send_signal(number)
        output, said = process.communicate(timeout=300)
    assert (process.returncode, output, said) == (code, "cleared\n", "stopped\n")


@both
@pytest.mark.parametrize("place", ["clipgen.util.interrupts", "socket", "threading", "contextlib", "clipgen.cli.group"])
def test_a_signal_before_the_first_import_is_over_ends_the_process_without_a_word(
    number: signal.Signals, code: int, place: str
) -> None:
    program = STARTING.replace("{place}", place).format(name=number.name)
    with process_of(f"import sys; sys.argv[0] = 'clipgen'\n{program}") as process:
        output, said = process.communicate(timeout=300)
    assert process.returncode in (-number, code)
    assert (output, said.removesuffix("stopped\n")) == ("", "")


@both
@pytest.mark.parametrize("program", [IN_A_CALLBACK, STARTING.replace("{place}", "clipgen.cli.app")])
def test_a_signal_where_python_would_print_a_traceback_is_one_line(
    number: signal.Signals, code: int, program: str
) -> None:
    with process_of(program.format(name=number.name)) as process:
        output, said = process.communicate(timeout=300)
    assert (process.returncode, output, said) == (code, "", "stopped\n")
