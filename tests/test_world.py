from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clipgen.starter import grammar
from clipgen.starter.grammar import Truth
from clipgen.starter.world.compose import PLACES, SCENES, SUBJECTS, draw
from clipgen.starter.world.palette import RANGES, tone
from clipgen.starter.world.pen import Pen
from clipgen.starter.world.sheet import CAPTION, contact_sheet, world_sheet
from clipgen.starter.world.styles import STYLES


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_everything_that_can_be_said_can_be_drawn() -> None:
    assert set(SUBJECTS) == set(grammar.SUBJECTS)
    assert set(SCENES) == set(grammar.SCENES)
    assert set(STYLES) == set(grammar.STYLES)
    assert set(PLACES) == set(grammar.PLACES)
    assert set(RANGES) == set(grammar.COLOURS)


@pytest.mark.parametrize("noun", grammar.NOUNS)
def test_every_noun_fills_a_good_part_of_the_picture_and_is_no_stamp(noun: str) -> None:
    scene = noun in grammar.SCENES
    truth = Truth(noun, time="day") if scene else Truth(noun, colour="red", backdrop="white")
    pictures = [draw(truth, rng(seed), 64).astype(float) for seed in range(3)]
    assert all(picture.shape == (64, 64, 3) for picture in pictures)
    assert all(picture.std() > 20 for picture in pictures)
    assert np.abs(pictures[0] - pictures[1]).mean() > 5
    assert np.abs(pictures[1] - pictures[2]).mean() > 5


def test_the_same_seed_draws_the_same_picture() -> None:
    truth = Truth("cat", colour="orange", place="beach", time="sunset", style="van gogh")
    assert np.array_equal(draw(truth, rng(4), 96), draw(truth, rng(4), 96))


@pytest.mark.parametrize("style", grammar.STYLES)
def test_a_style_changes_the_whole_picture(style: str) -> None:
    plain = Truth("city", time="day")
    drawn = draw(plain, rng(1), 96).astype(float)
    styled = draw(replace(plain, style=style), rng(1), 96).astype(float)
    changed = np.abs(drawn - styled).max(-1) > 6
    assert changed.mean() > 0.4


def test_a_sketch_is_grey() -> None:
    picture = draw(Truth("boat", place="water", time="night", style="pencil sketch"), rng(), 96).astype(int)
    assert (picture.max(-1) - picture.min(-1)).max() == 0


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


def test_a_sheet_holds_its_pictures() -> None:
    assert world_sheet(5, seed=0, size=48, columns=3).size == (3 * 54, 2 * (48 + CAPTION + 6))
    tall = contact_sheet([Image.new("RGB", (20, 60), "red")] * 4, ["a"] * 4, columns=2)
    assert tall.size == (2 * 26, 2 * (60 + CAPTION + 6))
    assert tall.getpixel((10, 3 + 60 + CAPTION + 6 + 59)) == (255, 0, 0)
