"""DALL-E's second stage: attention masks by brute force, cached keys, losses, sampling."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from clipgen.config.priors import PriorSettings
from clipgen.errors import ClipgenError, UsageError
from clipgen.priors.attention import KERNEL, PATTERNS, attention_mask
from clipgen.priors.sampling import draw, sample
from clipgen.priors.transformer import PADDING, TokenTransformer, token_losses

CONFIG: dict[str, Any] = {
    "text_length": 8,
    "merges": 64,
    "codes": 12,
    "grid": [3, 4],
    "width": 16,
    "heads": 2,
    "patterns": ["full", "row", "column", "convolutional"],
}
SETTINGS = PriorSettings("prior/any", "vqgan/any")


def small(**changes: Any) -> TokenTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TokenTransformer({**CONFIG, **changes}).eval()
        with torch.no_grad():  # larger than at the start of a training, so that what is attended to matters
            for parameter in network.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.5)
    return network


def attends(pattern: str, row: int, column: int, other_row: int, other_column: int, columns: int) -> bool:
    """Whether a code at a place attends to another, by the words of the paper, one pair at a time."""
    here, there = row * columns + column, other_row * columns + other_column
    if there > here:
        return False
    if pattern == "row":
        return here - there < columns + 1
    if pattern == "column":
        return column == other_column
    if pattern == "convolutional":
        window = [
            (row - up) * columns + column + side
            for up in range(KERNEL // 2 + 1)
            for side in range(-(KERNEL // 2), KERNEL // 2 + 1)
        ]
        return there in window
    return True


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (14, 13), (1, 5)])
def test_masks_are_those_of_the_paper(pattern: str, rows: int, columns: int) -> None:
    text = 3
    mask = attention_mask(pattern, text, rows, columns)
    places = [(row, column) for row in range(rows) for column in range(columns)]
    for k, (row, column) in enumerate(places):
        assert mask[text + k, :text].all()
        wanted = [attends(pattern, row, column, *other, columns) for other in places]
        assert mask[text + k, text:].tolist() == wanted
    assert torch.equal(mask[:text], torch.ones(text, text + len(places)).tril()[:text].bool())


def test_the_last_token_that_a_row_attends_to_is_the_one_above() -> None:
    """Figure 11 of the paper: with 4 columns, the 5 tokens up to the one in the same column of the row before."""
    [seen] = attention_mask("row", 6, 4, 4)[6 + 9 : 6 + 10, 6:]
    assert seen.nonzero()[:, 0].tolist() == [5, 6, 7, 8, 9]


def test_a_pattern_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"attention of a prior.*rwo.*row"):
        attention_mask("rwo", 3, 2, 2)


def test_texts_end_with_padding_and_long_ones_are_cut() -> None:
    network = small()
    text = network.read(["a", "a a a a a a a a a a a a"])
    end = network.tokenizer.eot_token_id
    assert text.shape == (2, 8)
    assert text[0].tolist().index(end) == 2
    assert text[0, 3:].tolist() == [PADDING] * 5
    assert text[1, -1] == end


def test_cached_keys_give_the_logits_of_the_whole_sequence() -> None:
    network = small()
    text, codes = network.read(["a", "a b c"]), torch.randint(12, (2, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = network(text, codes)[1]
        for given in (0, 1, 5, 11):
            logits, cache = network.begin(text, codes[:, :given])
            assert torch.allclose(logits, whole[:, given], atol=1e-5)
            for place in range(given, 11):
                logits = network.advance(codes[:, place], cache)
                assert torch.allclose(logits, whole[:, place + 1], atol=1e-5)


def test_a_token_is_predicted_from_those_before_it_alone() -> None:
    network = small(patterns=["full", "full"])
    text, codes = network.read(["a b"]), torch.zeros(1, 12, dtype=torch.long)
    changed = codes.clone()
    changed[0, 5] = 7
    with torch.no_grad():
        before, after = network(text, codes), network(text, changed)
        other = network(network.read(["a c"]), codes)
    differ = ((before[1] - after[1]).abs().amax(2) > 1e-6)[0].tolist()
    assert differ == [False] * 6 + [True] * 6
    assert torch.equal(before[0], after[0])
    assert ((before[1] - other[1]).abs().amax(2) > 1e-6).all()


def test_losses_are_means_over_tokens_and_padding_is_not_learned() -> None:
    network = small()
    text, codes = network.read(["a", "a b c"]), torch.zeros(2, 12, dtype=torch.long)
    with torch.no_grad():
        logits = network(text, codes)
    losses = token_losses(logits, text, codes)
    spelled = [
        -float(logits[0][row, place].log_softmax(0)[text[row, place + 1]])
        for row in range(2)
        for place in range(7)
        if text[row, place + 1] != PADDING
    ]
    assert float(losses["text"]) == pytest.approx(sum(spelled) / len(spelled), rel=1e-5)
    assert float(losses["codes"]) == pytest.approx(float(-logits[1].log_softmax(2)[..., 0].mean()))
    both = losses["text"] / 8 + losses["codes"] * 7 / 8
    assert torch.allclose(losses["loss"], both)
    none = token_losses(logits, torch.full_like(text, PADDING), codes)
    assert float(none["text"]) == 0.0


@pytest.mark.parametrize(
    ("changes", "shares"),
    [
        ({}, [0.1, 0.4, 0.3, 0.2]),
        ({"top_k": 2}, [0, 4 / 7, 3 / 7, 0]),
        ({"top_k": 9}, [0.1, 0.4, 0.3, 0.2]),
        ({"top_p": 0.75}, [0, 4 / 9, 3 / 9, 2 / 9]),  # .4 and .3 are less, so the next is among them
        ({"top_p": 0.65}, [0, 4 / 7, 3 / 7, 0]),
        ({"top_p": 0.0}, [0, 1, 0, 0]),
        ({"temperature": 0.5}, [1 / 30, 16 / 30, 9 / 30, 4 / 30]),
        ({"temperature": 0.5, "top_k": 3, "top_p": 0.5}, [0, 1, 0, 0]),
        ({"temperature": 0.0}, [0, 1, 0, 0]),
    ],
)
def test_codes_are_drawn_as_often_as_they_are_likely_among_those_that_may_be(
    changes: dict[str, Any], shares: list[float]
) -> None:
    count = 6300
    logits = torch.tensor([[0.1, 0.4, 0.3, 0.2]], dtype=torch.float64).log().expand(count, -1)
    codes = draw(logits, (torch.arange(count) + 0.5) / count, replace(SETTINGS, **changes))
    found = torch.bincount(codes, minlength=4) / count
    assert found.tolist() == pytest.approx(shares, abs=2 / count)


def test_a_seed_gives_the_same_codes_and_another_gives_others() -> None:
    network = small()
    first = sample(network, "a", [1, 2], SETTINGS)
    assert first.shape == (2, 3, 4)
    assert torch.equal(first, sample(network, "a", [1, 2], SETTINGS))
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first[1:], sample(network, "a", [2], SETTINGS))
    assert not torch.equal(sample(network, "a", range(20), SETTINGS), sample(network, "b c", range(20), SETTINGS))


def test_codes_that_are_given_are_kept_and_the_others_go_on_from_them() -> None:
    network = small()
    given = torch.tensor([5, 4, 3, 2, 1])
    codes = sample(network, "a", [1, 2, 3], SETTINGS, given)
    assert (codes.flatten(1)[:, :5] == given).all()
    whole = torch.arange(12)
    assert torch.equal(sample(network, "a", [1], SETTINGS, whole[:11])[0].flatten()[:11], whole[:11])


def test_guidance_moves_logits_away_from_those_without_a_text() -> None:
    """At temperature 0 the first code is the best of u + s (c - u), computed here by hand."""
    network, greedy = small(), replace(SETTINGS, temperature=0.0, guidance_scale=3.0)
    text = network.read(["a b"])
    empty = torch.zeros(1, 0, dtype=torch.long)
    with torch.no_grad():
        conditional, unconditional = (network.begin(each, empty)[0] for each in (text, torch.full_like(text, PADDING)))
    expected = int((unconditional + 3 * (conditional - unconditional)).argmax())
    assert int(sample(network, "a b", [0], greedy)[0, 0, 0]) == expected


def test_settings_out_of_range_are_usage_errors_that_name_the_flag() -> None:
    bad: list[tuple[str, Any]] = [("proposals", 0), ("temperature", -1.0), ("top_k", -1), ("top_p", 1.5)]
    for name, value in [*bad, ("guidance_scale", math.nan)]:
        with pytest.raises(UsageError, match=f"--{name.replace('_', '-')}"):
            replace(SETTINGS, **{name: value})


def test_a_config_that_no_network_has_is_refused() -> None:
    for change in ({"heads": 3}, {"grid": [200, 200]}, {"grid": [0, 4], "text_length": 0}):
        with pytest.raises(ClipgenError, match="cannot be built"):
            small(**change)


def test_training_lowers_the_loss_of_codes_that_the_text_decides() -> None:
    network = small()
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    text = network.read(["a", "b"])
    codes = torch.tensor([[1] * 12, [2] * 12])

    def step() -> Tensor:
        loss = token_losses(network(text, codes), text, codes)["codes"]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    first = step()
    for _ in range(40):
        last = step()
    assert last < 0.1 * first
    assert sample(network, "b", [0], replace(SETTINGS, temperature=0.0)).eq(2).all()
