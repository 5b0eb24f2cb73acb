"""Files of flax: read as they were written, and refused in a line whatever else they hold."""

import struct
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
import torch
from archives import refused
from dalle_minis import packed

from clipgen.weights import msgpack_files
from clipgen.weights.foreign import read_foreign

ONE = np.arange(6, dtype=np.float32).reshape(2, 3)


def saved(folder: Path, content: bytes | dict[str, Any]) -> Path:
    path = folder / "flax_model.msgpack"
    path.write_bytes(packed(content) if isinstance(content, dict) else content)
    return path


def fixmap(*items: bytes) -> bytes:
    """A short map of the bytes of keys and values."""
    return bytes([0x80 + len(items) // 2]) + b"".join(items)


def key(name: str) -> bytes:
    return bytes([0xA0 + len(name)]) + name.encode()


def array(shape: bytes, dtype: bytes, numbers: bytes, kind: int = 1) -> bytes:
    inside = b"\x93" + shape + dtype + numbers
    return b"\xc7" + struct.pack(">BB", len(inside), kind) + inside


FOUR = array(b"\x92\x02\x02", key("int8"), b"\xc4\x04\x01\x02\x03\xff")


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8"])
def test_arrays_come_back_under_their_paths(tmp_path: Path, dtype: str) -> None:
    wanted = {"a": ONE.astype(dtype), "b": {"c": ONE[0].astype(dtype), "d": {"e": np.zeros((0, 4), dtype)}}}
    found = read_foreign(saved(tmp_path, wanted))
    assert list(found) == ["a", "b.c", "b.d.e"]
    assert np.array_equal(found["a"].numpy(), wanted["a"])
    assert np.array_equal(found["b.c"].numpy(), wanted["b"]["c"])
    assert found["b.d.e"].shape == (0, 4)
    assert {str(value.dtype) for value in found.values()} == {f"torch.{dtype}"}


def test_the_shorter_forms_of_msgpack_are_read(tmp_path: Path) -> None:
    scalar = array(b"\x90", key("bfloat16"), b"\xc4\x02\x80\x3f")
    short = b"\xd4\x03\x00"  # an extension of one byte: a number of numpy's
    others = [b"\xc0", b"\xc3", b"\x07", b"\xff", b"\xcb" + bytes(8), b"\xd3" + bytes(8), b"\x91\x01", short]
    items = [part for at, value in enumerate(others) for part in (key(f"k{at}"), value)]
    found = read_foreign(saved(tmp_path, fixmap(key("w"), FOUR, key("s"), scalar, *items)))
    assert list(found) == ["w", "s"]
    assert found["w"].tolist() == [[1, 2], [3, -1]]
    assert (found["s"].dtype, found["s"].item()) == (torch.bfloat16, 1.0)


def test_an_array_in_chunks_is_joined(tmp_path: Path) -> None:
    whole = np.arange(10, dtype=np.float32).reshape(5, 2)
    chunks = {"0": whole.ravel()[:7], "1": whole.ravel()[7:]}
    table = {"__msgpack_chunked_array__": True, "shape": {"0": 5, "1": 2}, "chunks": chunks}
    assert np.array_equal(read_foreign(saved(tmp_path, {"w": table}))["w"].numpy(), whole)
    for change in ({"shape": {"0": 5, "1": 3}}, {"shape": {"1": 10}}, {"chunks": {}}, {"chunks": {"0": 1}},
                   {"chunks": {"0": ONE, "1": ONE.astype(np.int8)}}, {"shape": {"0": ONE}}):  # fmt: skip
        assert "the chunks of 'w'" in refused(saved(tmp_path, {"w": table | change}))


def test_reading_does_not_write(tmp_path: Path) -> None:
    path = saved(tmp_path, {"w": ONE})
    before = path.read_bytes()
    read_foreign(path)["w"].zero_()
    assert path.read_bytes() == before


HOSTILE = {
    "a map without end": b"\xdf\xff\xff\xff\xff",
    "a list without end": fixmap(key("w"), b"\xdd\xff\xff\xff\xff"),
    "bytes without end": fixmap(key("w"), b"\xc6\xff\xff\xff\xff"),
    "a text without end": fixmap(key("w"), b"\xdb\xff\xff\xff\xff"),
    "an array without end": fixmap(key("w"), b"\xc9\xff\xff\xff\xff\x01"),
    "maps in maps": (b"\x81\xa1a" * 10**6) + b"\xc0",
    "lists in lists": b"\x81\xa1a" + b"\x91" * 10**6 + b"\xc0",
    "lists in an array": fixmap(key("w"), b"\xc9" + struct.pack(">IB", 10**6, 1) + b"\x91" * 10**6),
    "arrays in arrays": fixmap(key("w"), b"\xc7\x07\x01" + b"\xc7\x04\x01" + b"\xc7\x01\x01\x00"),
    "many items": fixmap(key("w"), b"\xdd" + struct.pack(">I", 10**6) + b"\x00" * 10**6),
    "more than a map": fixmap(key("w"), FOUR) + b"\xc0",
    "a byte that begins nothing": fixmap(key("w"), b"\xc1"),
    "a name that is none": fixmap(b"\x01", FOUR),
    "a name twice": fixmap(key("w"), FOUR, key("w"), FOUR),
    "a long name": fixmap(b"\xda\x02\x00" + b"a" * 512, FOUR),
    "a name of long parts": packed({"a" * 250: {"b" * 250: ONE}}),
    "a name in no text": fixmap(b"\xa1\xff", FOUR),
    "a shape too large": fixmap(key("w"), array(b"\x92\x02\x03", key("int8"), b"\xc4\x04\1\2\3\4")),
    "a shape below zero": fixmap(key("w"), array(b"\x92\xfe\xfe", key("int8"), b"\xc4\x04\1\2\3\4")),
    "a shape of huge numbers": fixmap(key("w"), array(b"\x92" + (b"\xcf" + b"\xff" * 8) * 2, key("int8"), b"\xc4\x00")),
    "a shape of many numbers": fixmap(key("w"), array(b"\xdc\x00\x11" + b"\x01" * 17, key("int8"), b"\xc4\x01\x00")),
    "a shape of texts": fixmap(key("w"), array(b"\x91\xa1a", key("int8"), b"\xc4\x00")),
    "no shape": fixmap(key("w"), array(b"\xc0", key("int8"), b"\xc4\x00")),
    "objects": fixmap(key("w"), array(b"\x91\x01", key("object"), b"\xc4\x08" + bytes(8))),
    "a type that is a list": fixmap(key("w"), array(b"\x91\x01", b"\x90", b"\xc4\x00")),
    "numbers that are a text": fixmap(key("w"), array(b"\x91\x01", key("int8"), b"\xa1a")),
    "more behind an array": fixmap(key("w"), array(b"\x91\x01", key("int8"), b"\xc4\x01\x00\xc0")),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    begin = monotonic()
    refused(saved(tmp_path, HOSTILE[name]))
    assert monotonic() - begin < 5


def test_a_file_that_ends_anywhere_is_refused(tmp_path: Path) -> None:
    content = packed({"a": ONE, "b": {"c": ONE[0]}})
    for length in range(1, len(content)):
        assert "it ends too early" in refused(saved(tmp_path, content[:length]))


def test_a_file_with_any_byte_changed_is_read_or_refused(tmp_path: Path) -> None:
    content = packed({"a": ONE[:1, :2], "b": {"c": ONE[0, :1]}})
    read = 0
    for at in range(1, len(content)):  # with another first byte it is another sort of file
        for byte in (0, 0x81, 0xC7, 0xD9, 0xDF, 0xFF):
            path = saved(tmp_path, content[:at] + bytes([byte]) + content[at + 1 :])
            try:
                read_foreign(path)
                read += 1
            except Exception:
                refused(path)
    assert read > 50  # the numbers may be any


def test_limits_are_those_of_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, {str(k): ONE for k in range(10)})
    assert len(read_foreign(path)) == 10
    monkeypatch.setattr(msgpack_files, "MAX_ITEMS", 50)
    assert "without end" in refused(path)
