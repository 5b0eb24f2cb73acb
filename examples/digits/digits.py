"""Handwritten digits, from real scans to drawings, judged by what is no CLIP: `python digits.py FOLDER`.

scikit-learn ships 1,797 scans of handwritten digits, of 8 x 8 pixels. With captions such as "a handwritten seven",
1,297 of them train a CLIP, a VQGAN, a dVAE and a prior by `clipgen train`. The other 500 train a support vector
machine, which then reads the digits that clipgen draws from noise, by guidance alone, and from what the prior proposes.
A second run goes on where the first was stopped.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDINGS = ("a handwritten {}", "the digit {}", "a {} written by hand", "the number {}", "{}")
SIDE, INK = 32, 16
"""Side of the pictures in pixels, and the darkest ink in a scan."""
HELD_OUT = 500
DRAWN = 20
"""Pictures of each digit."""
TRAINED = {
    "vqgan": ("--resolution", str(SIDE), "--steps", "1500"),
    "clip": ("--resolution", str(SIDE), "--steps", "800", "--radius", "2"),
    "dvae": ("--resolution", str(SIDE), "--steps", "1500"),
    "prior": ("--steps", "400"),
}
"""The networks, each after those that it needs, and how long they learn."""
STARTS = {
    "noise": ("--start", "noise", "--steps", "40", "--cutouts", "8"),
    "prior": ("--start", "prior", "--steps", "10", "--cutouts", "8", "--proposals", "32"),
}
"""Where pictures begin: at noise, or at the best of some that the prior proposes; both are guided afterwards."""


def clipgen(*arguments: str | Path) -> None:
    """Run a command of clipgen's."""
    subprocess.run([sys.executable, "-m", "clipgen", *map(str, arguments)], check=True)


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return scans (N, 8, 8) from 0 to INK and digits (N,): those to learn from, then those held out for the judge."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.images))
    held, kept = order[:HELD_OUT], order[HELD_OUT:]
    return data.images[kept], data.target[kept], data.images[held], data.target[held]


def write_captioned(scans: np.ndarray, digits: np.ndarray, folder: Path) -> None:
    """Write a picture and a file of captions for each scan."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (scan, digit) in enumerate(zip(scans, digits, strict=True)):
        grey = Image.fromarray((scan * 255 / INK).astype(np.uint8))
        grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB").save(folder / f"{number:04d}.png")
        captions = [wording.format(NAMES[digit]) for wording in WORDINGS]
        (folder / f"{number:04d}.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")


def as_scans(pictures: list[Image.Image]) -> np.ndarray:
    """Return pictures as scans are: (N, 64), means of squares of pixels, from 0 to INK."""
    small = [picture.convert("L").resize((8, 8), Image.Resampling.BOX) for picture in pictures]
    return np.stack([np.asarray(each, dtype=float).ravel() * INK / 255 for each in small])


def draw(preset: Path, start: str, folder: Path) -> list[Image.Image]:
    """Draw DRAWN pictures of each digit, in order, as a user would."""
    lines = folder.with_suffix(".txt")
    wanted = [(seed, name) for name in NAMES for seed in range(1, DRAWN + 1)]
    lines.write_text("".join(f"--seed {seed} :: a handwritten {name}\n" for seed, name in wanted), encoding="utf-8")
    clipgen("batch", lines, "--preset", preset, *STARTS[start], "--together", "8", "-o", folder)
    return [Image.open(folder / f"a-handwritten-{name}-{seed}.png").convert("RGB") for seed, name in wanted]


def sheet(pictures: list[Image.Image], path: Path) -> None:
    """Save a row of pictures for each digit."""
    whole = Image.new("RGB", (DRAWN * SIDE, len(NAMES) * SIDE))
    for number, picture in enumerate(pictures):
        whole.paste(picture, (number % DRAWN * SIDE, number // DRAWN * SIDE))
    whole.save(path)


def main(folder: Path) -> None:
    """Train, draw and judge in a folder."""
    begun = time.monotonic()
    scans, digits, held_scans, held_digits = split()
    preset, pictures = folder / "digits", folder / "scans"
    write_captioned(scans, digits, pictures)
    for kind, options in TRAINED.items():
        clipgen("train", kind, "--data", pictures, "--out", preset, *options)
    print(f"trained in {(time.monotonic() - begun) / 60:.0f} minutes")
    judge = SVC(gamma=0.001).fit(held_scans.reshape(HELD_OUT, -1), held_digits)
    real = cross_val_score(SVC(gamma=0.001), held_scans.reshape(HELD_OUT, -1), held_digits, cv=5).mean()
    print(f"real held-out scans: {real:.3f} are read right (five-fold)")
    wanted = np.repeat(np.arange(len(NAMES)), DRAWN)
    for start in STARTS:
        drawn = draw(preset, start, folder / f"drawn-{start}")
        sheet(drawn, folder / f"{start}.png")
        print(f"drawn from {start}: {(judge.predict(as_scans(drawn)) == wanted).mean():.3f} are read right")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "digits-example"))
