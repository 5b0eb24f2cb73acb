"""What several test files set up in the same way."""

import functools
import gc
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import lean_imports  # noqa: F401 - before all that follows
import pretrained
import pytest
import torch
import typer.testing
from fakes import Cli, install
from hypothesis import settings
from loopback import CONTENT, SHA256, Files, LoopbackServer, serves
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.config import resolve
from clipgen.config.preset import UNCLIP
from clipgen.config.presets import PRESETS
from clipgen.weights.cache import Cache

typer.testing._get_command = functools.cache(typer.testing._get_command)  # made anew, it takes longer than many a test
pytest.register_assert_rewrite("recipes")  # its checks, too, show the values when they fail
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start; pytest fills the cores already
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
FOR_TESTS = ("CLIPGEN_FUZZ", "CLIPGEN_STRESS", "CLIPGEN_KILLS", "CLIPGEN_PROCESSES", "CLIPGEN_CACHE")
"""Variables that ask for more tests, and the one that a test may set before this file does."""
settings.load_profile("ci")  # no deadlines, which a busy machine would miss; no examples shared with other runs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first: begun last, one of them would go on alone."""
    items.sort(key=lambda item: item.path.stem not in ("test_workers", "test_web_page"))


def pytest_collection_finish() -> None:
    """Ten thousand tests and all modules stay to the end: no collection of garbage need look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _first_signals() -> None:
    """Fixtures of a module, too, take signals as a program in a terminal does, whatever started the tests."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM act as in a terminal, in tests and in the processes that these start.

    Whoever starts pytest in the background, as nohup and CI do, may have it ignore them.
    """
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _no_options_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test runs with the options that the environment of this machine sets."""
    for name in [name for name in os.environ if name.startswith("CLIPGEN_") and name not in FOR_TESTS]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the weights that this machine may have, or leaves any there."""
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path_factory.getbasetemp() / "weights-of-nobody"))


@pytest.fixture(autouse=True)
def _single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests compute in float32, whatever the processor has."""
    monkeypatch.setattr(resolve, "computes_bf16", lambda _device: False)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Types a command in an empty folder, on a machine whose models are the fakes."""
    monkeypatch.chdir(tmp_path)
    install(monkeypatch.setattr)
    return lambda *args, **settings: CliRunner().invoke(app, list(args), **settings)


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no offline switch of this machine changes what is asked of a server."""
    for name in ("HF_HUB_OFFLINE", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def files() -> Iterator[Files]:
    """A server on this machine that has one good file."""
    with LoopbackServer() as server:
        server.routes["/good"] = serves(CONTENT)
        yield Files(server, CONTENT, SHA256)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache of weights."""
    return Cache(tmp_path / "weights")


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs in an empty folder, with the cache of weights in it and the same random numbers every time."""
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_clips(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Small CLIPs are among the models that open_clip knows."""
    pretrained.know_tiny_clips(tmp_path_factory.mktemp("open_clip") / "configs")


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the packages that are weights is installed."""

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("clipgen.weights.packaged.distribution", missing)


@pytest.fixture
def quick_proposals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The starter's unCLIP proposes two pictures to choose from; its many take half a minute a run."""
    starter = PRESETS["starter"]
    usual = starter.guidance[UNCLIP]
    few = replace(usual.unclip[0], candidates=2, img2img_candidates=2, upsampler_candidates=1)
    quick = replace(starter, guidance={**starter.guidance, UNCLIP: replace(usual, unclip=(few,))})
    monkeypatch.setitem(PRESETS, "starter", quick)
