"""A plan has every setting, survives JSON, and takes nothing else from it."""

import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipgen.config.job import Job
from clipgen.config.loss_settings import LossSettings
from clipgen.config.plan import MAX_PARTS, Plan
from clipgen.config.preset import OWN
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.schedules import ALWAYS, Schedule
from clipgen.config.settings import PerceptorSettings
from clipgen.errors import UsageError

CASES = [
    (preset.name, backend, start)
    for preset in PRESETS.values()
    if preset.name != OWN
    for start, guidance in preset.guidance.items()
    for backend in guidance.generators
]


def made(preset: str = "starter", backend: str = "vqgan", start: str = "unclip") -> Plan:
    init = "a.png" if start == "init" else None
    prompts = parse_prompts("a cat:2|fog:-0.5:-.2")
    job = Job(prompts, backend, preset, seed=2**63 - 1, init=init, init_weight=0.5 if init else 0.0, start=start)
    return resolve(job)[0]


def parts(value: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], object]]:
    """Every value within JSON, with the way to it."""
    yield place, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from parts(each, (*place, key))


def with_value(record: dict[str, Any], place: tuple[Any, ...], value: object) -> dict[str, Any]:
    changed: Any = json.loads(json.dumps(record))
    *way, last = place
    inner = changed
    for key in way:
        inner = inner[key]
    inner[last] = value
    assert isinstance(changed, dict)
    return changed


def refused(record: object) -> str:
    """How a record is refused: in one line."""
    with pytest.raises(UsageError) as caught:
        Plan.from_dict(record)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


@pytest.mark.parametrize(("preset", "backend", "start"), CASES)
def test_the_plan_of_every_preset_backend_and_start_survives_json(preset: str, backend: str, start: str) -> None:
    plan = made(preset, backend, start)
    text = plan.to_json()
    assert Plan.from_json(text) == plan
    assert Plan.from_json(text).to_json() == text
    assert "\n" not in text
    assert text.isascii()


@pytest.mark.parametrize(("preset", "backend", "start"), CASES)
def test_a_plan_leaves_nothing_open(preset: str, backend: str, start: str) -> None:
    plan = made(preset, backend, start)

    def filled(value: object) -> bool:
        if is_dataclass(value):
            names = [field.name for field in fields(value) if field.name != "schedule"]  # of a text whose weight is one
            return all(filled(getattr(value, name)) for name in names)
        return all(map(filled, value)) if isinstance(value, tuple) else value is not None

    assert filled(plan)
    assert (plan.preset, plan.backend, plan.start) == (preset, backend, start)
    assert all(side % plan.generator.stride == 0 for side in plan.size)
    assert [row.name for row in plan.models] == list(plan.networks)


@given(
    lr=st.floats(1e-6, 100),
    seed=st.integers(0, 2**63 - 1),
    weights=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    init=st.text(min_size=1, max_size=20),
)
@settings(max_examples=50)
def test_numbers_and_paths_survive_json_exactly(lr: float, seed: int, weights: tuple[float, float], init: str) -> None:
    plan = made(start="init").with_loss("init", 0.5)
    losses = tuple(replace(row, weight=Schedule("cosine", *weights)) for row in plan.losses)
    plan = replace(plan, lr=lr, seed=seed, losses=losses, init=init)
    assert Plan.from_json(plan.to_json()) == plan


def test_a_plan_does_not_change_with_the_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = made()
    text = plan.to_json()
    monkeypatch.setitem(PRESETS, "starter", replace(PRESETS["draft"], name="starter"))
    assert plan.to_json() == text
    assert Plan.from_json(text) == plan
    assert made(start="noise").generator != plan.generator  # while a job is read anew


