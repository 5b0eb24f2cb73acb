import signal
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from fakes import FakePerceptor, FakeVQGAN
from torch import Tensor, nn
from torch.nn.functional import interpolate

from clipgen.cli.train import NAMES
from clipgen.errors import ClipgenError
from clipgen.generators.networks import VQGANNetwork
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter import grammar, words
from clipgen.starter.grammar import Truth
from clipgen.starter.train.claims import codes, codes_shown, matches, untried
from clipgen.starter.train.clip import CONFIGS, ClipTrainer, Source, binding, choice, contrast
from clipgen.starter.train.data import drawn_set, truths
from clipgen.starter.train.negatives import NOTHING, Latents, Negatives, Parametrization, Pixels
from clipgen.starter.train.picture_prior import CONFIG as PRIOR_CONFIG
from clipgen.starter.train.picture_prior import PicturePrior
from clipgen.starter.train.recipes import RECIPES
from clipgen.starter.train.vqgan import VQGANTrainer
from clipgen.training.augment import distort, half_cosine, scramble
from clipgen.training.crops import CROP, crops, edge_distance
from clipgen.training.dvae import LearningDVAE, logit_laplace
from clipgen.training.loop import STATE, Losses, Plan, train_module

PLAN = Plan(steps=6, batch=2, rate=0.05, seed=1)


