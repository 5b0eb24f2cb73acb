"""Captioned pictures in every shape in which people have them, and in those that lie."""

import io
import json
import os
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipgen.errors import UsageError
from clipgen.training import captions, tables, tars
from clipgen.training.captions import MAX_CAPTION, MAX_CAPTIONS, Captioned, read_captions


def png(value: int = 0, size: tuple[int, int] = (6, 4)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, (value, 255 - value, 7)).save(content, "PNG")
    return content.getvalue()


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def archive(path: Path, files: Mapping[str, bytes | str], kind: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in files.items():
            raw = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            tar.addfile(entry, io.BytesIO(raw))
    return path


def told(found: list[Captioned]) -> dict[str, tuple[str, ...]]:
    return {each.name: each.captions for each in found}


def first_red(found: list[Captioned], name: str) -> int:
    return int(np.asarray(next(each for each in found if each.name == name).open())[0, 0, 0])


def test_each_line_of_a_text_beside_a_picture_is_a_caption_of_it(tmp_path: Path) -> None:
    files = {"a.png": png(5), "a.txt": "\ufeffa cat \n\n  a  black cat\r\na cat\n", "inner/b.JPG": png(9)}
    files |= {"inner/b.TXT": "a dog", "none.png": png(), "empty.png": png(), "empty.txt": "\n", "readme.txt": "hello"}
    files |= {".hidden.png": png(), ".hidden.txt": "x", ".git/c.png": png(), ".git/c.txt": "x"}
    said: list[str] = []
    found = read_captions(write(tmp_path, files), said.append)
    assert told(found) == {"a.png": ("a cat", "a black cat"), "inner/b.JPG": ("a dog",)}
    assert first_red(found, "inner/b.JPG") == 9
    assert "2 pictures with 3 captions; 2 without" in said[0]


def test_a_picture_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    found = read_captions(write(tmp_path, {"a.png": b"no picture", "a.txt": "a cat"}))
    with pytest.raises(UsageError, match=r"^--data 'a.png' is not one of PNG"):
        found[0].open()
    (tmp_path / "a.png").unlink()
    with pytest.raises(UsageError, match=r"^--data 'a.png' cannot be read"):
        found[0].open()


def test_the_stamp_tells_that_a_picture_has_changed(tmp_path: Path) -> None:
    write(tmp_path, {"a.png": png(1), "a.txt": "a cat"})
    before = read_captions(tmp_path)[0].stamp
    assert read_captions(tmp_path)[0].stamp == before
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert read_captions(tmp_path)[0].stamp != before


def test_links_to_pictures_are_read_and_circles_and_pipes_are_not(tmp_path: Path) -> None:
    """Download caches are folders of links."""
    blobs = write(tmp_path / "blobs", {"1": png(3), "2": "a cat"})
    data = write(tmp_path / "data", {"b.png": png(), "c.png": png(), "d.txt": "a dog"})
    for link, target in [("a.png", blobs / "1"), ("a.txt", blobs / "2"), ("b.txt", data / "b.txt"), ("loop", data)]:
        (data / link).symlink_to(target)
    os.mkfifo(data / "c.txt")
    os.mkfifo(data / "d.png")
    found = read_captions(data)
    assert told(found) == {"a.png": ("a cat",), "d.png": ("a dog",)}
    assert first_red(found, "a.png") == 3
    with pytest.raises(UsageError, match="not a regular file"):
        found[1].open()


def test_folders_are_classes_only_where_no_picture_has_a_text(tmp_path: Path) -> None:
    write(tmp_path, {"train/red_apple/1.png": png(), "ice-cream/2.png": png(), "3.png": png(), "a.tsv": ""})
    said: list[str] = []
    found = told(read_captions(tmp_path, said.append))
    assert set(found) == {"train/red_apple/1.png", "ice-cream/2.png"}
    assert found["train/red_apple/1.png"][:3] == ("red apple", "a picture of red apple", "a picture of a red apple")
    assert "a picture of an ice cream" in found["ice-cream/2.png"]
    assert "1 without" in said[0]
    write(tmp_path, {"3.txt": "a pear"})
    assert told(read_captions(tmp_path)) == {"3.png": ("a pear",)}


TABLES = {
    "header.tsv": "caption\tpath\na cat\ta.png\na black cat\ta.png\na dog\tin/b.png\n",
    "bare.tsv": "a.png\ta cat\nin/b.png\ta dog\na.png\ta black cat\n",
    "turned.tsv": "a cat\ta.png\n\na dog\tin/b.png\na black cat\ta.png",
    "mixed.csv": "id,file_name,text,source of the picture\n1,a.png,a cat,a long address that is no caption\n"
    '2,a.png,"a black\ncat",x\n3,in/b.png,a dog,x\n',
    "BOM.TSV": "\ufeffa.png\ta cat\r\na.png\ta black cat\r\nin/b.png\ta dog\r\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_names_pictures_and_captions_in_any_order(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"a.png": png(8), "in/b.png": png(), name: TABLES[name]})
    said: list[str] = []
    found = read_captions(tmp_path / name, said.append)
    assert told(found) == {"a.png": ("a cat", "a black cat"), "in/b.png": ("a dog",)}
    assert first_red(found, "a.png") == 8
    assert "left out" not in said[0]


def test_rows_without_a_file_or_a_caption_are_counted_and_quotes_in_tsv_are_text(tmp_path: Path) -> None:
    rows = ['a.png\t"hello" she said', "gone.png\tx", "b.png\t", f"{'n' * 5000}.png\tx", "b\0.png\tx", "alone"]
    write(tmp_path, {"a.png": png(), "b.png": png(), "t.tsv": "\n".join(rows)})
    said: list[str] = []
    assert told(read_captions(tmp_path / "t.tsv", said.append)) == {"a.png": ('"hello" she said',)}
    assert "5 without" in said[0]


def shard(kind: str = "txt") -> dict[str, bytes | str]:
    said = {"txt": "a cat\na black cat\n", "json": json.dumps({"caption": ["a cat", "a black cat"], "id": 1})}
    return {"0.jpg": png(4), f"0.{kind}": said[kind], "1.png": png(6), "1.json": '{"caption": "a dog"}', "2.png": png()}


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("said", ["txt", "json"])
def test_an_archive_is_read_where_it_is(tmp_path: Path, kind: int, said: str) -> None:
    folder = "é" * 60  # which makes a header about the next one necessary
    files = {f"{folder}/{name}": content for name, content in shard(said).items()}
    found = read_captions(archive(tmp_path / "s.tar", files, kind))
    assert told(found) == {f"s.tar/{folder}/0.jpg": ("a cat", "a black cat"), f"s.tar/{folder}/1.png": ("a dog",)}
    assert first_red(found, f"s.tar/{folder}/1.png") == 6
    assert [each.name for each in tmp_path.iterdir()] == ["s.tar"]


@pytest.mark.parametrize("spelled", ["", "s-{08..10}.tar", "s-*.tar", "s-{0..1}{0,8..9}.tar"])
def test_several_archives_are_one_set(tmp_path: Path, spelled: str) -> None:
    for number in ("08", "09", "10"):
        archive(tmp_path / f"s-{number}.tar", shard())
    if "," in spelled:
        with pytest.raises(UsageError, match="--data"):
            read_captions(tmp_path / spelled)
        return
    names = [each.name for each in read_captions(tmp_path / spelled)]
    assert names == [f"s-{number}.tar/{name}" for number in ("08", "09", "10") for name in ("0.jpg", "1.png")]


def test_names_and_links_in_an_archive_reach_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"secret.png": png(), "secret.txt": "a secret"})
    path = archive(
        tmp_path / "s.tar", {"../../x.png": png(2), "../../x.txt": "a cat", "/etc/y.png": png(), "/etc/y.txt": "b"}
    )
    with tarfile.open(path, "a") as tar:
        for name, kind in [("l.png", tarfile.SYMTYPE), ("h.png", tarfile.LNKTYPE), ("p.png", tarfile.FIFOTYPE)]:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, str(tmp_path / "secret.png")
            tar.addfile(entry)
    with tarfile.open(path, "a") as tar:
        entry = tarfile.TarInfo("l.txt")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    found = read_captions(path)
    assert told(found) == {"s.tar/../../x.png": ("a cat",), "s.tar//etc/y.png": ("b",)}
    assert first_red(found, "s.tar/../../x.png") == 2
    assert {each.name for each in tmp_path.iterdir()} == {"s.tar", "secret.png", "secret.txt"}


