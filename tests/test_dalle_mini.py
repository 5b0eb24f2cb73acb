"""DALL-E mini: what its authors' package computes, sampled with a cache, from seeds, in batches."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import dalle_minis
import numpy as np
import pytest
import torch
from dalle_minis import CODES, CONFIG, TEXTS
from torch import Tensor

from clipgen.config.job import Job
from clipgen.config.priors import PriorSettings
from clipgen.config.prompts import parse_prompts
from clipgen.errors import ClipgenError, UsageError
from clipgen.generators.networks import VQGANNetwork
from clipgen.perceptors.clip import build_perceptor
from clipgen.priors.dalle_mini import DalleMiniNetwork, Memory
from clipgen.priors.dalle_mini_sampling import DalleMini, sample_tokens
from clipgen.priors.dalle_mini_text import TextTokenizer, byte_letters
from clipgen.priors.proposal import Networks, propose
from clipgen.priors.sampling import guided
from clipgen.weights.conversion import convert
from clipgen.weights.loader import load

AUTHORS_PYTHON = "DALLE_MINI_PYTHON"
"""Names the Python of an environment with the authors' package, see dalle_mini_authors.py."""
SETTINGS = PriorSettings("dalle-mini/mini", "vqgan/dalle-mini-f16-16384")
LETTERS = sorted(byte_letters().values())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "flax_model.msgpack"
    path.write_bytes(dalle_minis.packed(dalle_minis.weights()))
    return path


@pytest.fixture(scope="module")
def network(published: Path) -> DalleMiniNetwork:
    checkpoint = convert(published, "dalle-mini", CONFIG)
    network = DalleMiniNetwork(checkpoint.config)
    network.load_state_dict(checkpoint.tensors)
    return network.double().requires_grad_(False)


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    """Of as many tokens as the tiny network knows."""
    said = dalle_minis.tokenizer_said(LETTERS)["model"]
    numbers = {token: number % CONFIG["encoder_vocab_size"] for token, number in said["vocab"].items()}
    return TextTokenizer(numbers, [tuple(merge.split(" ")) for merge in said["merges"]])


@pytest.fixture(scope="module")
def memory(network: DalleMiniNetwork) -> Memory:
    texts = torch.from_numpy(TEXTS)
    return network.remember(texts, texts != 1)


def test_the_network_is_that_of_its_authors(network: DalleMiniNetwork, memory: Memory) -> None:
    found = network.logits(torch.from_numpy(CODES), memory)[:, ::5, ::10]
    assert found.numpy() == pytest.approx(dalle_minis.AUTHORS, abs=3e-5)  # they are written with 5 digits


@pytest.mark.slow
@pytest.mark.skipif(AUTHORS_PYTHON not in os.environ, reason=f"{AUTHORS_PYTHON} names no Python")
def test_the_authors_package_says_what_is_written_here(network: DalleMiniNetwork, memory: Memory) -> None:
    script = Path(__file__).with_name("dalle_mini_authors.py")
    environment = {"PATH": os.environ["PATH"], "JAX_PLATFORMS": "cpu"}
    command = [os.environ[AUTHORS_PYTHON], str(script)]
    said = np.array(json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout))
    assert said[:, ::5, ::10] == pytest.approx(dalle_minis.AUTHORS, abs=1e-5)
    assert network.logits(torch.from_numpy(CODES), memory).numpy() == pytest.approx(said, abs=1e-5)


def test_what_stands_behind_the_end_of_a_text_is_not_read(network: DalleMiniNetwork) -> None:
    texts = torch.from_numpy(TEXTS)
    others = torch.where(texts == 1, 17, texts)
    found = [network.logits(torch.from_numpy(CODES), network.remember(each, texts != 1)) for each in (texts, others)]
    assert torch.equal(*found)


@pytest.mark.parametrize("parts", [[1] * 16, [5, 1, 10], [16]])
def test_logits_with_a_cache_are_those_of_the_whole(
    network: DalleMiniNetwork, memory: Memory, parts: list[int]
) -> None:
    codes, caches = torch.from_numpy(CODES), network.caches()
    found = torch.cat([network.logits(part, memory, caches) for part in codes.split(parts, 1)], 1)
    assert torch.allclose(found, network.logits(codes, memory), atol=1e-10)


def test_a_code_depends_on_those_before_it_alone(network: DalleMiniNetwork, memory: Memory) -> None:
    codes = torch.from_numpy(CODES)
    changed = codes.clone()
    changed[:, 9] += 1
    before, after = (network.logits(each, memory) for each in (codes, changed))
    same = (before == after).all(-1)
    assert same[:, :9].all()
    assert not same[:, 9:].any()


