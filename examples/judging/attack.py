"""Paste words onto pictures: `python attack.py FOLDER OUT` with a folder of pictures for each label.

Each picture gets the name of the next folder, which it does not show, in large letters on a white strip; with --blank
the strip is empty. Then `clipgen score OUT --labels-from-folders` says what that changes. Pictures are drawn for it by
`python attack.py --draw COUNT FOLDER`: things of the drawn world, one in each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clipgen.starter.evaluation import drawn, questions

HEIGHT = 0.2
"""Of the strip, as a part of the picture."""


def draw(count: int, folder: Path) -> None:
    """Draw pictures whose combinations of words no starter model was trained on, by what they show."""
    asked = [each for each in questions(3 * count, seed=17) if not each.truth.other][:count]
    for number, answer in enumerate(drawn(asked, seed=23)):
        path = folder / answer.question.truth.noun.replace(" ", "_") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        answer.picture.save(path)


def with_word(picture: Image.Image, word: str) -> Image.Image:
    """Return an RGB picture with a word in black on a white strip, where its lower third begins."""
    width, height = picture.size
    strip = round(height * HEIGHT)
    top = round(height * 0.62)
    picture = picture.convert("RGB")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, top, width, top + strip), fill="white")
    size = next(size for size in range(strip, 4, -1) if ImageFont.load_default(size).getlength(word) < 0.95 * width)
    pen.text((width / 2, top + strip / 2), word, fill="black", font=ImageFont.load_default(size), anchor="mm")
    return picture


def attack(folder: Path, out: Path, *, blank: bool) -> None:
    labels = sorted(each.name for each in folder.iterdir() if each.is_dir())
    for label, other in zip(labels, np.roll(labels, -1), strict=True):
        (out / label).mkdir(parents=True)
        for path in sorted((folder / label).iterdir()):
            with Image.open(path) as picture:
                word = "" if blank else str(other).replace("_", " ")
                with_word(picture, word).save(out / label / f"{path.stem}.png")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    if "--draw" in sys.argv:
        draw(int(words[0]), Path(words[1]))
    else:
        attack(Path(words[0]), Path(words[1]), blank="--blank" in sys.argv)