RECORD = json.loads(made().to_json())
PLACES = [place for place, _ in parts(RECORD) if place]
LISTS = [place for place, value in parts(RECORD) if isinstance(value, list)]
OWN_ADDED_LATER = {
    **dict.fromkeys(("readings", "motion", "targets", "edit", "overlay", "init_tokens", "prior"), ()),
    "precision": "fp32",
    "init_noise": 0.0,
    "cross_fade": 0.0,
    "tile": False,
    "cutout_schedule": ALWAYS,
    "blend": "apart",
    "templates": False,
    "recipe": "",
}
ADDED_LATER = {
    **{(name,): value for name, value in OWN_ADDED_LATER.items()},
    ("generator", "decorrelated"): False,
    ("generator", "fall"): 0.0,
    ("generator", "sequence"): (),
    ("generator", "latent"): "",
    ("generator", "restart_at"): (),
    ("generator", "banned"): "",
    ("generator", "pixel_noise"): 0.0,
    ("augmentations", "groups"): (),
    ("augmentations", "rescaled"): False,
    ("generator", "coarse_to_fine"): 0.0,
    ("generator", "resolutions"): "halved",
    ("generator", "tanh"): False,
    ("augmentations", "least_noise"): 0.0,
    ("generator", "strokes"): (),
    **{("perceptors", name): 1.0 for name in ("weight", "scale")},
    ("perceptors", "distance"): "spherical",
    ("losses", "detail"): "",
    **{(*place, "points"): () for place in (("lr_schedule",), ("cutout_schedule",), ("losses", "weight"))},
    ("unclip", "solver"): "heun",
    ("upscale",): (),
    **{("unclip", name): 0.0 for name in ("init_img2img_noise", "layout_guidance", "layout_share")},
}
"""What a record that lacks the key means, by its place without the numbers of lists."""


