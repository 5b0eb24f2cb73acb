"""The files that the examples of the guide name, and which of its commands are too large to be run."""

import re
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageDraw
from skimage import data

SIDE = 64
PHOTOGRAPHS = ("selfie.jpg", "photo.jpg", "portrait.jpg", "portrait.png", "sunset.jpg", "starry-night.jpg", "sea.jpg")
TEXTS = {
    "prompts.txt": "a red heart\na blue flower\n",
    "examples/prompts.txt": "a {blue|green} flower\n--steps 2 :: a boat\n",
    "labels.txt": "a cat\na boat\n",
    "a.toml": 'preset = "starter"\nstart = "noise"\nsteps = 2\nsize = "64x64"\n',
    "b.toml": 'preset = "starter"\nstart = "noise"\nsteps = 3\nsize = "64x64"\n',
}
TINY = {
    "steps": "4",
    "size": f"{SIDE}x{SIDE}",
    "cutouts": "2",
    "strokes": "16",
    "candidates": "2",
    "keep": "1",
    "n": "6",
}
"""What takes the place of larger values."""
ADDED = {
    "zoom": ("steps", "size", "cutouts"),
    "morph": ("steps", "size", "cutouts"),
    "restyle": ("steps", "size", "cutouts"),
    "replay": ("steps", "size"),
    "eval": ("steps", "size", "cutouts", "n"),
}
"""By command: which of them are added if they are not typed. `run` and `batch` take them from the environment."""
LARGE = (
    (r"--preset (quick|draft|standard|best)\b|dalle-mini", "downloads a pretrained preset"),
    (
        r"--backend (kl|titok)|--kl|--vqgan (?!starter/)|--recipe tokenopt|--init-from photos",
        "needs pretrained networks",
    ),
    (r"--clip\b|--clip-weights|timm:|hps|efficientnet-lite2 --perceptor", "needs pretrained networks"),
    (r"^models (pull|add|verify|rm)", "changes the cache of pretrained networks"),
    (r"^train|--preset \./|--preset my-|^bench", "takes minutes to hours"),
    (r"--workers|--ray", "starts more processes"),
    (r"votes-", "counts the votes of people"),
    (r"PartiPrompts|captions\.txt", "is about a file that people download"),
    (r"--backend waves|--loss brightness", "needs the parts that the chapter adds, which have a test of their own"),
    (r"^(web|mcp)\b", "serves until it is stopped"),
    (r"--sign\b|--upscaler", "needs a certificate or a network; the chapter on files has a test of its own"),
)
"""Patterns of commands that are only parsed, and why."""


def prepare(folder: Path) -> None:
    """Write the files that the guide speaks of, as small as they can be."""
    for name, text in TEXTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    photograph = Image.fromarray(data.astronaut()).resize((SIDE, SIDE))
    for name in PHOTOGRAPHS:
        photograph.save(folder / name)
    heart, mask = Image.new("RGB", (SIDE, SIDE), "white"), Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(heart).ellipse((16, 16, 48, 48), fill="red")
    ImageDraw.Draw(mask).rectangle((0, 0, SIDE, SIDE // 2), fill=255)
    heart.save(folder / "heart.png")
    heart.save(folder / "upper-half.png")
    mask.save(folder / "mask.png")
    for name in ("photos/1.jpg", "things/cat/1.png", "things/boat/2.png", "attacked/cat/1.png", "attacked/boat/2.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        photograph.save(folder / name)
    for name in ("things/phone/51.png", "things/car/13.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        heart.save(folder / name)
    _film(folder / "in.mp4", np.asarray(photograph))


def _film(path: Path, frame: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
    writer = imageio_ffmpeg.write_frames(str(path), (SIDE, SIDE), fps=4)
    writer.send(None)
    for shift in range(4):
        writer.send(np.ascontiguousarray(np.roll(frame, 4 * shift, 1)))
    writer.close()


def reason_against(args: list[str]) -> str | None:
    """Say why a command is only parsed; None if it is run."""
    line = " ".join(args)
    return next((reason for pattern, reason in LARGE if re.search(pattern, line)), None)


def tiny(args: list[str]) -> list[str]:
    """Return a command with small numbers in place of large ones, and small ones that it lacks."""
    made = list(args)
    for name, value in {**TINY, "frames": "3"}.items():
        for option in (f"--{name}", f"-{name}"):
            if option in made and (made[k := made.index(option) + 1].isdigit() or name == "size"):
                made[k] = min(made[k], value, key=lambda text: int(text.split("x")[0]))
    if "--extend" in made and "--size" not in made:  # the extended picture must be in it as a whole
        left, top, right, bottom = map(int, made[made.index("--extend") + 1].split(","))
        height = 128 * (SIDE + top + bottom) // (SIDE + left + right)
        made += ["--size", f"128x{max(height // 8, 2) * 8}"]
    lacking = [name for name in ADDED.get(args[0], ()) if f"--{name}" not in made]
    if "--prompts" in made:  # as many as its file has
        lacking = [name for name in lacking if name != "n"]
    return [*made, *(word for name in lacking for word in (f"--{name}", TINY[name]))]
