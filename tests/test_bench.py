"""The benchmark: what it measures, and what it says of wrong input."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from fakes import Cli

from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.core.optim import LatentOptimizer
from clipgen.engine import benchmark
from clipgen.engine.classic import ClassicLoop
from clipgen.engine.models import Models, load_models
from clipgen.engine.stopwatch import MemoryMeter, Stopwatch
from clipgen.errors import UsageError
from clipgen.outputs.chart import chart, exponent
from clipgen.perceptors.clip import CLIPPerceptor

SMALL = {"preset": "starter", "start": "noise", "size": (32, 32), "cutouts": 2}


def planned(**fields: object) -> tuple[object, Models]:
    plan, _ = resolve(Job(parse_prompts("a lighthouse"), **{**SMALL, **fields}), device="cpu")
    return plan, load_models(plan, "cpu")


def test_a_report_has_rates_ratio_memory_and_shares(cli: Cli) -> None:
    flags = ("--size", "32x32", "--cutouts", "2", "--steps", "1", "--rounds", "3")
    made = cli("bench", *flags, "--preset", "starter", "--recipe", "nerdyrodent", "--json")
    assert made.exit_code == 0, made.stderr
    report = json.loads(made.stdout)
    assert set(report["loops"]) == {"clipgen", "classic"}
    for row in report["loops"].values():
        least, middle, most = row["steps a second"]
        assert 0 < least <= middle <= most
        assert row["bytes a step adds"] > 32 * 32 * 3 * 4
    assert report["ratio"] == sorted(report["ratio"])
    assert len(report["ratio"]) == 3
    assert sum(report["shares"].values()) == pytest.approx(1)
    assert 0 < report["matrix products"]["share"] < 1
    assert not list(Path().iterdir())


def test_the_classic_loop_moves_the_latent_towards_the_text() -> None:
    _, models = planned(size=(64, 64), cutouts=8)
    clips = [guide.perceptor for guide in models.guides if isinstance(guide.perceptor, CLIPPerceptor)]
    loop = ClassicLoop(models.network, clips, "a red heart", (64, 64), 8)
    start = loop.latent.detach().clone()
    [target] = [each.encode_texts(["a red heart"]) for each in clips[:1]]

    def score() -> float:
        with torch.no_grad():
            return float((clips[0].encode_images(clips[0].whole(loop._decode())) @ target.T).mean())

    before = score()
    for _ in range(8):
        loop.step()
    assert score() > before + 0.02
    assert not torch.equal(loop.latent, start)
    codes = models.network.codebook
    assert (loop.latent.detach() <= codes.max(0).values[None, :, None, None]).all()
    assert (loop.latent.detach() >= codes.min(0).values[None, :, None, None]).all()


def test_the_memory_of_tensors_that_live_together_is_added_up() -> None:
    with MemoryMeter() as meter:
        first = torch.ones(1000)
        second = first + 1
        view = second.view(10, 100)
        del first
        third = view * 2
    assert meter.most == 2 * 4000
    assert third.numel() == 1000


def test_shares_are_those_of_the_step_that_they_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, models = planned()
    measured = benchmark.Benchmark(plan, models)
    stepped = LatentOptimizer.step

    def slow(self: LatentOptimizer, scale: float) -> None:
        torch.linalg.eigvals(torch.ones(700, 700))  # a second's worth of work, far more than all else in the step
        stepped(self, scale)

    monkeypatch.setattr(LatentOptimizer, "step", slow)
    before, decode = measured.loop.done, measured.loop.decode
    shares = Stopwatch(measured.loop, models.device).shares()
    assert measured.loop.done == before + 1
    assert measured.loop.decode is decode
    assert shares["rest"] > 0.2
    assert set(shares) == {"decoder", "cutouts", "CLIP forward", "CLIP backward", "rest"}


def test_exponents_are_those_of_power_laws() -> None:
    assert exponent([(x, 3 * x**1.5) for x in (1, 2, 7, 20)]) == pytest.approx(1.5)
    assert exponent([(2, 5.0), (8, 5.0)]) == pytest.approx(0)


def test_a_chart_is_an_image_with_each_line_and_its_name() -> None:
    image = ElementTree.fromstring(chart({"by size": {"seconds": [(1, 2), (2, 8)]}, "by cutouts": {"a": [(1, 1)]}}))
    lines = [element for element in image.iter() if element.tag.endswith("polyline")]
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 1]
    assert {element.text for element in image.iter()} >= {"by size", "by cutouts", "seconds", "a"}


def test_random_networks_have_the_full_size_of_the_published_ones() -> None:
    plan, _ = resolve(Job(parse_prompts("a cat"), preset="draft"), device="cpu")
    with torch.device("meta"):
        models = benchmark.random_models(plan, torch.device("meta"))
    assert tuple(models.network.codebook.shape) == (16384, 256)
    [guide] = models.guides
    assert guide.perceptor.size == 224
    assert sum(p.numel() for p in guide.perceptor.parameters()) > 150e6


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--recipe", "pixray"), "--recipe"),
        (("--steps", "0"), "--steps must be"),
        (("--rounds", "0"), "--rounds must be"),
        (("--together", "0"), "--together must be"),
        (("--growth", "growth.png"), "--growth growth.svg"),
        (("--recipe", "nerdyrodent", "--backend", "dvae"), "--backend vqgan"),
        (("--recipe", "nerdyrodent", "--preset", "photo"), "CLIPs alone"),
    ],
)
def test_what_cannot_be_timed_is_said_in_one_line(cli: Cli, flags: tuple[str, ...], said: str) -> None:
    refused = cli("bench", *(("--preset", "starter") if "--preset" not in flags else ()), "--size", "32x32", *flags)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert not list(Path().iterdir())


def test_the_classic_loop_needs_clips_and_a_vqgan() -> None:
    _, models = planned(backend="dvae")
    with pytest.raises(UsageError, match="--backend vqgan"):
        ClassicLoop(models.network, [], "a cat", (32, 32), 2)


@pytest.mark.slow
def test_the_suite_of_a_gpu_runs_with_small_shapes_on_a_cpu(cli: Cli) -> None:
    flags = ("--size", "64x64", "--cutouts", "1", "--steps", "1", "--rounds", "1", "--device", "cpu")
    made = cli("bench", "--gpu-suite", *flags, "--json")
    assert made.exit_code == 0, made.stderr
    report = json.loads(made.stdout)
    assert len(report["rows"]) == 2 * 2 * 2
    for row in report["rows"]:
        assert row["steps a second"] > 0
        assert 0 < row["share of the rate"] < 2
        assert bool(row["to classic"]) == (row["backend"] == "vqgan")
    assert {row["precision"] for row in report["rows"]} == {"fp32", "bf16"}
