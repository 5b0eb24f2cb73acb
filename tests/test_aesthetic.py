"""LAION's aesthetic predictor, with random weights in the true layout: as its author's network, as a loss, by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import Cli, guide, job
from torch import Tensor, nn
from torch.nn.functional import normalize
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.config.plan import Plan
from clipgen.config.resolve import resolve
from clipgen.core.contracts import Moment
from clipgen.engine.models import Models
from clipgen.engine.optimise import optimise
from clipgen.errors import ClipgenError, UsageError, WeightsMissingError
from clipgen.judge import aesthetic
from clipgen.perceptors.aesthetic import AestheticHead, load_head
from clipgen.perceptors.clip import spherical_distance
from clipgen.steering.aesthetic import aesthetic_loss
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.heads import AESTHETIC, AESTHETIC_CLIP


def authors() -> nn.Sequential:
    """The network of simple_inference.py in christophschuhmann/improved-aesthetic-predictor."""
    return nn.Sequential(
        nn.Linear(768, 1024),
        nn.Dropout(0.2),
        nn.Linear(1024, 128),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.Dropout(0.1),
        nn.Linear(64, 16),
        nn.Linear(16, 1),
    )


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> nn.Sequential:
    """A random predictor of which the cache has the file, as the author saved his."""
    torch.manual_seed(0)
    network = authors()
    file = tmp_path / RECORDS[AESTHETIC].file
    torch.save({f"layers.{name}": value for name, value in network.state_dict().items()}, file)
    monkeypatch.setitem(RECORDS, AESTHETIC, replace(RECORDS[AESTHETIC], size=None, sha256=None))
    Cache().add(RECORDS[AESTHETIC], file, trust_on_first_use=True)
    return network.eval()


def unit(*shape: int) -> Tensor:
    return normalize(torch.randn(*shape, 768, generator=torch.Generator().manual_seed(1)), dim=-1)


def test_the_record_is_as_large_as_the_weights_of_its_layout() -> None:
    count = sum(value.numel() for value in authors().state_dict().values())
    assert 0 < (RECORDS[AESTHETIC].size or 0) - 4 * count < 10_000  # the names of the tensors, and the archive
    head = AestheticHead(RECORDS[AESTHETIC].config)
    assert {f"layers.{name}": value.shape for name, value in authors().state_dict().items()} == {
        name: value.shape for name, value in head.state_dict().items()
    }


def test_ratings_are_those_of_the_authors_network(published: nn.Sequential) -> None:
    state = torch.get_rng_state()
    vectors = unit(5)
    found = aesthetic.scores(vectors)
    assert found.shape == (5,)
    torch.testing.assert_close(found, published(vectors)[:, 0].detach())
    torch.testing.assert_close(aesthetic.scores(vectors[:2], load_head()), found[:2])
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ClipgenError, match="vectors of 768 numbers"):
        aesthetic.scores(unit(2)[:, :512])


def moment(vectors: dict[int, Tensor]) -> Moment:
    return Moment(0.5, slice(0, 2), torch.zeros(2, 3, 8, 8), vectors, {}, None)  # type: ignore[arg-type]


def test_the_loss_falls_as_cutouts_are_rated_higher_up_to_the_best(published: nn.Sequential) -> None:
    loss = aesthetic_loss(load_head(), 1)
    vectors = unit(2, 3).requires_grad_()
    value = loss(moment({1: vectors}))
    torch.testing.assert_close(value, 1 - published(vectors)[..., 0].mean(1) / 10)
    [gradient] = torch.autograd.grad(value.sum(), vectors)
    higher = published(vectors - 10 * gradient)[..., 0]
    assert (higher > published(vectors)[..., 0]).all()
    with torch.no_grad():
        published[-1].bias.fill_(11.0)
    best = load_head()
    best.load_state_dict({f"layers.{name}": value for name, value in published.state_dict().items()})
    assert torch.equal(aesthetic_loss(best, 1)(moment({1: vectors})), torch.zeros(2))
    assert torch.equal(loss(moment({0: vectors})), torch.zeros(2))


class Wide(nn.Module):
    """A CLIP of OpenAI's width: vectors (N, 768) of the pixels of cutouts (N, 3, 16, 16)."""

    size = 16

    def whole(self, images: Tensor) -> Tensor:
        return nn.functional.interpolate(images, (16, 16))

    def tokens_over_limit(self, _text: str) -> int:
        return 0

    def encode_texts(self, texts: Any) -> Tensor:
        return unit(len(texts))

    def encode_images(self, views: Tensor) -> Tensor:
        return normalize(views.flatten(1) - 0.5 + 1e-3, dim=1)

    def distances(self, seen: Tensor, targets: Tensor) -> Tensor:
        return spherical_distance(seen[:, :, None], targets[:, None])

    def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
        return seen @ targets.transpose(1, 2)


def asked(*losses: str) -> Plan:
    return resolve(job("red", preset="draft", backend="pixels", clips=(AESTHETIC_CLIP,), losses=losses, steps=30))[0]


def test_a_run_with_the_loss_is_rated_higher_than_one_without(published: nn.Sequential) -> None:
    models = Models(nn.Identity(), (guide(Wide()),), torch.device("cpu"))
    rated = []
    for losses in ((), ("aesthetic:20",)):
        made = optimise(asked(*losses), models)
        pixels = torch.from_numpy(np.array(made.image)).permute(2, 0, 1)[None] / 255
        rated.append(float(published(Wide().encode_images(Wide().whole(pixels))).detach()))
    assert rated[1] > rated[0]


def test_a_plan_names_the_network_that_the_loss_needs_and_the_clip_must_guide() -> None:
    assert AESTHETIC in asked("aesthetic").networks
    assert AESTHETIC in [row.name for row in asked("aesthetic").models]
    assert AESTHETIC not in asked().networks
    assert Plan.from_json(asked("aesthetic:2").to_json()) == asked("aesthetic:2")
    with pytest.raises(
        UsageError, match="--loss aesthetic goes by clip/openai-vit-l-14, which does not guide; add --c"
    ):
        resolve(job("red", preset="starter", losses=("aesthetic",)))
    with pytest.raises(WeightsMissingError, match=f"clipgen models pull {AESTHETIC}"):
        load_head()


def test_without_the_weights_the_command_line_says_how_to_get_them(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipgen.weights import registry

    usual = registry.missing
    monkeypatch.setattr(registry, "missing", lambda names, *rest: usual([n for n in names if n == AESTHETIC], *rest))
    result = cli(
        "red", "--preset", "draft", "--clip", "ViT-L-14", "--loss", "aesthetic", "--offline", "--size", "32x32"
    )
    assert (result.exit_code, f"clipgen models pull {AESTHETIC}" in result.stderr) == (3, True), result.stderr
    assert not list(Path().iterdir())
    assert CliRunner().invoke(app, ["models", "list"]).stdout.count(AESTHETIC) == 1
