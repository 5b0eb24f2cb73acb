"""Files of weights that cost far more than their size, in any size: torch's four containers, and safetensors."""

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from archives import in_dict, number, numbers, tensor, text, write_legacy, write_tar, write_zip

Write = Callable[[Path, int], None]
"""Writes a file of about so many bytes."""


def put(place: int) -> bytes:
    return b"r" + struct.pack("<I", place)


def get(place: int) -> bytes:
    return b"j" + struct.pack("<I", place)


def shared(size: int, start: bytes = b")", twice: bytes = b"\x86") -> bytes:
    """An object that holds the one before it twice, and so on: 2^30 paths in some 400 bytes, and on."""
    levels = max(30, min(size // 12, 5000))
    return start + b"".join(put(k) + b"0" + get(k) * 2 + twice for k in range(levels))


def storage_of(kind: bytes, key: bytes = text("0"), count: bytes = number(4), view: bytes = b"") -> bytes:
    return b"(" + text("storage") + kind + key + text("cpu") + count + view + b"tQ"


def rebuilt(
    storage: bytes, size: bytes = numbers((4,)), stride: bytes = numbers((1,)), offset: bytes = b"K\x00"
) -> bytes:
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + size + stride + b"\x89NtR"


FLOATS = b"ctorch\nFloatStorage\n"


def large_number(size: int) -> bytes:
    return b"\x8b" + struct.pack("<i", size) + b"\x7f" * size


def again(start: bytes, step: bytes, size: int) -> bytes:
    """A step repeated until the size is reached, each time without what the one before has left."""
    return start + (step + b"0") * ((size - len(start)) // (len(step) + 1)) + b"N"


PICKLES: dict[str, Callable[[int], bytes]] = {
    # What is formatted, compared, hashed or copied whole although it is only named again.
    "storage type of shared tuples": lambda size: rebuilt(storage_of(shared(size))),
    "storage key of shared tuples": lambda size: rebuilt(storage_of(FLOATS, shared(size))),
    "storage count of shared tuples": lambda size: rebuilt(storage_of(FLOATS, count=shared(size))),
    "size of shared tuples": lambda size: rebuilt(storage_of(FLOATS), shared(size)),
    "view of shared tuples": lambda size: rebuilt(storage_of(FLOATS, view=shared(size))),
    "persistent id of shared tuples": lambda size: shared(size) + b"Q",
    "shared lists": lambda size: shared(size, b"]", b"\x86"),
    "key of shared tuples": lambda size: b"}" + shared(size) + b"Ns",
    "name of shared tuples": lambda size: shared(size) + text("a") + b"\x93",
    "nested tuples": lambda size: b")" + b"\x85" * size,
    "nested lists": lambda size: b"]" * (size // 2) + b"a" * (size // 2 - 1),
    "nested dicts": lambda size: (b"}" + text("a")) * (size // 8) + b"}" + b"s" * (size // 8),
    "nested stubs": lambda size: b"ca\nb\nq\x00N" + b"\x85" + b"h\x00)R" * (size // 5) + b"b" * (size // 5 - 1),
    "nested marks": lambda size: b"(" * (size // 2) + b"t" * (size // 2),
    "long arguments, named again": lambda size: again(
        b"ctorch\nSize\n" + put(0) + b"(" + b"N" * (size // 2) + b"t" + put(1), get(0) + get(1) + b"R", size
    ),
    "long identities, named again": lambda size: again(
        b"(" + text("storage") + FLOATS + text("0") + text("cpu") + number(4) + b"N" * (size // 2) + b"t" + put(0),
        get(0) + b"Q",
        size,
    ),
    "large sizes, named again": lambda size: again(
        large_number(size // 2) + put(0) + b"(" + get(0) * 16 + b"t" + put(1)
        + storage_of(FLOATS, count=get(0)) + put(2) + b"0(" + b"K\x01" * 16 + b"t" + put(3),
        rebuilt(get(2), get(1), get(3)),
        size,
    ),
    "long name, named again": lambda size: again(
        text("a" * (size // 2)) + put(0), get(0) + get(0) + b"\x93", size
    ),
    "long texts as a sign": lambda size: text("a" * size) + b"Q",
    "keys of equal hash": lambda size: b"}(" + b"".join(
        number(k) + number(2**58 - k) + b"\x86N" for k in range(1, size // 14)
    ) + b"u",
    "one list in itself": lambda size: b"]" + put(0) + get(0) * (size // 5) + b"a" * (size // 5),
    "stubs that hold each other": lambda size: b"ca\nB\n)R" + put(0) + b"}" + text("_modules") + b"}(" + b"".join(
        text(f"{k:x}") + get(0) for k in range(size // 13)
    ) + b"usb",
    "text of digits": lambda size: b"L" + b"9" * size + b"L\n",
    "class of a long name": lambda size: b"c" + b"a" * size + b"\nb\n",
    "instance of a long name": lambda size: b"(i" + b"a" * size + b"\nb\n",
}  # fmt: skip
"""Pickled objects, without their ends."""


def in_zip(name: str) -> Write:
    return lambda path, size: write_zip(path, b"\x80\x02" + PICKLES[name](size) + b".")


def in_state(name: str, write: Callable[[Path, bytes], None]) -> Write:
    return lambda path, size: write(path, in_dict(state_dict=b"}" + text("w") + PICKLES[name](size) + b"s"))


def scripted(name: str) -> Write:
    """The attribute of a TorchScript module, among tensors that are whole."""
    module = b"c__torch__.a\nModel\n)\x81}(" + text("w") + tensor((4,))
    return lambda path, size: write_zip(path, b"\x80\x02" + module + text("x") + PICKLES[name](size) + b"ub.")


def names_of(size: int, each: int = 200) -> range:
    return range(max(1, size // each))


def tensors_of_one_storage(path: Path, size: int) -> None:
    """Half of the file are one storage at an odd place, the rest are tensors that each take all of it."""
    count = size // 8
    one = tensor((count,), count=count)
    parts = (b"}" + put(0) + b"0" + one + put(1) + b"0" + get(0) + b"(") + b"".join(
        text(f"{k:04x}") + get(1) for k in names_of(size, 28)
    )
    odd = b"x" * ((len(parts) + 1) % 2)
    write_zip(path, b"\x80\x02" + parts + b"u.", **{"data/0": b"\0" * (4 * count), "pad": odd})


def entries_at_one_place(path: Path, size: int) -> None:
    """Zip entries with names of their own, all at the place of one long storage."""
    count = size // 8
    names = [f"{k:04x}" for k in names_of(size, 300)]
    pickled = in_dict(**{name: tensor((count,), count=count, key=name) for name in names})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", b"\0" * (4 * count))
        first = archive.infolist()[-1]
        for name in names:
            info = zipfile.ZipInfo(f"archive/data/{name}")
            for field in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(info, field, getattr(first, field))
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info


def zip_of_many_entries(path: Path, size: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(size // 100):
            archive.writestr(f"{k:x}", b"")


def legacy_of_a_huge_count(path: Path, size: int) -> None:
    write_legacy(path, in_dict(w=tensor((4,))))
    content = path.read_bytes()
    path.write_bytes(content[:-24] + struct.pack("<q", 2**61) + b"\0" * size)


def legacy_keys_again(path: Path, size: int) -> None:
    """The list of storages names the same one again and again."""
    write_legacy(path, in_dict(w=tensor((4,))))
    content = path.read_bytes()
    keys = b"\x80\x02](" + text("0") + put(0) + get(0) * (size // 5) + b"e."
    path.write_bytes(content[: -24 - 11] + keys + content[-24:])


def tar_of(**members: bytes) -> Write:
    def write(path: Path, size: int) -> None:
        with tarfile.open(path, "w:") as archive:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content) + size
                archive.addfile(entry, io.BytesIO(content + b"\0" * size))

    return write


def tar_header(name: bytes, kind: bytes, size: int) -> bytes:
    entry = tarfile.TarInfo(name.decode())
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


def tar_of_headers(kind: bytes) -> Write:
    """Headers about the next header, which is one of these again."""
    return lambda path, size: path.write_bytes(tar_header(b"././@LongLink", kind, 0) * (size // 512) + bytes(1024))


def tar_of_records(path: Path, size: int) -> None:
    """One global header with many records, and many members, to each of which it belongs."""
    records = b"".join(b"%d k%x=v\n" % (len(f"{k:x}") + 6, k) for k in range(size // 20))
    head = tar_header(b"pax", tarfile.XGLTYPE, len(records)) + records + bytes(-len(records) % 512)
    path.write_bytes(head + tar_header(b"a", tarfile.REGTYPE, 0) * (size // 1024) + bytes(1024))


def tar_tensor(dimensions: int) -> Write:
    one = b"\x80\x02" + number(1) + b"."
    said = one + b"\x80\x02(" + number(7) + number(5) + b"ctorch\nFloatTensor\nt." + struct.pack("<i4x", dimensions)
    return tar_of(storages=b"\x80\x02K\x00.\x80\x02].", tensors=said, pickle=b"\x80\x02}.")


CONTAINERS: dict[str, Write] = {
    "tensors of one storage": tensors_of_one_storage,
    "zip entries at one place": entries_at_one_place,
    "zip of many entries": zip_of_many_entries,
    "zip with a long comment": lambda path, size: path.write_bytes(
        b"PK\x03\x04" + b"PK\x05\x06" * (size // 4)
    ),
    "zip of a huge tensor": lambda path, size: write_zip(
        path, in_dict(w=tensor((2**62,), (0,), count=2**62)), pad=b"\0" * size
    ),
    "zip of negative strides": lambda path, size: write_zip(
        path, in_dict(w=tensor((2, 2), (-1, 1), offset=2)), pad=b"\0" * size
    ),
    "legacy with a huge count": legacy_of_a_huge_count,
    "legacy with a key again": legacy_keys_again,
    "tar of long names": tar_of_headers(tarfile.GNUTYPE_LONGNAME),
    "tar of extended headers": tar_of_headers(tarfile.XHDTYPE),
    "tar of global headers": tar_of_headers(tarfile.XGLTYPE),
    "tar of many records": tar_of_records,
    "tar of many dimensions": tar_tensor(2**31 - 1),
    "tar of negative dimensions": tar_tensor(-1),
    "tar of endless storages": tar_of(storages=b"\x80\x02" + number(2**62) + b".", tensors=b"", pickle=b""),
}  # fmt: skip


def safetensors_file(header: bytes, length: int | None = None) -> Write:
    """A header of safetensors, which may lie about its own length, and the bytes after it."""
    said = len(header) if length is None else length
    return lambda path, size: path.write_bytes(said.to_bytes(8, "little") + header + b"\0" * size)


def one_tensor(**changes: object) -> bytes:
    return json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}).encode()


def header_of(make: Callable[[int], bytes]) -> Write:
    return lambda path, size: safetensors_file(make(size))(path, 4)


def many(size: int, **changes: object) -> bytes:
    row = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}
    return json.dumps({f"{k:x}": row for k in range(size // 70)}).encode()


SAFETENSORS: dict[str, Write] = {
    "header of 100 MB": safetensors_file(one_tensor(), 100_000_000),
    "header of 2^63 bytes": safetensors_file(one_tensor(), 2**63),
    "huge shape": safetensors_file(one_tensor(shape=[2**62, 2**62])),
    "huge shape of nothing": safetensors_file(one_tensor(shape=[2**62, 0], data_offsets=[0, 0])),
    "negative shape": safetensors_file(one_tensor(shape=[-1])),
    "offsets backwards": safetensors_file(one_tensor(data_offsets=[4, 0])),
    "tensors at one place": header_of(many),
    "tensors of nothing": header_of(lambda size: many(size, shape=[0], data_offsets=[0, 0])),
    "nested header": header_of(lambda size: b'{"a":' * (size // 5)),
    "nested lists": header_of(lambda size: b'{"a":' + b"[" * size),
    "long name": header_of(lambda size: json.dumps({"w" * size: {}}).encode()),
    "long dtype": header_of(lambda size: one_tensor(dtype="F" * size)),
    "many dimensions": header_of(lambda size: one_tensor(shape=[1] * (size // 3))),
    "long name of a tensor": header_of(
        lambda size: json.dumps({"w" * size: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    ),
}

ELSEWHERE: dict[str, Callable[[str], Write]] = {
    "a state dict": lambda name: in_state(name, write_zip),
    "a legacy file": lambda name: in_state(name, write_legacy),
    "a tar": lambda name: in_state(name, write_tar),
    "TorchScript": scripted,
}
"""Where a pickled object may lie, other than at the root of a zip."""
