"""Classifiers out of a user's own files: of any architecture of timm, with ImageNet's classes, and never obeyed."""

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pretrained
import pytest
import references
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from clipgen import weights
from clipgen.cli.model_options import ModelOptions, split_weight
from clipgen.errors import ClipgenError, UsageError
from clipgen.perceptors.timm_classifier import classifier_network
from clipgen.weights import registry
from clipgen.weights.imports import import_classifier
from clipgen.weights.loader import load
from clipgen.weights.packaged import find_packaged

pytestmark = pytest.mark.usefixtures("own_folder")

SMALL = "test_efficientnet"
LITE = {number: f"classifier/efficientnet-lite{number}" for number in range(3)}
INPUT = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}


def state_of(model: str = SMALL, classes: int = 1000) -> dict[str, Tensor]:
    torch.manual_seed(0)
    state: dict[str, Tensor] = timm.create_model(model, num_classes=classes).state_dict()
    return state


def wrapped(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    ("file", "save"),
    [
        ("my.safetensors", lambda state, path: save_file(state, path)),
        ("my.pth", torch.save),
        ("my.bin", lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False)),
        ("my.pt", lambda state, path: torch.save({"model": state, "epoch": 3}, path)),
        ("my.tar", lambda state, path: torch.save({"state_dict": wrapped("module.", state), "arch": "x"}, path)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_classifier_of_timm_is_imported(file: str, save: Callable[[dict[str, Tensor], str], None]) -> None:
    state = state_of()
    save(state, file)
    name = import_classifier(SMALL, Path(file))
    assert re.fullmatch(r"classifier/local-[0-9a-f]{16}", name)
    assert import_classifier(SMALL, Path(file)) == name
    found = load(name)
    assert found.config == {
        "model": SMALL,
        "size": 160,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    assert all(torch.equal(value, state[key]) for key, value in found.tensors.items())
    weights.build(found, "classifier", classifier_network)
    assert len(registry.sha256_of_network(name)) == 64


def test_old_files_lack_counters_that_nothing_needs() -> None:
    state = state_of()
    torch.save({name: value for name, value in state.items() if "num_batches_tracked" not in name}, "old.pth")
    found = load(import_classifier(SMALL, Path("old.pth"))).tensors
    assert found.keys() == state.keys()


def test_a_tag_of_weights_decides_the_input() -> None:
    model = "vit_tiny_patch16_224"
    save_file(state_of(model), "my.safetensors")
    plain = load(import_classifier(model, Path("my.safetensors")))
    assert plain.config["mean"] == [0.5] * 3
    torch.save(state_of("test_efficientnet"), "other.pth")
    tagged = load(import_classifier(f"{SMALL}.r160_in1k", Path("other.pth")))
    assert tagged.config["model"] == f"{SMALL}.r160_in1k"
    weights.build(tagged, "classifier", classifier_network)


def test_the_layout_of_efficientnet_lite_is_known() -> None:
    found = load(import_classifier("tf_efficientnet_lite1", find_packaged(LITE[1]))).tensors
    wanted = load(LITE[1]).tensors
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())


@pytest.mark.parametrize("classes", [10, 1001])
def test_other_classes_are_refused(classes: int) -> None:
    torch.save(state_of(classes=classes), "my.pth")
    message = rf"--perceptor-weights my\.pth has {classes} classes; only the 1000 classes of ImageNet-1k have names"
    with pytest.raises(UsageError, match=message):
        import_classifier(SMALL, Path("my.pth"))


@pytest.mark.parametrize(
    "name", ["hf-hub:owner/name", "local-dir:/tmp", "../resnet18", "", "resnet18.nothing", "a" * 10_000, "resnet18\n"]
)
def test_what_is_no_architecture_gets_the_nearest_and_is_never_opened(name: str) -> None:
    torch.save(state_of(), "my.pth")
    for call in (
        lambda: import_classifier(name, Path("my.pth")),
        lambda: classifier_network({"model": name, **INPUT}),
    ):
        with pytest.raises(UsageError, match=r"--perceptor: timm has no model .*; the nearest are ") as caught:
            call()
        assert len(str(caught.value)) < 400


class Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("marker"),)  # type: ignore[return-value]


def write_hostile(kind: str, path: Path) -> None:
    if kind == "noise":
        path.write_bytes(torch.randint(256, (5000,), generator=torch.Generator().manual_seed(0)).byte().numpy())
    elif kind == "code":
        path.write_bytes(pickle.dumps({"state_dict": Code()}))
    elif kind == "clip":
        config = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}
        torch.save(references.clip(config).state_dict(), path)
    elif kind == "no tensors":
        torch.save({"model": {"model": 3}}, path)
    elif kind == "other width":
        path.write_bytes(find_packaged(LITE[1]).read_bytes())
    elif kind == "both layouts":
        state = {"_conv_stem.weight": torch.ones(2), "_blocks": torch.ones(2), "_blocks.9.x": torch.ones(2)}
        torch.save({**state_of("tf_efficientnet_lite0"), **state}, path)
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("kind", ["noise", "code", "clip", "no tensors", "other width", "both layouts", "empty"])
def test_a_hostile_file_or_one_of_another_network_is_one_line(kind: str) -> None:
    write_hostile(kind, Path("my.pth"))
    with pytest.raises(ClipgenError, match=r"my\.pth") as caught:
        import_classifier("tf_efficientnet_lite0", Path("my.pth"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert not Path("marker").exists()
    assert not [each for each in Path("cache").rglob("*") if each.is_file()]


def test_values_that_are_not_finite_are_refused() -> None:
    state = state_of()
    state["conv_head.weight"][0] = torch.nan
    torch.save(state, "my.pth")
    with pytest.raises(ClipgenError, match=r"my\.pth is damaged: conv_head\.weight"):
        import_classifier(SMALL, Path("my.pth"))


def own_file(changes: dict[str, Any], kind: str = "classifier") -> Path:
    path = Path("own.safetensors")
    weights.write(path, weights.Checkpoint(kind, {"model": SMALL, **INPUT, **changes}, state_of()))
    return path


def test_clipgens_own_format_is_taken_as_it_is() -> None:
    assert load(import_classifier(SMALL, own_file({}))).config == {"model": SMALL, **INPUT}


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"model": "resnet18"}, "classifier", "says that it is a 'resnet18'; name that one"),
        ({"model": "hf-hub:a/b"}, "classifier", "says that it is a 'hf-hub:a/b'; name that one"),
        ({"model": ["resnet18"]}, "classifier", "says that it is a"),
        ({"classes": 10}, "classifier", "has 10 classes"),
        ({"classes": "1000"}, "classifier", "has '1000' classes"),
        ({"size": 10**9}, "classifier", "size must be 16 to 1024 pixels"),
        ({"size": True}, "classifier", "size must be 16 to 1024 pixels"),
        ({"mean": [0.5, 0.5]}, "classifier", "mean and std must be three numbers each"),
        ({"mean": [0.5, 0.5, 1e999]}, "classifier", "mean and std must be three numbers each"),
        ({"std": [0.5, 0.0, 0.5]}, "classifier", "mean and std must be three numbers each"),
        ({"mean": "abc"}, "classifier", "describes no network"),
        ({"std": None}, "classifier", "describes no network"),
        ({}, "clip", "holds a 'clip', not a classifier"),
    ],
)
def test_a_hostile_config_in_clipgens_own_format_is_one_line(changes: dict[str, Any], kind: str, message: str) -> None:
    with pytest.raises(ClipgenError, match=message):
        import_classifier(SMALL, own_file(changes, kind))


