"""Which pictures of two folders belong together."""

import shutil
from pathlib import Path

from fakes import Cli
from PIL import Image

from clipgen.session.pairing import Found, found, paired

SMALL = ("--preset", "starter", "--start", "noise", "--size", "32x32", "--steps", "2", "--cutouts", "2")


def test_pictures_are_paired_by_prompt_and_by_seed_if_there_are_several(cli: Cli) -> None:
    for side, seeds in (("a", "12"), ("b", "213")):
        for seed in seeds:
            cli("red", *SMALL, "--seed", seed, "-o", f"{side}/{seed}.png")
        cli("blue", *SMALL, "--seed", "7" if side == "a" else "8", "-o", f"{side}/x-{side}.png")
    cli("green", *SMALL, "--seed", "7", "-o", "a/alone.png")
    sides = [[found(path) for path in sorted(Path(side).glob("*.png"))] for side in ("a", "b")]
    pairs = {(pair.text, *(path.name for path in pair.paths)) for pair in paired(sides)}
    assert pairs == {("red", "1.png", "1.png"), ("red", "2.png", "2.png"), ("blue", "x-a.png", "x-b.png")}
    shutil.copy("a/alone.png", "b/other.png")  # the same prompt again
    shutil.move("b/1.png", "b/alone.png")  # the same name, of another prompt
    sides = [[found(path) for path in sorted(Path(side).glob("*.png"))] for side in ("a", "b")]
    assert ("green", "alone.png", "other.png") in {(p.text, *(path.name for path in p.paths)) for p in paired(sides)}


def test_a_name_says_the_prompt_and_a_recipe_of_either_side_says_it_better(cli: Cli) -> None:
    cli("red|blue:0.5", *SMALL, "-o", "a/some_red-cat.png")
    Path("b").mkdir()
    Image.new("RGB", (32, 32)).save("b/some_red-cat.png")
    plain = [Found(Path("x/a_red--cat.png"), None)], [Found(Path("y/a_red--cat.jpg"), None)]
    assert [pair.text for pair in paired(plain)] == ["a red cat"]
    for names in ("ab", "ba"):
        sides = [[found(Path(name, "some_red-cat.png"))] for name in names]
        [pair] = paired(sides)
        assert (pair.text, [one.peak for one in pair.prompts]) == ("red|blue:0.5", [1.0, 0.5])
