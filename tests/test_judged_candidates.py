"""Candidates ranked by judges that are named, by texts or by target images, with every backend and by `generate`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import COLOURS, Cli, FakePerceptor, fake_models, install, job, plan
from PIL import Image
from torch import Tensor

import clipgen
from clipgen.cli import sessions
from clipgen.config.job import Job
from clipgen.config.judging import judge_readings, judged_prompts
from clipgen.config.plan import Plan
from clipgen.config.resolve import resolve
from clipgen.engine import models as loaded
from clipgen.engine.inputs import Inputs
from clipgen.engine.models import perceptor_of
from clipgen.engine.optimise import optimise
from clipgen.errors import OutOfMemoryError, UsageError
from clipgen.generators import GENERATORS
from clipgen.judge.likeness import mean_likenesses
from clipgen.outputs import metadata
from clipgen.session import candidates
from clipgen.session.candidates import best_seeds
from clipgen.session.planning import change_plan
from clipgen.session.session import Session

JUDGE = "clip/openai-vit-b-32"
SMALL = ("red", "--size", "32x32", "--steps", "10", "--cutouts", "2", "--seed", "3", "--preset", "starter")
TRIED = (*SMALL, "--candidates", "3", "--keep", "2")


class Redness(FakePerceptor):
    """Scores a picture by how red it is, whatever the text says."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.ones(len(texts), 1)

    def encode_images(self, views: Tensor) -> Tensor:
        return views[:, :1].mean((2, 3))