@pytest.mark.parametrize("classes", [0, -1, True, 1.5, 10**9, "x"])
def test_a_number_of_classes_that_is_none_is_refused(classes: object) -> None:
    with pytest.raises(ClipgenError, match="a classifier must have 1 to 100000 classes"):
        classifier_network({"model": SMALL, **INPUT, "classes": classes})


def fields(**options: Any) -> dict[str, Any]:
    return ModelOptions(**options).job_fields("vqgan")


def test_classifiers_are_named_in_full_or_in_short_and_may_have_a_weight() -> None:
    names = ["efficientnet-lite0", "EfficientNet-Lite1:0.5", "classifier/efficientnet-lite2:2"]
    assert fields(perceptor=names) == {"classifiers": (LITE[0], f"{LITE[1]}:0.5", f"{LITE[2]}:2")}
    assert fields() == {}


def test_a_classifier_of_ones_own_takes_its_file_in_order() -> None:
    torch.save(state_of(), "first.pth")
    save_file(state_of("test_resnet"), "second.safetensors")
    names = ["timm:test_efficientnet", "efficientnet-lite0", "timm:test_resnet:0.25"]
    files = [Path("first.pth"), Path("second.safetensors")]
    first, middle, second = fields(perceptor=names, perceptor_weights=files)["classifiers"]
    assert load(first).config["model"] == "test_efficientnet"
    assert middle == LITE[0]
    assert second.endswith(":0.25")
    assert load(second.removesuffix(":0.25")).config["model"] == "test_resnet"
    assert fields(perceptor=[first, f"{first}:3"])["classifiers"] == (first, f"{first}:3")