def header(name: str, kind: bytes, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


BAD_ARCHIVES = {
    "text": b"this is no archive" * 100,
    "cut": header("a.png", tarfile.REGTYPE, 10_000) + bytes(512),
    "negative": header("a.png", tarfile.REGTYPE, -1) + bytes(1024),
    "endless name": header("a", b"L", 10**12),
    "long name": header("a", b"L", 70_000) + b"a" * 70_144 + bytes(1024),
    "size": header("a", b"x", 12) + b"12 size=1e9\n".ljust(512, b"\0") + header("b", tarfile.REGTYPE, 0),
    "headers about headers": header("a", b"L", 0) * 20_000 + header("a.png", tarfile.REGTYPE, 10**9),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_an_archive_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(BAD_ARCHIVES[name])
    with pytest.raises(UsageError, match=r"^--data .*s\.tar cannot be read as a WebDataset archive \(") as caught:
        read_captions(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"caption": 7}', '{"caption": null}', "[]", "{", '{"caption": "\\ud800"}']
)
def test_json_without_a_caption_is_none(tmp_path: Path, text: str) -> None:
    files: dict[str, bytes | str] = {"0.png": png(), "0.json": text, "1.png": png(), "1.txt": "a cat"}
    assert told(read_captions(archive(tmp_path / "s.tar", files))) == {"s.tar/1.png": ("a cat",)}


def test_sizes_and_counts_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(["w " * 2000, *map(str, range(500)), "\x1b[31m\x00red"])
    found = read_captions(write(tmp_path, {"a.png": png(), "a.txt": text}))[0].captions
    assert len(found) == MAX_CAPTIONS
    assert max(map(len, found)) <= MAX_CAPTION
    assert captions.clean(["\x1b[31m\x00red"]) == ("[31m red",)
    monkeypatch.setattr(captions, "MAX_TEXT", 100)
    with pytest.raises(UsageError, match="no picture with a caption"):
        read_captions(tmp_path)
    monkeypatch.setattr(captions, "MAX_PICTURES", 1)
    write(tmp_path, {"t.tsv": "a.png\tx\nb.png\ty\n", "b.png": png()})
    with pytest.raises(UsageError, match="more than 1 pictures"):
        read_captions(tmp_path / "t.tsv")
    monkeypatch.setattr(tables, "MAX_ROWS", 1)
    with pytest.raises(UsageError, match="more than 1 rows"):
        read_captions(tmp_path / "t.tsv")
    monkeypatch.setattr(tars, "MAX_MEMBERS", 3)
    with pytest.raises(UsageError, match="more than 3 files"):
        read_captions(archive(tmp_path / "s.tar", shard()))


WRONG = {
    "gone": ("gone", "does not exist"),
    "gone.tar": ("gone.tar", "No such file"),
    "no pictures": ("empty", "holds no pictures"),
    "no captions": ("plain", r"none of its 1 pictures has a text .*write name.txt beside name.jpg"),
    "the table beside them": ("tabled", r"name the table .*metadata.csv itself"),
    "compressed": ("a.tar.gz", r"must be a folder, .*uncompressed .tar"),
    "one column": ("one.tsv", "no two columns"),
    "nothing in it": ("nothing.csv", "no two columns"),
    "other folder": ("other.tsv", r"names no file that exists, as in 'x/y.png'; paths are relative"),
    "addresses": ("far.tsv", "addresses are not fetched"),
    "no text": ("blank", r"no picture with a caption \(1 without"),
    "down": ("s-{9..1}.tar", "must go up"),
    "many": ("s-{0..99999999}.tar", "must go up, by less than"),
    "no match": ("q*.tar", "stands for 0 files"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_said_in_one_line_with_the_way_out(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"empty/a.txt": "", "plain/a.png": png(), "tabled/a.png": png(), "tabled/metadata.csv": ""})
    write(
        tmp_path, {"a.tar.gz": b"", "one.tsv": "a.png\n", "nothing.csv": "", "blank/a.png": png(), "blank/a.txt": " "}
    )
    write(tmp_path, {"other.tsv": "path\tcaption\nx/y.png\ta cat\n", "far.tsv": "https://a.b/c.jpg\ta cat\n"})
    given, wanted = WRONG[name]
    begun = time.monotonic()
    with pytest.raises(UsageError, match=wanted) as caught:
        read_captions(tmp_path / given)
    assert str(caught.value).startswith("--data ")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 5
