"""The table of pretrained weights: complete, consistent, and equal to what can be checked without a network."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg

from clipgen.generators.networks import DVAENetwork, VQGANNetwork
from clipgen.perceptors.clip import build_clip
from clipgen.util.text import readable_bytes
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.loader import network_config
from clipgen.weights.records import Record, describe_size

BY_KIND = {kind: [one for one in RECORDS.values() if one.kind == kind] for kind in ("vqgan", "dvae", "clip")}


def name_of(record: Record) -> str:
    return record.name


@pytest.mark.parametrize("record", RECORDS.values(), ids=name_of)
def test_a_record_is_complete(record: Record) -> None:
    assert record.name.startswith(f"{record.kind}/")
    assert record.mirrors
    assert all(address.startswith("https://") for address in record.mirrors)
    assert record.sha256 is None or (len(record.sha256) == 64 and int(record.sha256, 16))
    assert Path(record.file).name == record.file
    assert json.loads(json.dumps(record.config)) == record.config


def test_no_two_records_are_one() -> None:
    hashes = [record.sha256 for record in RECORDS.values() if record.sha256]
    assert len(hashes) == len(set(hashes))
    addresses = [address for record in RECORDS.values() for address in record.mirrors]
    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize("record", BY_KIND["vqgan"], ids=name_of)
def test_the_arguments_of_a_vqgan_build_one_of_the_stride_in_its_name(record: Record) -> None:
    with torch.device("meta"):
        network = VQGANNetwork(record.config)
    assert f"-f{network.stride}-" in f"{record.name}-"
    assert tuple(network.codebook.shape) == (record.config["n_embed"], record.config["embed_dim"])


def test_the_weights_of_the_coco_model_are_as_large_as_its_file() -> None:
    record = RECORDS["vqgan/coco-f16-8192"]
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in VQGANNetwork(record.config).parameters())
    assert record.size is not None
    assert 0 < record.size - 4 * count < 200_000  # the names of the tensors, and the archive around them


def test_the_parts_of_the_dvae_have_as_many_parameters_as_was_published() -> None:
    with torch.device("meta"):
        network = DVAENetwork(RECORDS["dvae/dall-e-encoder"].config)
    assert sum(parameter.numel() for parameter in network.encoder.parameters()) == 53_786_240
    assert sum(parameter.numel() for parameter in network.decoder.parameters()) == 43_829_766


OPENAI = [record for record in BY_KIND["clip"] if record.name.startswith("clip/openai-")]
LAION = [record for record in BY_KIND["clip"] if record.hub and record.hub[0].startswith("laion/")]


@pytest.mark.parametrize("record", OPENAI, ids=name_of)
def test_a_clip_of_openai_is_what_open_clip_knows_under_its_name(record: Record) -> None:
    known = open_clip.get_pretrained_cfg(record.config["model"], "openai")
    assert record.mirrors[0] == known["url"] or not known["url"]  # open_clip 4 names the hub alone
    assert known["quick_gelu"] is record.config["quick_gelu"] is True


@pytest.mark.parametrize("record", LAION, ids=name_of)
def test_another_clip_is_what_open_clip_knows_under_its_tag(record: Record) -> None:
    model = record.config["model"]
    tag = record.name.removeprefix(f"clip/{model.lower()}-")
    known = open_clip.get_pretrained_cfg(model, tag)
    assert known.get("quick_gelu", False) is record.config["quick_gelu"]
    assert record.hub is not None
    assert f"{record.hub[0]}/" == known["hf_hub"]
    assert all(f"/{record.hub[0]}/resolve/" in mirror and mirror.endswith(record.hub[1]) for mirror in record.mirrors)


@pytest.mark.parametrize("record", [*OPENAI, *LAION], ids=name_of)
def test_a_clip_gets_pictures_normalised_as_it_was_trained(record: Record) -> None:
    tag = "openai" if record in OPENAI else record.name.removeprefix(f"clip/{record.config['model'].lower()}-")
    known = open_clip.get_pretrained_cfg(record.config["model"], tag)
    assert record.config["mean"] == list(known["mean"])
    assert record.config["std"] == list(known["std"])


@pytest.mark.parametrize("record", LAION, ids=name_of)
def test_the_weights_of_a_clip_are_as_large_as_its_file(record: Record) -> None:
    with torch.device("meta"):
        tensors = build_clip(network_config(record)).state_dict().values()
    size = sum(tensor.numel() * 4 for tensor in tensors)
    published = record.size or (record.megabytes or 0) * 10**6
    assert abs(published - size) < max(0.01 * size, 10**6)


def test_the_preference_score_is_a_clip_that_takes_whole_pictures_in_a_black_square() -> None:
    """As hpsv2 does; its mean, std and activation are those of the CLIP that it was tuned from."""
    [record] = [each for each in BY_KIND["clip"] if each not in (*OPENAI, *LAION)]
    known = PreprocessCfg(**{name: record.config[name] for name in ("interpolation", "resize_mode", "fill_color")})
    assert (known.interpolation, known.resize_mode, known.fill_color) == ("bicubic", "longest", 0)
    usual = RECORDS["clip/vit-h-14-laion2b_s32b_b79k"].config
    assert {name: record.config[name] for name in usual} == usual
    with torch.device("meta"):
        shapes = [
            build_clip(network_config(each)).state_dict()
            for each in (record, RECORDS["clip/vit-h-14-laion2b_s32b_b79k"])
        ]
    assert shapes[0].keys() == shapes[1].keys()


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 B"), (999, "999 B"), (40_960, "41 kB"), (980_092_370, "980 MB"), (4e9, "4.00 GB")]
)
def test_bytes_are_readable(count: int, expected: str) -> None:
    assert readable_bytes(count) == expected


def test_a_size_is_exact_published_or_unknown() -> None:
    assert describe_size(RECORDS["vqgan/imagenet-f16-16384"]) == "980 MB"
    assert describe_size(RECORDS["vqgan/imagenet-f16-1024"]) == "about 958 MB"
    assert describe_size(RECORDS["vqgan/faceshq-f16-1024"]) == "of unknown size"