@pytest.fixture
def by_redness(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The judge of every name; the names for which it was asked."""
    asked: list[str] = []
    monkeypatch.setattr(loaded, "perceptor_of", lambda name: asked.append(name) or Redness())
    monkeypatch.setattr(sessions, "fetch_missing", lambda *_asked, **_how: None)
    return asked


def redness(picture: Image.Image) -> float:
    return float(np.asarray(picture, dtype=float)[..., 0].mean() / 255)


@pytest.mark.parametrize("backend", GENERATORS)
def test_with_every_backend_a_named_judge_ranks_the_pictures_that_runs_alone_make(
    backend: str, by_redness: list[str]
) -> None:
    asked = plan(backend=backend, seed=5, judges=(JUDGE,))
    found = best_seeds(asked, 3, fake_models(backend, 2), together=2)
    alone = {
        seed: redness(optimise(plan(backend=backend, seed=seed, steps=2), fake_models(backend, 2)).image)
        for seed in (5, 6, 7)
    }
    assert [each.plan.seed for each in found] == sorted(alone, key=lambda seed: -alone[seed])
    assert [each.score for each in found] == pytest.approx(sorted(alone.values(), reverse=True), abs=1e-5)
    assert by_redness == [JUDGE]
    assert {each.judges for each in found} == {(JUDGE,)}


def test_the_best_by_the_named_judge_are_kept_and_the_document_has_all_scores(cli: Cli, by_redness: list[str]) -> None:
    result = cli(*TRIED, "--judge", "ViT-B/32", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["judges"] == [JUDGE]
    scores = [row["score"] for row in document["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert sorted(row["seed"] for row in document["candidates"]) == [3, 4, 5]
    kept = [metadata.read_recipe(Path(picture["path"])).plan for picture in document["pictures"]]
    assert [each.seed for each in kept] == [row["seed"] for row in document["candidates"][:2]]
    assert {each.judges for each in kept} == {(JUDGE,)}
    picture = document["pictures"][0]["path"]
    again = json.loads(cli("replay", picture, "-o", "again.png", "--json").stdout)
    assert metadata.read_recipe(Path(again["path"])).plan == kept[0]
    with Image.open(picture) as first, Image.open("again.png") as second:
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--judge", "starter/judge"), 2, "--judge starter/judge ranks candidates, and there is one picture; add"),
        (("--candidates", "2", "--judge", "starter/clip"), 2, "--judge starter/clip guides this picture"),
        (("--candidates", "2", "--judge", "ViT-B-31"), 2, "--judge must be one of"),
        (("--candidates", "2", "--judge", "efficientnet-lite1"), 2, "efficientnet-lite1 takes nothing of 'red'"),
        (("--candidates", "2", "--judge", JUDGE, "--offline"), 3, f"clipgen models pull {JUDGE}"),
        (("--grid", "seed=1..2", "--judge", JUDGE), 2, "and --judge chooses among seeds"),
    ],
)
def test_a_judge_that_cannot_judge_is_refused_before_anything_is_made(
    cli: Cli, flags: tuple[str, ...], code: int, message: str
) -> None:
    result = cli(*SMALL, *flags)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert sum("error" in line for line in result.stderr.splitlines()) == 1
    assert not list(Path().iterdir())


def test_judges_in_job_files_and_variables_are_judges(
    cli: Cli, by_redness: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("job.toml").write_text(
        f'prompt = "red"\nsize = "32x32"\nsteps = 5\ncandidates = 2\njudge = ["{JUDGE}", "starter/judge"]\n'
    )
    assert json.loads(cli("run", "job.toml", "--preset=starter", "--json").stdout)["judges"] == [JUDGE, "starter/judge"]
    monkeypatch.setenv("CLIPGEN_JUDGE", "RN50")
    assert json.loads(cli(*TRIED, "--json").stdout)["judges"] == ["clip/openai-rn50"]


def test_a_classifier_ranks_by_the_probability_of_what_the_prompt_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "zebra", (1, 1, -1))
    name = "classifier/efficientnet-lite2"
    asked = resolve(job("a zebra", preset="photo", judges=(name,), seed=4, backend="vqgan", size=(32, 32), steps=5))[0]
    found = best_seeds(asked, 2, fake_models(perceptors=len(asked.perceptors)))
    judge = perceptor_of(name).eval()
    for each in found:
        alone = optimise(replace(each.plan, steps=1), fake_models(perceptors=len(asked.perceptors))).image
        pixels = torch.from_numpy(np.asarray(alone, dtype=np.float32)).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            logits = judge.encode_images(judge.whole(pixels))[0]
        assert each.score == pytest.approx(float(logits.softmax(0)[340]), rel=1e-3)  # 340: the zebra of ImageNet


def test_scenes_are_ranked_by_what_the_finished_picture_is_to_show() -> None:
    told = plan("red ^ blue:2|white:1..0")
    assert [(one.text, one.weight) for one in judged_prompts(told)] == [("red", 0), ("blue", 2), ("white", 0)]
    assert judge_readings(replace(told, judges=(JUDGE,))) == [("", "blue", "")]
    assert [one.weight for one in judged_prompts(plan("red:1..0"))] == [1]


def test_without_a_text_pictures_are_ranked_by_their_likeness_to_the_target_image(by_redness: list[str]) -> None:
    image = Image.new("RGB", (20, 30), (51, 0, 0))
    pictures = [Image.new("RGB", (32, 32), (shade, 9, 9)) for shade in (0, 102, 255)]
    likely = mean_likenesses(pictures, [(image, 3.0), (image, -1.0)], [Redness(), Redness()], torch.device("cpu"))
    assert likely == pytest.approx([0, 0.5 * 0.4 * 0.2, 0.5 * 0.2])
    asked = plan("red:0", targets=("whole-image:any.png",), judges=(JUDGE,))
    found = best_seeds(asked, 3, fake_models(), inputs=Inputs(targets=(Image.new("RGB", (32, 32), "white"),)))
    alone = {
        k: redness(
            optimise(
                replace(asked, seed=k, steps=2),
                fake_models(),
                init=Inputs(targets=(Image.new("RGB", (32, 32), "white"),)),
            ).image
        )
        for k in range(3)
    }
    assert [each.plan.seed for each in found] == sorted(alone, key=lambda seed: -alone[seed])


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(UsageError, match="compares pictures with texts alone"):
        plan("red:0", targets=("whole-image:any.png",), judges=("classifier/efficientnet-lite1",))
    for targets in (("noise:7",), ("region:left:blue",)):
        with pytest.raises(UsageError, match="ranks pictures by texts or target images"):
            best_seeds(plan("red:0", targets=targets), 2, fake_models())


@pytest.mark.parametrize(
    "flags",
    [
        ("--init", "red.png", "--mask", "left"),
        ("--region", "left:blue"),
        ("--target-image", "red.png:0.5"),
        ("--start", "noise"),
        ("--start", "perlin", "--tile"),
    ],
)
def test_candidates_go_with_edits_regions_targets_and_starts(
    cli: Cli, by_redness: list[str], flags: tuple[str, ...]
) -> None:
    Image.new("RGB", (32, 32), "red").save("red.png")
    result = cli(*TRIED, *flags, "--judge", "ViT-B-32")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.split()) == 2


def test_variations_are_ranked_by_their_picture(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "red").save("red.png")
    result = cli(*SMALL[1:], "--variations-of", "red.png", "--candidates", "2", "--start", "noise")
    assert result.exit_code == 0, result.stderr
    assert "by starter/judge" in result.stderr


def test_no_more_candidates_are_made_together_than_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch, by_redness: list[str], tmp_path: Path
) -> None:
    install(monkeypatch.setattr)
    sizes: list[int] = []
    usual = candidates.optimise_together
    monkeypatch.setattr(
        candidates,
        "optimise_together",
        lambda tasks, *rest, **more: sizes.append(len(tasks)) or usual(tasks, *rest, **more),
    )
    monkeypatch.setattr(Session, "pictures_together", lambda _self, _plan, most: min(most, 2))
    Session().make_best(plan(judges=(JUDGE,), steps=2), None, tmp_path, 3, 1)
    assert sizes == [2, 1]


def test_candidates_that_do_not_fit_into_memory_together_are_made_one_by_one(
    monkeypatch: pytest.MonkeyPatch, by_redness: list[str]
) -> None:
    asked = plan(judges=(JUDGE,), steps=5)
    usual, sizes = candidates.optimise_together, []
    wanted = best_seeds(asked, 3, fake_models())

    def short_of_memory(tasks: Sequence[Any], *rest: Any, **more: Any) -> Any:
        sizes.append(len(tasks))
        if len(tasks) > 1:
            raise OutOfMemoryError("out of memory")
        return usual(tasks, *rest, **more)

    monkeypatch.setattr(candidates, "optimise_together", short_of_memory)
    assert best_seeds(asked, 3, fake_models()) == wanted
    assert sizes == [3, 1, 1, 1]


def test_generate_returns_the_picture_of_the_best_seed(monkeypatch: pytest.MonkeyPatch, by_redness: list[str]) -> None:
    install(monkeypatch.setattr)
    settings: dict[str, Any] = {"preset": "starter", "size": 32, "steps": 10, "cutouts": 2, "start": "noise"}
    best = clipgen.generate("red", seed=8, candidates=3, judges=JUDGE, **settings)
    scores = [note.split() for note in best.notes if note.startswith("seed ")]
    assert (len(scores), by_redness) == (3, [JUDGE])
    assert best.plan.seed == int(scores[0][1].rstrip(":")) == best.record["plan"]["seed"]
    assert clipgen.generate("red", seed=best.plan.seed, **settings).image.tobytes() == best.image.tobytes()
    with pytest.raises(UsageError, match=r"^judges rank candidates"):
        clipgen.generate("red", judges=JUDGE, **settings)
    with pytest.raises(UsageError, match=r"^candidates must be a whole number"):
        clipgen.generate("red", candidates=0, **settings)
    with pytest.raises(UsageError, match=r"^judges starter/clip guides"):
        clipgen.generate(best.plan, judges="starter/clip", candidates=2)


def test_judges_go_round_and_records_without_them_read_as_before() -> None:
    asked = job(judges=(JUDGE, "starter/judge"))
    assert Job.from_json(asked.to_json()) == asked
    assert "judges" not in job().to_dict()
    made = plan(judges=(JUDGE,))
    assert Plan.from_json(made.to_json()) == made
    changed, _, _ = change_plan(made, {"backend": "dvae"}, "cpu")
    assert changed.judges == (JUDGE,)
    assert change_plan(made, {"judges": ("starter/judge",)}, "cpu")[0].judges == ("starter/judge",)
    assert change_plan(made, {"preset": "photo", "prompts": job("a zebra").prompts}, "cpu")[0].judges != (JUDGE,)
    for wrong in ("starter/judge", ("starter/vqgan",), (JUDGE, JUDGE), (3,)):
        with pytest.raises(UsageError, match="--judge"):
            job(judges=wrong)
