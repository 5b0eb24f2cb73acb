"""Overlays: a picture is laid over the one that is being made, every few steps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import Cli, fake_models, plan
from PIL import Image

from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.steering.given import Given

SMALL = ("--size", "48x32", "--steps", "8", "--cutouts", "2", "--seed", "1", "--preset", "starter", "--start", "noise")


def stamp() -> Image.Image:
    """Green on the left half, transparent on the right."""
    image = Image.new("RGBA", (48, 32), (0, 0, 0, 0))
    image.paste((0, 255, 0, 255), (0, 0, 24, 32))
    return image


@pytest.mark.parametrize("backend", ["vqgan", "dvae", "pixels"])
def test_the_overlay_is_there_after_every_few_steps(backend: str) -> None:
    overlay = torch.from_numpy(np.array(stamp())).permute(2, 0, 1)[None].float() / 255
    asked = plan("red", backend=backend, start="noise", overlay="stamp.png", overlay_every=3, lr=1e-6)
    run = Run([asked], fake_models(backend), Given(overlay=overlay))
    seen = []
    for _ in range(4):
        [step] = run.find_gradients()
        seen.append(step.image[1, :, :24].mean() - step.image[0, :, :24].mean())
        run.update()
    assert float(seen[2]) < 0.3
    assert float(seen[3]) > 0.5
    with pytest.raises(UsageError, match="a plan that names an overlay must come with it"):
        Run([asked], fake_models(backend))


def test_a_run_with_an_overlay_is_recorded_replayed_and_resumed(cli: Cli) -> None:
    stamp().save("stamp.png")
    args = ("red", "--overlay", "stamp.png", "--overlay-every", "4", *SMALL)
    made = cli(*args, "--keep-state")
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    [row] = read_recipe(picture).plan.overlay
    assert (row.file, row.every, len(row.sha256)) == ("stamp.png", 4, 64)
    refused = cli("replay", str(picture))
    assert refused.exit_code == 2
    assert "has the overlay 'stamp.png', which is not inside it; add --overlay FILE" in refused.stderr
    again = cli("replay", str(picture), "--overlay", "stamp.png")
    assert Image.open(again.stdout.strip()).tobytes() == Image.open(picture).tobytes()
    assert cli("resume", str(picture), "--steps", "+2").exit_code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--overlay", "none.png"), "--overlay 'none.png' does not exist"),
        (("--overlay-every", "3"), "--overlay-every 3 needs an overlay; add --overlay FILE"),
        (("--overlay", "stamp.png", "--overlay-every", "0"), "--overlay-every must be a whole number from 1"),
    ],
)
def test_an_overlay_that_cannot_be_laid_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    stamp().save("stamp.png")
    result = cli("red", *SMALL, *args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert said in result.stderr
