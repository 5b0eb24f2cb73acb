"""Targets beside the texts: how they are typed, what they pull towards, and that a run with them can be made again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import Cli, FakePerceptor, Recorder, colour, fake_models, guided_by, plan
from PIL import Image
from safetensors.numpy import save_file
from torch import nn

from clipgen.config.schedules import Schedule
from clipgen.config.targets import TargetSettings, embedding_of, embedding_text
from clipgen.engine.inputs import Inputs
from clipgen.engine.optimise import optimise
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.embeddings import with_embedding
from clipgen.steering.given import Given

SMALL = ("--size", "32x32", "--steps", "4", "--cutouts", "2", "--seed", "1", "--preset", "starter", "--start", "noise")
BLUE = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16).contiguous()


@pytest.mark.parametrize(
    ("typed", "detail", "weight", "stop"),
    [
        ("image:cat.jpg", "cat.jpg", "1", -1000.0),
        ("image:C:\\cats\\a.jpg", "C:\\cats\\a.jpg", "1", -1000.0),
        ("image:cat.jpg:-0.5", "cat.jpg", "-0.5", -1000.0),
        ("image:cat.jpg:2:0.3", "cat.jpg", "2", 0.3),
        ("whole-image:a:b.png:1..0", "a:b.png", "1..0", -1000.0),
        ("noise:7", "7", "0.1", -1000.0),
        ("region:left:a tree:2", "left", "2", -1000.0),
    ],
)
def test_a_target_is_read_from_the_right_and_spelled_again(typed: str, detail: str, weight: str, stop: float) -> None:
    row = TargetSettings.parse(typed)
    assert (row.detail, str(row.weight), row.stop) == (detail, weight, stop)
    assert TargetSettings.parse(str(row)) == row


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--image-prompt", "none.png"), "--image-prompt 'none.png' does not exist"),
        (("--image-prompt", "words.txt"), "--image-prompt 'words.txt' is not one of PNG"),
        (("--noise-prompt", "x"), "--noise-prompt must be a seed"),
        (("--embedding", "none.npy"), "--embedding 'none.npy' cannot be read (No such file or directory)"),
        (("--embedding", "words.txt"), "--embedding 'words.txt' cannot be read"),
        (("--embedding", "two.npy"), "--embedding 'two.npy' holds 2x3 numbers of type float64; give one vector"),
        (("--region", "a tree"), "--region must be PLACE|FILE:TEXT"),
        (
            ("--region", "nowhere:a tree"),
            "--region 'nowhere' is neither one of left, right, top, bottom, centre nor a file",
        ),
        (("--region", "nowhere.png:a tree"), "--region 'nowhere.png' does not exist"),
        (("--mix", "a cat", "a dog", "0.5"), "--mix and --change stand for the prompt"),
    ],
)
def test_a_target_that_is_none_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    Path("words.txt").write_text("a cat\n")
    np.save("two.npy", np.ones((2, 3)))
    result = cli("red", *SMALL, *args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert said in result.stderr
    assert not Path("outputs").exists()


def test_an_embedding_keeps_its_numbers(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=12).astype(np.float32)
    np.save(tmp_path / "one.npy", numbers[None])
    save_file({"vector": numbers}, tmp_path / "one.safetensors")
    for name in ("one.npy", "one.safetensors"):
        row = TargetSettings.parse(with_embedding(f"{tmp_path / name}:0.5"))
        assert np.array_equal(np.float32(embedding_of(row.detail)), numbers)
        assert row.weight == Schedule.constant(0.5)
    for bad in ([1.0], [0.0, 0.0], [float("nan"), 1.0]):
        with pytest.raises(UsageError):
            embedding_text(bad)


def losses_of(*targets: str, images: int = 0, **settings: object) -> Run:
    rows = tuple(map(TargetSettings.parse, targets))
    asked = plan("red", targets=(), **settings)
    from dataclasses import replace

    return Run([replace(asked, targets=rows)], fake_models(), Given(targets=(BLUE,) * images))


def gradient(run: Run) -> torch.Tensor:
    run.find_gradients()
    return torch.cat(
        [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in run.loop.generator.parameters()]
    )


def test_the_weight_of_a_target_scales_its_gradient_and_0_and_a_stop_silence_it() -> None:
    none = gradient(losses_of())
    one, two, off = (gradient(losses_of(f"image:x.png:{weight}", images=1)) - none for weight in (1, 2, 0))
    torch.testing.assert_close(two, 2 * one, rtol=1e-3, atol=1e-7)
    assert one.abs().max() > 0
    assert off.abs().max() == 0
    stopped = gradient(losses_of("image:x.png:1:900", images=1)) - none
    torch.testing.assert_close(stopped, torch.zeros_like(stopped), atol=1e-7, rtol=0)


@pytest.mark.parametrize("kind", ["image", "whole-image"])
def test_an_image_prompt_pulls_towards_the_picture(kind: str) -> None:
    blue = Image.new("RGB", (20, 20), "blue")
    asked = plan("red:0", targets=(f"{kind}:blue.png",), steps=40, start="noise")
    recorder = Recorder()
    made = optimise(asked, fake_models(), [recorder], init=Inputs(targets=(blue,)))
    red, green, shown = colour(made)
    assert shown > red + 50
    assert shown > green + 50
    assert float(recorder.steps[-1].score) > 0.7  # texts without weight: it is scored by the picture


def test_noise_prompts_differ_by_seed_and_embeddings_must_fit() -> None:
    first, again, other = (gradient(losses_of(f"noise:{seed}:1")) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with pytest.raises(UsageError, match=r"--embedding goes with none of the guiding models; .* take 12 numbers"):
        losses_of(f"embedding:{embedding_text([1.0, 2.0])}")
    assert losses_of(f"embedding:{embedding_text([1.0] * 12)}").find_gradients()


def test_a_perceptor_that_knows_no_directions_takes_no_images() -> None:
    class Blind(FakePerceptor):
        takes_images = False

    from dataclasses import replace

    asked = replace(plan("red"), targets=(TargetSettings.parse("image:x.png"),))
    with pytest.raises(UsageError, match="--image-prompt goes with none of the guiding models"):
        Run([asked], guided_by(Blind()), Given(targets=(BLUE,)))
    both: list[nn.Module] = [Blind(), FakePerceptor()]
    assert Run([asked], guided_by(*both), Given(targets=(BLUE,))).find_gradients()


def test_a_run_with_targets_is_recorded_and_replayed(cli: Cli) -> None:
    Image.new("RGB", (30, 20), "blue").save("blue.png")
    args = ("--image-prompt", "blue.png:0.5", "--noise-prompt", "3", "--templates")
    made = cli("red", *SMALL, *args[:-1])
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    rows = read_recipe(picture).plan.targets
    assert [(row.kind, row.detail, bool(row.sha256)) for row in rows] == [
        ("image", "blue.png", True),
        ("noise", "3", False),
    ]
    refused = cli("replay", str(picture))
    assert refused.exit_code == 2
    assert "add, with their paths: --image-prompt 'blue.png:0.5'" in refused.stderr
    again = cli("replay", str(picture), *args[:4])
    assert Image.open(again.stdout.strip()).tobytes() == Image.open(picture).tobytes()
    assert "--image-prompt 'blue.png:0.5'" in cli("info", str(picture)).stdout


def test_a_picture_alone_can_be_the_prompt(cli: Cli) -> None:
    Image.new("RGB", (30, 20), "blue").save("blue.png")
    made = cli("--variations-of", "blue.png", *SMALL)
    assert made.exit_code == 0, made.stderr
    assert made.stdout.strip() == "outputs/blue-1.png"
    refused = cli(*SMALL)
    assert refused.exit_code == 2
    assert "say what to draw" in refused.stderr
