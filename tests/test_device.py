"""`--device` names a device that is there, or the error says what is; each kind is handled in its own way."""

import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fakes import fake_models, plan
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from clipgen.engine import memory
from clipgen.engine.cost import CostEstimate
from clipgen.engine.memory import is_memory_error, room
from clipgen.engine.modes import usual_modes
from clipgen.engine.optimise import optimise
from clipgen.errors import UsageError
from clipgen.util.devices import (
    FALLBACK,
    fallback_note,
    free_memory,
    gpu_count,
    in_single,
    pick_device,
    release_memory,
    wait_for,
)

CPU, MPS = torch.device("cpu"), torch.device("mps")


def have(monkeypatch: pytest.MonkeyPatch, gpus: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("wish", "gpus", "mps", "device"),
    [
        ("auto", 0, False, "cpu"),
        ("auto", 1, False, "cuda"),
        ("auto", 0, True, "mps"),
        ("auto", 1, True, "cuda"),
        ("cpu", 1, True, "cpu"),
        ("cuda", 1, False, "cuda"),
        ("cuda:1", 2, False, "cuda:1"),
        ("mps", 0, True, "mps"),
        ("mps:0", 0, True, "mps"),
        ("mps", 1, True, "mps"),
    ],
)
def test_device(monkeypatch: pytest.MonkeyPatch, wish: str, gpus: int, mps: bool, device: str) -> None:
    have(monkeypatch, gpus, mps)
    assert pick_device(wish) == device


@pytest.mark.parametrize(
    ("wish", "gpus", "mps", "message"),
    [
        ("cuda", 0, False, "torch finds no GPU"),
        ("cuda", 0, True, "torch finds no GPU"),
        ("cuda:0", 0, False, "no GPU"),
        ("cuda:2", 2, False, "only cuda:0 to cuda:1"),
        ("mps", 1, False, "no GPU of Apple's on this machine; use --device cpu"),
        ("mps:1", 0, True, "one of auto, cpu, cuda, cuda:0, mps"),
        ("metal", 0, True, "one of"),
    ],
)
def test_device_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, wish: str, gpus: int, mps: bool, message: str
) -> None:
    have(monkeypatch, gpus, mps)
    with pytest.raises(UsageError, match=message):
        pick_device(wish)


@pytest.mark.parametrize(("gpus", "mps", "count"), [(0, False, 0), (0, True, 1), (2, True, 2)])
def test_gpus_are_counted(monkeypatch: pytest.MonkeyPatch, gpus: int, mps: bool, count: int) -> None:
    have(monkeypatch, gpus, mps)
    assert gpu_count() == count


class FakeGPU:
    """Stands in for `torch.mps`; keeps the names of what was called."""

    def __init__(self, limit: int = 10**9, used: int = 10**8) -> None:
        self.calls: list[str] = []
        self.recommended_max_memory: Callable[[], int] = lambda: limit
        self.current_allocated_memory: Callable[[], int] = lambda: used
        self.synchronize: Callable[[], None] = lambda: self.calls.append("synchronize")
        self.empty_cache: Callable[[], None] = lambda: self.calls.append("empty_cache")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGPU:
    fake = FakeGPU()
    monkeypatch.setattr(torch, "mps", fake)
    return fake


def test_each_kind_of_device_is_asked_in_its_own_way(gpu: FakeGPU) -> None:
    for act in (wait_for, release_memory):
        act(CPU)
    assert gpu.calls == []
    wait_for(MPS)
    release_memory(MPS)
    assert gpu.calls == ["synchronize", "empty_cache"]
    assert free_memory(CPU) is None
    assert free_memory(MPS) == 9 * 10**8


@pytest.mark.parametrize(("free", "found"), [(10**12, 9 * 10**8), (10**6, 10**6)])
def test_a_gpu_that_shares_the_memory_has_no_more_than_is_free(
    monkeypatch: pytest.MonkeyPatch, gpu: FakeGPU, free: int, found: int
) -> None:
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    monkeypatch.setattr(memory, "free_in_groups", lambda: None)
    monkeypatch.setattr(memory, "_free_in_process", lambda free: free)
    assert room(MPS) == found


def test_more_in_use_than_recommended_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "mps", FakeGPU(limit=1, used=2))
    assert free_memory(MPS) == 0


@pytest.mark.parametrize(
    ("said", "is_memory"),
    [
        ("MPS backend out of memory (MPS allocated: 9.05 GB, max allowed: 9.07 GB).", True),
        ("[enforce fail] DefaultCPUAllocator: can't allocate memory", True),
        ("The operator 'aten::x' is not currently implemented for the MPS device.", False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(said: str, is_memory: bool) -> None:
    assert is_memory_error(RuntimeError(said)) is is_memory


@pytest.mark.parametrize(("value", "part"), [("1", "is computed on the CPU"), (None, f"set {FALLBACK}=1")])
def test_what_a_device_lacks_is_said(monkeypatch: pytest.MonkeyPatch, value: str | None, part: str) -> None:
    monkeypatch.delenv(FALLBACK, raising=False)
    if value:
        monkeypatch.setenv(FALLBACK, value)
    assert part in (fallback_note(MPS) or "")
    assert fallback_note(CPU) is None


@pytest.mark.parametrize(("system", "expected"), [("darwin", "1"), ("linux", "None")])
def test_the_fallback_is_asked_for_before_torch_is_there(system: str, expected: str) -> None:
    code = (
        f"import sys, os; sys.platform = {system!r}; import clipgen.util.devices; "
        f"assert 'torch' not in sys.modules; print(os.environ.get({FALLBACK!r}))"
    )
    environment = {name: value for name, value in os.environ.items() if name != FALLBACK}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.strip() == expected


def test_numbers_of_64_bits_become_32_where_the_device_has_none() -> None:
    def module() -> nn.Module:
        made = nn.BatchNorm1d(2).double()
        made.register_buffer("count", torch.tensor(3))
        return made

    kept = in_single(module(), CPU).state_dict()
    single = in_single(module(), MPS).state_dict()
    assert kept["weight"].dtype is torch.float64
    assert {value.dtype for value in single.values()} == {torch.float32, torch.int64}


class NoDoubles(TorchDispatchMode):
    """Fails, as Apple's GPUs do, at any number of 64 bits that is not whole."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in made if isinstance(made, tuple | list) else (made,):
            assert not (isinstance(value, torch.Tensor) and value.dtype is torch.float64), f"{func} makes float64"
        return made


@pytest.mark.parametrize("backend", ["vqgan", "dvae"])
def test_a_run_computes_nothing_in_64_bits(backend: str) -> None:
    wanted = plan("red", steps=2, backend=backend)
    with NoDoubles():
        optimise(wanted, fake_models(backend))


def test_costs_are_measured_after_the_device_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr("clipgen.engine.cost.wait_for", waited.append)
    CostEstimate(plan("red"), fake_models()).measured()
    assert waited
    assert set(waited) == {CPU}


def test_autocast_of_every_kind_is_set_aside() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), usual_modes():
        assert not any(torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda", "mps"))
