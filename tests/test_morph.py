"""Morphs: the target moves from one text to another, and the film shows that part of the run."""

from pathlib import Path

import pytest
import torch
from fakes import Cli, fake_models, plan
from imageio_ffmpeg import count_frames_and_secs
from PIL import Image

from clipgen.config.targets import MORPH_SINCE, MORPH_UNTIL, morph_share
from clipgen.engine.objective import targets_of
from clipgen.outputs.metadata import read_recipe
from clipgen.steering.given import Given
from clipgen.steering.vectors import great_circle

SMALL = ("--size", "32x32", "--cutouts", "2", "--seed", "1", "--preset", "starter")


def test_a_morph_waits_turns_evenly_and_settles() -> None:
    assert morph_share(0.0) == morph_share(MORPH_SINCE) == 0.0
    assert morph_share(MORPH_UNTIL) == morph_share(1.0) == 1.0
    assert morph_share((MORPH_SINCE + MORPH_UNTIL) / 2) == pytest.approx(0.5)


def test_the_target_is_on_the_great_circle_between_the_texts() -> None:
    both = [plan("red|blue", blend="morph", seed=seed) for seed in (1, 2)]
    targets = targets_of(both, fake_models(), Given(), ())
    red, blue = targets.vectors[0][0]
    for progress in (0.0, 0.3, 0.5, 0.8, 1.0):
        now = targets.at(progress)
        wanted = great_circle(red, blue, morph_share(progress))
        torch.testing.assert_close(now.vectors[0][:, 0], wanted.expand(2, -1))
        torch.testing.assert_close(now.vectors[0].norm(dim=2), torch.ones(2, 2))
        assert now.weights[0].sum(1).tolist() == pytest.approx([1.0, 1.0])
        assert torch.equal(targets.of(slice(1, 2)).at(progress).vectors[0], now.vectors[0][1:])


def test_a_morph_is_a_film_that_can_be_made_again_and_continued(cli: Cli) -> None:
    args = ("morph", "red", "blue", "--frames", "12", *SMALL)
    made = cli(*args, "-o", "turn.mp4", "--keep-state")
    assert made.exit_code == 0, made.stderr
    assert made.stdout.split() == ["turn.png", "turn.mp4"]
    recipe = read_recipe(Path("turn.png")).plan
    assert (recipe.blend, recipe.start, recipe.unclip, recipe.lr_schedule.kind) == ("morph", "noise", (), "constant")
    frames, _ = count_frames_and_secs("turn.mp4")
    assert 12 <= frames <= 12 / (MORPH_UNTIL - MORPH_SINCE) + 16  # the last is held for a second
    again = cli("replay", "turn.png", "-o", "again.png")
    assert Image.open("again.png").tobytes() == Image.open("turn.png").tobytes(), again.stderr
    longer = cli("resume", "turn.png", "--steps", "+4")
    assert longer.exit_code == 0, longer.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("red",), "Missing argument 'SECOND'"),
        (("red|blue", "red"), "morph takes plain texts, without weights"),
        (("red", "blue", "--frames", "1"), "--frames must be a whole number from 2 to 3000, got 1"),
        (("red", "blue", "--start", "unclip"), "a morph does not go with start unclip"),
    ],
)
def test_a_morph_that_cannot_be_made_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    result = cli("morph", *args, *SMALL)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert said in result.stderr
    assert not Path("outputs").exists()
