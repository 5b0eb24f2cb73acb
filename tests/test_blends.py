"""Texts that are joined to one target: great circles, sums and changes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import Cli, FakePerceptor, fake_models, plan
from PIL import Image
from torch.nn.functional import normalize

from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.targets import TargetSettings, changed, mixed
from clipgen.core.losses import Targets
from clipgen.engine.objective import targets_of
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.steering.given import Given
from clipgen.steering.targets import CHANGE_SHARE
from clipgen.steering.vectors import TEMPLATES, Templated, great_circle

SMALL = ("--size", "32x32", "--steps", "4", "--cutouts", "2", "--seed", "1", "--preset", "starter")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
def test_a_great_circle_keeps_the_norm_and_divides_the_angle(share: float) -> None:
    numbers = torch.Generator().manual_seed(0)
    first, second = normalize(torch.randn(2, 50, 64, generator=numbers).double(), dim=2)
    between = great_circle(first, second, share)
    torch.testing.assert_close(between.norm(dim=1), torch.ones(50).double())
    angle = (first * second).sum(1).acos()
    torch.testing.assert_close((first * between).sum(1).clamp(-1, 1).acos(), share * angle, atol=1e-6, rtol=0)
    torch.testing.assert_close((second * between).sum(1).clamp(-1, 1).acos(), (1 - share) * angle, atol=1e-6, rtol=0)
    assert great_circle(first, first, share).isfinite().all()


def target(prompts: str, blend: str, init: torch.Tensor | None = None, *targets: str) -> torch.Tensor:
    """The direction that a perceptor is to see."""
    rows = tuple(map(TargetSettings.parse, targets))
    asked = plan("red", start="noise")
    asked = replace(asked, prompts=parse_prompts(prompts), blend="apart", targets=rows)
    object.__setattr__(asked, "blend", blend)  # a change needs an init image, which fakes need not name
    images = tuple(torch.ones(1, 3, 8, 8) * torch.tensor([0, 0, 1.0]).view(3, 1, 1) for _ in rows)
    pairs = list(zip(rows, images, strict=True))
    made: Targets = targets_of([asked], fake_models(), Given(init, targets=images), pairs)
    assert made.weights[0][0].tolist() == [1.0] + [0.0] * len(asked.prompts)
    return made.vectors[0][0, 0]


def test_texts_are_joined_as_the_blend_says() -> None:
    red, blue, white = FakePerceptor().encode_texts(["red", "blue", "white"])
    torch.testing.assert_close(target("red:0.7|blue:0.3", "mix"), great_circle(red, blue, 0.3))
    torch.testing.assert_close(target("red|blue:-1|white:2", "sum"), normalize(red - blue + 2 * white, dim=0))
    shown = FakePerceptor().encode_images(torch.tensor([0, 0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16))[0]
    torch.testing.assert_close(target("red", "sum", None, "whole-image:x:2"), normalize(red + 2 * shown, dim=0))
    init = torch.rand(1, 3, 16, 16)
    seen = FakePerceptor().encode_images(init)[0]
    expected = great_circle(seen, normalize(red - blue, dim=0), CHANGE_SHARE)
    torch.testing.assert_close(target("red|blue:-1", "change", init), expected)


def test_a_label_is_the_mean_direction_of_its_templates() -> None:
    class Spelling(FakePerceptor):
        def encode_texts(self, texts: list[str]) -> torch.Tensor:  # type: ignore[override]
            assert texts == [each.format("cat") for each in TEMPLATES]
            return normalize(torch.eye(12)[: len(texts)], dim=1)

    [vector] = Templated(Spelling()).encode_texts(["cat"])
    torch.testing.assert_close(vector, normalize(torch.eye(12)[: len(TEMPLATES)].sum(0), dim=0))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"blend": "mix", "prompts": parse_prompts("red|blue|white")}, "--mix takes two texts, got 3"),
        ({"blend": "sum"}, "--sum needs several texts"),
        ({"blend": "change", "prompts": parse_prompts("red|blue")}, "--change needs an init image"),
        ({"blend": "mixx"}, "mix"),
        ({"blend": "sum", "prompts": parse_prompts("red ^ blue")}, "--sum joins the texts of one scene"),
    ],
)
def test_a_blend_that_does_not_fit_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Job(**{"prompts": parse_prompts("red"), **settings})  # type: ignore[arg-type]


def test_shares_and_texts_are_checked() -> None:
    assert [one.weight for one in mixed("a", "b", "0.3")] == [0.7, 0.3]
    assert [(one.text, one.weight) for one in changed("a", "b")] == [("b", 1.0), ("a", -1.0)]
    for share in ("x", "1.5", "-1", "nan"):
        with pytest.raises(UsageError, match="the share of --mix must be a number from 0 to 1"):
            mixed("a", "b", share)
    with pytest.raises(UsageError, match="--change takes plain texts"):
        changed("a|b", "c")


def test_a_mixture_is_typed_in_place_of_a_prompt_recorded_and_replayed(cli: Cli) -> None:
    made = cli("--mix", "red", "blue", "0.25", *SMALL)
    assert made.exit_code == 0, made.stderr
    picture = Path(made.stdout.strip())
    recipe = read_recipe(picture).plan
    assert (recipe.blend, recipe.text, recipe.start) == ("mix", "red:0.75|blue:0.25", "noise")
    again = Path(cli("replay", str(picture)).stdout.strip())
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    Path("job.toml").write_text('mix = ["red", "blue", 0.25]\nseed = 1\n')
    from_file = cli("run", "job.toml", *SMALL)
    assert Image.open(from_file.stdout.strip()).tobytes() == Image.open(picture).tobytes()
    both = cli("--mix", "red", "blue", "0.25", "--sum", *SMALL)
    assert both.exit_code == 2
    assert "--sum and --mix exclude each other" in both.stderr
