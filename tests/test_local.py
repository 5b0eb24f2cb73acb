"""Networks out of a user's own files: what they are is told by their content, and jobs name them without a path."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pretrained
import pytest
import references
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from test_foreign_networks import VQGANS
from typer.testing import CliRunner, Result

from clipgen import local, metadata, weights
from clipgen.cli.app import app
from clipgen.conversion import SOURCES, convert, useful
from clipgen.errors import ClipgenError, UsageError
from clipgen.library import load
from clipgen.local import adopt_clip, adopt_dvae, adopt_vqgan, guess_vqgan
from clipgen.weights import shelf
from clipgen.weights.foreign import read_foreign

Cli = Callable[..., Result]
SMALL = ("a cat", "--size", "32x32", "--steps", "1", "--cutouts", "2", "--seed", "1")
TARGETS = {"nearest": "taming.models.vqgan.VQModel", "gumbel": "taming.models.vqgan.GumbelVQ"}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _tiny_clips(tmp_path_factory: pytest.TempPathFactory) -> None:
    pretrained.know_tiny_clips(tmp_path_factory.mktemp("open_clip") / "configs")


def cli(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


def saved(config: dict[str, Any], path: Path = Path("my.ckpt"), layout: str = "plain") -> Path:
    references.save_vqgan(references.vqgan(config), path, layout)
    return path


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
    guessed = guess_vqgan(useful(read_foreign(path), SOURCES["vqgan"]), path)
    wanted, found = (convert(path, "vqgan", each) for each in (config, guessed))
    assert all(torch.equal(value, found.tensors[key]) for key, value in wanted.tensors.items())
    picture = torch.rand(1, 3, 32, 32)
    networks = [weights.build(each, "vqgan", SOURCES["vqgan"].make).eval() for each in (wanted, found)]
    # Resolutions are counted from another size, so attention is compared by what comes out.
    assert torch.equal(*(network.encode(picture) for network in networks))  # type: ignore[operator]


@pytest.mark.parametrize("layout", ["plain", "transformer"])
@pytest.mark.parametrize("name", ["taming", "gumbel", "latent diffusion without attention"])
def test_a_yaml_file_gives_the_config(name: str, layout: str) -> None:
    path = saved(VQGANS[name], layout=layout)
    Path("model.yaml").write_text(as_yaml(VQGANS[name], layout))
    found = load(adopt_vqgan(path, Path("model.yaml")))
    assert {key: found.config[key] for key in VQGANS[name]} == VQGANS[name]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: !!python/object/apply:os.system ['touch marker']", "cannot be read as YAML"),
        ("model: {params: {embed_dim: 3}}", "is no config of a VQGAN"),
        ("[1, 2]", "is no config of a VQGAN"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nmodel: {target: VQModel, params: {embed_dim: *b, n_embed: 1, ddconfig: {}}}",
         "it has aliases"),
        ("model: {target: VQModel, params: {embed_dim: {}, n_embed: 1, ddconfig: {}}}", "neither a number nor a list"),
        ("model: {target: os.system, params: {embed_dim: 3, n_embed: 8, ddconfig: {}}}", "is of a 'system'"),
        ("\x00\x01", "cannot be read as YAML"),
        ("x" * 200_000, "larger than 100000 bytes"),
    ],
)  # fmt: skip
def test_a_hostile_yaml_file_is_one_line(content: str, message: str) -> None:
    path = saved(VQGANS["taming"])
    Path("model.yaml").write_text(content)
    with pytest.raises(UsageError, match=message):
        adopt_vqgan(path, Path("model.yaml"))
    assert not Path("marker").exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x02cposix\nsystem\nX\x0c\x00\x00\x00touch markerR."])
def test_a_file_without_a_vqgan_is_one_line(content: bytes) -> None:
    Path("my.ckpt").write_bytes(content)
    with pytest.raises(ClipgenError, match=r"my\.ckpt"):
        adopt_vqgan(Path("my.ckpt"), None)
    torch.save({"state_dict": {"w": torch.ones(2)}}, "other.ckpt")
    with pytest.raises(UsageError, match=r"other\.ckpt has no VQGAN in it"):
        adopt_vqgan(Path("other.ckpt"), None)
    assert not Path("marker").exists()


def test_a_file_keeps_its_name_and_other_content_gets_another() -> None:
    first = adopt_vqgan(saved(VQGANS["taming"]), None)
    Path("my.ckpt").rename("renamed.ckpt")
    assert adopt_vqgan(Path("renamed.ckpt"), None) == first
    torch.manual_seed(1)
    assert adopt_vqgan(saved(VQGANS["taming"]), None) != first
    assert shelf.stride(first) == 4


def test_the_dvae_comes_in_two_files_in_order() -> None:
    encoder, decoder = references.dvae(pretrained.DVAE_CONFIG)
    files = [
        references.save_module(encoder, Path("e.pkl"), True),
        references.save_module(decoder, Path("d.pkl"), False),
    ]
    assert load(adopt_dvae(files)).config == pretrained.DVAE_CONFIG
    with pytest.raises(ClipgenError, match=r"d\.pkl"):
        adopt_dvae(files[::-1])


def test_openais_archives_get_their_quick_gelu_and_others_what_the_model_says() -> None:
    config = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}
    model = references.clip(config)
    save_file(model.state_dict(), "mine.safetensors")
    references.save_openai(model, config, Path("openai.pt"))
    plain, openai = (load(adopt_clip("tiny-vit", Path(file))) for file in ("mine.safetensors", "openai.pt"))
    assert plain.config.get("quick_gelu", False) is False
    assert openai.config["quick_gelu"] is True
    with pytest.raises(UsageError, match="open_clip has no model 'tiny-vitt'; the nearest are tiny-vit,"):
        adopt_clip("tiny-vitt", Path("mine.safetensors"))
    with pytest.raises(ClipgenError, match=r"mine\.safetensors: .*missing"):
        adopt_clip("tiny-resnet", Path("mine.safetensors"))


def hub_folder(folder: Path) -> dict[str, Any]:
    """What the hub's cache holds of a CLIP whose input is normalised in its own way."""
    config = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT, "quick_gelu": True}
    folder.mkdir(parents=True)
    save_file(references.clip(config).state_dict(), folder / "open_clip_model.safetensors")
    said = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    return {**config, "mean": [0.5] * 3, "std": [0.25] * 3}


