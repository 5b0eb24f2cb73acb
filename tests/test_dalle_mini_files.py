"""DALL-E mini by its name: its records, its files from the cache, and the VQGAN whose codes it writes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import dalle_minis
import pretrained
import pytest
import torch
from dalle_minis import CONFIG, packed

from clipgen.config.priors import PriorSettings
from clipgen.errors import ClipgenError, UsageError, WeightsMissingError
from clipgen.generators.networks import VQGANNetwork
from clipgen.priors.dalle_mini import DalleMiniNetwork
from clipgen.priors.dalle_mini_sampling import DalleMini, load, needed, sample_tokens
from clipgen.priors.dalle_mini_text import byte_letters
from clipgen.weights import registry
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import IN_PARTS, RECORDS
from clipgen.weights.conversion import convert
from clipgen.weights.dalle_mini import CODES, CONFIGS, TOKENIZER_OF
from clipgen.weights.loader import load as load_network

MINI, TEXTS = "dalle-mini/mini", "tokenizer/dalle-mini"
WHOLE = {**CONFIG, "encoder_vocab_size": 280}
"""The config of the tiny network with as many tokens of texts as the small tokenizer has."""
SETTINGS = PriorSettings("dalle-mini/mini", "vqgan/dalle-mini-f16-16384", top_k=20)


def loaded() -> DalleMini:
    return load(MINI, load_network, DalleMiniNetwork.eval)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The files of a tiny DALL-E mini, in the cache."""
    monkeypatch.setitem(dalle_minis.CONFIG, "encoder_vocab_size", WHOLE["encoder_vocab_size"])
    monkeypatch.setitem(RECORDS, MINI, replace(RECORDS[MINI], config=WHOLE))
    said = json.dumps(dalle_minis.tokenizer_said(sorted(byte_letters().values())))
    for name, content in ((MINI, packed(dalle_minis.weights())), (TEXTS, said.encode())):
        file = tmp_path / RECORDS[name].file
        file.write_bytes(content)
        Cache().add(RECORDS[name], file, trust_on_first_use=True)


def test_the_small_tokenizer_has_as_many_tokens_as_the_network_knows() -> None:
    vocabulary = dalle_minis.tokenizer_said(sorted(byte_letters().values()))["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(WHOLE["encoder_vocab_size"]))


@pytest.mark.usefixtures("downloaded")
def test_a_network_from_the_cache_draws_codes() -> None:
    assert registry.missing(needed(MINI)) == []
    first = sample_tokens(loaded(), "a cat", [1, 2], SETTINGS)
    assert registry.is_ready(MINI)
    assert torch.equal(
        first,
        sample_tokens(loaded(), "A cat!", [1, 2], SETTINGS),
    )
    assert first.shape == (2, 4, 4)


def test_files_that_are_not_here_are_named_with_what_gets_them() -> None:
    assert [record.name for record in registry.missing(needed(MINI))] == [MINI, TEXTS]
    with pytest.raises(WeightsMissingError, match=f"clipgen models pull {TEXTS} --trust-on-first-use"):
        loaded()


@pytest.mark.usefixtures("downloaded")
@pytest.mark.parametrize("name", [MINI, TEXTS])
def test_a_file_that_changed_is_refused(name: str) -> None:
    path = Cache().path(RECORDS[name])
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(ClipgenError, match=f"is damaged.*clipgen models pull {name}"):
        loaded()


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=f"must be one of {', '.join(sorted(TOKENIZER_OF))}.*did you mean {MINI}?"):
        needed("dalle-mini/min")


def test_every_dalle_mini_has_a_tokenizer() -> None:
    assert {*registry.networks("dalle-mini")} == TOKENIZER_OF.keys()
    assert {*registry.networks("tokenizer")} == {*TOKENIZER_OF.values()}


@pytest.mark.parametrize("size", CONFIGS)
def test_files_are_as_large_as_the_networks_of_their_configs(size: str) -> None:
    with torch.device("meta"):
        network = DalleMiniNetwork(CONFIGS[size])
    assert network.codes == network.start == CODES
    for name in IN_PARTS[f"dalle-mini/{size}-kuprel"]:
        part = getattr(network, name.rsplit("-", 1)[1])
        count = sum(value.numel() for value in part.parameters())
        assert 2 * count / 1e6 == pytest.approx(RECORDS[name].megabytes, rel=2e-3)  # in 16 bits
    if size == "mini":
        count = sum(value.numel() for value in network.parameters())
        assert 4 * count / 1e6 == pytest.approx(RECORDS[MINI].megabytes, rel=2e-3)


def as_vqgan_jax(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Name and lay out the tensors of a VQGAN as vqgan-jax's script of conversion does."""
    tree: dict[str, Any] = {}
    for name, value in state.items():
        *path, last = re.sub(r"([a-z]+)\.(\d+)", r"\1_\2", name).split(".")
        if last == "weight":
            last = "embedding" if path[-1] == "embedding" else "kernel" if value.ndim == 4 else "scale"
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = (value.permute(2, 3, 1, 0) if value.ndim == 4 else value).contiguous().numpy()
    return tree


def test_a_vqgan_of_flax_is_that_of_taming(tmp_path: Path) -> None:
    network = VQGANNetwork(pretrained.VQGAN_CONFIG)
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes(packed(as_vqgan_jax(network.state_dict())))
    found = convert(path, "vqgan", pretrained.VQGAN_CONFIG).tensors
    wanted = network.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_the_vqgan_of_dalle_mini_has_unsigned_pixels() -> None:
    assert RECORDS["vqgan/dalle-mini-f16-16384"].config["signed"] is False
    signed, unsigned = (VQGANNetwork(pretrained.VQGAN_CONFIG | {"signed": signed}).eval() for signed in (True, False))
    unsigned.load_state_dict(signed.state_dict())
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(unsigned.encode(images * 2 - 1), signed.encode(images), atol=1e-5)
        codes = signed.encode(images)
        assert torch.allclose((unsigned.decode(codes) + 1) / 2, signed.decode(codes), atol=1e-5)
