"""clipgen's own weight files: they come back as they were written, in as many bits as asked for, or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from clipgen import weights
from clipgen.errors import ClipgenError, WeightsMissingError

CONFIG = {"width": 3}


def pair(config: dict[str, Any]) -> nn.Module:
    return nn.Sequential(nn.Linear(2, config["width"]), nn.BatchNorm1d(config["width"]))


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    network = pair(CONFIG)
    path = tmp_path / "small.safetensors"
    weights.write(path, weights.Checkpoint("pair", CONFIG, network.state_dict(), {"seed": 3}))
    checkpoint = weights.read(weights.find(str(path)))
    assert (checkpoint.kind, checkpoint.config, checkpoint.recipe) == ("pair", CONFIG, {"seed": 3})
    again = weights.build(checkpoint, "pair", pair)
    assert again.state_dict().keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_equal_checkpoints_are_equal_files(tmp_path: Path) -> None:
    """safetensors alone writes the metadata in a random order."""
    small = {"weight": torch.ones(3, 2)}
    made = weights.Checkpoint("clip", {"size": 3, "mean": [0.5]}, small, {"said": 'é "so"\n\x7f'})
    for number in range(12):
        weights.write(tmp_path / str(number), made)
    assert len({(tmp_path / str(number)).read_bytes() for number in range(12)}) == 1
    assert weights.read(tmp_path / "0").recipe == made.recipe


def test_only_the_network_of_a_checkpoint_is_built_from_it() -> None:
    checkpoint = weights.Checkpoint("pair", CONFIG, pair(CONFIG).state_dict())
    with pytest.raises(ClipgenError, match="a checkpoint of kind 'pair' is no feature prior"):
        weights.build(checkpoint, "feature-prior", pair)
    for tensors in ({}, {**checkpoint.tensors, "more": torch.ones(1)}, pair({"width": 4}).state_dict()):
        with pytest.raises(ClipgenError, match="this pair is of another version of clipgen"):
            weights.build(replace(checkpoint, tensors=tensors), "pair", pair)


@pytest.mark.parametrize(("bits", "error"), [(32, 0.0), (16, 2**-11), (8, 0.5 / 127 + 2**-10)])
def test_fewer_bits_change_numbers_by_little_of_the_largest_of_their_row(
    tmp_path: Path, bits: int, error: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([1e-3, 1.0, 0.0, 30.0])[:, None, None]
    tensors = {
        "kernel": scales * torch.randn(4, 5, 6, generator=generator),
        "bias": torch.randn(7, generator=generator),
        "count": torch.tensor([[300, -300]]),
    }
    path = tmp_path / "packed.safetensors"
    weights.write(path, weights.Checkpoint("clip", {}, tensors), bits)
    read = weights.read(path).tensors
    assert read.keys() == tensors.keys()
    largest = tensors["kernel"].abs().amax((1, 2), keepdim=True)
    assert ((read["kernel"] - tensors["kernel"]).abs() <= error * largest + 1e-7).all()
    assert torch.allclose(read["bias"], tensors["bias"], rtol=2**-10, atol=0)
    assert read["kernel"].dtype == read["bias"].dtype == torch.float32
    assert torch.equal(read["count"], tensors["count"])


def test_8_bits_take_a_quarter_of_the_room(tmp_path: Path) -> None:
    checkpoint = weights.Checkpoint("clip", {}, {"w": torch.randn(64, 4096)})
    sizes = []
    for bits in (32, 8):
        weights.write(tmp_path / "w.safetensors", checkpoint, bits)
        sizes.append((tmp_path / "w.safetensors").stat().st_size)
    assert sizes[1] < 0.26 * sizes[0]


def test_a_scale_without_its_matrix_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    for tensors in (
        {"w|scale": torch.ones(2, 1)},
        {"w": torch.ones(3, 2), "w|scale": torch.ones(2, 1)},
        {"w": torch.ones(3, 2), "w|scale": torch.ones(3)},
        {"w": torch.ones(30_000, 1, dtype=torch.int8), "w|scale": torch.ones(1, 30_000)},  # 4 GB, if multiplied
        {"w": torch.ones(4), "w|scale": torch.ones(2, 1)},
        {"w": torch.ones(4), "w|scale": torch.ones(4, 1)},
        {"w": torch.tensor(1.0), "w|scale": torch.ones(1, 1)},
        {"w": torch.ones(0), "w|scale": torch.ones(0, 1)},
        {"w": torch.ones(2, 2, dtype=torch.complex64), "w|scale": torch.ones(2, 1)},
    ):
        weights.write(path, weights.Checkpoint("clip", {}, tensors))
        with pytest.raises(ClipgenError, match=r"bad\.safetensors is not a clipgen checkpoint"):
            weights.read(path)


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "null", "", "{", "[" * 100_000, '{"a":' * 100_000])
@pytest.mark.parametrize("key", ["config", "recipe"])
def test_a_header_that_is_no_object_is_no_checkpoint(tmp_path: Path, key: str, text: str) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({"w": torch.ones(1)}, path, {"kind": "clip", "config": "{}", "recipe": "{}", key: text})
    with pytest.raises(ClipgenError, match=r"bad\.safetensors is not a clipgen checkpoint"):
        weights.read(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04cos\nsystem\n(S'x'\ntR."])
def test_a_file_that_is_no_checkpoint_is_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ClipgenError, match=r"bad\.safetensors is not a clipgen checkpoint"):
        weights.read(path)


def test_missing_weights_have_their_own_error() -> None:
    with pytest.raises(WeightsMissingError, match="starter/nothing"):
        weights.find("starter/nothing")