def test_a_config_beside_the_weights_is_taken_and_so_is_one_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    config = hub_folder(Path("hub/models--org--robust/snapshots/abc"))
    Path("hub/models--org--robust/refs").mkdir()
    Path("hub/models--org--robust/refs/main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(Path("hub").absolute()))
    beside = adopt_clip(None, Path("hub/models--org--robust/snapshots/abc/open_clip_model.safetensors"))
    assert local.adopt_hub("hf-hub:org/robust") == beside
    assert load(beside).config == config


@pytest.mark.parametrize(
    "content", ["", "[]", '{"model_cfg": 3}', '{"model_cfg": {}, "preprocess_cfg": {"mean": "x"}}']
)
def test_a_hostile_config_beside_the_weights_is_one_line(content: str) -> None:
    hub_folder(Path("mine"))
    Path("mine/open_clip_config.json").write_text(content)
    with pytest.raises(UsageError, match=r"open_clip_config\.json is no config of open_clip"):
        adopt_clip(None, Path("mine/open_clip_model.safetensors"))


def test_what_clipgen_trained_is_taken_as_it_is() -> None:
    path = weights.find("starter/vqgan")
    name = adopt_vqgan(path, None)
    assert load(name).config == weights.read(path).config
    with pytest.raises(UsageError, match="holds a 'vqgan', not a dvae"):
        adopt_dvae([path])


def test_a_run_on_own_files_names_none_of_them(tmp_path: Path) -> None:
    saved(pretrained.VQGAN_CONFIG, Path("my.ckpt"))
    config = {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}
    save_file(references.clip(config).state_dict(), "my.safetensors")
    models = ("--vqgan", "my.ckpt", "--clip", "tiny-vit", "--clip-weights", "my.safetensors", "--preset", "draft")
    first = cli(*SMALL, *models)
    assert first.exit_code == 0, first.stderr
    picture = Path(first.stdout.strip())
    recipe = metadata.read_recipe(picture)
    assert recipe.job.network is not None
    assert recipe.job.network.startswith("vqgan/local-")
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
    assert recipe.job.network in listed
    assert cli("models", "rm", recipe.job.network, "--yes").exit_code == 0
    gone = cli("replay", str(picture), "-o", "gone.png")
    assert gone.exit_code == 3
    assert "was made from a file of yours and is not here: name the file again" in gone.stderr


def test_a_batch_takes_own_models_too() -> None:
    saved(pretrained.VQGAN_CONFIG, Path("my.ckpt"))
    Path("prompts.txt").write_text("a cat\n")
    result = cli("batch", "prompts.txt", *SMALL[1:], "--vqgan", "my.ckpt", "--preset", "starter", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["pictures"][0]["job"]["network"].startswith("vqgan/local-")


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("vqgan", {}),
        ("vqgan", {**VQGANS["taming"], "space_to_depth": 0}),
        ("vqgan", {**VQGANS["taming"], "ddconfig": {**VQGANS["taming"]["ddconfig"], "ch_mult": []}}),
        ("vqgan", {**VQGANS["taming"], "ddconfig": {**VQGANS["taming"]["ddconfig"], "num_res_blocks": 10**9}}),
        ("vqgan", {**VQGANS["taming"], "ddconfig": {**VQGANS["taming"]["ddconfig"], "in_channels": 4}}),
        ("clip", {**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT, "mean": [0.5], "std": [1, 1, 0]}),
        ("clip", {"embed_dim": 1, "vision_cfg": {"patch_size": 0}, "text_cfg": {}, "mean": [0] * 3, "std": [1] * 3}),
        ("clip", {"embed_dim": 1, "vision_cfg": {"layers": 10**9}, "text_cfg": {}, "mean": [0] * 3, "std": [1] * 3}),
        ("dvae", {"vocab_size": 8, "n_hid": 8, "n_blk_per_group": 10**9, "n_init": 8}),
    ],
)
def test_a_hostile_config_in_clipgens_own_form_is_one_line(kind: str, config: dict[str, Any]) -> None:
    weights.write(Path("mine.safetensors"), weights.Checkpoint(kind, config, {"w": torch.ones(2)}, {"recipe": []}))
    flags = {"vqgan": "--vqgan", "dvae": "--dvae", "clip": "--clip-weights"}
    backend = "dvae" if kind == "dvae" else "vqgan"
    result = cli(*SMALL, flags[kind], "mine.safetensors", "--backend", backend)
    assert result.exit_code == 1
    assert re.match(r"error: (a CLIP|a VQGAN|the config for mine\.safetensors|tensors of mine)", result.stderr)
    assert len(result.stderr.splitlines()) == 1
    assert not list(Path("cache").rglob("network.safetensors"))


