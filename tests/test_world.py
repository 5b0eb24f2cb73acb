from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import Cli
from PIL import Image

from clipgen.starter import words
from clipgen.starter.grammar import Truth
from clipgen.starter.world.compose import PLACES, draw
from clipgen.starter.world.layout import BARE, CLOTHES, MADE, ROWS, SCALES, figures
from clipgen.starter.world.palette import RANGES, tone
from clipgen.starter.world.pen import Pen
from clipgen.starter.world.sheet import CAPTION, contact_sheet, world_sheet
from clipgen.starter.world.styles import STYLES
from clipgen.starter.world.subjects import SCENES, SUBJECTS
from clipgen.starter.world.weather import fog, snow_ground, snowfall


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_everything_that_can_be_said_can_be_drawn() -> None:
    assert set(SUBJECTS) == set(words.SUBJECTS)
    assert set(SCENES) == set(words.SCENES)
    assert set(STYLES) == set(words.STYLES)
    assert set(PLACES) == set(words.PLACES)
    assert set(RANGES) == set(words.COLOURS)
    assert set(MADE) == set(words.MADE)
    assert set(CLOTHES) - set(BARE.values()) == set(BARE) == set(words.CLOTHES)
    assert {*words.BEARERS, *words.RIDERS, *words.WEARERS, *words.MADE, *words.SHAPES} <= set(SUBJECTS)


@pytest.mark.parametrize("noun", words.NOUNS)
def test_every_noun_fills_a_good_part_of_the_picture_and_is_no_stamp(noun: str) -> None:
    scene = noun in words.SCENES
    truth = Truth(noun, time="day") if scene else Truth(noun, colour="red", backdrop="white")
    pictures = [draw(truth, rng(seed), 64).astype(float) for seed in range(3)]
    assert all(picture.shape == (64, 64, 3) for picture in pictures)
    assert all(picture.std() > 20 for picture in pictures)
    assert np.abs(pictures[0] - pictures[1]).mean() > 5
    assert np.abs(pictures[1] - pictures[2]).mean() > 5


def test_the_same_seed_draws_the_same_picture() -> None:
    truth = Truth("cat", colour="orange", place="beach", time="sunset", style="van gogh")
    assert np.array_equal(draw(truth, rng(4), 96), draw(truth, rng(4), 96))


@pytest.mark.parametrize("style", words.STYLES)
def test_a_style_changes_the_whole_picture(style: str) -> None:
    plain = Truth("city", time="day")
    drawn = draw(plain, rng(1), 96).astype(float)
    styled = draw(replace(plain, style=style), rng(1), 96).astype(float)
    changed = np.abs(drawn - styled).max(-1) > 6
    assert changed.mean() > 0.4


def test_a_sketch_is_grey() -> None:
    picture = draw(Truth("boat", place="water", time="night", style="pencil sketch"), rng(), 96).astype(int)
    assert (picture.max(-1) - picture.min(-1)).max() == 0


