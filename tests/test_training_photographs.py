"""From a folder of captioned photographs to a preset and a picture, by the commands that a user types; slow."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from clipgen.config.own_presets import read_own_preset
from clipgen.weights import read

SUBJECTS = {"astronaut": "an astronaut", "chelsea": "a cat", "coffee": "a cup of coffee", "rocket": "a rocket"}
SUBJECTS |= {"hubble_deep_field": "galaxies", "retina": "a retina", "coins": "old coins", "moon": "the moon"}
SUBJECTS |= {"brick": "a brick wall", "grass": "grass"}
CROPS, SIDE = 30, 64
"""Of each photograph, and their side in pixels."""
FULL = "loss"
"""In a line that tells that a step was made."""


def write_crops(folder: Path) -> int:
    """Cut photographs of scikit-image into captioned parts; returns how many there are."""
    folder.mkdir()
    for name, caption in SUBJECTS.items():
        whole = Image.fromarray(getattr(data, name)()).convert("RGB")
        side = min(whole.size) // 2
        for k in range(CROPS):
            left, top = (k * 37 % (length - side) for length in whole.size)
            part = whole.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            part.save(folder / f"{name}-{k:02}.jpg", quality=95)
            (folder / f"{name}-{k:02}.txt").write_text(f"a photograph of {caption}\n{caption}\n")
    return CROPS * len(SUBJECTS)


def clipgen(folder: Path, *arguments: str, stop: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; stop: send Ctrl-C once some steps are made."""
    command = [sys.executable, "-m", "clipgen", *arguments]
    with (folder / "said").open("w") as said:
        running = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=said, text=True)
        while stop and running.poll() is None:
            time.sleep(0.2)
            if FULL in (folder / "said").read_text():
                running.send_signal(signal.SIGINT)
                break
        out, _ = running.communicate()
    return subprocess.CompletedProcess(command, running.returncode, out, (folder / "said").read_text())


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_300_captioned_photographs_become_a_preset_that_draws(tmp_path: Path) -> None:
    assert write_crops(tmp_path / "crops") == 300
    stops = 0
    for kind, steps in (("vqgan", 100), ("clip", 120), ("prior", 150)):
        more = ("--steps", str(steps), "--batch", "16")
        train = ("train", kind, "--data", "crops", "--out", "mine", *more)
        for _ in range(2 if kind == "vqgan" else 0):  # resumed twice on the way
            stopped = clipgen(tmp_path, *train, stop=True)
            assert stopped.returncode == 130, stopped.stderr
            assert not (tmp_path / "mine" / "vqgan.safetensors").exists()
            stops += 1
        done = clipgen(tmp_path, *train)
        assert done.returncode == 0, done.stderr
        assert ("going on from step" in done.stderr) == (kind == "vqgan")
        assert done.stdout.strip().endswith(f"{kind}.safetensors")
    assert stops == 2
    preset = read_own_preset(tmp_path / "mine")
    assert set(preset.networks) == {"clip", "vqgan", "prior"}
    metrics = read(preset.path("clip")).recipe["metrics"]
    assert metrics["R@1"] > 2 * metrics["chance"]
    for start in ("noise", "prior"):
        drawn = clipgen(
            tmp_path, "a photograph of a cat", "--preset", "./mine", "--start", start, "--steps", "10", "--seed", "1"
        )
        assert drawn.returncode == 0, drawn.stderr
        with Image.open(tmp_path / drawn.stdout.strip()) as picture:
            assert picture.size == (SIDE, SIDE)
