"""`--device` names a device that is there, or the error says what is."""

import pytest
import torch

from clipgen.errors import UsageError
from clipgen.util.devices import pick_device


@pytest.mark.parametrize(
    ("wish", "gpus", "device"),
    [("auto", 0, "cpu"), ("auto", 1, "cuda"), ("cpu", 1, "cpu"), ("cuda", 1, "cuda"), ("cuda:1", 2, "cuda:1")],
)
def test_device(monkeypatch: pytest.MonkeyPatch, wish: str, gpus: int, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert pick_device(wish) == device


@pytest.mark.parametrize(
    ("wish", "gpus", "message"),
    [
        ("cuda", 0, "torch finds no GPU"),
        ("cuda:0", 0, "no GPU"),
        ("cuda:2", 2, "only cuda:0 to cuda:1"),
        ("mps", 1, "one of"),
    ],
)
def test_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, wish: str, gpus: int, message: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(UsageError, match=message):
        pick_device(wish)
