"""Output names are safe on every file system, unique, and never stand for half a file."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes import Cli
from hypothesis import given
from hypothesis import strategies as st

from clipgen.errors import UsageError
from clipgen.util.files import (
    MAX_SLUG_BYTES,
    make_folder,
    no_empty_folders,
    partial_path,
    publish,
    remove_partials,
    reserved,
    slug,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a city in the style of Van Gogh", "a-city-in-the-style-of-van-gogh"),
        ("../../etc/passwd", "etc-passwd"),
        ("-rf", "rf"),
        ("NUL.txt", "nul-txt"),
        ("snake_case", "snake-case"),
        ("\uff26\uff35\uff2c\uff2c width", "full-width"),
        ("Käse für 3", "käse-für-3"),
        ("a cat:2|fog:-0.5", "a-cat-2-fog-0-5"),
        ("", "picture"),
        ("👩‍👩‍👧", "picture"),
        ("❤️ एक बिल्ली", "एक-बिल्ली"),
        ("\u0301 \u0301a", "a"),
        ("a \u202ecat", "a-cat"),
        ("lone \ud800 surrogate", "lone-surrogate"),
        ("5000 a" + "a" * 5000, "5000-" + "a" * (MAX_SLUG_BYTES - 5)),
        ("猫" * 500, "猫" * (MAX_SLUG_BYTES // 3)),
    ],
)
def test_slug_examples(text: str, expected: str) -> None:
    assert slug(text) == expected


@given(st.text(max_size=300))
def test_slug_is_a_safe_file_name(text: str) -> None:
    name = slug(text)
    assert 0 < len(name.encode("utf-8")) <= MAX_SLUG_BYTES
    assert all(character == "-" or unicodedata.category(character)[0] in "LNM" for character in name)
    assert name[0].isalnum()
    assert name[-1] != "-"


def fill(folder: Path, stem: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
    with reserved(folder, stem, suffixes) as paths:
        for path in paths.values():
            path.write_text("content")
    return paths


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    names = [fill(tmp_path, "cat-0", (".png",))[".png"].name for _ in range(3)]
    assert names == ["cat-0.png", "cat-0-2.png", "cat-0-3.png"]


def test_all_files_of_a_run_share_one_stem(tmp_path: Path) -> None:
    (tmp_path / "cat-0.gif").write_text("another run's film")
    paths = fill(tmp_path, "cat-0", (".png", ".mp4", ".gif"))
    assert {path.name for path in paths.values()} == {"cat-0-2.png", "cat-0-2.mp4", "cat-0-2.gif"}
    assert not (tmp_path / "cat-0.png").exists()
    assert (tmp_path / "cat-0.gif").read_text() == "another run's film"


def test_what_stayed_empty_is_removed_even_after_an_error(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with reserved(tmp_path, "cat-0", (".png", ".mp4")) as paths:
            paths[".png"].write_text("content")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert [path.name for path in tmp_path.iterdir()] == ["cat-0.png"]


def test_runs_side_by_side_get_different_names(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: fill(tmp_path, "cat-0", (".png", ".gif"))[".png"], range(24)))
    assert len(set(names)) == 24


def test_an_unwritable_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UsageError, match=r"-o .*file.* cannot be written .*: choose another folder"):
        make_folder(tmp_path / "file" / "inside")


def test_a_writable_folder_is_created_and_left_empty(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_publish_replaces_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_text("old")
    partial = partial_path(path)
    partial.write_text("new")
    assert partial.parent == path.parent
    assert partial.suffix == path.suffix
    assert partial != partial_path(path.with_name("dog.png"))
    publish(partial, path)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_too_long_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"-o .* cannot be written .*: choose another name"),
        reserved(tmp_path, "x" * 300, (".png",)),
    ):
        pass
    with reserved(tmp_path, "x" * 251, (".png",)) as paths:  # the longest that there is
        partial = partial_path(paths[".png"])
        partial.write_text("new")
        publish(partial, paths[".png"])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_what_killed_processes_have_left_of_a_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    mine, other = partial_path(path), partial_path(tmp_path / "b.png")
    dead = mine.with_name(f"{mine.name.rsplit('.', 2)[0]}.123456.png")  # as older versions named them
    for file in (mine, dead, other, path):
        file.touch()
    remove_partials(path)
    assert sorted(tmp_path.iterdir()) == sorted([other, path])


@pytest.mark.parametrize("script", ["x", "é", "猫", "🐈"])
@pytest.mark.parametrize("length", [240, 246, 247, 248, 251, 252])
def test_bytes_count_not_letters_and_a_taken_name_needs_more(cli: Cli, script: str, length: int) -> None:
    filled, rest = divmod(length, len(script.encode()))
    name = script * filled + "a" * rest + ".png"
    for taken in (False, True):
        result = cli("red", "--size", "16x16", "--steps", "1", "-q", "-o", name)
        room = length + 2 * taken <= 247
        assert result.exit_code == (0 if room else 2)
        assert ("File name too long" in result.stderr) is not room
        assert "choose another name" in result.stderr or room
    assert len(list(Path().iterdir())) == (2 if length <= 245 else int(length <= 247))


def test_a_folder_that_stays_empty_goes_if_it_was_made_for_this(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    with no_empty_folders():
        for folder in ("before", "new", "deep/er"):
            with reserved(tmp_path / folder, "a", (".png",)):
                assert (tmp_path / folder / "a.png").exists()
        fill(tmp_path / "kept", "a", (".png",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "kept"]


@pytest.mark.parametrize("length", [247, 251, 300])  # of which the state, the picture, and neither have room
def test_a_name_that_no_file_can_have_is_refused(cli: Cli, length: int) -> None:
    result = cli("red", "--size", "16x16", "--steps", "1", "-o", "x" * length + ".png")
    room = length <= 247
    assert result.exit_code == (0 if room else 2), result.stderr
    assert ("File name too long, above 247 bytes before the .png" in result.stderr) is not room
    assert [path.name for path in Path().iterdir()] == (["x" * length + ".png"] if room else [])
