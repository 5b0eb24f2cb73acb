"""The table of pretrained weights: complete, consistent, and equal to what can be checked without a network."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg
from published import tag_of

from clipgen.generators.networks import DVAENetwork, VQGANNetwork
from clipgen.perceptors.clip import build_clip
from clipgen.util.text import readable_bytes
from clipgen.weights.catalogue import RECORDS, forms_of
from clipgen.weights.clips import OPENAI
from clipgen.weights.laion_clips import PREFERENCE
from clipgen.weights.loader import network_config
from clipgen.weights.records import Record, describe_size, hub_address, hub_revision, is_pinned

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
    assert record.licence
    assert record.size is None or record.size > 0
    assert record.megabytes is None or (record.megabytes > 0 and record.size is None)
    assert record.good_for.endswith(".")
    assert len(record.good_for) <= 90


@pytest.mark.parametrize("record", RECORDS.values(), ids=name_of)
def test_an_address_on_the_hub_names_a_commit_or_the_record_says_why_not(record: Record) -> None:
    assert all(map(is_pinned, record.mirrors)) == (not record.unpinned)


def test_an_address_is_pinned_by_a_whole_commit_alone() -> None:
    commit = "0123456789abcdef" * 3
    for revision, pinned in ((commit[:40], True), (commit[:7], False), ("main", False), (commit[:41], False)):
        address = hub_address("owner/name", "folder/file.ckpt", revision)
        assert (hub_revision(address), is_pinned(address)) == (revision, pinned)
    assert is_pinned("https://heibox.uni-heidelberg.de/f/140747ba53464f49b476/?dl=1")


def test_a_file_in_another_form_is_of_a_network_that_there_is() -> None:
    others = [record for record in RECORDS.values() if record.instead_of]
    assert others
    for record in others:
        known = RECORDS[record.instead_of]
        assert not known.instead_of
        assert (record.kind, record.config) == (known.kind, known.config)
        assert record.sha256 is not None, "what is tried first must be proven"
        assert forms_of(known) == forms_of(record) == (record, known)


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


OPENAI_FILES = [record for record in OPENAI if not record.instead_of]
FROM_HUB = [record for record in BY_KIND["clip"] if record.hub and record.name != PREFERENCE.name]


@pytest.mark.parametrize("record", OPENAI_FILES, ids=name_of)
def test_a_clip_of_openai_is_what_open_clip_knows_under_its_name(record: Record) -> None:
    known = open_clip.get_pretrained_cfg(record.config["model"], "openai")
    assert record.sha256 is not None
    assert record.sha256 in record.mirrors[0]
    assert known["url"] in ("", record.mirrors[0])  # open_clip 4 knows the hub alone
    assert known["quick_gelu"] is record.config["quick_gelu"] is True


@pytest.mark.parametrize("record", FROM_HUB, ids=name_of)
def test_another_clip_is_what_open_clip_knows_under_its_tag(record: Record) -> None:
    known = open_clip.get_pretrained_cfg(record.config["model"], tag_of(record))
    assert known.get("quick_gelu", False) is record.config["quick_gelu"]
    assert record.hub is not None
    assert f"{record.hub[0]}/" == known["hf_hub"]
    assert all(f"/{record.hub[0]}/resolve/" in mirror and mirror.endswith(record.hub[1]) for mirror in record.mirrors)


@pytest.mark.parametrize("record", [*OPENAI, *FROM_HUB], ids=name_of)
def test_a_clip_gets_pictures_normalised_as_it_was_trained(record: Record) -> None:
    known = open_clip.get_pretrained_cfg(record.config["model"], tag_of(record))
    assert record.config["mean"] == list(known["mean"])
    assert record.config["std"] == list(known["std"])


@pytest.mark.parametrize("record", FROM_HUB, ids=name_of)
def test_the_weights_of_a_clip_are_as_large_as_its_file(record: Record) -> None:
    with torch.device("meta"):
        tensors = build_clip(network_config(record)).state_dict().values()
    numbers = 2 if record.name == "clip/eva02-l-14-merged2b_s4b_b131k" else 4  # the former are in float16
    size = sum(tensor.numel() * numbers for tensor in tensors)
    published = record.size or (record.megabytes or 0) * 10**6
    assert abs(published - size) < max(0.01 * size, 10**6)


def test_the_preference_score_is_a_clip_that_takes_whole_pictures_in_a_black_square() -> None:
    """As hpsv2 does; its mean, std and activation are those of the CLIP that it was tuned from."""
    record = RECORDS[PREFERENCE.name]
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
    assert describe_size(RECORDS["vqgan/imagenet-f16-1024"]) == "958 MB"
    assert describe_size(RECORDS["clip/vit-l-14-laion2b_s32b_b82k"]) == "about 1.71 GB"
    assert describe_size(RECORDS["vqgan/faceshq-f16-1024"]) == "of unknown size"
