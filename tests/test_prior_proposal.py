"""A prior in runs: what it proposes, how its codes are chosen among, completion, plans and replays."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from torch import Tensor

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.priors import PriorSettings
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.errors import UsageError
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.priors import proposal
from clipgen.priors.proposal import Networks, PriorProposal, kept_codes, propose, similarity
from clipgen.priors.transformer import TokenTransformer, build_token_transformer, token_losses
from clipgen.session.api import generate
from clipgen.session.planning import change_plan, plan_job
from clipgen.session.reading_plans import job_of
from clipgen.starter.evaluation import drawn, questions
from clipgen.util.images import to_tensor
from clipgen.weights import Checkpoint
from clipgen.weights.loader import load as load_weights

SETTINGS = PriorSettings("starter/token-prior", "starter/vqgan", proposals=3)
CONFIG: dict[str, Any] = {
    "text_length": 8,
    "merges": 64,
    "codes": 2048,
    "grid": [4, 4],
    "width": 16,
    "heads": 2,
    "patterns": ["full"],
}


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    autoencoder = cast(VQGANNetwork, build_network(load_weights("starter/vqgan")).eval().requires_grad_(False))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield Networks(TokenTransformer(CONFIG).eval(), autoencoder)


class Brightness:
    """A perceptor for which bright pictures match "bright", and dark ones "dark"."""

    size = 8

    def whole(self, images: Tensor) -> Tensor:
        return images

    def encode_images(self, cutouts: Tensor) -> Tensor:
        return cutouts.mean((1, 2, 3))[:, None] * 2 - 1

    def encode_texts(self, texts: list[str]) -> Tensor:
        return torch.tensor([[1.0 if text == "bright" else -1.0] for text in texts])

    def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
        return seen @ targets.transpose(1, 2)


def proposed(networks: Networks, text: str, seed: int = 0, count: int = 3, **more: Any) -> PriorProposal:
    settings = replace(SETTINGS, proposals=count)
    given = {"images": None, "mask": None, "size": (32, 32), **more}
    perceptors = cast(Any, [Brightness()])
    return propose(networks, settings, [parse_prompts(text)], [seed], perceptors, **given)


def test_the_picture_that_perceptors_prefer_is_proposed(networks: Networks) -> None:
    bright, dark = (proposed(networks, text, count=6).images()[0].mean() for text in ("bright:1", "bright:1|bright:-3"))
    alone = [proposed(networks, "bright", seed=k * proposal.STRIDE, count=1).images()[0].mean() for k in range(6)]
    assert float(bright) == pytest.approx(max(map(float, alone)), abs=1e-5)
    assert float(dark) == pytest.approx(min(map(float, alone)), abs=1e-5)


def test_a_seed_proposes_the_same_and_each_picture_its_own(networks: Networks) -> None:
    once, again, other = (proposed(networks, "bright", seed=seed).images()[0] for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    texts = [parse_prompts("bright"), parse_prompts("bright:-1")]
    both = propose(networks, SETTINGS, texts, [1, 2], cast(Any, [Brightness()]), None, None, (32, 32)).images()
    assert list(both) == [0]  # nothing pulls in the other
    assert torch.equal(both[0], once)


def test_similarities_weigh_texts_and_those_that_push_count_against() -> None:
    images = torch.stack([torch.full((3, 8, 8), value) for value in (0.0, 0.5, 1.0)])
    found = similarity(images, parse_prompts("bright:1|dark:-3"), cast(Any, [Brightness()]))
    assert torch.allclose(found, torch.tensor([-1.0, 0.0, 1.0]), atol=1e-6)


def test_rows_of_codes_above_the_mask_are_kept(networks: Networks) -> None:
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    codes = networks.autoencoder.codes_of(image[None])[0].flatten()
    for first, kept in ((16, 8), (23, 8), (24, 12), (0, 0)):
        mask = torch.zeros(1, 32, 32)
        mask[:, first:] = 1
        assert torch.equal(kept_codes(networks, image, mask), codes[:kept])
        half = proposed(networks, "bright", images=image[None], mask=mask[None]).images()[0]
        assert torch.equal(networks.autoencoder.images_of(codes.view(1, 4, 4))[0], half) == (kept == 16)
    assert torch.equal(kept_codes(networks, image, torch.zeros(1, 32, 32)), codes)


def test_a_shape_that_the_prior_does_not_draw_is_refused(networks: Networks) -> None:
    assert proposed(networks, "bright", size=(64, 64)).images()[0].shape == (3, 32, 32)
    with pytest.raises(UsageError, match=r"--size 64x32.*draws 32x32"):
        proposed(networks, "bright", size=(64, 32))


def test_a_prior_of_other_codes_is_refused(networks: Networks) -> None:
    other = Checkpoint("token-prior", {**CONFIG, "codes": 12}, TokenTransformer({**CONFIG, "codes": 12}).state_dict())

    with pytest.raises(UsageError, match="12 codes"):
        proposal.load(SETTINGS, lambda _name: other, lambda network: network, networks.autoencoder)
    wrong = load_weights("starter/clip")
    with pytest.raises(UsageError, match="kind 'clip'"):
        proposal.load(SETTINGS, lambda _name: wrong, lambda network: network, networks.autoencoder)


def test_it_adds_no_loss_and_leaves_weights_alone() -> None:
    made, weights = PriorProposal({}), torch.tensor([[1.0, -0.5]])
    assert made.losses() == {}
    assert torch.equal(made.target_weights(weights), weights)
    assert made.enlarge(torch.rand(2, 3, 8, 8), (16, 16)).shape == (2, 3, 16, 16)


def planned(**fields: Any) -> Plan:
    return resolve(Job(parse_prompts("a boat"), preset="starter", start="prior", **fields))[0]


def test_plans_hold_what_is_asked_of_the_prior_and_jobs_of_plans_ask_it_again() -> None:
    usual, asked = planned(), planned(proposals=5, temperature=0.5, top_k=9, top_p=0.25, guidance_scale=3.0)
    [row] = asked.prior
    assert (row.proposals, row.temperature, row.top_k, row.top_p, row.guidance_scale) == (5, 0.5, 9, 0.25, 3.0)
    assert Plan.from_json(asked.to_json()) == asked
    assert resolve(job_of(asked))[0] == asked
    assert resolve(job_of(usual))[0] == usual
    assert "starter/token-prior" in usual.networks


def test_a_replay_changes_the_prior_and_leaves_it_out_with_another_start() -> None:
    before = planned(proposals=5, top_k=9)
    changed = change_plan(before, {"proposals": 7}, "cpu")[0]
    assert changed == replace(before, prior=(replace(before.prior[0], proposals=7),))
    assert change_plan(before, {"start": "noise"}, "cpu")[0].prior == ()
    assert change_plan(before, {"seed": 3}, "cpu")[0] == replace(before, seed=3)


def test_what_is_for_priors_needs_one() -> None:
    with pytest.raises(UsageError, match=r"--top-k 3.*--start prior"):
        Job(parse_prompts("a boat"), top_k=3)
    with pytest.raises(UsageError, match="--start prior goes with preset starter"):
        resolve(Job(parse_prompts("a boat"), preset="draft", start="prior"))
    with pytest.raises(UsageError, match="a story does not go with start prior"):
        resolve(Job(parse_prompts("a boat ^ a car"), preset="starter", start="prior"))


def test_an_upper_half_is_extended_to_a_square(tmp_path: Path) -> None:
    Image.new("RGB", (64, 40), "red").save(tmp_path / "upper.png")
    Image.new("RGB", (40, 64), "red").save(tmp_path / "tall.png")
    job = Job(parse_prompts("a boat"), preset="starter", start="prior", init=str(tmp_path / "upper.png"))
    plan, inputs, _ = plan_job(job, "cpu")
    assert plan.edit[0].extend == (0, 0, 0, 24)
    assert inputs.size == (64, 64)
    assert plan.size == (256, 256)
    with pytest.raises(UsageError, match="--mask bottom"):
        plan_job(replace(job, init=str(tmp_path / "tall.png")), "cpu")
    masked = plan_job(replace(job, init=str(tmp_path / "tall.png"), mask="bottom"), "cpu")[0]
    assert masked.edit[0].mask == "bottom"
    assert masked.start == "prior"


def test_the_prior_that_ships_knows_codes_of_captions(networks: Networks) -> None:
    """Codes of fresh pictures are likelier with their captions than with those of others, and far likelier than any."""
    prior = build_token_transformer(load_weights(SETTINGS.prior)).eval().requires_grad_(False)
    asked = questions(24, 5)
    pictures = [answer.picture.resize((96, 96), Image.Resampling.LANCZOS) for answer in drawn(asked, 5)]
    images = torch.cat([to_tensor(picture, picture.size) for picture in pictures])
    codes = networks.autoencoder.codes_of(images).flatten(1)
    text = prior.read([question.text for question in asked])
    own, other = (float(token_losses(prior(each, codes), each, codes)["codes"]) for each in (text, text.roll(1, 0)))
    assert own < other < math.log(2048)
    assert own < 0.75 * math.log(2048)


def test_a_run_begins_at_what_the_starters_prior_proposes() -> None:
    result = generate("a red boat", preset="starter", start="prior", size=64, steps=1, cutouts=1, proposals=2, seed=1)
    again = generate(result.plan)
    assert result.image.tobytes() == again.image.tobytes()
    assert result.plan.start == "prior"
