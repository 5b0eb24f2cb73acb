"""`clipgen bench`: how fast this machine makes steps, what they cost, and how that compares with the classic loop."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipgen.cli.bench_suite import CUTOUTS, SIZE, print_suite, run_suite
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.failures import say
from clipgen.cli.inventory import print_table
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.options import ENGINE, PictureOptions
from clipgen.cli.output_options import JsonOnly
from clipgen.cli.report import echo_path
from clipgen.config.checks import check_whole
from clipgen.config.job import Job
from clipgen.config.plan import Plan, spell
from clipgen.config.preset import DRAFT, NOISE
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.settings import FP32
from clipgen.errors import UsageError, unknown_value
from clipgen.util.devices import pick_device
from clipgen.util.text import readable_bytes

if TYPE_CHECKING:
    from clipgen.engine.benchmark import Speed
    from clipgen.engine.models import Models

EXAMPLE = "a lighthouse"
RECIPES = ("nerdyrodent",)
MOST = 1000
GROWTH: dict[str, tuple[int, ...]] = {
    "size": (128, 192, 256, 384, 512),
    "cutouts": (8, 16, 32, 64, 128),
    "pictures": (1, 2, 4, 8, 16),
}

Together = Annotated[int, Option("--together", "Pictures in lockstep.", "NUMBER", panel=ENGINE)]
Recipe = Annotated[
    str | None,
    Option(
        "--recipe",
        "Also time the classic loop on the same networks, in turns: that of nerdyrodent's VQGAN-CLIP.",
        choices=RECIPES,
    ),
]
Random = Annotated[
    bool,
    Option("--full-size-random", f"Use networks of the preset's full size with random weights; {DRAFT} by default."),
]
Steps = Annotated[int, Option("--steps", "Steps in each round.", "NUMBER")]
Rounds = Annotated[int, Option("--rounds", "Rounds, from whose spread the ratio's is known.", "NUMBER")]
Growth = Annotated[
    Path | None,
    Option(
        "--growth",
        "Instead, time sizes from 128 to 512, 8 to 128 cutouts and 1 to 16 pictures, and draw a chart.",
        "FILE.svg",
    ),
]

Suite = Annotated[
    bool,
    Option(
        "--gpu-suite",
        "Instead, time what a GPU is for: 512x512, 32 and 64 cutouts, VQGAN and dVAE, two CLIPs, both precisions, with "
        "random weights; --size and --cutouts replace these.",
    ),
]


@flat
def bench(
    *,
    recipe: Recipe = None,
    random: Random = False,
    steps: Steps = 3,
    rounds: Rounds = 5,
    together: Together = 1,
    growth: Growth = None,
    gpu_suite: Suite = False,
    picture: Annotated[PictureOptions, only("size")],
    engine: Annotated[
        EngineOptions,
        only("backend", "preset", "cutouts", "precision", "device"),
        redeclared(preset={"default": f"auto; {DRAFT}"}),
    ],
    output: JsonOnly,
) -> None:
    """Time the steps of a run on this machine: how many a second, where the time goes, and the memory they add.

    Writes nothing but a chart that was asked for.
    """
    for flag, value in (("--steps", steps), ("--rounds", rounds), ("--together", together)):
        check_whole(flag, value, 1, MOST)
    if recipe not in (None, *RECIPES):
        raise unknown_value("--recipe", str(recipe), RECIPES)
    if gpu_suite:
        size = picture.job_fields().get("size", SIZE)
        found = engine.job_fields().get("cutouts")
        if isinstance(found, str):
            raise UsageError(f"--cutouts of --gpu-suite must be a whole number, got {found}")
        cutouts = [found] if found else CUTOUTS
        print_suite(run_suite(pick_device(engine.device), size, cutouts, steps, rounds), as_json=output.as_json)
        return
    preset = {"preset": DRAFT} if random else {}
    fields: dict[str, Any] = {**preset, **picture.job_fields(), **engine.job_fields(), "start": NOISE}
    plan, notes = resolve(Job(parse_prompts(EXAMPLE), **fields), device=engine.device)
    for note in notes:
        say(note)
    begun = time.perf_counter()
    models = _models(plan, pick_device(engine.device), random=random)
    loading = time.perf_counter() - begun
    if growth:
        _grow(plan, _computing(plan, models), steps, growth, as_json=output.as_json)
        return
    report = _report(plan, models, steps, rounds, together, against_classic=recipe is not None)
    _print({"seconds to load": loading, **report}, as_json=output.as_json)


def _models(plan: Plan, device: str, *, random: bool) -> Models:
    """Return the models of a plan in float32, whatever its precision."""
    import torch

    from clipgen.engine.benchmark import random_models
    from clipgen.engine.models import load_models

    plan = replace(plan, precision=FP32)
    return random_models(plan, torch.device(device)) if random else load_models(plan, device, say)


def _computing(plan: Plan, models: Models) -> Models:
    """Have models compute in the precision of a plan; returns them."""
    from clipgen.engine.models import compute_in_

    compute_in_(models, plan.precision)
    return models


def _report(
    plan: Plan, models: Models, steps: int, rounds: int, pictures: int, *, against_classic: bool
) -> dict[str, Any]:
    """Return what was measured, as JSON values."""
    from clipgen.engine.benchmark import Benchmark, classic_loop, ratios

    classic = classic_loop(plan, models) if against_classic else None  # a copy, before the models change
    benchmark = Benchmark(plan, _computing(plan, models), pictures, classic)
    speeds = benchmark.speeds(steps, rounds)
    return {
        **_machine(models),
        "backend": plan.backend,
        "size": spell(plan.size),
        "cutouts": plan.cutouts,
        "pictures": pictures,
        "precision": plan.precision,
        "guides": [row.weights for row in plan.perceptors],
        "loops": {name: _described(speed) for name, speed in speeds.items()},
        "ratio": list(ratios(speeds, pictures)),
        "shares": benchmark.shares(),
        "matrix products": benchmark.products(),
    }


def _machine(models: Models) -> dict[str, Any]:
    import torch

    name = torch.cuda.get_device_name(models.device) if models.device.type == "cuda" else "CPU"
    return {"device": str(models.device), "name": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _described(speed: Speed) -> dict[str, Any]:
    rates = sorted(speed.rates)
    return {"steps a second": [rates[0], speed.middle, rates[-1]], "bytes a step adds": speed.added}


def _print(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    what = f"{report['backend']}, {report['size']}, {report['cutouts']} cutouts, {report['pictures']} at once"
    what += f", {report['precision']}"
    typer.echo(f"{report['name']}, {report['threads']} threads, torch {report['torch']}; {what}")
    typer.echo(f"guided by {', '.join(report['guides'])}; loaded in {report['seconds to load']:.1f} s\n")
    rows = [
        (name, *(f"{rate:.3g}" for rate in row["steps a second"]), readable_bytes(row["bytes a step adds"]))
        for name, row in report["loops"].items()
    ]
    print_table(("LOOP", "STEPS/S: LEAST", "MEDIAN", "MOST", "A STEP ADDS"), rows)
    if report["ratio"]:
        least, *_, most = report["ratio"]
        middle = report["ratio"][len(report["ratio"]) // 2]
        typer.echo(f"\nclipgen to classic, round by round: {least:.2f} to {most:.2f}, median {middle:.2f}")
    typer.echo("\n" + ", ".join(f"{name} {share:.0%}" for name, share in report["shares"].items()))
    products = report["matrix products"]
    typer.echo(f"matrix products: {products['share']:.0%} of the time, at {products['rate'] / 1e9:.0f} GFLOP/s")


def _grow(plan: Plan, models: Models, steps: int, chart_file: Path, *, as_json: bool) -> None:
    """Time a step of many sizes, numbers of cutouts and of pictures; print the table and write the chart."""
    from clipgen.outputs.chart import chart, exponent
    from clipgen.util.files import replacing, reserved

    if chart_file.suffix.lower() != ".svg":
        raise UsageError(f"--growth {chart_file} is not an SVG file; use --growth {chart_file.with_suffix('.svg')}")
    with reserved(chart_file.parent, chart_file.stem, (".svg",), "--growth") as paths:
        found = {
            axis: [_grown(plan, models, steps, axis, value) for value in values] for axis, values in GROWTH.items()
        }
        lines = {axis: {"seconds": [(row["value"], row["seconds"]) for row in rows]} for axis, rows in found.items()}
        exponents = {axis: exponent(each["seconds"]) for axis, each in lines.items()}
        with replacing(paths[".svg"]) as partial:
            partial.write_text(chart({f"seconds a step, by {axis}": each for axis, each in lines.items()}))
        if as_json:
            typer.echo(json.dumps({**_machine(models), "growth": found, "exponents": exponents}, indent=2))
            return
        table = [
            (axis, str(row["value"]), f"{row['seconds']:.3g}", readable_bytes(row["bytes"]))
            for axis, rows in found.items()
            for row in rows
        ]
        print_table(("AXIS", "VALUE", "SECONDS A STEP", "A STEP ADDS"), table)
        typer.echo("\nseconds grow as " + ", ".join(f"{axis}^{power:.2f}" for axis, power in exponents.items()))
        echo_path(paths[".svg"])


def _grown(plan: Plan, models: Models, steps: int, axis: str, value: int) -> dict[str, Any]:
    from clipgen.engine.benchmark import CLIPGEN, Benchmark

    changes: dict[str, dict[str, Any]] = {"size": {"size": (value, value)}, "cutouts": {"cutouts": value}}
    speed = Benchmark(replace(plan, **changes.get(axis, {})), models, value if axis == "pictures" else 1).speeds(
        steps, 1
    )[CLIPGEN]
    return {"value": value, "seconds": 1 / speed.middle, "bytes": speed.added}
