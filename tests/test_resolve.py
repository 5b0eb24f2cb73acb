"""From a job to its plan: what is filled in, what is rounded, what is said, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipgen.config.job import Job
from clipgen.config.preset import LIKE_NOISE, MAX_SIDE, OWN, PATTERNS, STARTS, TOKENS
from clipgen.config.presets import PRESETS
from clipgen.config.priors import PROPOSING
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.sequences import SEQUENCES
from clipgen.config.sizes import MAX_ASPECT, half, square
from clipgen.errors import UsageError
from clipgen.weights.registry import stride

CAT = parse_prompts("a cat")
STRIDE = PRESETS["starter"].generators["vqgan"].settings.stride
sides = st.integers(16, 2048)
EVERY = [
    (preset.name, start, backend)
    for preset in PRESETS.values()
    if preset.name != OWN  # its networks are named by the job
    for start, guidance in preset.guidance.items()
    for backend in guidance.generators
]


def started(start: str | None) -> dict[str, str]:
    return {"start": "init", "init": "a.png"} if start == "init" else {"start": start} if start else {}


@pytest.mark.parametrize(("preset", "start", "backend"), EVERY)
def test_what_a_job_leaves_open_is_what_the_preset_says(preset: str, start: str, backend: str) -> None:
    plan, _ = resolve(Job(CAT, backend, preset, **started(start)))
    guidance = PRESETS[preset].guidance[start]
    row = guidance.generators[backend]
    assert (plan.steps, plan.lr, plan.cutouts) == (row.steps, row.lr, row.cutouts)
    assert (plan.generator, plan.augmentations, plan.unclip) == (row.settings, guidance.augmentations, guidance.unclip)
    taken = [guide for guide in PRESETS[preset].perceptors if preset != "photo" or "classifier/" in guide.weights]
    assert (plan.perceptors, plan.judges) == (tuple(taken), PRESETS[preset].judges)  # no CLIP need take "a cat"
    size = (256, 256) if backend in SEQUENCES else PRESETS[preset].size
    assert (plan.size, plan.start, plan.preset, plan.backend) == (size, start, preset, backend)


@pytest.mark.parametrize(("preset", "start", "backend"), EVERY)
def test_what_a_job_says_is_what_the_plan_has(preset: str, start: str, backend: str) -> None:
    size = (256, 256) if backend in SEQUENCES else (64, 32)
    said: dict[str, Any] = {"size": size, "steps": 7, "lr": 0.3, "cutouts": 3, "seed": 11}
    plan, _ = resolve(Job(CAT, backend, preset, **said, **started(start)))
    assert {name: getattr(plan, name) for name in said} == said
    assert plan.prompts == CAT


def test_where_a_run_starts_follows_from_preset_and_init_image() -> None:
    cases = {("starter", None): "unclip", ("starter", "a.png"): "init", ("draft", None): "noise"}
    for (preset, init), start in cases.items():
        plan, _ = resolve(Job(CAT, preset=preset, init=init))
        assert (plan.start, plan.init) == (start, init or "")
    plan, _ = resolve(Job(CAT, preset="starter", init_tokens="a.npy"))
    assert (plan.start, plan.generator) == (TOKENS, PRESETS["starter"].guidance["noise"].generators["vqgan"].settings)
    assert {*cases.values(), *PROPOSING, *LIKE_NOISE} == set(STARTS)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("preset", ["starter", "photo", "draft"])
def test_a_run_that_starts_at_a_pattern_has_the_settings_of_noise(preset: str, name: str) -> None:
    asked = Job(CAT, preset=preset, start="noise")
    noise, _ = resolve(asked)
    assert resolve(replace(asked, start=name))[0] == replace(noise, start=name)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"preset": "draft", "start": "unclip"}, "--start unclip goes with preset starter.*use --start noise"),
        ({"start": "init"}, "add --init FILE"),
        ({"start": "noise", "init": "a.png"}, "exclude each other; leave one out"),
        ({"start": "unclip", "init": "a.png"}, "exclude each other; leave one out"),
        ({"start": "nois"}, "did you mean noise"),
    ],
)
def test_starts_that_go_with_nothing_else_are_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(Job(CAT, **settings))  # type: ignore[arg-type]


def test_the_prompt_and_what_holds_on_to_an_init_image_are_losses() -> None:
    def losses(**settings: Any) -> list[tuple[str, float]]:
        return [(row.name, row.weight.start) for row in resolve(Job(CAT, init="a.png", **settings))[0].losses]

    assert losses(preset="starter", init_weight=0.5) == [("prompt", 1.0), ("layout", 0.15)]
    assert losses(preset="starter") == [("prompt", 1.0), ("layout", 0.3)]
    assert losses(preset="starter", init_weight=0.0) == [("prompt", 1.0)]
    assert losses(preset="draft", init_weight=0.5) == [("prompt", 1.0), ("init", 0.5)]
    assert losses(preset="draft") == [("prompt", 1.0)]
    others = [("total-variation", 40.0), ("contrast", 10.0)]
    assert losses(preset="photo", init_weight=0.5) == [("prompt", 1.0), ("layout", 0.75), *others]
    assert losses(preset="photo") == [("prompt", 1.0), ("layout", 1.5), *others]
    assert losses(preset="photo", init_weight=0.0) == [("prompt", 1.0), *others]
    assert [row.name for row in resolve(Job(CAT, preset="photo"))[0].losses] == [
        "prompt",
        *(name for name, _ in others),
    ]


def test_named_models_take_the_place_of_the_preset_s() -> None:
    named = Job(CAT, preset="draft", clips=("clip/openai-vit-b-16",), network="vqgan/imagenet-f16-1024")
    plan, _ = resolve(named)
    assert [row.weights for row in plan.perceptors] == ["clip/openai-vit-b-16"]
    assert plan.generator.weights == "vqgan/imagenet-f16-1024"
    assert {"clip/openai-vit-b-16", "vqgan/imagenet-f16-1024"} == {row.name for row in plan.models}
    with pytest.raises(UsageError, match="--clip cannot guide with preset starter"):
        resolve(Job(CAT, preset="starter", clips=("clip/openai-vit-b-16",)))


@pytest.mark.parametrize("backend", PRESETS["starter"].generators)
def test_a_plan_knows_the_hashes_of_the_models_that_are_here(backend: str) -> None:
    plan, _ = resolve(Job(CAT, backend, "starter"))
    assert [row.name for row in plan.models] == list(plan.networks)
    assert all(len(row.sha256) == 64 for row in plan.models)


@given(sides, sides)
def test_rounding_moves_each_side_by_at_most_half_a_cell_and_is_said(width: int, height: int) -> None:
    plan, notes = resolve(Job(CAT, size=(width, height)))
    for wanted, given_side in zip((width, height), plan.size, strict=True):
        assert given_side % STRIDE == 0
        assert abs(given_side - wanted) <= STRIDE / 2
    assert plan.size == (width, height) or any(f"{width}x{height} rounded to" in note for note in notes)


@given(st.integers(1, 10**5), st.integers(1, 10**5))
def test_without_a_size_the_init_image_gives_the_shape_and_the_preset_the_area(width: int, height: int) -> None:
    plan, notes = resolve(Job(CAT), (width, height))
    area = plan.size[0] * plan.size[1]
    assert 0.85 < area / 256**2 < 1.15
    assert (width < height) <= (plan.size[0] <= plan.size[1])
    assert max(plan.size) / min(plan.size) < 1.15 * MAX_ASPECT
    assert any("from the shape of the init image" in note for note in notes)


def test_a_landscape_photograph_stays_one() -> None:
    plan, _ = resolve(Job(CAT), (1920, 1080))
    assert abs(plan.size[0] - 341) <= STRIDE / 2
    assert abs(plan.size[1] - 192) <= STRIDE / 2


@given(sides, sides, st.sampled_from([1, 8, 16]))
def test_half_a_size_and_a_square_are_on_the_grid_and_no_larger(width: int, height: int, cell: int) -> None:
    small = half((width, height), cell)
    for part, full in zip(small, (width, height), strict=True):
        assert part % cell == 0
        assert cell <= part <= max(full / 2, cell)
    side = int(square(width * height, cell).split("x")[0])
    assert side % cell == 0
    assert side**2 <= width * height < (side + cell) ** 2


def test_auto_says_what_it_chose_and_why() -> None:
    plan, notes = resolve(Job(CAT))
    assert plan.preset == "starter"
    assert any("starter" in note for note in notes)
    assert resolve(Job(CAT, preset="starter"))[1] == []


def test_a_number_that_may_be_text_is_pointed_out() -> None:
    _, notes = resolve(Job(parse_prompts("a star at 16:9"), preset="starter"))
    assert notes == ['reading "a star at 16" with weight 9; to keep the colon as text write "a star at 16:9:1:-inf"']
    assert resolve(Job(parse_prompts("a star at 16:9:1:-inf"), preset="starter"))[1] == []


@pytest.mark.parametrize("size", [(STRIDE - 1, 256), (256, 1)])
def test_less_than_a_cell_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=f"smaller than one latent cell of vqgan; use at least {STRIDE}x{STRIDE}"):
        resolve(Job(CAT, size=size))


def test_an_absurd_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"too large.*2048x2048"):
        resolve(Job(CAT, size=(MAX_SIDE, MAX_SIDE)))


@pytest.mark.parametrize(("preset", "start", "backend"), EVERY)
def test_the_stride_of_a_preset_is_that_of_its_weights(preset: str, start: str, backend: str) -> None:
    settings = PRESETS[preset].guidance[start].generators[backend].settings
    assert settings.stride == (stride(settings.weights) if settings.weights else 1)
