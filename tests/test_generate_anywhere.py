"""`clipgen.generate` with the starter set, wherever it is called: in threads, in modes of torch, in a notebook."""

import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_generate import Terminal

import clipgen
from clipgen.core.contracts import Outcome, Step
from clipgen.session import api
from clipgen.session.session import Session
from clipgen.util.images import load_image

pytestmark = pytest.mark.usefixtures("quick_proposals")

NOISE = {"preset": "starter", "start": "noise", "size": 32, "steps": 4, "cutouts": 2, "seed": 1, "device": "cpu"}
VQGAN = {**NOISE, "start": "unclip"}
DVAE = {**VQGAN, "backend": "dvae"}


def picture(settings: dict[str, Any]) -> bytes:
    return clipgen.generate("a red heart", **settings).image.tobytes()


@pytest.fixture(
    scope="module",
    params=[NOISE, pytest.param(VQGAN, marks=pytest.mark.slow), pytest.param(DVAE, marks=pytest.mark.slow)],
    ids=["noise", "vqgan", "dvae"],
)
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No models are loaded yet."""
    api._session.cache_clear()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
        assert torch.get_default_dtype() is dtype
    finally:
        torch.set_default_dtype(before)


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": partial(default_dtype, torch.float64),
    "autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
}


@pytest.mark.usefixtures("forgotten")
def test_a_picture_is_the_same_in_every_mode_of_torch(settings: dict[str, Any]) -> None:
    alone = picture(settings)
    for name, mode in MODES.items():
        api._session.cache_clear()  # so that the models, too, are loaded in that mode
        with mode():
            assert picture(settings) == alone, name
        assert picture(settings) == alone, f"after {name}"


def process_state() -> dict[str, Any]:
    """What all of a process shares, and should not change under its user's hands."""
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),
        "random": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        "threads": torch.get_num_threads(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "warnings": list(warnings.filters),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "signals": (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)),
        "hooks": (sys.excepthook, threading.excepthook),
    }


@pytest.mark.usefixtures("forgotten")
def test_what_a_process_shares_is_left_alone(settings: dict[str, Any]) -> None:
    before = process_state()
    picture(settings)
    after = process_state()
    assert {name for name in before if before[name] != after[name]} == set()


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    "asked",
    [
        [NOISE, {**NOISE, "backend": "dvae"}, {**NOISE, "seed": 2}, {**NOISE, "backend": "pixels"}],
        pytest.param([VQGAN, DVAE, {**VQGAN, "seed": 2}, NOISE], marks=pytest.mark.slow),
    ],
    ids=["noise", "proposed"],
)
def test_threads_make_the_same_pictures_as_alone(monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]) -> None:
    """Of one session and of two, with the same models and with others; each thread shows progress if it can."""
    alone = list(map(picture, asked))
    api._session.cache_clear()
    before = process_state()
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(picture, asked)) == alone
    monkeypatch.undo()
    assert {name for name, value in process_state().items() if value != before[name]} == set()


def test_threads_that_load_images_leave_warnings_and_stderr_as_they_are(tmp_path: Path) -> None:
    from PIL import Image

    paths = [tmp_path / "a.tiff", tmp_path / "b.png"]
    for path in paths:
        Image.new("RGB", (64, 64), "red").save(path)
    before = process_state()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load_image, paths * 50))
    assert process_state() == before


def test_words_that_the_models_do_not_know_are_in_the_notes() -> None:
    result = clipgen.generate("a red xylograph", **NOISE)
    assert any("xylograph" in note for note in result.notes)


class At:
    """A sink that does something when a step is shown."""

    def __init__(self, index: int, act: Callable[[], object]) -> None:
        self._index, self._act = index, act

    def on_step(self, step: Step) -> None:
        if step.index == self._index:
            self._act()

    def close(self, outcome: Outcome) -> None:
        self.outcome = outcome


def test_an_interrupt_ends_the_picture_and_the_next_one_is_as_ever() -> None:
    usual, before = picture(NOISE), process_state()
    ctrl_c = At(1, partial(signal.raise_signal, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        clipgen.generate("a red heart", **NOISE, sinks=[ctrl_c])
    assert ctrl_c.outcome is Outcome.INTERRUPTED
    assert process_state() == before
    assert picture(NOISE) == usual


@pytest.mark.usefixtures("forgotten")
def test_an_interrupt_while_models_are_loaded_leaves_the_session_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("clipgen.engine.models.build_network", interrupted)
        with pytest.raises(KeyboardInterrupt):
            picture(NOISE)
    assert picture(NOISE)


def test_the_same_models_are_kept_for_a_device_however_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def open_session(device: str) -> Session:
        opened.append(device)
        return Session(device)

    monkeypatch.setattr(api, "_session", open_session)
    monkeypatch.setattr("clipgen.session.session.load_models", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    for device in ("cpu", torch.device("cpu")):
        with pytest.raises(KeyboardInterrupt):
            picture({**NOISE, "device": device})
    assert opened == ["cpu", "cpu"]


NOTEBOOK = """
import clipgen
result = clipgen.generate("a red heart", preset="starter", start="noise", size=32, steps=3, cutouts=2, seed=1)
result
"""


@pytest.mark.slow
def test_a_notebook_shows_progress_and_the_picture(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = notebook.cells[0].outputs
    shown = [each["data"] for each in outputs if "data" in each]
    assert any("3/3" in data.get("text/html", "") for data in shown)
    assert any("image/png" in data for data in shown)
