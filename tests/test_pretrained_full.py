"""The whole way at full size: from an empty cache, over downloads from this machine, to a picture."""

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import open_clip
import pytest
import references
import torch
from loopback import HOST, LoopbackServer, serves
from PIL import Image
from safetensors.torch import save_file

from clipgen.config.presets import PRESETS
from clipgen.weights.catalogue import RECORDS

PROMPT = "a city in the style of Van Gogh"
# `clipgen`, told that the published files are the server's.
DRIVER = f"""
import json, sys
from dataclasses import replace
from functools import partial
from clipgen.cli.app import main
from clipgen.weights import fetch
from clipgen.weights.catalogue import RECORDS
for name, changes in json.loads(sys.argv.pop(1)).items():
    RECORDS.pop(name + "-safetensors", None)
    RECORDS[name] = replace(RECORDS[name], **{{**changes, "mirrors": tuple(changes["mirrors"])}})
fetch.Fetcher = partial(fetch.Fetcher, retries=0, allow_http_to=({HOST!r},))
main()
"""


def save(name: str, path: Path) -> None:
    """Write random weights in the true format and size of a record's file."""
    record = RECORDS[name]
    if record.kind == "clip" and path.suffix == ".safetensors":
        save_file(references.clip(open_clip.get_model_config(record.config["model"])).state_dict(), path)
    elif record.kind == "vqgan":
        references.save_vqgan(references.vqgan(record.config), path, "plain")
    else:
        config = {**open_clip.get_model_config(record.config["model"]), "quick_gelu": True}
        references.save_openai(references.clip(config), config, path)


def clipgen(records: dict[str, Any], *args: str, cache: Path) -> None:
    """Run the program, and say what it cost where pytest is told to show it (-rA)."""
    environment = {**os.environ, "CLIPGEN_CACHE": str(cache)}
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    command = [sys.executable, "-c", DRIVER, json.dumps(records), PROMPT, *args]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    more = "" if peak > before else " at most"
    sys.stdout.write(
        f"{' '.join(args)}: {time.monotonic() - start:.1f} s,{more} {peak / 2**20:.2f} GiB\n{result.stderr}\n"
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["quick", "standard"])
def test_a_preset_runs_from_an_empty_cache_and_then_without_a_network(
    plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    preset = PRESETS[name]
    networks = (preset.generators[preset.backend].weights, *(row.weights for row in preset.perceptors))
    names = [each for each in networks if each]
    run = ("--preset", name, "--size", "64x64", "--steps", "2", "--device", "cpu", "--seed", "1")
    records = {}
    with LoopbackServer() as server:
        for network in names:
            path = tmp_path / f"{network.replace('/', '-')}{Path(RECORDS[network].file).suffix}"
            save(network, path)
            content = path.read_bytes()
            path.unlink()
            server.routes[f"/{path.name}"] = serves(content)
            sha256 = hashlib.sha256(content).hexdigest()
            records[network] = {"size": len(content), "sha256": sha256, "mirrors": [f"{server.address}/{path.name}"]}
        clipgen(records, *run, "-o", "first.png", cache=tmp_path / "cache")
        assert len(server.log) == len(names)
    clipgen(records, *run, "-o", "again.png", cache=tmp_path / "cache")
    with Image.open("first.png") as first, Image.open("again.png") as again:
        assert first.size == (64, 64)
        assert first.tobytes() == again.tobytes()
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            sys.stdout.write(f"{path.relative_to(tmp_path)}: {path.stat().st_size / 1e6:.0f} MB\n")
