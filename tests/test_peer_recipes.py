"""`--recipe`: the loops of other programs, from what is typed to the picture."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
import torch
from fakes import Cli
from peer_runs import plan_of, small_networks
from PIL import Image
from recipes import assert_refused, png_with, recipe_with
from torch import Tensor

from clipgen import generate
from clipgen.config.augmentations import AUGMENTATIONS
from clipgen.config.job import Job
from clipgen.config.peer_recipes import PEER_RECIPES, PeerRecipe
from clipgen.config.plan import Plan
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.engine import augmentations, peer_cutouts
from clipgen.engine.memory import MicroBatches
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.generators import LATENTS
from clipgen.outputs import metadata
from clipgen.session.planning import change_plan
from clipgen.session.reading_plans import job_of

CAT = parse_prompts("a cat")
SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "4", "--seed", "1")
every_recipe = pytest.mark.parametrize("recipe", PEER_RECIPES)


def small(recipe: str, seed: int = 7, **settings: Any) -> Plan:
    """A plan for the small networks."""
    banned = {"banned": "2,3,6"} if PEER_RECIPES[recipe].backends == ("dvae",) else {}
    return replace(plan_of(recipe, (32, 32), 4, **banned), seed=seed, **settings)


def begun(plans: Sequence[Plan], **settings: Any) -> Run:
    return Run(plans, small_networks(plans[0].backend, torch.float32).models, **settings)


def made(run: Run, steps: int) -> Tensor:
    """Make so many steps; returns the latents."""
    for _ in range(steps):
        run.find_gradients()
        run.update()
    return torch.cat([latents.detach().flatten(1) for latents in run.loop.generator.parameters()], 1)


def test_the_tables_that_recipes_name_rows_of_are_complete() -> None:
    assert set(augmentations.KORNIA) == set(AUGMENTATIONS)
    groups = [group for row in PEER_RECIPES.values() for group in row.augmentations.groups]
    assert {group.cutter for group in groups} == set(peer_cutouts.CUTTERS)
    assert all(backend in LATENTS[row.latent] for row in PEER_RECIPES.values() for backend in row.backends)


@pytest.mark.parametrize(
    ("recipe", "preset"),
    [
        (recipe, preset)
        for recipe, row in PEER_RECIPES.items()
        for preset in ("starter", "photo", "draft")
        if row.backends[0] in PRESETS[preset].generators
    ],
)
def test_a_recipe_takes_its_models_from_the_preset_and_the_loop_from_its_row(recipe: str, preset: str) -> None:
    row = PEER_RECIPES[recipe]
    plan, _ = resolve(Job(CAT, preset=preset, recipe=recipe))
    usual, _ = resolve(Job(CAT, row.backends[0], preset=preset))
    assert (plan.recipe, plan.perceptors, plan.size) == (recipe, row.seen_by(usual.perceptors), usual.size)
    assert plan.generator.weights == usual.generator.weights
    assert (plan.augmentations, plan.lr, plan.steps, plan.cutouts) == (
        row.augmentations,
        row.lr,
        row.steps,
        row.cutouts,
    )
    assert (plan.backend, plan.start, plan.unclip) == (row.backends[0], row.starts[0], ())
    assert (plan.generator.levels, plan.generator.optimizer, plan.generator.latent) == (1, row.optimizer, row.latent)
    assert Plan.from_json(plan.to_json()) == plan
    assert resolve(job_of(plan))[0] == plan


def test_what_is_typed_takes_the_place_of_single_settings() -> None:
    typed: dict[str, Any] = {"steps": 9, "lr": 0.3, "cutouts": 5}
    plan, _ = resolve(Job(CAT, preset="draft", recipe="nerdyrodent", optimizer="radam", start="perlin", **typed))
    assert {name: getattr(plan, name) for name in typed} == typed
    assert (plan.generator.optimizer, plan.start, plan.lr_schedule.values) == ("radam", "perlin", (1.0, 1.0))
    falling, _ = resolve(Job(CAT, preset="draft", recipe="nerdyrodent", lr="0.4..0.1"))
    assert (falling.lr, falling.lr_schedule.at(1.0)) == (0.4, 0.25)


def test_the_rate_of_pixray_falls_to_a_tenth_after_three_quarters_and_its_moments_are_forgotten() -> None:
    plan, _ = resolve(Job(CAT, preset="draft", recipe="pixray"))
    rates = [plan.lr * plan.lr_schedule.at(step / plan.steps) for step in range(plan.steps)]
    last = int(0.75 * (plan.steps - 1))
    assert rates == [0.2] * (last + 1) + [pytest.approx(0.02)] * (plan.steps - last - 1)
    assert [round(share * plan.steps) for share in plan.generator.restart_at] == [last + 1]


def test_codes_are_banned_only_where_they_are_those_of_dall_e() -> None:
    plans = [resolve(Job(CAT, preset=preset, recipe="dvae-notebook"))[0] for preset in ("draft", "starter")]
    assert [len(plan.generator.banned.split(",")) for plan in plans] == [363, 1]
    assert plans[1].generator.banned == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"recipe": "nerdyrodnt"}, "did you mean nerdyrodent"),
        (
            {"recipe": "pixray", "backend": "pixels"},
            "--recipe pixray does not fit --backend pixels; use --backend vqgan",
        ),
        ({"recipe": "dvae-notebook", "backend": "vqgan"}, "use --backend dvae"),
        ({"recipe": "nerdyrodent", "start": "unclip"}, "--recipe nerdyrodent cannot start at unclip"),
        ({"recipe": "codebook-sampling", "init": "a.png"}, "--recipe codebook-sampling cannot start at init"),
        ({"recipe": "codebook-sampling", "motion": {"zoom": 1.1}}, "cannot encode pictures"),
        ({"optimizer": "adamm"}, "did you mean adam"),
        ({"recipe": "tokenopt"}, "which preset starter does not have; use --preset draft or standard or best"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(Job(CAT, **{"preset": "starter", **fields}))


@every_recipe
def test_pictures_in_lockstep_are_those_that_each_would_be_alone(recipe: str) -> None:
    plans = [small(recipe, seed) for seed in (3, 4)]
    together = made(begun(plans), 3)
    for row, plan in enumerate(plans):
        assert torch.equal(together[row], made(begun([plan]), 3)[0])
    assert not torch.equal(together[0], together[1])


@every_recipe
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(recipe: str) -> None:
    plan = small(recipe)
    for stopped in (2, 4):  # pixray's moments are forgotten before the fifth step
        first = begun([plan])
        made(first, stopped)
        assert torch.equal(made(begun([plan], snapshots=[first.snapshot(0)]), 5 - stopped), made(begun([plan]), 5))


@every_recipe
def test_torch_s_own_random_numbers_are_neither_used_nor_changed(recipe: str) -> None:
    begun([small(recipe)])  # makes the random networks, if no other test has
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(made(begun([small(recipe)]), 2))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*found)


@every_recipe
def test_a_step_in_parts_has_the_same_loss_and_gradient(recipe: str) -> None:
    found = []
    for batches in (MicroBatches(4), MicroBatches(3), MicroBatches(1, decode_twice=True)):
        run = begun([small(recipe)])
        run._apply(batches, run.loop)
        [step] = run.find_gradients()
        gradients = [latent.grad for latent in run.loop.generator.parameters() if latent.grad is not None]
        found.append((step.loss, torch.cat([gradient.flatten() for gradient in gradients])))
    for loss, gradient in found[1:]:
        torch.testing.assert_close(loss, found[0][0], rtol=1e-5, atol=1e-6)
        assert (gradient - found[0][1]).norm() < 1e-4 * found[0][1].norm()


@every_recipe
def test_a_picture_ends_without_noise(recipe: str) -> None:
    run = begun([small(recipe)])
    made(run, 5)
    assert torch.equal(run.finish()[0].image, run.finish()[0].image)
    run.loop.generator.set_step(5, 5, [99])
    assert torch.equal(run.loop.generator.decode()[0].detach(), run.finish()[0].image)


def test_a_banned_code_that_the_network_has_not_is_refused() -> None:
    plan = small("dvae-notebook")
    with pytest.raises(UsageError, match="banned must be numbers of codes below 40, got 41"):
        begun([replace(plan, generator=replace(plan.generator, banned="1,41"))])


def test_sampled_codes_are_never_banned_ones() -> None:
    run = begun([replace(small("dvae-notebook"), generator=replace(small("dvae-notebook").generator, banned="0,1,2"))])
    generator = run.loop.generator
    seen: list[Tensor] = []
    network = run._models.network
    decode = network.statistics

    def statistics(codes: Tensor) -> Any:
        seen.append(codes.detach().argmax(1))
        return decode(codes)

    object.__setattr__(network, "statistics", statistics)
    try:
        for step in range(8):
            generator.set_step(step, 8, [7])
            generator.decode()
    finally:
        object.__delattr__(network, "statistics")
    assert int(torch.stack(seen).min()) > 2


@pytest.mark.parametrize("recipe", ["nerdyrodent", "eleuther", "codebook-sampling"])
def test_a_run_with_a_recipe_lowers_its_loss(recipe: str) -> None:
    """With fakes, whose colour is known."""
    run = Run([fakes.plan("red", recipe=recipe, steps=40, lr=PEER_RECIPES[recipe].lr)], fakes.fake_models())
    losses = []
    for _ in range(40):
        losses.append(float(run.find_gradients()[0].loss))
        run.update()
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_a_picture_carries_its_loop_and_is_replayed_whatever_the_recipe_is_today(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("red", "--preset", "starter", "--recipe", "nerdyrodent", *SMALL, "-o", "a.png").exit_code == 0
    record = metadata.read(Path("a.png"))
    assert record is not None
    assert record["plan"]["recipe"] == "nerdyrodent"
    assert [row["kind"] for row in record["plan"]["augmentations"]["groups"][0]["chain"]] == [
        *("affine", "perspective", "jitter", "erasing")
    ]
    other: PeerRecipe = replace(PEER_RECIPES["pixray"], lr=5.0)
    monkeypatch.setitem(PEER_RECIPES, "nerdyrodent", other)
    assert cli("replay", "a.png", "-o", "b.png").exit_code == 0
    with Image.open("a.png") as first, Image.open("b.png") as second:
        assert first.tobytes() == second.tobytes()


def test_a_replay_can_have_another_loop(cli: Cli) -> None:
    assert cli("red", "--preset", "starter", *SMALL, "-o", "a.png").exit_code == 0
    result = cli("replay", "a.png", "--recipe", "eleuther", "--steps", "2", "-o", "b.png")
    assert result.exit_code == 0, result.stderr
    record = metadata.read(Path("b.png"))
    assert record is not None
    plan = Plan.from_dict(record["plan"])
    assert (plan.recipe, plan.start, plan.steps, plan.cutouts) == ("eleuther", "codes", 2, 64)
    changed, _, _ = change_plan(plan, {"recipe": "pixray"}, "cpu")
    assert (changed.recipe, changed.start, changed.steps, changed.lr) == ("pixray", "perlin", 250, 0.2)
    assert change_plan(plan, {"seed": 5}, "cpu")[0] == replace(plan, seed=5)


def test_job_files_lines_of_prompts_and_python_take_recipes(cli: Cli) -> None:
    Path("job.toml").write_text('prompt = "red"\nrecipe = "pixray"\npreset = "starter"\noptimizer = "adamax"\n')
    assert cli("run", "job.toml", *SMALL, "-o", "job.png").exit_code == 0
    Path("lines.txt").write_text("--recipe eleuther --optimizer rmsprop :: red\n")
    result = cli("batch", "lines.txt", "--preset", "starter", *SMALL)
    assert result.exit_code == 0, result.stderr
    plan = generate("red", preset="starter", recipe="nerdyrodent", optimizer="diffgrad", **_SMALL).plan
    records = [metadata.read(Path(name)) for name in ("job.png", result.stdout.split()[0])]
    found = [Plan.from_dict(record["plan"]) for record in records if record] + [plan]
    used = [(each.recipe, each.generator.optimizer) for each in found]
    assert used == [("pixray", "adamax"), ("eleuther", "rmsprop"), ("nerdyrodent", "diffgrad")]
    assert "recipe" in cli("job").stdout


_SMALL: dict[str, Any] = {"size": 32, "steps": 1, "cutouts": 2, "seed": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "jitter", "amounts": [0.1, 0.1, 0.1, 9.0]}, "hue of jitter"),
        ({"kind": "jitter", "amounts": [0.1]}, "jitter has 4 amounts"),
        ({"kind": "blur", "amounts": []}, "an augmentation"),
        ({"kind": "erasing", "amounts": [0.4, 0.1, 0.3, 3.0]}, "least must be at most most"),
        ({"kind": "affine", "amounts": [15.0, 0.0, 0.1, 5.0], "border": "mirror"}, "the border"),
        ({"kind": "affine", "amounts": [15.0, 0.0, 0.1, 5.0], "probability": 2.0}, "the probability of affine"),
    ],
)
def test_a_foreign_loop_that_cannot_be_is_refused(cli: Cli, change: dict[str, Any], said: str) -> None:
    row = {"probability": 0.7, "border": "zeros", **change}
    group = {"share": 1.0, "cutter": "pooled", "chain": [row], "power": 1.0}
    text = recipe_with({"plan.augmentations.groups": [group], "plan.unclip": []})
    assert json.loads(text)["plan"]["augmentations"]["groups"]
    assert_refused(cli("replay", str(png_with(text)), "-o", "b.png"), said)


@pytest.mark.parametrize("banned", ["1,2,x", "1,,2", "-1"])
def test_foreign_codes_that_are_no_numbers_are_refused(cli: Cli, banned: str) -> None:
    text = recipe_with({"plan.generator.banned": banned})
    assert_refused(cli("replay", str(png_with(text)), "-o", "b.png"), "banned must be numbers of codes")
