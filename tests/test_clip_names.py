"""What the name of a CLIP and the files beside it say of a user's own weights: architecture, activation, input."""

import json
from pathlib import Path
from typing import Any

import pretrained
import pytest
import references
import torch
from own_files import hub_folder
from torch import Tensor

from clipgen.cli.model_options import ModelOptions
from clipgen.errors import UsageError
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.weights.catalogue import CLIPS
from clipgen.weights.clip_names import named_config
from clipgen.weights.imports import import_clip
from clipgen.weights.loader import clip_config, load

pytestmark = pytest.mark.usefixtures("own_folder", "tiny_clips")

NETWORKS = [row for row in CLIPS if not row.instead_of]
OPENAI = [row.config["model"] for row in NETWORKS if row.name.startswith("clip/openai-")]
VIT: dict[str, Any] = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}


def bare(**marks: int) -> Path:
    torch.save({"logit_scale": torch.zeros(()), **{k: torch.tensor(v) for k, v in marks.items()}}, "my.pt")
    return Path("my.pt")


def plain(model: str) -> dict[str, Any]:
    record = next(row for row in CLIPS if row.name == "clip/openai-rn50")
    return clip_config({"model": model, "mean": record.config["mean"], "std": record.config["std"]})


def test_openai_published_nine_architectures() -> None:
    assert len(OPENAI) == 9


@pytest.mark.parametrize("model", OPENAI)
def test_a_state_dict_that_does_not_tell_its_activation_gets_what_open_clip_takes_and_that_is_said(model: str) -> None:
    config, said = named_config(model, bare())
    assert config == plain(model)  # so the cached import keeps its name
    assert said == (
        f"my.pt does not tell its activation: took the exact GELU, as open_clip does for {model}; weights that were "
        f"fine-tuned from OpenAI's need --clip {model}-quickgelu"
    )


@pytest.mark.parametrize("model", OPENAI)
def test_every_way_of_naming_openai_gives_quick_gelu(model: str) -> None:
    wanted = plain(model) | {"quick_gelu": True}
    for name in (f"{model}-quickgelu", f"{model}-QuickGELU", f"clip/openai-{model.lower()}", f"openai-{model.lower()}"):
        assert named_config(name, bare()) == (wanted, ""), name
    for mark in ("input_resolution", "context_length", "vocab_size"):
        assert named_config(model, bare(**{mark: 77})) == (wanted, ""), mark
    torch.save({"state_dict": {"module.input_resolution": torch.tensor(224)}}, "wrapped.pt")
    assert named_config(model, Path("wrapped.pt")) == (wanted, "")


def test_published_names_of_others_have_their_own_activation_and_input() -> None:
    for row in NETWORKS:
        if not row.name.startswith("clip/openai-"):
            assert named_config(row.name, bare()) == (clip_config(row.config), "")
            config, said = named_config(row.name.removeprefix("clip/"), bare())
            assert ({"quick_gelu": False, **config}, said) == (clip_config(row.config), "")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ViT-B/32", "ViT-B-32"),
        ("vit-b-32", "ViT-B-32"),
        ("ViT-L/14@336px", "ViT-L-14-336"),
        ("ViT-L-14:336", "ViT-L-14-336"),
        ("rn50x4", "RN50x4"),
        ("ViT-B/32-quickgelu", "ViT-B-32-quickgelu"),
        ("ViT-B-32-256", "ViT-B-32-256"),
        ("ViT-L-14-336-quickgelu", "ViT-L-14-336-quickgelu"),
        ("tiny-vit", "tiny-vit"),
    ],
)
def test_a_name_is_understood_however_it_is_typed(name: str, model: str) -> None:
    assert named_config(name, bare())[0] == plain(model)


def test_a_model_that_open_clip_lists_without_quick_gelu_can_have_it() -> None:
    assert named_config("tiny-vit-quickgelu", bare())[0] == plain("tiny-vit") | {"quick_gelu": True}
    with pytest.raises(UsageError, match="open_clip has no model 'no-such-quickgelu'; the nearest are"):
        named_config("no-such-quickgelu", bare())


def fields(**options: Any) -> tuple[tuple[str, ...], list[str]]:
    models = ModelOptions(**options)
    return models.job_fields("vqgan")["clips"], models.notes


def test_imports_with_different_activations_have_different_names_and_see_different_things() -> None:
    torch.save(references.clip(VIT).state_dict(), "my.pt")
    (one,), (other,) = (
        fields(clip=[name], clip_weights=[Path("my.pt")])[0] for name in ("tiny-vit:0.5", "tiny-vit-quickgelu:0.5")
    )
    assert one != other
    picture = torch.rand(1, 3, 32, 32)
    seen = [build_perceptor(load(name.removesuffix(":0.5"))).encode_images(picture) for name in (one, other)]
    assert not torch.allclose(*seen)


def test_names_with_and_without_weights_are_read_alike_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr("clipgen.weights.imports.import_clip", lambda name, *_, **__: given.append(name) or "clip/x")
    for name, model, weight in (
        ("ViT-L/14:336", "ViT-L/14:336", ""),
        ("ViT-L-14:336:2", "ViT-L-14:336", ":2"),
        ("ViT-B/32:0.5", "ViT-B/32", ":0.5"),
        ("clip/openai-rn50:3", "clip/openai-rn50", ":3"),
        ("tiny-vit", "tiny-vit", ""),
    ):
        assert fields(clip=[name], clip_weights=[bare()])[0] == (f"clip/x{weight}",)
        assert given.pop() == model


