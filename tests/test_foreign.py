"""Weights from strangers: the tensors come out as they were saved, and nothing else in the file ever happens."""

import random
import warnings
from collections.abc import Callable
from pathlib import Path

import archives
import numpy as np
import pytest
import torch
from archives import in_dict, refused, same, tensor, text, write_tar, write_zip
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor, nn

from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.weights.foreign import read_foreign

FOUR = tensor((2, 2), (2, 1))
STATE = {
    "half": torch.arange(6).view(2, 3).half(),
    "turned": torch.randn(3, 4, 5).permute(2, 0, 1),
    "slice": torch.arange(20.0)[3:9:2],
    "count": torch.tensor(7),
    "wide": torch.randn(5).double(),
    "brain": torch.randn(3).bfloat16(),
    "none": torch.zeros(0, 3),
}


def save(value: object, path: Path, zipped: bool = True) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, path, _use_new_zipfile_serialization=zipped)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda state: state, ""),
        (lambda state: {"epoch": 1, "state_dict": state, "rest": [{}]}, "state_dict."),
        (lambda state: [{"a": None}, (state, 3)], "1.0."),
        (lambda state: {"steps": {7: {"model": state}}, "losses": [0.5] * 1000}, "steps.7.model."),
    ],
)
def test_a_state_dict_comes_back_bit_for_bit_by_its_path(
    tmp_path: Path, zipped: bool, wrap: Callable[..., object], path: str
) -> None:
    save(wrap(STATE), tmp_path / "a.pt", zipped)
    assert same(read_foreign(tmp_path / "a.pt"), {path + name: value for name, value in STATE.items()})


def test_so_does_one_of_safetensors_and_one_of_a_module(tmp_path: Path) -> None:
    state = {name: value.contiguous() for name, value in STATE.items()}
    save_file(state, tmp_path / "a.safetensors")
    found = read_foreign(tmp_path / "a.safetensors")
    assert same({name: found[name] for name in state}, state)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Linear(2, 2, bias=False)))
    for zipped in (True, False):
        save(module, tmp_path / "a.pkl", zipped)
        assert same(read_foreign(tmp_path / "a.pkl"), module.state_dict())
        save(module.state_dict(), tmp_path / "a.pkl", zipped)
        assert same(read_foreign(tmp_path / "a.pkl"), module.state_dict())


@pytest.mark.parametrize("zipped", [True, False])
def test_views_of_one_storage_stay_what_they_were(tmp_path: Path, zipped: bool) -> None:
    whole = torch.arange(24.0)
    state = {"whole": whole, "part": whole[3:9], "steps": whole.view(4, 6).T[1:, ::2], "again": whole}
    save(state, tmp_path / "a.pt", zipped)
    assert same(read_foreign(tmp_path / "a.pt"), state)


@pytest.mark.parametrize("zipped", [True, False])
def test_lightning_and_omegaconf_leave_nothing_but_tensors_at_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    """Neither class may be there when the file is read: no import can have helped."""
    with monkeypatch.context() as patch:
        checkpoint = archives.lightning(patch, STATE)
        checkpoint["hyper_parameters"] = OmegaConf.create({"model": {"n": [1, 2.5, None, "${oc.env:HOME}"]}})
        checkpoint["score"] = np.float64(0.25)
        save(checkpoint, tmp_path / "last.ckpt", zipped)
    found = read_foreign(tmp_path / "last.ckpt")
    inside = {name: value for name, value in found.items() if name.startswith("state_dict.")}
    assert same(inside, {f"state_dict.{name}": value for name, value in STATE.items()})
    assert {name.split(".")[0] for name in found} == {"callbacks", "optimizer_states", "state_dict"} - {"callbacks"}


def test_a_scripted_module_is_read_without_its_code(tmp_path: Path) -> None:
    class Scripted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
            self.register_buffer("size", torch.tensor(7))

        def forward(self, values: Tensor) -> Tensor:
            return self.inner(values)  # type: ignore[no-any-return]

    module = Scripted().half()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), tmp_path / "a.pt")
    found = read_foreign(tmp_path / "a.pt")
    assert same({name: found[name] for name in module.state_dict()}, module.state_dict())
    assert found.keys() == module.state_dict().keys()


def test_the_tar_of_the_first_releases_is_read(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.pt", in_dict(w=text("7") + b"Q"))
    assert same(read_foreign(tmp_path / "a.pt"), {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})


def test_a_tensor_is_a_view_of_the_file_and_never_changes_it(tmp_path: Path) -> None:
    save(STATE, tmp_path / "a.pt")
    before = (tmp_path / "a.pt").read_bytes()
    read_foreign(tmp_path / "a.pt")["half"].zero_()
    assert (tmp_path / "a.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n<!DOCTYPE html>...", "it is a web page"),
        (b"hello" * 100, "it is neither safetensors nor a file of torch"),
        (b"", "it is broken"),
        (b"PK\x03\x04" + b"\0" * 40, "it is a broken archive"),
        (b"\x80\x02N.", "it is broken"),
        (b"\x08\0\0\0\0\0\0\0{nothing", "it is broken"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    assert reason in refused(tmp_path / "a.ckpt")


def test_archives_that_torch_never_wrote_are_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.pt", in_dict(w=FOUR), compress=True)
    assert "compressed" in refused(tmp_path / "a.pt")
    write_zip(tmp_path / "a.pt", in_dict(w=FOUR), byteorder=b"big")
    assert "big-endian" in refused(tmp_path / "a.pt")
    write_zip(tmp_path / "a.pt", b"")
    refused(tmp_path / "a.pt")
    with pytest.raises(WeightsMissingError, match="there is no file"):
        read_foreign(tmp_path / "nothing.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_files_are_refused_or_read_and_nothing_else(tmp_path: Path, zipped: bool) -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    save({"state_dict": module.state_dict(), "module": module}, tmp_path / "a.pt", zipped)
    whole, draw = (tmp_path / "a.pt").read_bytes(), random.Random(0)
    for index in range(300):
        damaged = bytearray(whole)
        for _ in range(1 + index % 3):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        cut = draw.randrange(len(damaged)) if index % 4 == 0 else len(damaged)
        (tmp_path / "b.pt").write_bytes(damaged[:cut])
        try:
            for value in read_foreign(tmp_path / "b.pt").values():
                value.sum()
        except ClipgenError:
            continue
