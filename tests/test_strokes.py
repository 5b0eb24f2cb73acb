"""Pictures in strokes: the latent, the files beside the picture, and what is refused."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import resvg_py
import torch
from fakes import Cli, fake_models, plan, with_generator
from PIL import Image, ImageSequence
from skimage.metrics import structural_similarity

from clipgen.config.plan import Plan
from clipgen.config.preset import DRAWN
from clipgen.config.strokes import COUNT, StrokeSettings
from clipgen.core.contracts import Encoder, Growable
from clipgen.engine.run import Run
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import UsageError
from clipgen.generators.strokes import StrokeGenerator
from clipgen.generators.vector import DrawnStep, Vector, drawing_of
from clipgen.outputs.metadata import read_recipe
from clipgen.outputs.svg import is_whole_svg

SMALL = ("--backend", "strokes", "--preset", "starter", "--start", "noise", "--seed", "1", "--steps", "3")
TINY = (*SMALL, "--size", "48x32", "--cutouts", "2", "--strokes", "20")
Drawn = tuple[np.ndarray, np.ndarray]


def made(count: int = 60, size: tuple[int, int] = (48, 32), batch: int = 2) -> StrokeGenerator:
    settings = StrokeSettings.of(count, None, min(size))
    return StrokeGenerator(torch.device("cpu"), batch, size, type(DRAWN)("", 1, 1, strokes=(settings,)))


def scene() -> torch.Tensor:
    """A red disc on blue, and green on the right (1, 3, 32, 48)."""
    y, x = torch.meshgrid(torch.arange(32), torch.arange(48), indexing="ij")
    image = torch.tensor([0.1, 0.2, 0.8])[:, None, None].repeat(1, 32, 48)
    image[:, (x - 16) ** 2 + (y - 16) ** 2 < 81] = torch.tensor([0.9, 0.1, 0.1])[:, None]
    image[:, x > 36] = torch.tensor([0.1, 0.7, 0.2])[:, None]
    return image[None]


def test_it_has_the_capabilities_of_an_encoder_that_grows_and_draws() -> None:
    generator = made()
    assert isinstance(generator, Encoder)
    assert isinstance(generator, Growable)
    assert isinstance(generator, Vector)
    assert drawing_of(fake_run("pixels").loop.generator, 0, (48, 32)) is None


def fake_run(backend: str = "strokes", *snapshots: Snapshot) -> Run:
    asked = plan("red|blue:0.5", backend=backend, start="noise", lr=2.0, steps=6)
    return Run([asked], fake_models(backend), snapshots=snapshots)


def test_strokes_paint_an_image_along_its_edges_the_better_the_more_there_are() -> None:
    errors = []
    for count in (4, 30, 200):
        generator = made(count)
        generator.start_from_images_(scene().repeat(2, 1, 1, 1))
        images = generator.decode().detach()
        assert torch.equal(images[0], images[1])
        errors.append(float((images[:1] - scene()).abs().mean()))
        assert float(generator.distance_to_start().detach().max()) == 0.0
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.06 < errors[0]


def test_what_reencoding_leaves_out_brings_the_latents_back() -> None:
    generator = made()
    generator.start_from_noise_([1, 2])
    before = generator.decode().detach()
    rest = generator.reencode_(scene().repeat(2, 1, 1, 1))
    assert not torch.allclose(generator.decode(), before, atol=0.1)
    assert float(generator.distance_to_start().detach().min()) > 0
    generator.reencode_(scene().repeat(2, 1, 1, 1), rest)
    torch.testing.assert_close(generator.decode(), before, atol=1e-3, rtol=0)


def test_a_drawing_is_the_same_at_any_size() -> None:
    small, large = made(30, (48, 32), 1), made(30, (48, 32), 1).at_size((192, 128))
    for generator in (small, large):
        generator.start_from_noise_([3])
    for name, value in small.tensors().items():
        large.tensors()[name].data.copy_(value)
    shrunk = torch.nn.functional.interpolate(large.decode().detach(), (32, 48), mode="area")
    assert float((small.decode().detach() - shrunk).abs().mean()) < 0.02


def test_a_picture_that_is_small_at_first_is_drawn_at_its_full_size() -> None:
    asked = with_generator(plan("red", backend="strokes", start="noise", lr=2.0, steps=6), small_until=0.5)
    run = Run([asked], fake_models("strokes"))
    for _ in range(6):
        [step] = run.find_gradients()
        assert isinstance(step, DrawnStep)
        assert step.drawing is not None
        drawn = step.drawing.image(len(step.drawing))
        assert drawn.shape == step.image.shape == (3, 32, 48)
        assert float((drawn - step.image).abs().mean()) < (0.12 if step.index < 3 else 1e-6)
        run.update()


def test_latents_stay_in_their_range() -> None:
    generator = made(10, batch=1)
    generator.start_from_noise_([0])
    with torch.no_grad():
        for latent in generator.parameters():
            latent.add_(1e5)
    generator.project_()
    drawing = generator.drawing(0)
    assert float(drawing.points.max()) <= 48 + 0.1 * 32 + 1e-3
    assert float(drawing.widths.max()) <= 50 / 224 * 32 + 1e-3
    assert float(drawing.colours.max()) <= 1.0 + 1e-6


def test_a_resumed_run_is_the_same_to_the_last_bit() -> None:
    whole, begun = fake_run(), fake_run()
    for _ in range(3):
        begun.find_gradients()
        begun.update()
    rest = fake_run("strokes", begun.snapshot(0))
    for run, steps in ((whole, 6), (rest, 3)):
        for _ in range(steps):
            run.find_gradients()
            run.update()
    assert torch.equal(whole.finish()[0].image, rest.finish()[0].image)


def test_the_picture_is_written_as_svg_and_replayed(cli: Cli) -> None:
    result = cli("red", *TINY, "--json", "-o", "a.png")
    assert result.exit_code == 0, result.stderr
    [document] = [json.loads(result.stdout)]
    assert (document["path"], document["svg"], document["films"]) == ("a.png", "a.svg", [])
    assert is_whole_svg(Path("a.svg"))
    told = read_recipe(Path("a.png")).plan
    assert told.generator.strokes == (StrokeSettings.of(20, None, 32),)
    again = cli("replay", "a.png", "-o", "b.png")
    assert again.stdout.splitlines() == ["b.png", "b.svg"]
    assert Path("b.svg").read_text() == Path("a.svg").read_text()
    assert Image.open("b.png").tobytes() == Image.open("a.png").tobytes()
    for change, count in ((("--strokes", "7"), 7), (("--steps", "2"), 20), (("--size", "64x64"), 20)):
        changed = cli("replay", "a.png", *change, "-o", "c.png").stdout.splitlines()[0]
        assert read_recipe(Path(changed)).plan.generator.strokes[0].count == count
    other = cli("replay", "a.png", "--backend", "pixels", "-o", "d.png")
    assert other.stdout.splitlines() == ["d.png"], other.stderr


def test_nothing_is_overwritten_and_the_drawing_shares_the_name(cli: Cli) -> None:
    Path("a.svg").write_text("mine")
    assert cli("red", *TINY, "-o", "a.png").stdout.splitlines() == ["a-2.png", "a-2.svg"]
    assert Path("a.svg").read_text() == "mine"


@pytest.mark.parametrize("size", ["96x96", "160x112", "224x224"])
def test_the_svg_shows_what_the_png_does(cli: Cli, size: str) -> None:
    assert cli("red", *SMALL, "--cutouts", "1", "--size", size, "-o", "a.png").exit_code == 0
    rendered = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_path="a.svg")))).convert("RGB")
    mine, theirs = (np.asarray(image, dtype=np.float64) for image in (Image.open("a.png"), rendered))
    assert structural_similarity(mine, theirs, channel_axis=2, data_range=255) >= 0.97


def test_lines_of_a_batch_and_job_files_have_strokes(cli: Cli) -> None:
    Path("lines.txt").write_text("--strokes 5 --stroke-width 2,4 :: red\nblue\n")
    result = cli("batch", "lines.txt", *TINY, "-o", "out", "--json")
    assert result.exit_code == 0, result.stderr
    plans = [read_recipe(path).plan for path in sorted(Path("out").glob("*.png"))]
    assert [one.generator.strokes[0] for one in plans] == [
        StrokeSettings.of(20, None, 32),
        StrokeSettings.of(5, "2,4", 32),
    ]
    assert cli("batch", "lines.txt", *TINY, "-o", "out").stdout == ""
    next(Path("out").glob("red*.svg")).unlink()
    assert len(cli("batch", "lines.txt", *TINY, "-o", "out").stdout.splitlines()) == 2
    Path("job.toml").write_text('prompt = "red"\nbackend = "strokes"\nstrokes = 9\nstroke-width = "3"\n')
    made_by_file = cli("run", "job.toml", *TINY[2:-2], "-o", "e.png")
    assert made_by_file.exit_code == 0, made_by_file.stderr
    [row] = read_recipe(Path("e.png")).plan.generator.strokes
    assert (row.count, row.width) == (9, 3 / 32)


def test_the_film_draws_stroke_by_stroke_on_demand(cli: Cli) -> None:
    result = cli("red", *TINY, "--gif", "--film-by-stroke", "--film-length", "1", "-o", "a.png")
    assert result.exit_code == 0, result.stderr
    with Image.open("a.gif") as film:
        frames = [np.asarray(frame.convert("RGB"), float) for frame in ImageSequence.Iterator(film)]
    assert frames[0].min() > 245  # blank paper
    final = np.asarray(Image.open("a.png"), float)
    distances = [np.abs(frame - final).mean() for frame in frames]
    assert distances[-1] < distances[len(frames) // 4] < distances[0]


@pytest.mark.parametrize("args", [("--start", "perlin"), ("--start", "init", "--init", "i.png")])
def test_where_the_first_width_has_no_effect_is_said(cli: Cli, args: tuple[str, ...]) -> None:
    Image.new("RGB", (48, 32), "blue").save("i.png")
    begun = cli("red", *TINY, *args, "--stroke-width", "2,9")
    assert begun.exit_code == 0, begun.stderr
    assert f"--stroke-width 2,9: with --start {args[1]} the first strokes paint a picture" in begun.stderr
    assert "only with --start noise do they begin 2 wide" in begun.stderr
    assert "--stroke-width" not in cli("red", *TINY, "--stroke-width", "2,9").stderr
    assert "--stroke-width" not in cli("red", *TINY, *args).stderr


WAY_OUT = "; leave it out, or use --backend vqgan"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--strokes", "0"), "--strokes must be a whole number from 1 to 4096, got 0"),
        (("--strokes", "1000000"), "--strokes must be a whole number from 1 to 4096, got 1000000"),
        (("--stroke-width", "0"), "--stroke-width must be pixels above 0, such as 3"),
        (("--stroke-width", "thick"), "--stroke-width must be pixels above 0"),
        (("--stroke-width", "5,2"), "--stroke-width 5,2 starts wider than strokes may get"),
        (("--stroke-width", "33"), "is wider than the picture; its shorter side has 32 pixels"),
        (("--backend", "pixels", "--strokes", "9"), "--strokes 9 goes with --backend strokes, not with pixels"),
        (("--backend", "vqgan", "--stroke-width", "9"), "--stroke-width 9 goes with --backend strokes, not with vqgan"),
        (("--vqgan", "imagenet-f16-1024"), "--vqgan goes with --backend vqgan, not with strokes"),
        (("--init-tokens", "x.npy", "--start", "tokens"), "--init-tokens"),
        (("--start", "init", "--init", "i.png", "--mask", "left"), f"--mask changes pixels, and --backend {WAY_OUT}"),
        (
            ("--start", "init", "--init", "i.png", "--extend", "0,0,8,0"),
            "--extend changes pixels, and --backend strokes",
        ),
        (("--overlay", "i.png"), "--overlay changes pixels, and --backend strokes draws in strokes"),
        (("--film-by-stroke",), "--film-by-stroke needs a film; add --mp4"),
        (("--backend", "pixels", "--film-by-stroke", "--gif"), "--film-by-stroke goes with --backend strokes, not"),
        (("--style-image", "none.png"), "--style-image 'none.png' does not exist"),
        (("--style-image", "text.png"), "--style-image 'text.png'"),
        (("--style-image", "i.png:-1"), "--style-image takes a weight of at least 0 and no stop, got 'i.png:-1'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    Image.new("RGB", (48, 32), "red").save("i.png")
    Path("text.png").write_text("no picture")
    before = sorted(Path().iterdir())
    result = cli("red", *SMALL, "--size", "48x32", *args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert said.replace(f"--backend {WAY_OUT}", "--backend strokes draws in strokes" + WAY_OUT) in result.stderr
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    "args",
    [("--tile",), ("--start", "init", "--init", "i.png"), ("--start", "perlin"), ("--region", "left:blue")],
    ids=lambda args: args[0],
)
def test_what_does_not_change_pixels_goes_with_strokes(cli: Cli, args: tuple[str, ...]) -> None:
    Image.new("RGB", (48, 32), "red").save("i.png")
    result = cli("red", *TINY, *args, "-o", "a.png")
    assert result.stdout.splitlines() == ["a.png", "a.svg"], result.stderr


def test_a_camera_is_refused(cli: Cli) -> None:
    result = cli("zoom", "red", "--backend", "strokes", "--preset", "starter", "--size", "48x32")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert "a camera changes pixels, and --backend strokes draws in strokes" in result.stderr


def test_plans_have_strokes_if_and_only_if_they_are_drawn() -> None:
    drawn, other = (plan(backend=backend, start="noise").to_dict() for backend in ("strokes", "pixels"))
    row = StrokeSettings.of(COUNT, None, 32).__dict__
    assert (drawn["generator"]["strokes"], other["generator"]["strokes"]) == ((row,), ())
    for one, rows in ((drawn, []), (drawn, [row, row]), (other, [row])):
        with pytest.raises(UsageError, match="settings of strokes"):
            Plan.from_dict({**one, "generator": {**one["generator"], "strokes": rows}})