@pytest.mark.usefixtures("tiny_clips")
def test_a_clip_may_have_a_weight_too() -> None:
    names = ["ViT-B-32:0.5", "openai-vit-b-32:2", "ViT-L/14:336", "ViT-L-14:336:3", "RN50"]
    assert fields(clip=names)["clips"] == (
        "clip/openai-vit-b-32:0.5",
        "clip/openai-vit-b-32:2",
        "clip/openai-vit-l-14-336",
        "clip/openai-vit-l-14-336:3",
        "clip/openai-rn50",
    )
    config = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}
    save_file(references.clip(config).state_dict(), "my.safetensors")
    (own,) = fields(clip=["tiny-vit:0.5"], clip_weights=[Path("my.safetensors")])["clips"]
    assert re.fullmatch(r"clip/local-[0-9a-f]{16}:0\.5", own)


def test_only_a_number_in_the_range_is_a_weight() -> None:
    assert split_weight("a:0.5") == ("a", ":0.5")
    assert split_weight("a:b:1e3") == ("a:b", ":1e3")
    for text in ("a", "timm:resnet18", "a:", "a:b2", ":", "", "a:٣"):
        assert split_weight(text) == (text, "")
    for number in ("0", "-1", "1001", "nan", "inf", "-inf", "1e999"):
        with pytest.raises(UsageError, match=r"--clip 'a:.*': the weight after the colon must be from 1e-06 to"):
            split_weight(f"a:{number}", "--clip")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"perceptor": ["efficientnet-lite3"]},
            "timm:NAME, must be one of .*did you mean classifier/efficientnet-lite",
        ),
        ({"perceptor": ["efficientnet-lite0:0"]}, "the weight after the colon must be from 1e-06 to 1000"),
        ({"perceptor": ["clip/openai-rn50"]}, "--perceptor, unless it is timm:NAME, must be one of"),
        ({"perceptor": [""]}, "must be one of classifier/efficientnet-lite0.*, got ''"),
        ({"perceptor": ["timm:resnet18"]}, "--perceptor timm:resnet18 needs weights of yours; add --perceptor-weights"),
        ({"perceptor_weights": [Path("a.pth")]}, r"--perceptor-weights a\.pth needs its architecture; add --perceptor"),
        (
            {"perceptor": ["timm:resnet18", "timm:resnet34"], "perceptor_weights": [Path("a.pth")]},
            "--perceptor-weights is given 1 times and --perceptor timm:NAME 2 times; give one of each",
        ),
        (
            {"perceptor": ["efficientnet-lite0"], "perceptor_weights": [Path("a.pth")]},
            "needs its architecture; add --perceptor timm:NAME",
        ),
        (
            {"perceptor": ["timm:resnet18"], "perceptor_weights": [Path("gone.pth")]},
            r"--perceptor-weights 'gone\.pth' is no file; check the path",
        ),
        (
            {"perceptor": ["timm:resnt18"], "perceptor_weights": [Path("here.pth")]},
            "--perceptor: timm has no model 'resnt18'; the nearest are resnet18",
        ),
    ],
)
def test_a_slip_is_one_line(options: dict[str, Any], message: str) -> None:
    Path("here.pth").write_bytes(json.dumps([]).encode())
    with pytest.raises(UsageError, match=message):
        fields(**options)
