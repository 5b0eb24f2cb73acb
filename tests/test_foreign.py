"""Weights from strangers: the tensors come out as they were saved, and nothing else in the file ever happens."""

import pickle
import random
import struct
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import archives
import numpy as np
import pytest
import torch
from archives import CONTAINERS, in_dict, number, tensor, text, write_legacy, write_tar, write_zip
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor, nn

from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.weights import foreign
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


class Callee:
    """Pickles to a call."""

    def __init__(self, function: Callable[..., object], *arguments: object):
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def save(value: object, path: Path, zipped: bool = True) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, path, _use_new_zipfile_serialization=zipped)


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    types = [value.dtype for value in found.values()] == [value.dtype for value in wanted.values()]
    return list(found) == list(wanted) and types and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[Path], str]:
    """Reads a file that must be refused in one line."""

    def read(path: Path) -> str:
        with pytest.raises(ClipgenError) as caught:
            read_foreign(path)
        message = str(caught.value)
        assert message.startswith(f"{path.name} cannot be read as weights: ")
        assert "\n" not in message
        assert message.endswith("; fetch it again or use another")
        return message

    return read


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"epoch": 1, "state_dict": state, "rest": [{}]}])
def test_a_state_dict_comes_back_bit_for_bit(tmp_path: Path, zipped: bool, wrap: Callable[..., object]) -> None:
    save(wrap(STATE), tmp_path / "a.pt", zipped)
    assert same(read_foreign(tmp_path / "a.pt"), STATE)


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
def test_lightning_and_omegaconf_leave_nothing_but_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    """Neither class may be there when the file is read: no import can have helped."""
    with monkeypatch.context() as patch:
        checkpoint = archives.lightning(patch, STATE)
        checkpoint["hyper_parameters"] = OmegaConf.create({"model": {"n": [1, 2.5, None, "${oc.env:HOME}"]}})
        checkpoint["score"] = np.float64(0.25)
        save(checkpoint, tmp_path / "last.ckpt", zipped)
    assert same(read_foreign(tmp_path / "last.ckpt"), STATE)


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


def commands(marker: Path) -> dict[str, bytes]:
    """Pickled objects, without the end, that make a file when they are loaded carelessly."""
    shell = f"touch {marker}"
    python = f"__import__('os').system({shell!r})"
    system = text(shell) + b"\x85"
    nested = Callee(getattr, Callee(__import__, "os"), "system")
    dumped = {
        "eval": Callee(eval, python),
        "exec": Callee(exec, python),
        "nested": Callee(map, nested, [shell]),
        "popen": Callee(subprocess.Popen, ["touch", str(marker)]),
        "partial": Callee(pickle.loads, pickle.dumps(Callee(eval, python))),
        "opened": Callee(open, str(marker), "w"),
        "torch": Callee(torch.hub.load, str(marker.parent), "x"),
        "load": Callee(torch.load, str(marker)),
    }
    by_hand = {
        "os": b"cos\nsystem\n" + system + b"R",
        "posix": b"cposix\nsystem\n" + system + b"R",
        "posix 4": text("posix") + text("system") + b"\x93" + system + b"R",
        "two calls": b"c__builtin__\ngetattr\n(cbuiltins\n__import__\n" + text("os") + b"\x85R" + text("system") + b"tR"
        + system + b"R",
        "new": b"csubprocess\nPopen\n(" + text(shell) + b"NNNNNNN\x88t\x81",
        "new with keywords": b"csubprocess\nPopen\n)}" + text("args") + text(shell) + b"s" + text("shell") + b"\x88s\x92",
        "instance": b"(S" + repr(shell).encode() + b"\nios\nsystem\n",
        "object": b"(cos\nsystem\n" + text(shell) + b"o",
        "build": b"cos\nsystem\n)R}" + text("__setstate__") + b"cos\nsystem\ns" + b"b" + system + b"b",
        "dotted": text("os.path") + text("os.system") + b"\x93" + system + b"R",
        "class of a tensor": b"ctorch._utils\n_rebuild_parameter\n(cos\nsystem\n" + system + b"R\x89NtR",
    }  # fmt: skip
    protocols = {f"{name} {kind}": pickle.dumps(value, kind)[2:-1] for name, value in dumped.items() for kind in (2, 4)}
    return by_hand | protocols


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", commands(Path("/tmp/x")))
def test_no_pickle_can_do_anything(tmp_path: Path, refused: Callable[[Path], str], name: str, container: str) -> None:
    marker = tmp_path / "marker"
    payload = commands(marker)[name]
    weight = text("7") + b"Q" if container == "tar" else FOUR
    write = CONTAINERS[container]
    write(tmp_path / "root.pt", b"\x80\x02" + payload + b".")
    assert "without tensors" in refused(tmp_path / "root.pt")
    write(tmp_path / "value.pt", in_dict(state_dict=b"}" + text("w") + payload + b"s"))
    assert "instead of a tensor" in refused(tmp_path / "value.pt")
    write(tmp_path / "beside.pt", in_dict(callbacks=payload, state_dict=b"}" + text("w") + weight + b"s"))
    assert same(read_foreign(tmp_path / "beside.pt"), {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})
    assert not marker.exists()


def test_the_commands_would_work_elsewhere(tmp_path: Path) -> None:
    """They are no straw men: Python's own loader obeys them."""
    for name in ("os", "posix 4", "two calls", "instance", "object", "eval 2", "partial 4"):
        marker = tmp_path / name.replace(" ", "")
        pickle.loads(b"\x80\x02" + commands(marker)[name] + b".")
        assert marker.exists(), name


