"""Presets whose weights a server on this machine has, for tests of their download."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loopback import CONTENT, SHA256, Files, LoopbackServer, serves

from clipgen.weights.catalogue import RECORDS

QUICK = "clip/vit-b-32-laion2b_s34b_b79k"
DRAFT = ("vqgan/imagenet-f16-16384", "clip/openai-vit-b-32-safetensors")
UNPINNED = ("dvae/dall-e-encoder", "dvae/dall-e-decoder")


@pytest.fixture(name="weights")
def small_weights(plain_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """The files of presets quick and draft are small, and at paths of the server that have the names of the records."""
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    with LoopbackServer() as server:

        def put(name: str, **changes: Any) -> None:
            address = f"{server.address}/{name}"
            small = {"size": len(CONTENT), "sha256": SHA256, "mirrors": (address,), "hub": None, **changes}
            monkeypatch.setitem(RECORDS, name, replace(RECORDS[name], **small))
            server.routes[f"/{name}"] = serves(CONTENT)

        for name in (QUICK, *DRAFT, "clip/openai-vit-b-32"):
            put(name)
        for name in UNPINNED:
            put(name, sha256=None, size=None)
        yield Files(server, CONTENT, SHA256)
