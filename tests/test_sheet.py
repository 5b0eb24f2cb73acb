"""Contact sheets: labelled, of any pictures, and never in the place of something else."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import Cli
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from clipgen.cli import sheet as command
from clipgen.outputs import sheet as sheets
from clipgen.outputs.sheet import SIDE, SMALL, cell_side, contact_sheet, fitted, is_sheet, write_sheet

COLOURS = ((255, 0, 0), (0, 0, 255), (0, 128, 0), (255, 165, 0))


def pictures(count: int, size: tuple[int, int] = (200, 100)) -> list[Image.Image]:
    return [Image.new("RGB", size, COLOURS[number % len(COLOURS)]) for number in range(count)]


def colours(image: Image.Image) -> set[object]:
    return {colour for _, colour in image.getcolors(2**24) or []}


@given(st.integers(1, 1024), st.integers(1, 1024), st.integers(1, 64))
def test_cells_are_of_a_sensible_size(width: int, height: int, columns: int) -> None:
    longer = max(fitted(Image.new("RGB", (width, height))).size)
    assert longer == min(max(width, height), SIDE) if max(width, height) >= SMALL else SMALL <= longer <= SIDE
    assert sheets.SMALLEST <= cell_side(columns, 16) <= SIDE


def test_every_picture_is_there_at_its_place() -> None:
    sheet = contact_sheet(pictures(4), 2)
    assert {(255, 255, 255), *COLOURS} == colours(sheet)
    step = 200 + sheets.GAP, 100 + sheets.GAP
    for number, colour in enumerate(COLOURS):
        row, column = divmod(number, 2)
        assert sheet.getpixel((sheets.MARGIN + column * step[0] + 99, sheets.MARGIN + row * step[1] + 49)) == colour


@pytest.mark.parametrize(
    "text", ["a cat", "a cat in the sun " * 20, "x" * 400, "größe Москва", "日本語の絵", "\x1b[31m\u202eevil"]
)
def test_no_label_reaches_into_a_picture_or_another_label(text: str) -> None:
    bare, labelled = (
        contact_sheet(pictures(4), 2),
        contact_sheet(pictures(4), 2, [text] * 2, [text] * 2, text, captions=[text] * 4),
    )
    for colour in COLOURS:  # as many pixels of each picture are seen
        assert _count(labelled, colour) == _count(bare, colour)
    font = ImageFont.load_default(sheets.LABEL_SIZE)
    assert all(font.getlength(line) <= 200 for line in sheets._wrapped(text, font, 200, 2).split("\n"))
    assert len(sheets._wrapped(text, font, 200, 2).split("\n")) <= 2


def _count(image: Image.Image, colour: object) -> int:
    return sum(count for count, found in image.getcolors(2**24) or [] if found == colour)


@given(st.text(min_size=1, max_size=200), st.integers(40, 300), st.integers(1, 4))
@settings(max_examples=30)
def test_what_is_left_out_of_a_label_is_seen(text: str, width: int, lines: int) -> None:
    font = ImageFont.load_default(sheets.LABEL_SIZE)
    wrapped = sheets._wrapped(text, font, width, lines)
    whole = sheets.one_line(text, sheets.MAX_TEXT).replace(" ", "")
    kept = wrapped.replace("\n", "").replace(" ", "")
    assert kept == whole or (kept.endswith("…") and whole.startswith(kept[:-1]))


def test_a_picture_that_was_not_made_leaves_its_place_empty() -> None:
    cells: Sequence[Image.Image | None] = [*pictures(3), None]
    assert contact_sheet(cells, 2).size == contact_sheet(pictures(4), 2).size


def test_a_sheet_is_written_once_and_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    first, other = contact_sheet(pictures(2), 2), contact_sheet(pictures(3), 2)
    assert write_sheet(first, tmp_path, "a", "a cat").name == "a-2.png"
    assert write_sheet(first, tmp_path, "a", "a cat").name == "a-2.png"
    assert write_sheet(other, tmp_path, "a", "a cat").name == "a-3.png"
    assert (tmp_path / "a.png").read_bytes() == b"mine"
    assert is_sheet(tmp_path / "a-2.png")
    with Image.open(tmp_path / "a-2.png") as image:
        assert image.info["Title"] == "a cat"
        assert "clipgen" not in image.info  # it has no recipe


@pytest.fixture
def folder(cli: Cli) -> Path:
    """A folder with pictures of other programs, one that is damaged, and a text."""
    folder = Path("mixed")
    folder.mkdir()
    for name, picture in zip(("b10.png", "b9.jpg", "c.png"), pictures(3), strict=True):
        picture.save(folder / name)
    (folder / "bad.png").write_bytes((folder / "c.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("no picture")
    return folder


def captions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the captions of sheets from now on."""
    seen: list[str] = []
    draw = sheets.contact_sheet

    def noted(*args: object, **options: object) -> Image.Image:
        seen[:] = options["captions"]  # type: ignore[call-overload]
        return draw(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sheets, "contact_sheet", noted)
    return seen


def test_a_folder_becomes_a_sheet_without_what_is_damaged(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = captions(monkeypatch)
    made = cli("sheet", str(folder), "-o", str(folder))
    assert (made.exit_code, made.stdout) == (0, "mixed/sheet.png\n")
    assert made.stderr.startswith("left out: the picture 'mixed/bad.png' ")
    assert made.stderr.count("\n") == 1
    assert seen == ["b9.jpg", "b10.png", "c.png"]
    again = cli("sheet", str(folder), "-o", str(folder), "-q")
    assert (again.stdout, again.stderr) == ("mixed/sheet.png\n", "")  # an earlier sheet is no picture of the folder


def test_labels_come_from_recipes(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("red|blue:0.5", "--seed", "7", "--size", "32x32", "--steps", "2", "--cutouts", "2", "-o", "red.png")
    seen = captions(monkeypatch)
    for labels, expected in (
        ("prompt", ["red|blue:0.5", "c.png"]),
        ("seed", ["seed 7", "c.png"]),
        ("name", ["red.png", "c.png"]),
        ("none", []),
    ):
        assert cli("sheet", "red.png", "mixed/c.png", "--labels", labels).exit_code == 0
        assert seen == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name a folder of pictures, or pictures, as in clipgen sheet outputs"),
        (("nowhere",), "there is no file or folder nowhere"),
        (("empty",), "there is no picture in empty"),
        (("mixed/bad.png",), "the picture 'mixed/bad.png' is damaged or incomplete"),
        (("mixed/notes.txt", "mixed/bad.png"), "1 more cannot be read either"),
        (("mixed", "-o", "x.jpg"), "-o x.jpg is not a PNG file"),
        (("mixed", "--labels", "names"), "did you mean name?"),
        (("mixed", "--columns", "0"), "--columns must be a whole number from 1 to 64, got 0"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(
    cli: Cli, folder: Path, args: tuple[str, ...], message: str
) -> None:
    Path("empty").mkdir()
    result = cli("sheet", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["empty", "mixed"]


def test_too_many_pictures_are_refused(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MAX_PICTURES", 3)
    result = cli("sheet", str(folder))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "sheet takes up to 3 pictures, got 4" in result.stderr