def test_the_code_of_a_scripted_module_is_never_looked_at(tmp_path: Path) -> None:
    code = {
        "code/__torch__.py": b"raise SystemExit(1)",
        "constants.pkl": b"\x80\x02cos\nsystem\n" + text("x") + b"\x85R.",
    }
    module = b"\x80\x02c__torch__.a\nModel\n)\x81}" + text("w") + FOUR + b"sb."
    write_zip(tmp_path / "a.pt", module, **code)
    assert same(read_foreign(tmp_path / "a.pt"), {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})


LIES = {
    "size": tensor((5,)),
    "huge": tensor((2**40,), count=2**41),
    "offset": tensor((2,), offset=3),
    "negative offset": tensor((2,), offset=-1),
    "negative size": tensor((-1, -1), (1, 1)),
    "stride": tensor((2, 2), (3, 1)),
    "negative stride": tensor((2,), (-1,), offset=1),
    "repeated": tensor((2**40,), (0,)),
    "storage": tensor((8,), count=8),
    "missing storage": tensor((2,), key="1"),
    "other type": tensor((4,), kind="DoubleStorage"),
    "unknown type": tensor((4,), kind="QInt8Storage"),
    "fewer strides": tensor((2, 2), (1,)),
    "many dimensions": tensor((1,) * 100, (1,) * 100),
    "no storage": b"ctorch._utils\n_rebuild_tensor_v2\n(" + text("x") + b"K\x00))\x89NtR",
}


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize("lie", LIES)
def test_tensors_lie_inside_their_storage(
    tmp_path: Path, refused: Callable[[Path], str], lie: str, write: Callable[[Path, bytes], None]
) -> None:
    write(tmp_path / "a.pt", in_dict(w=LIES[lie]))
    refused(tmp_path / "a.pt")


@pytest.mark.parametrize(("size", "stride"), [((5,), (1,)), ((2, 2), (3, 1)), ((-1,), (1,)), ((4,), (2,))])
def test_so_they_do_in_a_tar(
    tmp_path: Path, refused: Callable[[Path], str], size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    write_tar(tmp_path / "a.pt", in_dict(w=text("7") + b"Q"), size, stride)
    refused(tmp_path / "a.pt")


def laughs(start: bytes, double: bytes, depth: int = 60) -> bytes:
    """An object that holds the one before twice, and so on."""
    steps = (double.replace(b"?", b"j" + struct.pack("<I", level)) for level in range(depth))
    return start + b"".join(b"r" + struct.pack("<I", level) + b"0" + step for level, step in enumerate(steps))


MODULE = b"ca\nB\n)R}" + text("_modules") + b"}(" + text("a") + b"?" + text("b") + b"?usb"
BOMBS = {
    "deep key": b"}" + b")" + b"\x85" * 300_000 + b"Ns",
    "deep tuple": b")" + b"\x85" * 300_000,
    "deep list": b"]" * 300_000 + b"a" * 299_999,
    "deep stubs": b"ca\nb\nq\x00N" + b"\x85" + b"h\x00)R" * 100_000 + b"b" * 99_999,
    "deep key of a set": b"\x8f(" + b")" + b"\x85" * 300_000 + b"\x90",
    "laughing list": laughs(b"]", b"](??e"),
    "laughing modules": laughs(b"ca\nB\n)R", MODULE),
    "laughing keys": laughs(b")", b"??\x86") + b"\x85}j" + struct.pack("<I", 0) + b"Ns",
    "module in itself": b"ca\nB\n)Rq\x00}" + text("_modules") + b"}" + text("x") + b"h\x00ssb",
    "ordered dict of much": b"ccollections\nOrderedDict\n](" + b"NN\x86" * 1000 + b"e\x85R",
    "colliding keys": b"}(" + b"".join(number(k * (2**61 - 1)) + b"N" for k in range(1, 9)) + b"u",
    "endless name": text("a" * 100_000) + text("b") + b"\x93",
    "endless": b"N0" * 1_100_000,
    "extension": b"\x82\x01",
    "buffer": b"\x97",
    "nothing on the stack": b"R",
    "no mark": b"t",
    "no memo": b"h\x07",
    "long string": b"\x8d" + struct.pack("<Q", 2**62),
    "long number": b"\x8b" + struct.pack("<i", 2**31 - 1),
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.timeout(60)
def test_bombs_are_refused_in_one_line(tmp_path: Path, refused: Callable[[Path], str], bomb: str) -> None:
    write_zip(tmp_path / "a.pt", b"\x80\x02" + BOMBS[bomb] + b".")
    refused(tmp_path / "a.pt")
    write_zip(tmp_path / "a.pt", in_dict(state_dict=b"}" + text("w") + BOMBS[bomb] + b"s"))
    refused(tmp_path / "a.pt")


CONTENTS = {
    "a web page": b"\n<!DOCTYPE html>...",
    "neither": b"hello" * 100,
    "neither ": b"",
    "broken": b"PK\x03\x04" + b"\0" * 40,
    "its pickle": b"\x80\x02" + b"N.",
}


@pytest.mark.parametrize("reason", CONTENTS)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, refused: Callable[[Path], str], reason: str) -> None:
    (tmp_path / "a.ckpt").write_bytes(CONTENTS[reason])
    message = refused(tmp_path / "a.ckpt")
    assert "web page" in message or reason != "a web page"


def test_archives_that_torch_never_wrote_are_refused(tmp_path: Path, refused: Callable[[Path], str]) -> None:
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


def test_no_loader_that_runs_code_is_named_in_the_package() -> None:
    package = Path(foreign.__file__).parents[1]
    for path in package.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for banned in ("import pickle\n", "from pickle import", "torch.jit.load", "Unpickler("):
            assert banned not in source, f"{path}: {banned}"