def red_and_blue(truth: Truth, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a picture is red, and where it is blue."""
    red, green, blue = np.moveaxis(draw(truth, rng(seed), 64).astype(int), -1, 0)
    return (red > 1.6 * green) & (red > 1.6 * blue), (blue > 1.4 * red) & (blue > 1.2 * green)


PAIR = Truth("cube", "red", backdrop="white", relation="on", other="cube", other_colour="blue")


@pytest.mark.parametrize("seed", range(6))
def test_what_is_on_something_is_above_it_and_touches_it(seed: int) -> None:
    red, blue = (np.flatnonzero(cover.any(1)) for cover in red_and_blue(PAIR, seed))
    assert red.mean() < blue.mean()
    assert abs(red[-1] - blue[0]) <= 14  # the foot of one stands in the middle of the other's upper face


@pytest.mark.parametrize("seed", range(6))
def test_what_is_next_to_something_stands_beside_it(seed: int) -> None:
    red, blue = red_and_blue(replace(PAIR, relation="next to"), seed)
    (red_rows, red_columns), (blue_rows, blue_columns) = np.nonzero(red), np.nonzero(blue)
    assert abs(red_columns.mean() - blue_columns.mean()) > 20
    assert abs(red_rows.max() - blue_rows.max()) < 8
    assert min(red.sum(), blue.sum()) > 100


@pytest.mark.parametrize("noun", words.WEARERS)
@pytest.mark.parametrize("clothes", words.CLOTHES)
def test_whoever_wears_something_shows_its_colour(noun: str, clothes: str) -> None:
    for seed in range(6):
        bare = Truth(noun, "white", backdrop="grey", style=None)
        dressed = replace(bare, relation="wearing", other=clothes, other_colour="blue")
        assert red_and_blue(dressed, seed)[1].sum() > red_and_blue(bare, seed)[1].sum() + 20


@pytest.mark.parametrize("noun", words.WEARERS)
def test_whoever_is_bare_is_else_drawn_as_when_wearing_something(noun: str) -> None:
    dressed = Truth(noun, "white", backdrop="grey", relation="wearing", other="scarf", other_colour="blue")
    for seed in range(6):
        one, other = (
            draw(each, rng(seed), 64).astype(int) for each in (dressed, replace(dressed, other=BARE["scarf"]))
        )
        differ = np.abs(one - other).max(2) > 30
        assert 20 < differ.sum() < 0.25 * differ.size
        blue = [(pixels[..., 2] > pixels[..., 0] + 60).sum() for pixels in (one, other)]
        assert blue[0] > blue[1]


@pytest.mark.parametrize("noun", words.MADE)
@pytest.mark.parametrize("shape", words.SHAPES)
def test_what_has_the_shape_of_something_looks_like_neither_alone(noun: str, shape: str) -> None:
    both = Truth(noun, "red", backdrop="white", relation="in the shape of", other=shape)
    drawn, *alone = (draw(each, rng(1), 64).astype(float) for each in (both, Truth(noun, "red", "white")))
    assert all(np.abs(drawn - each).mean() > 5 for each in alone)


def test_as_many_things_are_drawn_as_counted_and_as_large_as_said() -> None:
    def laid_out(truth: Truth, seed: int) -> list[float]:
        return [figure.scale for figure in figures(truth, lambda name: tone(name, rng()), rng(seed))]

    for seed in range(10):
        assert len(laid_out(Truth("cat", "red"), seed)) == 1
        assert all(len(laid_out(Truth("cat", "red", count=count), seed)) == int(count) for count in ROWS)
        small, plain, big = (laid_out(Truth("cat", "red", size=size), seed)[0] for size in SCALES)
        assert small < 0.8 * plain
        assert plain < 0.98 * big


def test_weather_changes_what_it_should() -> None:
    green = np.full((48, 48, 3), (0.2, 0.5, 0.2), dtype=np.float32)
    snowy = snow_ground(green, "day", rng())
    assert snowy[-8:].mean() > 0.7 > green.mean() + 0.2
    assert snowfall(green, rng()).max() > 0.8
    checks = np.indices((48, 48)).sum(0)[..., None] // 8 % 2 * np.ones(3, dtype=np.float32)
    assert fog(checks, "day", rng()).std() < 0.6 * checks.std()


@pytest.mark.parametrize("name", ["red", "green", "blue"])
def test_a_colour_has_its_hue(name: str) -> None:
    channel = ["red", "green", "blue"].index(name)
    for seed in range(20):
        base = tone(name, rng(seed)).base
        assert np.argmax(base) == channel


def test_edges_are_anti_aliased() -> None:
    pen = Pen(32)
    pen.oval(0, 0, 0.8, 0.8, (255, 255, 255))
    _, cover = pen.layer()
    assert ((cover > 0.1) & (cover < 0.9)).sum() > 20
    assert cover.max() == 1
    assert cover[0, 0] == 0


@pytest.mark.parametrize("name", ["ws.jpg", "ws.webp", "ws.svg", "ws.PDF", "a.b", "ws.png.jpg"])
def test_a_sheet_of_another_format_is_refused(cli: Cli, name: str) -> None:
    result = cli("world", "-n", "2", "--sheet", name)
    assert result.exit_code == 2
    assert f"--sheet {name} is not a PNG file" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("name", "path"),
    [("ws.png", "ws.png"), ("ws.PNG", "ws.png"), ("folder", "folder/world.png"), ("new", "new/world.png")],
)
def test_a_sheet_goes_where_it_is_told(cli: Cli, name: str, path: str) -> None:
    Path("folder").mkdir()
    assert cli("world", "-n", "2", "--sheet", name).stdout == f"{path}\n"


def test_a_sheet_in_the_home_of_nobody_is_refused(cli: Cli) -> None:
    assert "there is no such home folder" in cli("world", "--sheet", "~nouser/x.png").stderr


def test_a_sheet_holds_its_pictures() -> None:
    assert world_sheet(5, seed=0, size=48, columns=3).size == (3 * 54, 2 * (48 + CAPTION + 6))
    tall = contact_sheet([Image.new("RGB", (20, 60), "red")] * 4, ["a"] * 4, columns=2)
    assert tall.size == (2 * 26, 2 * (60 + CAPTION + 6))
    assert tall.getpixel((10, 3 + 60 + CAPTION + 6 + 59)) == (255, 0, 0)