@pytest.mark.parametrize(
    "header", [b"[" * 5000, b'{"__metadata__": 3}', b'{"__metadata__": {"kind": "vqgan", "config": "3"}}']
)
def test_a_hostile_header_is_one_line(header: bytes) -> None:
    Path("mine.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ClipgenError, match=r"mine\.safetensors"):
        adopt_vqgan(Path("mine.safetensors"), None)


@pytest.mark.parametrize("name", ["encoder.conv_out.weight", "encoder.conv_in.weight", "decoder.conv_in.weight"])
@pytest.mark.parametrize("shape", [(), (0, 3, 3, 3)])
def test_hostile_shapes_are_one_line(name: str, shape: tuple[int, ...]) -> None:
    state = references.vqgan(VQGANS["taming"]).state_dict() | {name: torch.zeros(shape)}
    torch.save(state, "my.ckpt")
    with pytest.raises(ClipgenError, match=r"my\.ckpt"):
        adopt_vqgan(Path("my.ckpt"), None)


@pytest.mark.parametrize("model", ["hf-hub:org/name", "local-dir:/etc", "ViT-B-33"])
def test_no_name_of_a_model_makes_open_clip_open_or_fetch_anything(model: str) -> None:
    save_file({"w": torch.ones(2)}, "my.safetensors")
    with pytest.raises(UsageError, match="open_clip has no model"):
        adopt_clip(model, Path("my.safetensors"))


@pytest.mark.parametrize("path", [".", "/", "x" * 300, "none.ckpt"])
def test_what_is_no_file_is_one_line(path: str) -> None:
    for flags in (("--vqgan", path), ("--clip", "tiny-vit", "--clip-weights", path)):
        result = cli(*SMALL, *flags)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1


def test_a_config_where_none_is_needed_is_refused() -> None:
    Path("a.yaml").write_text("model: {}")
    for vqgan in ("imagenet-f16-1024", str(weights.find("starter/vqgan"))):
        result = cli(*SMALL, "--vqgan", vqgan, "--vqgan-config", "a.yaml")
        assert result.exit_code == 2
        assert "--vqgan-config" in result.stderr


def test_a_network_of_ones_own_can_be_named_by_its_name() -> None:
    name = adopt_vqgan(weights.find("starter/vqgan"), None)
    result = cli(*SMALL, "--vqgan", name, "--preset", "starter")
    assert result.exit_code == 0, result.stderr


def test_own_networks_are_verified_and_a_damaged_one_says_the_way_out() -> None:
    name = adopt_vqgan(saved(VQGANS["taming"]), None)
    assert cli("models", "verify", name).stdout == f"ok       {name}, ready to use\n"
    path = shelf.network_path(name)
    path.write_bytes(path.read_bytes()[:-1])
    result = cli("models", "verify")
    assert result.exit_code == 1
    assert result.stderr.strip().endswith(f"clipgen models rm {name} --yes, then name your file again")
    assert cli("models", "rm", name, "--yes").exit_code == 0
    assert adopt_vqgan(Path("my.ckpt"), None) == name
    assert cli("models", "verify").exit_code == 0


def test_a_full_disk_is_one_line_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    path = saved(VQGANS["taming"])
    monkeypatch.setattr("clipgen.weights.checkpoint.save_file", full)
    with pytest.raises(ClipgenError, match=r"cannot be written \(No space left on device\)"):
        adopt_vqgan(path, None)
    assert not [each for each in Path("cache").rglob("*") if each.is_file()]