class Line(nn.Module):
    """Learns y = 2x from noisy points that depend on the global generator, as augmentation does."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))

    def losses_at(self, step: int) -> Losses:
        x = torch.rand(4) + step
        return {"loss": (self.slope * x - 2 * x).square().mean()}


def train(folder: Path, plan: Plan = PLAN, stop_at: int | None = None) -> Tensor:
    line = Line()

    def losses_at(step: int) -> Losses:
        if step == stop_at:
            signal.raise_signal(signal.SIGINT)
        return line.losses_at(step)

    train_module(folder, line, plan, losses_at, lambda _: None)
    return line.slope.detach().clone()


def test_every_recipe_can_be_asked_for_after_those_that_it_needs() -> None:
    assert set(NAMES) == set(RECIPES)
    for place, name in enumerate(NAMES):
        needed = (RECIPES[name].start, *RECIPES[name].needs)
        assert {each for each in needed if each and not each.startswith("starter/")} <= set(NAMES[:place])


def test_training_stopped_and_taken_up_again_ends_as_if_never_stopped(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", stop_at=1)
    assert torch.load(tmp_path / "parts" / STATE, weights_only=True)["step"] == 2
    assert torch.equal(train(tmp_path / "parts"), whole)
    assert not torch.equal(whole, torch.zeros(1))


def test_another_seed_trains_otherwise(tmp_path: Path) -> None:
    other = Plan(steps=6, batch=2, rate=0.05, seed=2)
    assert not torch.equal(train(tmp_path / "a"), train(tmp_path / "b", plan=other))


def test_a_state_of_another_plan_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(ClipgenError, match="another plan"):
        train(tmp_path, plan=Plan(steps=9, batch=2, rate=0.05, seed=1))


def test_the_log_has_the_losses(tmp_path: Path) -> None:
    train(tmp_path)
    assert '"loss"' in (tmp_path / "log.jsonl").read_text()


def test_the_rate_rises_then_falls() -> None:
    plan = Plan(steps=1000, batch=1, rate=1.0)
    rates = [plan.rate_at(step) for step in range(1000)]
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert rates[0] < 0.05
    assert rates[-1] < 0.05
    assert np.argmax(rates) == pytest.approx(50, abs=2)


def test_matches_agree_with_the_grammar() -> None:
    rng = np.random.default_rng(0)
    shown = [grammar.random_truth(rng) for _ in range(60)]
    claims = [grammar.claim_of(truth, rng) for truth in shown]
    claims += [other for claim in claims if (other := grammar.swapped(claim))]
    claims += [claim for _, claim in grammar.bank()]
    expected = [[grammar.is_true(claim, truth) for claim in claims] for truth in shown]
    assert matches(codes_shown(shown), codes(claims)).tolist() == expected


def test_of_what_is_held_out_nothing_is_said() -> None:
    held = [
        (noun, style)
        for noun in words.NOUNS
        for style in words.STYLES
        if grammar.held_out({"noun": noun, "style": style})
    ]
    noun, style = held[0]
    other = next(name for name in words.NOUNS if not grammar.held_out({"noun": name, "style": style}))
    shown = codes_shown([Truth(other, style=style), Truth(noun)])
    claims = [{"noun": noun}, {"style": style}, {"noun": other}, {"noun": noun, "style": "neon"}, {"time": "day"}]
    assert untried(shown, codes(claims)).tolist() == [
        [True, False, False, True, False],
        [False, True, False, grammar.held_out({"noun": noun, "style": "neon"}), False],
    ]


def test_two_things_are_told_from_the_two_swapped() -> None:
    logits = torch.tensor([[0.0, 5.0, -5.0]])
    assert binding(logits, torch.tensor([[0, 1, 2]])) < 0.01 < 9 < binding(logits, torch.tensor([[0, 2, 1]]))
    assert binding(logits, torch.zeros(0, 3, dtype=torch.long)) == 0


def test_losses_are_least_where_true_pairs_are_near() -> None:
    match = torch.tensor([[True, False], [False, True]])
    right, wrong = 6.0 * (match.float() * 2 - 1), -6.0 * (match.float() * 2 - 1)
    known = torch.ones_like(match)
    assert contrast(right, match, known) < 0.01 < 5 < contrast(wrong, match, known)
    assert choice(right, match, known, [[0, 1]]) < 0.01 < 5 < choice(wrong, match, known, [[0, 1]])
    assert choice(wrong, torch.zeros_like(match), known, [[0, 1]]) == 0
    assert choice(wrong, match, match, [[0, 1]]) == 0


def test_what_is_not_known_does_not_count() -> None:
    match = torch.tensor([[True, False], [False, True]])
    wrong = -6.0 * (match.float() * 2 - 1)
    assert contrast(wrong, match, torch.zeros_like(match)) == 0
    assert 2 * contrast(wrong, match, torch.eye(2) > 0) == contrast(wrong, match, torch.ones_like(match))


class Indifferent(PicturePrior):
    """Finds all pictures equally likely."""

    def unlikeliness(self, images: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        return images.mean((1, 2, 3)) * 0


PICTURES = np.full((3, 48, 48, 3), 128, dtype=np.uint8)
LATENTS = Latents(cast(VQGANNetwork, FakeVQGAN()), 6, Indifferent(PRIOR_CONFIG), PICTURES, np.array([[4, NOTHING]] * 3))


@pytest.mark.parametrize("parametrization", [Pixels(16), LATENTS])
def test_negatives_come_nearer_to_their_texts_and_then_start_anew(parametrization: Parametrization) -> None:
    torch.manual_seed(0)
    perceptor = FakePerceptor()
    negatives = Negatives(4, parametrization, ["red", "blue"])
    negatives.steps_left.copy_(torch.tensor([100, 100, 100, 1]))
    wanted = perceptor.encode_texts([negatives.texts[k] for k in negatives.targets.tolist()])
    begun = negatives.latents.clone()
    before = (perceptor.encode_images(_small(parametrization.decode(begun))) * wanted).sum(1)
    nouns = negatives.nouns[2:].clone()
    images, still = negatives.advance(cast(CLIPPerceptor, perceptor), 2, count=2, steps=6)
    assert torch.equal(still, nouns)
    after = (perceptor.encode_images(_small(images)) * wanted[2:]).sum(1)
    assert (after > before[2:] + 0.1).all()
    assert torch.equal(images, images.clamp(0, 1))
    assert torch.equal(negatives.latents[:2], begun[:2])
    assert torch.equal(parametrization.decode(negatives.latents[2:3]), images[:1])
    assert not torch.equal(parametrization.decode(negatives.latents[3:]), images[1:])
    assert negatives.steps_left[:3].tolist() == [100, 100, 94]
    assert negatives.steps_left[3] > 1


def test_some_negatives_start_at_pictures_and_know_the_nouns_of_these() -> None:
    torch.manual_seed(0)
    latents, nouns = LATENTS.start(40)
    grey = (LATENTS.decode(latents) - 0.5).abs().amax((1, 2, 3)) < 0.1
    assert set(nouns[:, 0].tolist()) == {NOTHING, 4}
    assert grey[nouns[:, 0] == 4].all()
    assert not grey[nouns[:, 0] == NOTHING].all()


def _small(pictures: Tensor) -> Tensor:
    return interpolate(pictures, size=(16, 16), mode="area")


def test_a_set_is_drawn_once_and_shows_what_it_says(tmp_path: Path) -> None:
    pictures = drawn_set(tmp_path, 6, 32, seed=3)
    assert pictures.shape == (6, 32, 32, 3)
    before = [path.stat().st_mtime_ns for path in tmp_path.iterdir()]
    assert np.array_equal(drawn_set(tmp_path, 6, 32, seed=3), pictures)
    assert [path.stat().st_mtime_ns for path in tmp_path.iterdir()] == before
    assert truths(3, 6) == truths(3, 6) != truths(4, 6)


def test_augmentation_keeps_shape_and_comes_from_the_seed() -> None:
    pictures = torch.rand(4, 3, 64, 64)
    torch.manual_seed(0)
    first = distort(pictures, 32)
    torch.manual_seed(0)
    assert torch.equal(first, distort(pictures, 32))
    assert first.shape == (4, 3, 32, 32)
    assert not torch.equal(first, distort(pictures, 32))


def test_scrambled_pictures_have_the_colours_but_not_the_shapes() -> None:
    torch.manual_seed(0)
    squares = torch.zeros(8, 3, 64, 64)
    squares[:, 0, 16:48, 16:48] = 1
    bent = scramble(squares)
    assert bent.shape == squares.shape
    assert bent[:, 0].mean() == pytest.approx(0.25, abs=0.1)
    assert bent[:, 1:].abs().max() == 0
    overlap = (bent[:, 0] * squares[:, 0]).sum((1, 2)) / squares[:, 0].sum((1, 2))
    assert overlap.mean() < 0.75


def test_what_shows_nothing_is_false_of_every_noun_but_the_one_it_may_show() -> None:
    pictures = np.full((32, 64, 64, 3), 128, dtype=np.uint8)
    source = Source(pictures, [Truth("cat", "red")] * 32)
    trainer = ClipTrainer(
        CLIPPerceptor(CONFIGS["clip"]), Plan(4, 8, 0.001), [source], parametrization=LATENTS, negatives=2
    )
    views, may_show = trainer.nameless(torch.rand(8, 3, 64, 64), source.shown[:8], 0)
    assert len(views) == len(may_show) == 2 + 8
    assert (may_show[2:] == NOTHING).all()
    assert trainer.losses_at(0)["loss"].isfinite()


def test_crops_are_parts_of_the_pictures() -> None:
    pictures = np.full((3, 2 * CROP, 2 * CROP, 3), 51, dtype=np.uint8)
    cut = crops(pictures, 5, seed=0, step=0)
    assert cut.shape == (5, 3, CROP, CROP)
    assert torch.allclose(cut, torch.tensor(0.2), atol=1e-3)


def test_edges_ignore_a_shift_of_brightness() -> None:
    target = torch.rand(1, 3, 8, 8)
    assert edge_distance(target + 0.1, target) < 1e-6 < edge_distance(target.flip(-1), target)


def test_likelihood_is_best_at_the_truth() -> None:
    target = torch.full((1, 3, 4, 4), 0.3)
    mean = torch.logit(0.8 * target + 0.1)
    assert logit_laplace(target, mean, mean * 0) < logit_laplace(target, mean + 0.5, mean * 0)


def test_the_critic_learns_from_its_own_loss_alone() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, CROP, CROP, 3), dtype=np.uint8)
    trainer = VQGANTrainer(Plan(steps=10, batch=1, rate=0.001), pictures, CLIPPerceptor(CONFIGS["clip"]))
    losses = trainer.losses_at(9)
    of_critic, of_decoder = trainer.network.critic.main[0].weight, trainer.network.decoder.conv_out.weight
    assert all(loss.isfinite() for loss in losses.values())
    for name, (learns, stays) in {"critic": (of_critic, of_decoder), "fooling": (of_decoder, of_critic)}.items():
        slope, none = torch.autograd.grad(losses[name], [learns, stays], retain_graph=True, allow_unused=True)
        assert slope is not None
        assert slope.abs().sum() > 0
        assert none is None


def test_a_split_code_draws_as_its_parent_and_shares_its_cells() -> None:
    torch.manual_seed(0)
    network = LearningDVAE({"vocab_size": 8, "n_hid": 8, "n_blk_per_group": 1, "n_init": 8, "space_to_depth": 1})
    network.requires_grad_(True)
    network.uses.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0]))
    target = torch.rand(1, 3, 16, 16)
    before = network.encode(target)[:, 0]
    network.split()
    logits, codes = network.encode(target), torch.eye(8)[..., None, None]
    assert torch.allclose(logits.exp().sum(1).log(), before, atol=0.1)
    assert torch.allclose(network.decode(codes), network.decode(codes[:1]).expand(8, -1, -1, -1), atol=1e-6)
    assert torch.allclose(network.uses, torch.tensor(1 / 8))
    network.split()
    assert torch.equal(network.encode(target), logits)


def test_the_half_cosine_starts_and_ends_flat() -> None:
    assert half_cosine(0, 10) == 0
    assert half_cosine(5, 10) == pytest.approx(0.5)
    assert half_cosine(99, 10) == 1
