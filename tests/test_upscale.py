"""Finished pictures are enlarged by a network, the same in tiles as whole, or by Lanczos, and the recipe says which."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import Cli, fake_models, plan
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from recipes import assert_refused
from rrdbnets import saved
from safetensors.torch import save_file
from test_resume import SMALL
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from clipgen.config.upscales import UpscaleSettings
from clipgen.engine import upscaling
from clipgen.engine.models import Models
from clipgen.engine.upscaling import load_upscaler, tiled
from clipgen.errors import ClipgenError, OutOfMemoryError, UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session import session
from clipgen.weights.imports import import_upscaler
from clipgen.weights.upscaler_records import UPSCALERS
from clipgen.weights.upscalers import build_upscaler, convert_upscaler

CPU = torch.device("cpu")
pytest.importorskip("spandrel", reason="clipgen[upscale] is not installed")


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs use fake models, but real networks that enlarge."""

    def models(plan: object, device: object, note: object = None) -> Models:
        return replace(fake_models(plan.backend), upscaler=load_upscaler(plan, CPU, lambda _line: None))  # type: ignore

    monkeypatch.setattr(session, "load_models", models)


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def pixels(path: str) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


@given(
    size=st.tuples(st.integers(9, 90), st.integers(9, 90)),
    tile=st.sampled_from([16, 24, 64]),
    scale=st.sampled_from([2, 4]),
)
@settings(max_examples=40)
def test_tiles_are_what_the_whole_is_where_no_pixel_sees_further_than_the_context(
    size: tuple[int, int], tile: int, scale: int
) -> None:
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(size[0]))

    def blurred(part: Tensor) -> Tensor:  # each pixel depends on all within 5
        return interpolate(avg_pool2d(part, 11, 1, 5, count_include_pad=False), scale_factor=scale)

    whole, made = blurred(image), tiled(blurred, image, scale, tile=tile, context=8, seam=8)
    assert made.shape == whole.shape
    assert (made - whole).abs().max() < 1e-5


def test_without_enough_context_tiles_fade_into_each_other_and_leave_no_step() -> None:
    image = torch.zeros(1, 3, 64, 64)
    number = iter(range(100))

    def of_one_colour(part: Tensor) -> Tensor:
        return torch.full((1, 3, 2 * part.shape[2], 2 * part.shape[3]), float(next(number) % 2))

    made = tiled(of_one_colour, image, 2, tile=32, context=8, seam=16)
    assert made.min() == 0
    assert made.max() == 1
    assert made[0, 0].diff(dim=1).abs().max() <= 1 / 32 + 1e-6


@pytest.mark.parametrize("scale", [2, 4])
def test_a_file_in_the_published_layout_is_the_network_that_it_says(tmp_path: Path, scale: int) -> None:
    mine, path = saved(tmp_path / "mine.pth", scale), tmp_path / "mine.pth"
    found = build_upscaler(convert_upscaler(path).tensors, "mine")
    assert found.scale == scale
    image = torch.rand(1, 3, 76, 84)
    whole = mine(image)
    assert torch.allclose(found.model(image), whole, atol=1e-5)
    reach = upscaling.Upscaler(found, CPU).reach
    made = tiled(found.model, image, scale, tile=24, context=reach)
    assert whole.std() > 0.01
    assert (made - whole).abs().max() < 1e-4


def test_other_layouts_and_the_averages_are_found(tmp_path: Path) -> None:
    state = saved(tmp_path / "a.pth", 4).state_dict()
    wrong = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    torch.save({"params": wrong, "params_ema": state}, tmp_path / "both.pth")
    save_file(state, tmp_path / "plain.safetensors")
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "module.pth")
    for name in ("both.pth", "plain.safetensors", "module.pth"):
        found = convert_upscaler(tmp_path / name).tensors
        assert all(torch.equal(found[key], state[key]) for key in state), name


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_run_a_replay_and_another_factor(cli: Cli, networks: None, suffix: str) -> None:
    saved(Path("mine.pth"), 4)
    made = cli(*SMALL, "--upscale", "4", "--upscaler", "mine.pth", "-o", f"a{suffix}")
    assert made.exit_code == 0, made.stderr
    assert size_of(f"a{suffix}") == (128, 128)
    [row] = read_recipe(Path(f"a{suffix}")).plan.upscale
    assert row.factor == 4
    assert row.network.startswith("upscaler/local-")
    assert f"upscale     4, by {row.network}" in cli("info", f"a{suffix}").stdout
    Path("mine.pth").unlink()
    assert cli("replay", f"a{suffix}", "-o", f"b{suffix}").exit_code == 0
    assert pixels(f"a{suffix}") == pixels(f"b{suffix}")
    assert cli("replay", f"a{suffix}", "--upscale", "1", "-o", "c.png").exit_code == 0
    assert size_of("c.png") == (32, 32)


def test_a_network_that_enlarges_more_is_reduced_and_films_stay_as_they_are(cli: Cli, networks: None) -> None:
    saved(Path("mine.pth"), 4)
    assert cli(*SMALL, "--upscale", "2", "--upscaler", "mine.pth", "--apng", "-o", "a.png").exit_code == 0
    assert (size_of("a.png"), size_of("a.apng")) == ((64, 64), (32, 32))


