"""Networks out of a user's own files: what they are is told by their content, and jobs name them without a path."""

import json
from pathlib import Path
from typing import Any

import pretrained
import pytest
import references
import torch
import yaml
from own_files import SMALL, cli, hub_folder, saved
from PIL import Image
from safetensors.torch import save_file
from test_foreign_networks import VQGANS

from clipgen import weights
from clipgen.errors import ClipgenError, UsageError
from clipgen.generators.networks import build_network
from clipgen.outputs import metadata
from clipgen.weights import registry
from clipgen.weights.conversion import convert, find_network
from clipgen.weights.guessing import guess_vqgan
from clipgen.weights.imports import import_autoencoder, import_clip, import_halves, import_hub
from clipgen.weights.loader import load

pytestmark = pytest.mark.usefixtures("own_folder", "tiny_clips")

TARGETS = {"nearest": "taming.models.vqgan.VQModel", "gumbel": "taming.models.vqgan.GumbelVQ"}


def as_yaml(config: dict[str, Any], layout: str) -> str:
    """The YAML file that belongs to a checkpoint."""
    params = {name: config[name] for name in ("embed_dim", "n_embed", "ddconfig")}
    model = {"target": TARGETS[config.get("quantizer", "nearest")], "params": {**params, "lossconfig": {"target": "x"}}}
    if layout == "transformer":
        model = {"target": "taming.models.cond_transformer.Net2NetTransformer", "params": {"first_stage_config": model}}
    return yaml.safe_dump({"model": model})


@pytest.mark.parametrize("layout", ["plain", "legacy", "transformer", "bare"])
@pytest.mark.parametrize("name", VQGANS)
def test_the_shapes_of_the_tensors_tell_the_config(name: str, layout: str) -> None:
    config = VQGANS[name]
    path = saved(config, layout=layout)
    guessed = find_network([path], "vqgan", lambda state: guess_vqgan(state, path.name)).config
    wanted, found = (convert(path, "vqgan", each) for each in (config, guessed))
    assert all(torch.equal(value, found.tensors[key]) for key, value in wanted.tensors.items())
    picture = torch.rand(1, 3, 32, 32)
    networks = [build_network(each).eval() for each in (wanted, found)]
    # Resolutions are counted from another size, so attention is compared by what comes out.
    assert torch.equal(*(network.encode(picture) for network in networks))


@pytest.mark.parametrize("layout", ["plain", "transformer"])
@pytest.mark.parametrize("name", ["taming", "gumbel", "latent diffusion without attention"])
def test_a_yaml_file_gives_the_config(name: str, layout: str) -> None:
    path = saved(VQGANS[name], layout=layout)
    Path("model.yaml").write_text(as_yaml(VQGANS[name], layout))
    found = load(import_autoencoder("vqgan", path, Path("model.yaml")))
    assert {key: found.config[key] for key in VQGANS[name]} == VQGANS[name]


def test_a_file_keeps_its_name_and_other_content_gets_another() -> None:
    first = import_autoencoder("vqgan", saved(VQGANS["taming"]), None)
    Path("my.ckpt").rename("renamed.ckpt")
    assert import_autoencoder("vqgan", Path("renamed.ckpt"), None) == first
    torch.manual_seed(1)
    assert import_autoencoder("vqgan", saved(VQGANS["taming"]), None) != first
    assert registry.stride(first) == 4


def test_the_dvae_comes_in_two_files_in_any_order() -> None:
    encoder, decoder = references.dvae(pretrained.DVAE_CONFIG)
    files = [
        references.save_module(encoder, Path("e.pkl"), True),
        references.save_module(decoder, Path("d.pkl"), False),
    ]
    name = import_halves("dvae", files)
    assert load(name).config == pretrained.DVAE_CONFIG
    assert import_halves("dvae", files[::-1]) == name
    for some in (files[:1], [files[0], files[0]]):
        with pytest.raises(UsageError, match=r"e\.pkl has no dVAE in it: there is no decoder"):
            import_halves("dvae", some)


