"""DALL-E mini at its full size: from an empty cache, over downloads from this machine, to a picture; slow."""

import hashlib
import json
from pathlib import Path
from typing import Any

import dalle_minis
import pytest
import references
import torch
from dalle_minis import packed
from loopback import LoopbackServer, serves
from PIL import Image
from test_dalle_mini_files import MINI, TEXTS, as_vqgan_jax
from test_pretrained_full import clipgen, save

from clipgen.config.presets import PRESETS
from clipgen.priors.dalle_mini_text import byte_letters
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.dalle_mini import CONFIGS, VQGAN

RUN = ("--preset", "quick", "--start", "dalle-mini", "--proposals", "2", "--size", "64x64", "--steps", "2")


def write(name: str, path: Path) -> None:
    """Write random weights, or a small tokenizer, in the true format of a record's file."""
    if name == MINI:
        path.write_bytes(packed(dalle_minis.weights()))
    elif name == TEXTS:
        path.write_text(json.dumps(dalle_minis.tokenizer_said(sorted(byte_letters().values()))))
    elif name == VQGAN:
        network = references.vqgan(RECORDS[VQGAN].config)
        path.write_bytes(packed(as_vqgan_jax(network.state_dict())))
    else:
        save(name, path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_sentence_becomes_drafts_and_the_best_draft_a_picture(
    plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for key, value in CONFIGS["mini"].items():
        monkeypatch.setitem(dalle_minis.CONFIG, key, value)
    torch.manual_seed(0)
    quick = PRESETS["quick"]
    drawn = [quick.generators[quick.backend].weights, *(row.weights for row in quick.perceptors)]
    records: dict[str, Any] = {}
    with LoopbackServer() as server:
        for name in (MINI, TEXTS, VQGAN, *filter(None, drawn)):
            path = tmp_path / f"{name.replace('/', '-')}{Path(RECORDS[name].file).suffix}"
            write(name, path)
            content = path.read_bytes()
            path.unlink()
            server.routes[f"/{path.name}"] = serves(content)
            sha256 = hashlib.sha256(content).hexdigest()
            records[name] = {"size": len(content), "sha256": sha256, "mirrors": [f"{server.address}/{path.name}"]}
        clipgen(records, *RUN, "--seed", "1", "-o", "first.png", cache=tmp_path / "cache")
        assert len(server.log) == len(records)
    clipgen(records, *RUN, "--seed", "1", "-o", "again.png", cache=tmp_path / "cache")  # without a network
    clipgen(records, *RUN, "--seed", "2", "-o", "other.png", cache=tmp_path / "cache")
    with Image.open("first.png") as first, Image.open("again.png") as again, Image.open("other.png") as other:
        assert first.size == (64, 64)
        assert first.tobytes() == again.tobytes() != other.tobytes()
