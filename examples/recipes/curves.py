"""Draws how the loss falls with each recipe, on the models that ship with clipgen, and the pictures that come out.

python curves.py [FOLDER]   writes curves.png and curves.csv, by default here; needs the extra "plots".
"""

import csv
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from clipgen import generate
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.presets import PRESETS
from clipgen.core.contracts import Outcome, Step

PROMPT, SEED, SIDE, STEPS, CUTOUTS = "a lighthouse at sunset", 1, 128, 30, 12


class Curve:
    """A sink that keeps the loss and the score of each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.scores: list[float] = []

    def on_step(self, step: Step) -> None:
        self.losses.append(float(step.loss))
        self.scores.append(float(step.score))

    def close(self, outcome: Outcome) -> None:
        """Nothing is open."""


def run(recipe: str) -> tuple[Curve, Image.Image]:
    curve = Curve()
    made = generate(
        PROMPT,
        preset="starter",
        recipe=recipe,
        size=SIDE,
        steps=STEPS,
        cutouts=CUTOUTS,
        seed=SEED,
        sinks=[curve],
    )
    return curve, made.image


def draw(found: dict[str, tuple[Curve, Image.Image]], path: Path) -> None:
    figure, axes = plt.subplot_mosaic([["loss"] * len(found), list(found)], figsize=(10, 6.4), height_ratios=[1.7, 1])
    for name, (curve, image) in found.items():
        axes["loss"].plot([loss / curve.losses[0] for loss in curve.losses], label=name)
        axes[name].imshow(image)
        axes[name].set_title(name, fontsize=9)
        axes[name].axis("off")
    axes["loss"].set(xlabel="step", ylabel="loss, over that of the first step", title=f'"{PROMPT}"')
    axes["loss"].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main(folder: Path) -> None:
    found = {}
    shipped = PRESETS["starter"].generators
    for name in (name for name, row in PEER_RECIPES.items() if set(row.backends) & set(shipped)):
        found[name] = run(name)
        sys.stderr.write(f"{name}: loss {found[name][0].losses[0]:.3f} to {found[name][0].losses[-1]:.3f}\n")
    with (folder / "curves.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("recipe", "step", "loss", "score"))
        for name, (curve, _) in found.items():
            for step, pair in enumerate(zip(curve.losses, curve.scores, strict=True)):
                rows.writerow((name, step, *(f"{value:.6f}" for value in pair)))
    draw(found, folder / "curves.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
