"""`--grid`: a picture for every combination of the values of one or two settings, and a contact sheet of them."""

import json
from pathlib import Path

import pytest
from fakes import COLOURS, Cli
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_batch_lockstep import content, groups, stop_group_at

from clipgen.cli.grid_axes import MAX_CELLS, Axis, cells_of, parse_axes, with_axes
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.outputs.sheet import is_sheet

SMALL = ("--size", "32x32", "--steps", "4", "--cutouts", "2", "--save-every", "0", "--start", "noise")
SPELLINGS = [
    ("--grid", "seed=1..3", "lr=0.05,0.1"),
    ("--grid", "seed=1..3 lr=0.05,0.1"),
    ("--grid=seed=1..3", "--grid", "lr=0.05,0.1"),
]


def axes(*texts: str) -> dict[str, tuple[str, ...]]:
    return {axis.name: axis.values for axis in parse_axes(texts)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("seed=1..4", {"seed": ("1", "2", "3", "4")}),
        ("seed=7,1..3 lr=0.05, 0.1", {"seed": ("7", "1", "2", "3"), "lr": ("0.05", "0.1")}),
        ("loss=palette:5:navy,gold;symmetry", {"loss": ("palette:5:navy,gold", "symmetry")}),
        ("cutouts=4..16;", {"cutouts": ("4..16",)}),
        ("prompt=a cat, a dog", {"prompt": ("a cat", "a dog")}),
        ("prompt=a cat, asleep;a dog:2|fog:-1 seed=3", {"prompt": ("a cat, asleep", "a dog:2|fog:-1"), "seed": ("3",)}),
    ],
)
def test_values_are_counted_or_listed(text: str, found: dict[str, tuple[str, ...]]) -> None:
    assert axes(text) == found


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["seed"], "must look like seed=1..4"),
        (["sed=1..3"], "did you mean seed?"),
        (["out=a,b"], "an axis of --grid must be one of"),
        (["seed=1", "lr=1", "steps=2"], "takes one axis or two, got 3: seed, lr, steps"),
        (["seed=1", "seed=2"], "names seed twice"),
        (["seed=3..1"], "write 1..3"),
        (["seed=1,,2"], "has an empty value"),
        (["seed=1,2,1"], "the value '1' twice"),
        (["seed=1..257"], "asks for 257 pictures, more than 256"),
        (["seed=1..100 steps=1..100"], "asks for 100 x 100 = 10,000 pictures"),
        ([f"seed=0..{10**18 - 1}"], "1,000,000,000,000,000,000 pictures"),
    ],
)
def test_a_grid_that_cannot_be_made_is_refused_before_it_is_written_out(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_axes(texts)
    assert message in str(raised.value)
    assert str(raised.value).count("--grid") >= 1


@given(st.integers(1, 16), st.integers(1, MAX_CELLS // 16))
def test_every_combination_comes_once_row_by_row(across: int, down: int) -> None:
    cells = cells_of(parse_axes([f"seed=1..{across} steps=1..{down}"]))
    expected = [{"seed": seed, "steps": steps} for steps in range(1, down + 1) for seed in range(1, across + 1)]
    assert [cell.fields for cell in cells] == expected


def test_a_switch_is_an_axis_too() -> None:
    assert [cell.fields for cell in cells_of([Axis("tile", ("yes", "no"))])] == [{"tile": True}, {"tile": False}]
    with pytest.raises(UsageError, match="--grid tile=maybe: --tile must be 1 or 0"):
        cells_of([Axis("tile", ("maybe",))])


def test_only_words_that_follow_a_grid_belong_to_it() -> None:
    options = {"--grid": True, "--seed": True}
    assert with_axes(["a=b", "--grid", "seed=1"], options) == ["a=b", "--grid", "seed=1"]
    assert with_axes(["--grid", "seed=1", "lr=1", "a cat"], options) == ["--grid", "seed=1", "--grid=lr=1", "a cat"]
    assert with_axes(["--grid=seed=1", "--", "lr=1"], options) == ["--grid=seed=1", "--", "lr=1"]
    assert with_axes(["--grid", "prompt=a cat,a dog"], options)[2:] == ["--", "a cat"]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=" ".join)
def test_a_picture_is_made_for_every_cell_and_a_sheet(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, spelling: tuple[str, ...]
) -> None:
    sizes = groups(monkeypatch)
    made = cli("red", *spelling, *SMALL)
    assert made.exit_code == 0, made.stderr
    sheet, *cells = map(Path, made.stdout.split())
    plans = [read_recipe(path).plan for path in cells]
    assert [(plan.seed, plan.lr) for plan in plans] == [(seed, lr) for lr in (0.05, 0.1) for seed in (1, 2, 3)]
    assert sizes == [3, 3]
    assert sheet.name == "red-grid.png"
    assert is_sheet(sheet)
    assert "grid: 3 x 2 = 6 pictures, about " in made.stderr
    before = content("outputs")
    again = cli("red", *spelling, *SMALL)
    assert again.stdout == made.stdout
    assert "grid: 3 x 2 = 6 pictures, all of them made already\n" in again.stderr
    assert content("outputs") == before


def test_lockstep_is_found_whichever_axis_comes_first(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = groups(monkeypatch)
    made = cli("red", "--grid", "lr=0.05,0.1", "seed=1..3", *SMALL)
    assert sizes == [3, 3]
    plans = [read_recipe(Path(path)).plan for path in made.stdout.split()[1:]]
    assert [(plan.seed, plan.lr) for plan in plans] == [(seed, lr) for seed in (1, 2, 3) for lr in (0.05, 0.1)]


def test_a_cell_is_the_picture_that_is_made_alone(cli: Cli) -> None:
    made = cli("--grid", "prompt=red,blue", "loss=symmetry;palette:5:navy,gold", *SMALL)
    alone = cli("blue", "--seed", "0", "--loss", "palette:5:navy,gold", *SMALL, "-o", "alone.png")
    assert alone.exit_code == 0
    last = Path(made.stdout.split()[-1])
    assert last.read_bytes() == Path("alone.png").read_bytes()


def test_the_sheet_shows_each_cell_at_its_place(cli: Cli) -> None:
    sheet = cli(
        "--grid", "prompt=red,blue", "seed=1,2", *SMALL[:2], "--steps", "60", "--start", "noise"
    ).stdout.split()[0]
    with Image.open(sheet) as image:
        pixels = {image.getpixel((image.width - x, image.height - 60)) for x in (60, 60 + 136)}
    assert sorted(max(range(3), key=list(pixel).__getitem__) for pixel in pixels) == [0, 2]  # type: ignore[arg-type]


def test_json_has_the_cells_in_order(cli: Cli) -> None:
    document = json.loads(cli("red", "--grid", "seed=1,2", "--json", *SMALL).stdout)
    assert document["sheet"] == "outputs/red-grid.png"
    assert document["cells"] == [{"seed": str(k), "path": f"outputs/red-{k}.png"} for k in (1, 2)]
    assert [picture["path"] for picture in document["pictures"]] == ["outputs/red-1.png", "outputs/red-2.png"]
    assert (document["skipped"], document["failed"]) == ([], [])


def test_a_stopped_grid_goes_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("red", "--grid", "seed=1..2", "lr=0.05,0.1", *SMALL)
    with monkeypatch.context() as patch:
        stop_group_at(patch, 2, "red-2.png")
        stopped = cli(*command, "-o", "parts")
    assert stopped.exit_code == 130
    assert stopped.stderr.splitlines()[-2:] == ["the same command continues the grid", "stopped"]
    assert not Path("parts/red-grid.png").exists()
    assert cli(*command, "-o", "parts").exit_code == 0
    assert cli(*command, "-o", "whole").exit_code == 0
    assert content("parts") == content("whole")


def test_a_cell_that_fails_leaves_its_place_empty(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "bad", (float("nan"),) * 3)
    made = cli("--grid", "prompt=red,bad,blue", *SMALL)
    assert made.exit_code == 1
    assert made.stderr.splitlines()[-1] == "error: 1 of 3 pictures failed: prompt=bad"
    assert made.stdout.split() == ["outputs/red-grid.png", "outputs/red-0.png", "outputs/blue-0.png"]


def test_a_sheet_of_other_pictures_is_never_replaced(cli: Cli) -> None:
    cli("red", "--grid", "seed=1,2", *SMALL)
    first = Path("outputs/red-grid.png").read_bytes()
    assert cli("red", "--grid", "seed=3,4", *SMALL).stdout.split()[0] == "outputs/red-grid-2.png"
    assert cli("red", "--grid", "seed=3,4", *SMALL).stdout.split()[0] == "outputs/red-grid-2.png"
    assert Path("outputs/red-grid.png").read_bytes() == first


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("red", "--grid", "seed=1..2", "--candidates", "3"),
            "--grid makes every picture of the grid and --candidates",
        ),
        (("red", "--grid", "seed=1..2", "-o", "x.png"), "a grid writes a picture for each cell; use -o FOLDER"),
        (("red", "--grid", "lr=0.1,200"), "--grid lr=200: --lr must be a number from 0 to 100"),
        (("red", "--grid", "steps=2,x"), "--grid steps=x: "),
        (("red", "--grid", "loss=symmetry,gold"), '";" separates losses'),
        (("red", "--grid", "seed=1..300"), "asks for 300 pictures, more than 256"),
        (("red", "--grid", "start=init,noise"), "--start init needs an init image"),
        (("--grid", "seed=1..2"), "say what to draw"),
        (("red", "a dog", "--grid", "seed=1..2"), "2 prompts, and a run makes one picture"),
    ],
)
def test_a_wrong_grid_is_one_line_and_writes_nothing(cli: Cli, args: tuple[str, ...], message: str) -> None:
    result = cli(*args)
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not any(Path().iterdir())


def test_a_grid_can_stand_in_a_job_file(cli: Cli) -> None:
    Path("job.toml").write_text('prompt = "red"\ngrid = ["seed=1..2"]\n', encoding="utf-8")
    assert len(cli("job.toml", *SMALL).stdout.split()) == 3
