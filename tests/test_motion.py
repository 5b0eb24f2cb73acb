"""A camera: what a move does to a picture, and runs whose pictures move."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import Cli, Recorder, fake_models, plan
from PIL import Image
from test_run_resume import stopped

from clipgen.config.job import Job
from clipgen.config.motion import BORDERS, MotionSettings, parse_pan
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.strokes import STROKES
from clipgen.core.contracts import Outcome, Step
from clipgen.engine.optimise import Task, optimise, optimise_together
from clipgen.errors import UsageError
from clipgen.generators import GENERATORS
from clipgen.generators.vqgan import VQGANGenerator
from clipgen.outputs.film import FilmSink, moving_schedule
from clipgen.outputs.metadata import read_recipe
from clipgen.outputs.video_source import VideoSource
from clipgen.session.planning import change_plan
from clipgen.session.reading_plans import job_of
from clipgen.steering import camera
from clipgen.steering.camera import moved, on_the_way

every_border = pytest.mark.parametrize("border", BORDERS)
moving_backend = pytest.mark.parametrize("backend", [name for name in GENERATORS if name != STROKES])
RED = parse_prompts("red")
IMAGES = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(3))
SMALL = ("--size", "32x32", "--steps", "12", "--cutouts", "2", "--seed", "1", "--preset", "starter")


def moving(**settings: Any) -> Plan:
    motion = {"zoom": 1.1, "pan": (3.0, -1.0), "rotate": 4.0, "every": 3, **settings.pop("motion", {})}
    return plan(**{"start": "noise", "motion": motion, **settings})


@every_border
def test_a_camera_that_stands_still_changes_nothing(border: str) -> None:
    assert torch.equal(moved(IMAGES, MotionSettings(border=border)), IMAGES)


def test_whole_pixels_move_as_they_are_and_come_back_on_the_other_side() -> None:
    shifted = moved(IMAGES, MotionSettings(pan=(2, -3), border="wrap"))
    assert torch.equal(shifted, IMAGES.roll((-3, 2), (2, 3)))
    far = moved(IMAGES, MotionSettings(pan=(2 + 12 * 7, 0), border="wrap"))
    assert torch.equal(far, IMAGES.roll(2, 3))
    cells = moved(IMAGES, MotionSettings(pan=(16, 0), border="wrap"), 8.0)
    assert torch.equal(cells, IMAGES.roll(2, 3))


def test_beyond_the_edge_is_a_mirror_image_or_the_edge() -> None:
    mirrored = moved(IMAGES, MotionSettings(pan=(4, 0), border="mirror"))
    assert torch.equal(mirrored[..., :4], IMAGES[..., :4].flip(3))
    smeared = moved(IMAGES, MotionSettings(pan=(0, 4), border="smear"))
    assert torch.equal(smeared[:, :, :4], IMAGES[:, :, :1].expand(-1, -1, 4, -1))


@every_border
def test_two_right_angles_are_half_a_turn(border: str) -> None:
    square = IMAGES[..., :9]
    quarter = moved(square, MotionSettings(rotate=90, border=border))
    torch.testing.assert_close(quarter, square.rot90(-1, (2, 3)), atol=1e-6, rtol=0)
    half = moved(square, MotionSettings(rotate=180, border=border))
    torch.testing.assert_close(moved(quarter, MotionSettings(rotate=90, border=border)), half, atol=1e-6, rtol=0)


def test_a_zoom_enlarges_about_the_centre() -> None:
    ramp = torch.linspace(0, 1, 17)[None, None, None, :].expand(1, 3, 17, 17)
    enlarged = moved(ramp, MotionSettings(zoom=2.0))
    torch.testing.assert_close(enlarged, 0.25 + ramp / 2, atol=1e-6, rtol=0)


def test_a_share_of_a_move_lies_between_none_and_all_of_it() -> None:
    motion, image = MotionSettings(zoom=1.2, pan=(4, 2), rotate=10), IMAGES[0]
    assert torch.equal(on_the_way(image, motion, 0.0), image)
    torch.testing.assert_close(on_the_way(image, motion, 1.0), moved(IMAGES[:1], motion)[0].clamp(0, 1))


@moving_backend
def test_a_camera_that_stands_still_leaves_the_run_as_it_is(backend: str) -> None:
    still = moving(backend=backend, motion={"zoom": 1.0, "pan": (0, 0), "rotate": 0.0})
    first, second = (optimise(each, fake_models(backend)) for each in (still, replace(still, motion=())))
    difference = np.abs(np.asarray(first.image, float) - np.asarray(second.image, float))
    assert difference.max() <= 1  # the rounding of a latent that is taken apart and put together


@moving_backend
def test_a_moved_picture_is_what_the_next_step_shows(backend: str) -> None:
    recorder = Recorder()
    asked = moving(backend=backend, steps=7, lr=1e-9)
    asked = replace(asked, motion=(MotionSettings(pan=(8.0, 0.0), every=6, border="wrap"),))
    optimise(asked, fake_models(backend), [recorder])
    images = [step.image for step in recorder.steps]
    if backend not in ("dvae", "titok"):  # with noise that differs from step to step; with a rest that has no place
        torch.testing.assert_close(images[6], images[5].roll(8, 2), atol=0.02, rtol=0)
        torch.testing.assert_close(images[7], images[6], atol=0.02, rtol=0)


def test_pictures_move_between_steps_and_the_optimiser_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, seen = Recorder(), []

    class Watched(VQGANGenerator):
        def reencode_(self, images: torch.Tensor, rest: torch.Tensor | float = 0.0) -> torch.Tensor:
            seen.append(len(recorder.steps))
            return super().reencode_(images, rest)

    monkeypatch.setattr("clipgen.generators.vqgan.VQGANGenerator", Watched)
    optimise(moving(), fake_models(), [recorder])
    assert seen == [3, 3, 6, 6, 9, 9]


@moving_backend
@pytest.mark.parametrize("after", [2, 3, 7])
def test_a_moving_run_that_was_stopped_gives_the_same_picture(backend: str, after: int) -> None:
    asked = moving(backend=backend)
    snapshot, _ = stopped(asked, after)
    whole, continued = Recorder(), Recorder()
    optimise(asked, fake_models(backend), [whole])
    optimise_together([Task(asked, sinks=[continued], snapshot=snapshot)], fake_models(backend))
    assert torch.equal(continued.steps[-1].image, whole.steps[-1].image)


def test_a_move_is_not_repeated_with_the_step_that_runs_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[int] = []
    failing = iter([False] * 7 + [True])

    class Short(type(fake_models().guides[0].perceptor)):  # type: ignore[misc]
        def encode_images(self, views: torch.Tensor) -> torch.Tensor:
            if next(failing, False):
                raise MemoryError
            found: torch.Tensor = super().encode_images(views)
            return found

    def counted(*asked: Any) -> torch.Tensor:
        moves.append(1)
        return moved(*asked)

    monkeypatch.setattr("clipgen.engine.between.moved", counted)
    models = fake_models()
    short = replace(models, guides=(replace(models.guides[0], perceptor=Short()),))
    optimise(moving(), short)
    assert len(moves) == 2 * 3  # the picture, and what the encoder does not find in it
    assert next(failing, None) is None


def test_a_plan_with_a_camera_starts_at_noise_takes_long_and_survives_json() -> None:
    made, _ = resolve(Job(RED, preset="starter", motion={"zoom": 1.05, "every": 6}))  # type: ignore[arg-type]
    assert (made.start, made.unclip, made.steps) == ("noise", (), 360)
    assert made.motion == (MotionSettings(zoom=1.05, every=6),)
    assert made.lr_schedule.at(1.0) == made.lr_schedule.at(0.0)
    assert Plan.from_json(made.to_json()) == made
    assert resolve(job_of(made))[0] == made
    assert Job.from_json(job_of(made).to_json()) == job_of(made)
    at_init, _ = resolve(Job(RED, preset="starter", init="a.png", motion=MotionSettings(zoom=1.05)))
    assert (at_init.start, at_init.unclip, at_init.weight_of("layout")) == ("init", (), 0.0)
    still, _, _ = change_plan(made, {"motion": None}, "cpu")
    assert still == resolve(Job(RED, preset="starter", start="noise"), device="cpu")[0]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--zoom", "0"), "--zoom must be a number from 0.5 to 2, got 0"),
        (("--zoom", "nan"), "--zoom must be a number from 0.5 to 2, got nan"),
        (("--zoom", "2.5"), "--zoom must be a number from 0.5 to 2, got 2.5"),
        (("--rotate", "181"), "--rotate must be a number from -180 to 180"),
        (("--pan", "2"), "--pan must be pixels to the right and down, such as 2,0"),
        (("--pan", "1e9,nan"), "--pan must be pixels"),
        (("--pan", "5000,0"), "--pan must be a number from -4096 to 4096"),
        (("--border", "miror"), "did you mean mirror?"),
        (("--move-every", "0"), "--move-every must be a whole number from 1"),
        (("--start", "unclip"), "a camera does not go with start unclip of preset starter"),
        (("-o", "film.webm"), "is not a PNG, JPEG or WebP file"),
    ],
)
def test_a_camera_that_cannot_be_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    result = cli("zoom", "red", *SMALL, *args)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(Path().iterdir())


def test_a_backend_that_cannot_encode_says_so_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    class OneWay(VQGANGenerator):
        reencode_ = None  # type: ignore[assignment]

    monkeypatch.setattr("clipgen.generators.vqgan.VQGANGenerator", OneWay)
    recorder = Recorder()
    with pytest.raises(UsageError, match="OneWay cannot start from an image; use another --backend"):
        optimise(moving(), fake_models(), [recorder])
    assert not recorder.steps


def test_a_film_is_made_recorded_resumed_and_replayed(cli: Cli) -> None:
    asked = ("--pan", "-2,0.5", "--move-every", "3", "--border", "wrap")
    done = cli("zoom", "red", *SMALL, *asked, "-o", "f.mp4", "--keep-state")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.split() == ["f.png", "f.mp4"]
    picture = Path("f.png")
    motion = MotionSettings(pan=(-2.0, 0.5), border="wrap", every=3)
    assert read_recipe(picture).plan.motion == (motion,)
    assert "motion" in cli("info", str(picture)).stdout
    again = Path(cli("replay", str(picture)).stdout.strip())
    assert np.array_equal(Image.open(again), Image.open(picture))
    other = Path(cli("replay", str(picture), "--backend", "pixels").stdout.strip())
    assert read_recipe(other).plan.motion == (motion,)
    more = cli("resume", str(picture), "--steps", "+3")
    assert (more.exit_code, more.stdout.split()) == (0, ["f.png", "f.mp4"])
    longer = Path(cli("replay", str(picture)).stdout.strip())
    assert np.array_equal(Image.open(longer), Image.open(picture))


@pytest.mark.parametrize(("total", "apart", "played"), [(20, 1, 4), (300, 1, 30), (1000, 3, 30)])
def test_frames_of_a_moving_run_are_evenly_apart(total: int, apart: int, played: int) -> None:
    found = moving_schedule(total, ".mp4")
    assert sorted(found.steps) == list(range(0, total + 1, apart))
    assert found.fps == played


def test_frames_between_moves_show_the_camera_on_its_way(tmp_path: Path) -> None:
    motion, zero = MotionSettings(pan=(8, 0), every=4, border="wrap"), torch.zeros(())
    half = torch.cat([torch.ones(3, 48, 32), torch.zeros(3, 48, 32)], 2)
    sink = FilmSink(tmp_path / "film.mp4", motion=motion)
    for index in range(9):
        image = half.roll(8 * min(index // 4, 1), 2)  # the last picture is not moved any more
        sink.on_step(Step(index, 8, zero, zero, {}, lambda image=image: image))
    sink.close(Outcome.FINISHED)
    assert sink.problem is None
    for index, frame in enumerate(VideoSource.open(sink.path).frames((64, 48))):
        row, edge = np.asarray(frame)[24, :, 0], 32 + 2 * min(index, 8)
        assert row[edge - 3] > 200 > 50 > row[edge + 2]


@pytest.mark.parametrize(("text", "pan"), [("2,0", (2, 0)), (" -1.5 , +.25", (-1.5, 0.25))])
def test_a_pan_is_two_numbers(text: str, pan: tuple[float, float]) -> None:
    assert parse_pan(text) == pan


def test_every_border_that_can_be_named_is_one() -> None:
    assert tuple(camera.BORDERS) == BORDERS
