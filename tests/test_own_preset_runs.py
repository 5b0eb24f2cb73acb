"""Runs with a preset of one's own: a folder becomes the networks of a job, by the command line and from Python."""

from pathlib import Path
from typing import Any

import pytest
import torch

import clipgen
from clipgen.config.own_presets import add_network
from clipgen.config.plan import Plan
from clipgen.errors import ClipgenError, UsageError, WeightsMissingError
from clipgen.priors.transformer import TokenTransformer
from clipgen.session.own_preset import is_folder, own_fields
from clipgen.util.regular import sha256_of
from clipgen.weights import Checkpoint, loader
from clipgen.weights.checkpoint import write

PRIOR: dict[str, Any] = {
    "text_length": 8,
    "merges": 64,
    "codes": 2048,
    "grid": [8, 8],
    "width": 16,
    "heads": 2,
    "patterns": ["full"],
}


def add(folder: Path, kind: str, checkpoint: Checkpoint) -> None:
    write(folder / f"{kind}.safetensors", checkpoint)
    add_network(folder, kind, "mine", (64, 64), ("a boat",))


def add_prior(folder: Path, sha256: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TokenTransformer(PRIOR)
    config = {**PRIOR, "autoencoder": {"kind": "vqgan", "sha256": sha256}}
    add(folder, "prior", Checkpoint("token-prior", config, network.state_dict()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A preset made of networks of the starter set, and a prior that knows nothing; the cache is empty."""
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    mine = tmp_path / "mine"
    mine.mkdir()
    for kind in ("clip", "vqgan", "dvae"):
        add(mine, kind, loader.load(f"starter/{kind}"))
    add_prior(mine, sha256_of(mine / "vqgan.safetensors", 2**30))
    return mine


def test_a_path_is_a_folder_and_a_name_is_none(tmp_path: Path) -> None:
    assert is_folder(str(tmp_path))
    assert is_folder("./not-there")
    assert not any(map(is_folder, (None, "starter", "best", "no-such-preset")))


def test_pictures_are_drawn_by_the_networks_of_the_folder(folder: Path) -> None:
    for backend, network in ((None, "vqgan/local-"), ("dvae", "dvae/local-"), ("pixels", "")):
        result = clipgen.generate("a boat", preset=str(folder), backend=backend, steps=2, cutouts=2, seed=1)
        plan = result.plan
        assert (plan.preset, plan.size, plan.start, result.image.size) == ("own", (64, 64), "noise", (64, 64))
        assert [row.weights.startswith("clip/local-") for row in plan.perceptors] == [True]
        assert plan.generator.weights.startswith(network)
        assert Plan.from_json(plan.to_json()) == plan
        again = clipgen.generate(plan)
        assert again.image.tobytes() == result.image.tobytes()


def test_the_prior_of_the_folder_proposes(folder: Path) -> None:
    result = clipgen.generate("a boat", preset=str(folder), start="prior", proposals=2, steps=1, cutouts=2, seed=1)
    [row] = result.plan.prior
    assert row.prior.startswith("token-prior/local-")
    assert row.autoencoder == result.plan.generator.weights
    with pytest.raises(UsageError, match="its prior has learned the codes of another vqgan than its dvae is now"):
        clipgen.generate("a boat", preset=str(folder), start="prior", backend="dvae")


def test_a_prior_of_an_earlier_autoencoder_is_refused(folder: Path) -> None:
    add_prior(folder, "0" * 64)
    with pytest.raises(UsageError, match="run clipgen train prior"):
        own_fields(str(folder), {"start": "prior"})
    assert "prior" not in own_fields(str(folder), {})


def test_what_is_given_takes_the_place_of_what_the_folder_has(folder: Path) -> None:
    given = {"clips": ("clip/openai-rn50",), "size": (128, 64), "backend": "pixels"}
    assert own_fields(str(folder), given) == {**given, "preset": "own"}
    assert "size" not in own_fields(str(folder), {"init": "photo.jpg"})


def test_a_folder_that_is_no_preset_or_was_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a folder that clipgen train --data made"):
        clipgen.generate("a boat", preset=str(tmp_path))
    (folder / "clip.safetensors").write_bytes(b"other")
    with pytest.raises(UsageError, match=r"is not the file that preset\.json means"):
        clipgen.generate("a boat", preset=str(folder))


def test_a_file_of_another_kind_is_refused(folder: Path) -> None:
    add(folder, "clip", loader.load("starter/dvae"))
    with pytest.raises(ClipgenError, match="holds a 'dvae', not a clip"):
        clipgen.generate("a boat", preset=str(folder))


def test_the_name_alone_is_no_preset_and_a_recipe_says_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="stands for a folder"):
        clipgen.generate("a boat", preset="own")
    plan = clipgen.generate("a boat", preset=str(folder), steps=1, cutouts=1).plan
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(WeightsMissingError, match="is not here: name the file again"):
        clipgen.generate(plan)