def test_without_a_network_lanczos_is_used_and_said(cli: Cli) -> None:
    made = cli(*SMALL, "--upscale", "4", "-o", "a.png")
    assert "--upscale 4: by Lanczos, which adds no detail; for a network that does: clipgen models pull" in made.stderr
    plain = cli(*SMALL, "-o", "b.png")
    assert plain.exit_code == 0
    with Image.open("a.png") as large, Image.open("b.png") as small:
        assert large.tobytes() == small.resize((128, 128), Image.Resampling.LANCZOS).tobytes()
    assert "for a network" not in cli(*SMALL, "--upscale", "2", "--upscaler", "lanczos").stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--upscale", "3"), "--upscale must be 2 or 4, or 1 for not at all, got 3"),
        (("--upscaler", "lanczos"), "--upscaler lanczos is for --upscale; add --upscale 4"),
        (("--upscale", "2", "--upscaler", "reelesrgan"), "did you mean upscaler/realesrgan-x"),
        (("--upscale", "4", "--upscaler", "text.pth"), "--upscaler: text.pth cannot be read as weights"),
        (("--upscale", "4", "--upscaler", "other.pth"), "is no network that spandrel knows"),
        (("--upscale", "4", "--upscaler", "nan.pth"), "has numbers that are not finite"),
        (("--upscale", "4", "--upscaler", "many.pth"), "and one is called number 999999"),
        (("--upscale", "4", "--upscaler", "wide.pth"), "only a small part of the network that their names promise"),
        (("--upscale", "4", "--size", "2048x2048"), "--upscale 4 of 2048x2048 is 8192x8192, more than 50,000,000"),
    ],
)
def test_bad_values_are_refused_in_one_line_before_the_run(cli: Cli, args: tuple[str, ...], said: str) -> None:
    state = saved(Path("good.pth"), 4).state_dict()
    Path("text.pth").write_text("hello")
    torch.save(nn.Linear(3, 3).state_dict(), "other.pth")
    torch.save({**state, "conv_hr.bias": torch.full((16,), float("nan"))}, "nan.pth")
    torch.save({**state, "body.999999.rdb1.conv1.bias": torch.zeros(32)}, "many.pth")
    torch.save({**state, "conv_first.weight": torch.zeros(4096, 3, 3, 3)}, "wide.pth")
    asked = (*SMALL, *args) if "--size" not in args else ("red", *args)
    assert_refused(cli(*asked, "--preset", "starter", "-o", "a.png"), said)
    assert not Path("a.png").exists()


def test_a_file_with_code_in_it_runs_none(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    torch.save({"params_ema": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UsageError, match=r"--upscaler: evil\.pth cannot be read"):
        import_upscaler(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_a_network_of_less_than_the_factor_and_too_little_memory_end_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "two.pth", 2)
    name = import_upscaler(tmp_path / "two.pth")
    wanted = replace(plan(), upscale=(UpscaleSettings(4, name),))
    with pytest.raises(UsageError, match="enlarges 2 times; use --upscale 2"):
        load_upscaler(wanted, CPU, lambda _line: None)
    wanted, notes = replace(plan(), size=(256, 256), upscale=(UpscaleSettings(2, name),)), list[str]()
    monkeypatch.setattr(upscaling, "room", lambda _device: 200_000_000)
    found = load_upscaler(wanted, CPU, notes.append)
    assert found
    assert found.tile == 64
    monkeypatch.setattr(upscaling, "room", lambda _device: 100_000)
    with pytest.raises(OutOfMemoryError, match="use a smaller --size or --upscale"):
        load_upscaler(wanted, CPU, notes.append)


def test_a_picture_that_cannot_be_enlarged_in_the_end_is_kept_and_resumed(
    cli: Cli, networks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Image.Image:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("clipgen.session.picture.enlarged", fail)
        failed = cli(*SMALL, "--upscale", "2", "-o", "a.png")
    assert failed.exit_code == 1
    assert "the picture a.png is as it was drawn, not enlarged: MemoryError: no room" in failed.stderr
    assert size_of("a.png") == (32, 32)
    assert cli("resume", "a.png").exit_code == 0
    assert size_of("a.png") == (64, 64)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    saved(tmp_path / "mine.pth", 4)
    tensors = convert_upscaler(tmp_path / "mine.pth").tensors
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    with pytest.raises(ClipgenError, match=r'use pip install "clipgen\[upscale\]", or --upscaler lanczos'):
        build_upscaler(tensors, "mine.pth")


def test_the_records_are_pinned() -> None:
    for record in UPSCALERS:
        assert record.sha256
        assert record.size
        assert record.mirrors[0].startswith("https://github.com/xinntao/Real-ESRGAN/releases/download/v")


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 4])
def test_the_full_network_is_the_reference_and_tiles_of_it_are_the_whole(tmp_path: Path, scale: int) -> None:
    mine = saved(tmp_path / "full.pth", scale, blocks=23, width=64)
    found = build_upscaler(convert_upscaler(tmp_path / "full.pth").tensors, "full")
    image = torch.rand(1, 3, 64, 96)
    whole = mine(image)
    assert torch.allclose(found.model(image), whole, atol=1e-4)
    made = tiled(found.model, image, scale, tile=48, context=upscaling.Upscaler(found, CPU).reach)
    assert (made - whole).abs().max() < 1e-4
