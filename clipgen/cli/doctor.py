"""`clipgen doctor`: what this machine has, which models are installed, and what would run now."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from clipgen import __version__
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.inventory import print_table
from clipgen.cli.option_groups import flat, only
from clipgen.cli.output_options import JsonOnly
from clipgen.config.choice import networks_of
from clipgen.config.job import Job
from clipgen.config.plan import Plan, spell
from clipgen.config.preset import OWN, Preset
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.util.devices import free_memory, has_mps, pick_device
from clipgen.util.text import readable_bytes, readable_time
from clipgen.weights import registry
from clipgen.weights.cache import Cache
from clipgen.weights.packaged import PACKAGED
from clipgen.weights.records import describe_sizes

PACKAGES = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "timm",
    "kornia",
    "dall-e",
    "taming-transformers-rom1504",
    "pillow",
    *(row.package for row in PACKAGED.values()),
)
EXAMPLE = "a cat"


@flat
def doctor(engine: Annotated[EngineOptions, only("backend", "preset", "device")], output: JsonOnly) -> None:
    """Show what this machine has, which models are installed, and what would run now and how fast.

    Makes no network connections.
    """
    job = Job(parse_prompts(EXAMPLE), **engine.job_fields())
    begun = time.perf_counter()
    machine = {**_versions(), **_machine(engine.device), **_cache()}
    presets = [_described(row, job.backend or row.backend) for row in PRESETS.values() if row.name != OWN]
    now = _now(job, engine.device, time.perf_counter() - begun)
    if output.as_json:
        typer.echo(json.dumps({"machine": machine, "presets": presets, "now": now}, indent=2))
        return
    width = max(map(len, machine))
    for name, value in machine.items():
        typer.echo(f"{name:{width}}  {value}")
    typer.echo()
    head = ("preset", "size", "steps", "cutouts", "memory", "weights", "clips")
    print_table(tuple(name.upper() for name in head), [tuple(str(row[name]) for name in head) for row in presets])
    typer.echo(f"\nnow: {now['summary']}")


def _versions() -> dict[str, str]:
    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "missing"

    return {"clipgen": __version__, "python": platform.python_version()} | {name: installed(name) for name in PACKAGES}


def _machine(wish: str) -> dict[str, str]:
    import imageio_ffmpeg
    import psutil
    import torch

    memory = psutil.virtual_memory()
    rows = {
        "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
        "device": pick_device(wish),
        "cpu": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads",
        "memory": f"{readable_bytes(memory.available)} free of {readable_bytes(memory.total)}",
    }
    for k in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(k)
        name = torch.cuda.get_device_name(k)
        rows[f"cuda:{k}"] = f"{name}, {readable_bytes(free)} free of {readable_bytes(total)}"
    if has_mps():
        rows["mps"] = f"a GPU of Apple's, {readable_bytes(free_memory(torch.device('mps')) or 0)} free"
    return rows


def _cache() -> dict[str, str]:
    cache = Cache()
    used = sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file())
    home = next(path for path in (cache.folder, *cache.folder.parents) if path.exists())
    free = shutil.disk_usage(home).free
    return {"cache": f"{cache.folder}, {readable_bytes(used)} used, {readable_bytes(free)} free"}


def _described(preset: Preset, backend: str) -> dict[str, Any]:
    """Return a row of the table as JSON values."""
    defaults = preset.generators[backend]
    return {
        "preset": preset.name,
        "size": f"{preset.size[0]}x{preset.size[1]}",
        "steps": defaults.steps,
        "cutouts": defaults.cutouts,
        "memory": readable_bytes(preset.memory),
        "weights": _weights(preset, backend),
        "generator": defaults.weights,
        "clips": ", ".join(dict.fromkeys(row.weights.removeprefix("clip/") for row in preset.perceptors)),
    }


def _weights(preset: Preset, backend: str) -> str:
    missing = registry.missing(networks_of(Job(parse_prompts(EXAMPLE), backend=backend, preset=preset.name)))
    if not missing:
        return "here"
    return f"{describe_sizes(missing)} to get"


def _now(job: Job, wish: str, importing: float) -> dict[str, Any]:
    """Return what a run without options would do, and about how long it would take, measured if it can run.

    importing: seconds that importing torch has taken, which a run has to do, too.
    """
    plan, notes = resolve(job, device=wish)
    device = pick_device(wish)
    what = f"{plan.backend} on {device}, {spell(plan.size)}, {plan.steps} steps"
    missing = registry.missing(plan.networks)
    seconds = None if missing else importing + _seconds(plan, device)
    took = f"about {readable_time(seconds)}" if seconds else f"{len(missing)} files must be downloaded first"
    summary = "; ".join([*notes, what, took] if notes else [f"preset {plan.preset}", what, took])
    return {"summary": summary, "preset": plan.preset, "device": device, "seconds": seconds}


def _seconds(plan: Plan, device: str) -> float:
    """Return how long a run takes, from loading the models to its end."""
    from clipgen.engine.cost import CostEstimate
    from clipgen.engine.forecast import phases_of
    from clipgen.engine.models import load_models

    begun = time.perf_counter()
    models = load_models(plan, device)
    loading = time.perf_counter() - begun
    return loading + sum(phase.seconds for phase in phases_of(plan, CostEstimate(plan, models).measured()))