def test_openais_archives_get_their_quick_gelu_and_others_what_the_model_says() -> None:
    config = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}
    model = references.clip(config)
    save_file(model.state_dict(), "mine.safetensors")
    references.save_openai(model, config, Path("openai.pt"))
    plain, openai = (load(import_clip("tiny-vit", Path(file))) for file in ("mine.safetensors", "openai.pt"))
    assert plain.config.get("quick_gelu", False) is False
    assert openai.config["quick_gelu"] is True
    with pytest.raises(UsageError, match="open_clip has no model 'tiny-vitt'; the nearest are tiny-vit,"):
        import_clip("tiny-vitt", Path("mine.safetensors"))
    with pytest.raises(ClipgenError, match=r"mine\.safetensors: .*missing"):
        import_clip("tiny-resnet", Path("mine.safetensors"))


def test_a_config_beside_the_weights_is_taken_and_so_is_one_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    config = hub_folder(Path("hub/models--org--robust/snapshots/abc"))
    Path("hub/models--org--robust/refs").mkdir()
    Path("hub/models--org--robust/refs/main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(Path("hub").absolute()))
    beside = import_clip(None, Path("hub/models--org--robust/snapshots/abc/open_clip_model.safetensors"))
    assert import_hub("hf-hub:org/robust") == beside
    assert load(beside).config == config


def test_what_clipgen_trained_is_taken_as_it_is() -> None:
    path = weights.find("starter/vqgan")
    name = import_autoencoder("vqgan", path, None)
    assert load(name).config == weights.read(path).config
    with pytest.raises(UsageError, match="holds a 'vqgan', not a dvae"):
        import_halves("dvae", [path])


def test_a_run_on_own_files_names_none_of_them(tmp_path: Path) -> None:
    saved(pretrained.VQGAN_CONFIG, Path("my.ckpt"))
    config = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}
    save_file(references.clip(config).state_dict(), "my.safetensors")
    models = ("--vqgan", "my.ckpt", "--clip", "tiny-vit", "--clip-weights", "my.safetensors", "--preset", "draft")
    first = cli(*SMALL, *models)
    assert first.exit_code == 0, first.stderr
    picture = Path(first.stdout.strip())
    recipe = metadata.read_recipe(picture)
    network = recipe.plan.generator.weights
    assert network.startswith("vqgan/local-")
    content = picture.read_bytes()
    assert b"my.ckpt" not in content
    assert str(tmp_path).encode() not in content

    Path("my.ckpt").unlink()
    Path("my.safetensors").unlink()
    again = cli("replay", str(picture), "-o", "again.png")
    assert again.exit_code == 0, again.stderr
    with Image.open(picture) as one, Image.open("again.png") as other:
        assert one.tobytes() == other.tobytes()
    listed = cli("models", "list").stdout
    assert network in listed
    assert cli("models", "rm", network, "--yes").exit_code == 0
    gone = cli("replay", str(picture), "-o", "gone.png")
    assert gone.exit_code == 3
    assert "was made from a file of yours and is not here: name the file again" in gone.stderr


@pytest.mark.usefixtures("quick_proposals")
def test_a_batch_takes_own_models_too() -> None:
    saved(pretrained.VQGAN_CONFIG, Path("my.ckpt"))
    Path("prompts.txt").write_text("a cat\n")
    result = cli("batch", "prompts.txt", *SMALL[1:], "--vqgan", "my.ckpt", "--preset", "starter", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["pictures"][0]["plan"]["generator"]["weights"].startswith("vqgan/local-")


@pytest.mark.usefixtures("quick_proposals")
def test_a_network_of_ones_own_can_be_named_by_its_name() -> None:
    name = import_autoencoder("vqgan", weights.find("starter/vqgan"), None)
    result = cli(*SMALL, "--vqgan", name, "--preset", "starter")
    assert result.exit_code == 0, result.stderr


def test_own_networks_are_verified_and_a_damaged_one_says_the_way_out() -> None:
    name = import_autoencoder("vqgan", saved(VQGANS["taming"]), None)
    assert cli("models", "verify", name).stdout == f"ok       {name}, ready to use\n"
    path = registry.network_path(name)
    path.write_bytes(path.read_bytes()[:-1])
    result = cli("models", "verify")
    assert result.exit_code == 1
    assert result.stderr.strip().endswith(f"clipgen models rm {name} --yes, then name your file again")
    assert cli("models", "rm", name, "--yes").exit_code == 0
    assert import_autoencoder("vqgan", Path("my.ckpt"), None) == name
    assert cli("models", "verify").exit_code == 0