LAYERS = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
NORMS = {
    "text": {"ln_final": "final_layer_norm"},
    "vision": {"visual.ln_pre": "pre_layrnorm", "visual.ln_post": "post_layernorm"},
}


def as_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of open_clip's CLIP as transformers' CLIPModel has them."""
    found: dict[str, Tensor] = {"logit_scale": state["logit_scale"]}
    for tower, theirs, before in (("text", "", "transformer."), ("vision", "visual.", "visual.transformer.")):
        for name, value in state.items():
            layer, _, end = name.rpartition(".")
            if layer in NORMS[tower]:
                found[f"{tower}_model.{NORMS[tower][layer]}.{end}"] = value
            if not name.startswith(f"{before}resblocks."):
                continue
            number, _, part = name.removeprefix(f"{before}resblocks.").partition(".")
            place = f"{tower}_model.encoder.layers.{number}."
            if "in_proj" in part:
                for one, third in zip("qkv", value.chunk(3), strict=True):
                    found[f"{place}self_attn.{one}_proj.{part.removeprefix('attn.in_proj_')}"] = third.clone()
            else:
                for old, new in LAYERS.items():
                    part = part.replace(old, new)
                found[place + part] = value
        position = state[f"{theirs}positional_embedding"]
        found[f"{tower}_model.embeddings.position_embedding.weight"] = position
        found[f"{tower}_model.embeddings.position_ids"] = torch.arange(len(position))[None]
    return found | {
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "text_projection.weight": state["text_projection"].T.clone(),
        "visual_projection.weight": state["visual.proj"].T.clone(),
    }


@pytest.mark.parametrize("said", [None, "quick_gelu", "gelu"])
@pytest.mark.parametrize("prefix", ["", "clip."])
def test_the_layout_of_transformers_is_read_with_the_activation_of_its_config(said: str | None, prefix: str) -> None:
    state = references.clip(VIT).state_dict()
    torch.save({prefix + name: value for name, value in as_transformers(state).items()}, "pytorch_model.bin")
    if said:
        Path("config.json").write_text(json.dumps({"vision_config": {"hidden_act": said}}))
    found = load(import_clip("tiny-vit", Path("pytorch_model.bin")))
    assert found.config.get("quick_gelu", False) == (said == "quick_gelu")
    assert found.tensors.keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in found.tensors.items())


def test_the_text_tower_of_open_clips_custom_clips_is_read() -> None:
    state = references.clip(VIT).state_dict()
    inside = {name if name.startswith(("visual.", "logit")) else f"text.{name}": value for name, value in state.items()}
    torch.save(inside | {"logit_bias": torch.zeros(())}, "my.pt")
    found = load(import_clip("tiny-vit", Path("my.pt"))).tensors
    assert all(torch.equal(value, state[name]) for name, value in found.items())


def beside(change: dict[str, Any], encoding: str = "utf-8") -> Path:
    """A CLIP with open_clip's config beside it, in which the image tower's config is changed."""
    hub_folder(Path("mine"))
    path = Path("mine/open_clip_config.json")
    said = json.loads(path.read_text())
    said["model_cfg"]["vision_cfg"] |= change
    path.write_text(json.dumps(said), encoding=encoding)
    return Path("mine/open_clip_model.safetensors")


@pytest.mark.parametrize("change", [{}, {"image_size": [32, 32]}])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_square_images_may_be_said_twice_and_the_file_may_have_a_byte_order_mark(
    change: dict[str, Any], encoding: str
) -> None:
    perceptor = build_perceptor(load(import_clip(None, beside(change, encoding))))
    assert perceptor.size == 32
    assert perceptor.encode_images(torch.rand(1, 3, 32, 32)).shape == (1, 32)


@pytest.mark.parametrize("size", [[64, 32], [32, 32, 32], [], "32", None, [32.0, 32.0], True])
def test_other_images_are_refused_when_the_network_is_imported(size: object) -> None:
    with pytest.raises(UsageError, match=r"--clip-weights open_clip_model\.safetensors: a CLIP must see square images"):
        import_clip(None, beside({"image_size": size}))
    with pytest.raises(Exception, match="a CLIP must see square images"):
        CLIPPerceptor({**VIT, "mean": [0.5] * 3, "std": [0.5] * 3, "vision_cfg": {"image_size": size}})


def test_a_config_of_the_model_alone_gets_openais_input_and_that_is_said() -> None:
    file = beside({})
    path = file.with_name("open_clip_config.json")
    model = json.loads(path.read_text())["model_cfg"]
    for said in (model, {"model_cfg": model}):
        path.write_text(json.dumps(said))
        notes: list[str] = []
        found = load(import_clip(None, file, note=notes.append))
        assert found.config["mean"] == plain("tiny-vit")["mean"]
        assert notes == ["open_clip_config.json says no mean and std of the input: took OpenAI's"]
