"""Contact sheets whose pictures are placed by their recipes."""

from pathlib import Path
from typing import Any

import pytest
from fakes import Cli
from PIL import Image

from clipgen.outputs import sheet as sheets

SMALL = ("--size", "32x32", "--cutouts", "2")


@pytest.fixture
def folder(cli: Cli) -> Path:
    for seed in (10, 9):
        for steps in (2, 3):
            name = f"pictures/{seed}-{steps}.png"
            cli("red", "--seed", str(seed), "--steps", str(steps), *SMALL, "-o", name)
    return Path("pictures")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last sheet was drawn from."""
    seen: dict[str, Any] = {}
    draw = sheets.contact_sheet

    def noted(images: Any, columns: int, rows: Any, above: Any, **options: Any) -> Image.Image:
        seen.update(images=images, columns=columns, rows=rows, above=above)
        return draw(images, columns, rows, above, **options)

    monkeypatch.setattr(sheets, "contact_sheet", noted)
    return seen


def test_pictures_stand_where_their_recipes_say(cli: Cli, folder: Path, drawn: dict[str, Any]) -> None:
    made = cli("sheet", str(folder), "--x", "seed", "--y", "steps")
    assert (made.exit_code, made.stdout) == (0, "sheet.png\n")
    assert (drawn["above"], drawn["rows"]) == (["seed 9", "seed 10"], ["steps 2", "steps 3"])
    order = ["9-2", "10-2", "9-3", "10-3"]
    expected = [sheets.fitted(Image.open(folder / f"{name}.png")).tobytes() for name in order]
    assert [image.tobytes() for image in drawn["images"]] == expected


def test_a_cell_without_a_picture_stays_empty_and_one_without_a_recipe_is_left_out(
    cli: Cli, folder: Path, drawn: dict[str, Any]
) -> None:
    Path(folder, "9-3.png").unlink()
    Image.new("RGB", (32, 32)).save(folder / "plain.png")
    made = cli("sheet", str(folder), "--x", "seed", "--y", "steps")
    assert made.stderr.startswith("left out: 'pictures/plain.png' ")
    assert made.stderr.count("\n") == 1
    assert [image is None for image in drawn["images"]] == [False, False, True, False]


def test_one_axis_is_enough(cli: Cli, folder: Path, drawn: dict[str, Any]) -> None:
    cli("sheet", "pictures/9-2.png", "pictures/10-2.png", "--x", "seed")
    assert (drawn["columns"], drawn["above"], drawn["rows"]) == (2, ["seed 9", "seed 10"], [])
    cli("sheet", "pictures/9-2.png", "pictures/10-2.png", "--y", "prompt", "--x", "seed")
    assert drawn["rows"] == ["prompt red"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--x", "seed"), "have both seed 9; leave one out"),
        (("--x", "sead"), "did you mean seed?"),
        (("--x", "seed", "--y", "seed"), "--x seed and --y seed are one setting"),
        (("--y", "seed", "--columns", "3"), "--columns 3 and --y exclude each other"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(
    cli: Cli, folder: Path, args: tuple[str, ...], message: str
) -> None:
    result = cli("sheet", str(folder), *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("sheet.png").exists()


def test_pictures_without_recipes_cannot_be_placed(cli: Cli, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save("plain.png")
    result = cli("sheet", "plain.png", "--x", "seed")
    assert result.exit_code == 2
    assert "--x and --y place pictures by their recipes, and there is none" in result.stderr
