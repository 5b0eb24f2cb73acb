"""The benchmark of a GPU: pretrained models at their full size with random weights, beside the classic loop."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from clipgen.cli.inventory import print_table
from clipgen.config.job import Job
from clipgen.config.preset import DRAFT, NOISE
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.settings import PRECISIONS
from clipgen.util.text import readable_bytes

if TYPE_CHECKING:
    import torch

SIZE = (512, 512)
CUTOUTS = (32, 64)
CLIPS = ("clip/openai-vit-b-32", "clip/openai-vit-b-16")
BACKENDS = ("vqgan", "dvae")
RUN = 500
"""Steps of the run whose time is told."""


def run_suite(device: str, size: tuple[int, int], cutouts: Sequence[int], steps: int, rounds: int) -> dict[str, Any]:
    """Return, as JSON values, the speed of each combination of backend, CLIP, cutouts and precision on a device."""
    import torch

    from clipgen.engine.stopwatch import product_rate

    place = torch.device(device)
    rates = {name: product_rate(place, getattr(torch, name)) for name in ("bfloat16", "float32")}
    rows = [
        row
        for backend, clip, count in itertools.product(BACKENDS, CLIPS, cutouts)
        for row in _rows(place, backend, clip, count, size, steps, rounds)
    ]
    for row in rows:
        row["share of the rate"] = row["rate"] / rates["bfloat16"]
    return {"device": device, "torch": torch.__version__, "size": list(size), "products a second": rates, "rows": rows}


def _rows(
    device: torch.device, backend: str, clip: str, cutouts: int, size: tuple[int, int], steps: int, rounds: int
) -> Iterator[dict[str, Any]]:
    """Yield what is measured of both precisions; of a VQGAN also the ratios to the classic loop in FP32 and TF32."""
    from clipgen.engine.benchmark import CLIPGEN, Benchmark, classic_loop, random_models, ratios
    from clipgen.engine.models import compute_in_
    from clipgen.util.devices import tensor_float_32

    job = Job(parse_prompts("a lighthouse"), backend, DRAFT, size, cutouts=cutouts, clips=(clip,), start=NOISE)
    plan, _ = resolve(job, device="cpu")
    models = random_models(plan, device)
    classic = classic_loop(plan, models) if backend == "vqgan" else None
    for precision in PRECISIONS:  # the lower one last, as the models stay in it
        compute_in_(models, precision)
        benchmark = Benchmark(replace(plan, precision=precision), models, classic=classic)
        ratio: dict[str, tuple[float, ...]] = {}
        for name, allowed in (("fp32", False), ("tf32", True)):
            with tensor_float_32(allowed):
                speeds = benchmark.speeds(steps, rounds)
                ratio[name] = ratios(speeds)
        yield {
            "backend": backend,
            "clip": clip,
            "cutouts": cutouts,
            "precision": precision,
            "steps a second": speeds[CLIPGEN].middle,
            f"seconds for {RUN} steps": RUN / speeds[CLIPGEN].middle,
            "bytes a step adds": speeds[CLIPGEN].added,
            "to classic": {name: list(values) for name, values in ratio.items() if values},
            "rate": benchmark.products()["rate"],
        }


def print_suite(report: dict[str, Any], *, as_json: bool) -> None:
    """Print what `run_suite` returned, as JSON or as a table."""
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    rates = ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {name}" for name, rate in report["products a second"].items())
    typer.echo(
        f"{report['device']}, torch {report['torch']}, {'x'.join(map(str, report['size']))}; products: {rates}\n"
    )
    head = (
        "BACKEND",
        "CLIP",
        "CUTOUTS",
        "PRECISION",
        "STEPS/S",
        f"{RUN} STEPS",
        "ADDS",
        "TO FP32",
        "TO TF32",
        "OF RATE",
    )
    print_table(head, [_cells(row) for row in report["rows"]])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    compared = [row["to classic"].get(name) for name in ("fp32", "tf32")]
    return (
        row["backend"],
        row["clip"],
        str(row["cutouts"]),
        row["precision"],
        f"{row['steps a second']:.3g}",
        f"{row[f'seconds for {RUN} steps']:.3g} s",
        readable_bytes(row["bytes a step adds"]),
        *(f"{values[len(values) // 2]:.2f}" if values else "-" for values in compared),
        f"{row['share of the rate']:.0%}",
    )