def unnumbered(place: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(key for key in place if isinstance(key, str))


@pytest.mark.parametrize("place", [place for place in PLACES if isinstance(place[-1], str)], ids=str)
def test_a_key_that_is_missing_or_misspelt_is_refused(place: tuple[Any, ...]) -> None:
    *way, last = place
    record: Any = json.loads(json.dumps(RECORD))
    inner = record
    for key in way:
        inner = inner[key]
    value = inner.pop(last)
    may_be_left_out = place[0] == "prompts" and last != "text"  # its weight and its stop
    if not (may_be_left_out or unnumbered(place) in ADDED_LATER):
        assert last in refused(record)
    inner[f"{last}x"] = value
    assert f"{last}x" in refused(record)


def test_a_record_that_is_older_than_a_key_means_its_default() -> None:
    assert {unnumbered(place) for place in PLACES} >= set(ADDED_LATER)
    without: Any = json.loads(json.dumps(RECORD))
    for record in (without, without["generator"], *without["perceptors"]):
        for key in ("readings", "decorrelated", "weight"):
            record.pop(key, None)
    plan = Plan.from_dict(without)
    assert (plan.readings, plan.generator.decorrelated) == ((), False)
    assert {row.weight for row in plan.perceptors} == {1.0}
    assert plan == made()
    told = json.loads(made("photo", "pixels", "noise").to_json())
    assert Plan.from_dict({**told, "readings": []}).readings == ()
    assert Plan.from_dict(told).generator.decorrelated
    del told["generator"]["decorrelated"]
    assert not Plan.from_dict(told).generator.decorrelated


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_value_of_the_wrong_kind_is_refused_wherever_it_is(place: tuple[Any, ...]) -> None:
    for value in ({}, [[]], "\x1b[31m" * 999, math.nan, math.inf, -(10**400), True, None):
        fits = (
            value is True
            if place[-1] in {"flip", "decorrelated", "rescaled", "tile", "templates", "tanh"}
            else value is None and (place[0], place[-1]) == ("prompts", "stop")
        )
        if not fits:
            refused(with_value(RECORD, place, value))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("steps",), 0, "--steps"),
        (("steps",), 10**6, "--steps"),
        (("steps",), 10.0, "steps must be a whole number"),
        (("seed",), -1, "--seed"),
        (("size",), [256, 256, 256], "list of 2"),
        (("size",), [250, 256], "not on the grid"),
        (("size",), [4096, 4096], "too large"),
        (("size", 0), 2**40, "--size"),
        (("lr",), 0, "--lr"),
        (("cutouts",), 2000, "--cutouts"),
        (("generator", "stride"), 0, "stride"),
        (("generator", "levels"), 17, "levels"),
        (("generator", "small_until"), 1.5, "small_until"),
        (("generator", "reencode_at"), [0.5, 1.5], "reencode_at"),
        (("generator", "optimizer"), "adamm", "did you mean adam"),
        (("augmentations", "share_plain"), -0.1, "share_plain"),
        (("augmentations", "flip"), 1, "flip"),
        (("perceptors", 0, "until"), 1.1, "until"),
        (("perceptors",), [], "perceptors"),
        (("losses", 0, "name"), "promt", "did you mean prompt"),
        (("losses", 0, "weight", "kind"), "stepwise", "the kind of a schedule"),
        (("losses", 0, "weight", "start"), 1e7, "the start of a schedule"),
        (("unclip", 0, "candidates"), 257, "candidates"),
        (("backend",), "vqgn", "did you mean vqgan"),
        (("preset",), "auto", "--preset"),
        (("start",), "unclop", "did you mean unclip"),
        (("start",), "init", "init image"),
        (("init",), "a.png", "init image"),
        (("prompts", 0, "weight"), 1e9, "weight"),
        (("prompts",), [], "1 to 64 texts"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_name(place: tuple[Any, ...], value: object, said: str) -> None:
    assert said in refused(with_value(RECORD, place, value))


MODEL_PLACES = [
    ("generator", "weights"),
    ("perceptors", 0, "weights"),
    ("judges", 0),
    *(("unclip", 0, name) for name in ("prior", "coarse_decoder", "decoder", "upsampler", "autoencoder")),
]


@pytest.mark.parametrize("place", MODEL_PLACES, ids=str)
@pytest.mark.parametrize(
    "name", ["../clip", "starter/..", "starter/../../etc", "/etc/passwd", "starter\\clip", "starter/clip\0", "starter/"]
)
def test_the_name_of_a_model_is_never_a_path(place: tuple[Any, ...], name: str) -> None:
    assert "must be a name such as starter/clip" in refused(with_value(RECORD, place, name))


@pytest.mark.parametrize("place", LISTS, ids=str)
@pytest.mark.parametrize("length", [10**4, pytest.param(10**6, marks=pytest.mark.slow)])
def test_a_list_without_end_is_refused(place: tuple[Any, ...], length: int) -> None:
    inner: Any = RECORD
    for key in place:
        inner = inner[key]
    refused(with_value(RECORD, place, [*inner, *([0] * length)]))
    refused(with_value(RECORD, place, (inner or [0]) * (MAX_PARTS * 5)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON"),
        ("[" * 10**5, "not valid JSON"),
        ('{"steps": NaN}', "NaN is not a number"),
        ("[]", "must be a JSON object"),
        ('"plan"', "must be a JSON object"),
        (" " * 10**7, "longer than"),
    ],
)
def test_a_text_that_is_no_plan_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Plan.from_json(text)


def test_the_weight_of_a_loss_can_be_changed_and_the_loss_left_out() -> None:
    plan = made()
    assert (plan.weight_of("prompt"), plan.weight_of("init")) == (1.0, 0.0)
    heavier = plan.with_loss("total-variation", 0.5)
    assert heavier.weight_of("total-variation") == 0.5
    assert heavier.with_loss("total-variation", 0.0) == plan


@pytest.mark.parametrize(
    ("start", "changes", "message"),
    [
        ("noise", {"losses": ()}, "losses must be at least one, and each named once, got none"),
        ("noise", {"judges": ("starter/clip",)}, "starter/clip cannot be both guide and judge"),
        ("noise", {"readings": (("a cat", "fog"),)}, "readings must hold a text for each prompt, by perceptor"),
        ("noise", {"readings": (("a cat",), ("a cat",))}, "readings must hold a text for each prompt"),
        ("noise", {"readings": (("a cat", ""), ("", ""))}, "none may take nothing"),
        ("noise", {"losses": made().losses * 2}, "each named once, got prompt, prompt"),
        ("noise", {"perceptors": (PerceptorSettings("a/b", 0.5, 1.0),)}, "a perceptor must guide at every moment"),
        ("noise", {"perceptors": (PerceptorSettings("a/b", 0.0, 0.9),)}, "a perceptor must guide at every moment"),
        (
            "noise",
            {"perceptors": (PerceptorSettings("a/b", 0.0, 0.4), PerceptorSettings("a/c", 0.6, 1.0))},
            "a perceptor must guide at every moment",
        ),
        ("unclip", {"losses": ()}, "at least one"),
        ("unclip", {"losses": (LossSettings("init", Schedule.constant(1.0)),)}, "there must be the loss prompt"),
        (
            "unclip",
            {"perceptors": (PerceptorSettings("a/b"), PerceptorSettings("a/c", until=0.5))},
            "all perceptors guide all the time",
        ),
    ],
)
def test_a_plan_that_leaves_a_step_with_nothing_to_go_by_is_refused(
    start: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        replace(made(start=start), **changes)


def test_perceptors_may_take_turns() -> None:
    turns = PerceptorSettings("a/b", 0.0, 0.4), PerceptorSettings("a/c", 0.4, 1.0)
    assert replace(made(start="noise"), perceptors=turns).perceptors == turns
