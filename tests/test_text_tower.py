"""Training a text tower: texts come to their pictures, pictures stay, and what is true of a picture is no rival."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from fakes import FakePerceptor
from torch import Tensor
from torch.nn.functional import normalize

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter import grammar
from clipgen.starter.grammar import Truth
from clipgen.starter.train.clip import CONFIGS
from clipgen.starter.train.data import truths
from clipgen.starter.train.text_tower import (
    TextTowerTrainer,
    captions,
    claims_of,
    image_vectors,
    retrieval_loss,
    text_vectors,
)
from clipgen.training.loop import Plan

SHOWN = truths(5, 80)


def trainer() -> TextTowerTrainer:
    torch.manual_seed(0)
    pictures = normalize(torch.randn(len(SHOWN), 128), dim=1)
    return TextTowerTrainer(
        CLIPPerceptor(CONFIGS["clip"]), Plan(15, 24, 0.001, seed=4), [pictures.repeat(2, 1)] * 2, SHOWN
    )


@pytest.mark.slow
def test_texts_come_to_their_pictures_and_pictures_stay() -> None:
    learning = trainer()
    clip = learning.perceptor.clip
    before = {name: tensor.clone() for name, tensor in clip.state_dict().items()}
    optimiser = torch.optim.Adam([p for p in clip.parameters() if p.requires_grad], 0.002)
    losses = []
    for step in range(30):
        loss = learning.losses_at(step)["loss"]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    moved = {name for name, tensor in clip.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert not any(name.startswith("visual.") for name in moved)


def test_only_what_is_known_to_be_false_is_a_rival() -> None:
    """Two pictures have a text each, and the second's is nearer to the first."""
    logits, own, both = torch.tensor([[0.0, 9.0], [-1e4, 0.0]]), torch.eye(2) > 0, torch.ones(2, 2) > 0
    assert retrieval_loss(logits, own, both) > 8
    assert retrieval_loss(logits, both, both) < 0.01
    assert retrieval_loss(logits, own, own) < 0.01


def test_what_has_two_things_swapped_is_a_rival_of_its_own_picture() -> None:
    claims, bound = claims_of(SHOWN, np.random.default_rng(3))
    assert len(bound)
    for row, right, wrong in bound.tolist():
        assert grammar.is_true(claims[right], SHOWN[row])
        assert not grammar.is_true(claims[wrong], SHOWN[row])


def test_held_out_combinations_are_never_claimed() -> None:
    for seed in range(5):
        claims, _ = claims_of(SHOWN, np.random.default_rng(seed))
        assert not any(grammar.held_out(claim) for claim in claims)


def test_image_vectors_are_those_of_pictures_and_then_of_their_mirror_images() -> None:
    """FakePerceptor sees quarters: a mirror image exchanges the left ones and the right ones."""
    pictures = np.random.default_rng(0).integers(0, 256, (300, 64, 64, 3), dtype=np.uint8)
    seen = image_vectors(FakePerceptor(), pictures)  # type: ignore[arg-type]
    straight, mirrored = seen.view(2, 300, 2, 2, 3)  # then pictures, rows, columns, colours
    torch.testing.assert_close(mirrored, straight.flip(2))
    torch.testing.assert_close(seen[299:300], image_vectors(FakePerceptor(), pictures[299:])[:1])  # type: ignore[arg-type]


def test_text_vectors_are_in_the_order_of_the_lists() -> None:
    class Listener(CLIPPerceptor):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def encode_texts(self, texts: Sequence[str]) -> Tensor:
            return torch.tensor([[float("cat" in text), float("red" in text)] for text in texts])

    vectors = text_vectors(Listener(), [["cat", "red", "red cat"], ["red", "cat", "cat"]], chunk=2)
    assert vectors.tolist() == [[[1, 0], [0, 1], [1, 1]], [[0, 1], [1, 0], [1, 0]]]


def test_captions_are_true_and_name_every_style() -> None:
    shown = [Truth("cat", "blue"), Truth("heart", "red"), Truth("heart", "red", style="mosaic")]
    rows = captions(shown * 10, seed=0)
    assert len({len(row) for row in rows}) == 1
    cats, hearts, styled = ([text for row in rows for text in row[k::3]] for k in range(3))
    assert not any("red" in text.split() or "heart" in text for text in cats)
    assert any("red" in text.split() for text in hearts)
    assert all("mosaic" in text or "tiles" in text for text in styled)