@pytest.mark.parametrize("stacked", [True, False])
def test_layers_may_be_stacked_or_apart_and_min_dalle_saves_two_halves(
    network: DalleMiniNetwork, tmp_path: Path, stacked: bool
) -> None:
    wanted = network.state_dict()
    if stacked:
        halves = {"encoder": {}, "decoder": {}}
        for name, value in wanted.items():
            part, _, inner = name.partition(".")
            ones = inner.endswith("weight") and value.ndim == 1 and bool((value == 1).all())
            halves[part] |= {} if ones else {inner: value.half()}
        for part, tensors in halves.items():
            torch.save(tensors, tmp_path / f"{part}.pt")
        files = [tmp_path / "decoder.pt", tmp_path / "encoder.pt"]
    else:
        tree = dalle_minis.weights()
        for part in ("Encoder", "Decoder"):
            layers = tree["model"][part.lower()].pop("layers")[f"FlaxBart{part}Layers"]
            count = CONFIG[f"{part.lower()}_layers"]
            apart = {f"FlaxBart{part}Layer_{k}": row_of(layers, k) for k in range(count)}
            tree["model"][part.lower()]["layers"] = apart
        files = [tmp_path / "flax_model.msgpack"]
        files[0].write_bytes(dalle_minis.packed(tree))
    found = convert(files, "dalle-mini", CONFIG).tensors
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[name].double(), wanted[name], atol=1e-3) for name in wanted)


def row_of(tree: dalle_minis.Tree, row: int) -> dalle_minis.Tree:
    return {key: row_of(value, row) if isinstance(value, dict) else value[row] for key, value in tree.items()}


def test_a_file_of_another_size_is_refused_by_name(published: Path) -> None:
    with pytest.raises(ClipgenError, match=r": 1 of another shape \(encoder.embed_tokens.weight: 40x"):
        convert(published, "dalle-mini", CONFIG | {"encoder_vocab_size": 41})
    with pytest.raises(ClipgenError, match="missing"):
        convert(published, "dalle-mini", CONFIG | {"encoder_layers": 3})


@pytest.mark.parametrize(
    "wrong",
    [{"encoder_layers": 10**9}, {"decoder_layers": 0}, {"codes": 99}, {"tie_word_embeddings": True},
     {"encoder_attention_heads": 3}, {"decoder_start_token_id": 99}],
)  # fmt: skip
def test_a_config_of_another_network_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).removeprefix("encoder_attention_")):
        DalleMiniNetwork(CONFIG | wrong)


def test_seeds_give_the_same_codes_again_and_in_any_batch(network: DalleMiniNetwork, tokenizer: TextTokenizer) -> None:
    def sample(text: str, *seeds: int) -> Tensor:
        return sample_tokens(DalleMini(network, tokenizer), text, seeds, replace(SETTINGS, guidance_scale=2.0))

    found = sample("a cat", 3, 1, 4, *range(20, 35))
    assert found.shape == (18, 4, 4)
    assert found.min() >= 0
    assert found.max() < CONFIG["codes"]
    assert torch.equal(found, sample("a cat", 3, 1, 4, *range(20, 35)))
    assert torch.equal(found[2:3], sample("a cat", 4))
    assert torch.equal(found[17:], sample("a cat", 34))
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found, sample("the bird", 3, 1, 4, *range(20, 35)))
    assert sample("a cat").shape == (0, 4, 4)


def test_super_conditioning_goes_from_the_empty_text_to_the_text_and_beyond() -> None:
    with_text, without = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[0.0, 3.0, 0.0]])
    both = torch.cat([with_text, without])
    assert torch.equal(guided(both, 0.0), without)
    assert torch.equal(guided(with_text, 1.0), with_text)
    assert torch.equal(guided(both, 10.0), torch.tensor([[10.0, -7.0, 0.0]]))


def test_guidance_of_one_needs_no_empty_text_and_gives_what_it_would(
    network: DalleMiniNetwork, tokenizer: TextTokenizer
) -> None:
    one, near = (
        sample_tokens(DalleMini(network, tokenizer), "a cat", range(4), replace(SETTINGS, guidance_scale=s))
        for s in (1.0, 1.0 + 1e-12)
    )
    assert torch.equal(one, near)


def test_it_proposes_a_picture_that_a_run_can_begin_at(network: DalleMiniNetwork, tokenizer: TextTokenizer) -> None:
    shape = {"double_z": False, "z_channels": 4, "resolution": 8, "in_channels": 3, "out_ch": 3, "ch": 32}
    shape |= {"ch_mult": [1, 1], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0}
    with torch.random.fork_rng():
        vqgan = VQGANNetwork({"embed_dim": 4, "n_embed": network.codes, "ddconfig": shape}).requires_grad_(False)
    both = Networks(DalleMini(network, tokenizer), vqgan)
    assert both.size == (8, 8)
    settings = replace(SETTINGS, proposals=3)
    guide = build_perceptor(load("starter/clip"))
    proposal = propose(both, settings, [parse_prompts("a cat")], [1], [guide], None, None, (16, 16))
    assert proposal.images()[0].shape == (3, 8, 8)
    with pytest.raises(UsageError, match="completes no pictures"):
        Job(parse_prompts("a cat"), start="dalle-mini", init="half.png")
