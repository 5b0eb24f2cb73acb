"""Weight files that want to run something, to read beyond themselves, or to keep the machine busy."""

import pickle
import shlex
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from archives import (
    CONTAINERS,
    Callee,
    in_dict,
    number,
    refused,
    same,
    tensor,
    text,
    write_legacy,
    write_tar,
    write_zip,
)

from clipgen.weights import foreign
from clipgen.weights.foreign import read_foreign

FOUR = tensor((2, 2), (2, 1))


def commands(marker: Path) -> dict[str, bytes]:
    """Pickled objects, without the end, that make a file when they are loaded carelessly."""
    shell = shlex.join(["touch", str(marker)])
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
        "new with keywords": b"csubprocess\nPopen\n)}" + text("args") + text(shell) + b"s\x92",
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
def test_no_pickle_can_do_anything(tmp_path: Path, name: str, container: str) -> None:
    marker = tmp_path / "marker"
    payload = commands(marker)[name]
    weight = text("7") + b"Q" if container == "tar" else FOUR
    write = CONTAINERS[container]
    write(tmp_path / "root.pt", b"\x80\x02" + payload + b".")
    assert "without tensors" in refused(tmp_path / "root.pt")
    write(tmp_path / "value.pt", in_dict(state_dict=b"}" + text("w") + payload + b"s"))
    assert "instead of a tensor" in refused(tmp_path / "value.pt")
    write(tmp_path / "beside.pt", in_dict(callbacks=payload, state_dict=b"}" + text("w") + weight + b"s"))
    assert same(read_foreign(tmp_path / "beside.pt"), {"state_dict.w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})
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
def test_tensors_lie_inside_their_storage(tmp_path: Path, lie: str, write: Callable[[Path, bytes], None]) -> None:
    write(tmp_path / "a.pt", in_dict(w=LIES[lie]))
    refused(tmp_path / "a.pt")


@pytest.mark.parametrize(("size", "stride"), [((5,), (1,)), ((2, 2), (3, 1)), ((-1,), (1,)), ((4,), (2,))])
def test_so_they_do_in_a_tar(tmp_path: Path, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
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
def test_bombs_are_refused_in_one_line(tmp_path: Path, bomb: str) -> None:
    write_zip(tmp_path / "a.pt", b"\x80\x02" + BOMBS[bomb] + b".")
    refused(tmp_path / "a.pt")
    write_zip(tmp_path / "a.pt", in_dict(state_dict=b"}" + text("w") + BOMBS[bomb] + b"s"))
    refused(tmp_path / "a.pt")


def test_no_loader_that_runs_code_is_named_in_the_package() -> None:
    package = Path(foreign.__file__).parents[1]
    for path in package.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for banned in ("import pickle\n", "from pickle import", "torch.jit.load", "Unpickler("):
            assert banned not in source, f"{path}: {banned}"
