"""A user's own files that are hostile or no weights: each is refused in one line, and nothing is obeyed or kept."""

import re
from pathlib import Path
from typing import Any

import pretrained
import pytest
import references
import torch
from own_files import SMALL, cli, hub_folder, saved
from safetensors.torch import save_file
from test_foreign_networks import VQGANS

from clipgen import weights
from clipgen.errors import ClipgenError, UsageError
from clipgen.weights.imports import import_autoencoder, import_clip

pytestmark = pytest.mark.usefixtures("own_folder", "tiny_clips")


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
        import_autoencoder("vqgan", path, Path("model.yaml"))
    assert not Path("marker").exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x02cposix\nsystem\nX\x0c\x00\x00\x00touch markerR."])
def test_a_file_without_a_vqgan_is_one_line(content: bytes) -> None:
    Path("my.ckpt").write_bytes(content)
    with pytest.raises(ClipgenError, match=r"my\.ckpt"):
        import_autoencoder("vqgan", Path("my.ckpt"), None)
    torch.save({"state_dict": {"w": torch.ones(2)}}, "other.ckpt")
    with pytest.raises(UsageError, match=r"other\.ckpt has no VQGAN in it"):
        import_autoencoder("vqgan", Path("other.ckpt"), None)
    assert not Path("marker").exists()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"model_cfg": 3}', '{"model_cfg": {}, "preprocess_cfg": {"mean": "x"}}']
)
def test_a_hostile_config_beside_the_weights_is_one_line(content: str) -> None:
    hub_folder(Path("mine"))
    Path("mine/open_clip_config.json").write_text(content)
    with pytest.raises(UsageError, match=r"open_clip_config\.json is no config of open_clip"):
        import_clip(None, Path("mine/open_clip_model.safetensors"))


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
    assert result.exit_code == 2
    reason = r"( mine\.safetensors)?: (a CLIP|a VQGAN|the config for mine\.safetensors|tensors of mine)"
    assert re.match(f"error: {flags[kind]}{reason}", result.stderr)
    assert len(result.stderr.splitlines()) == 1
    assert not list(Path("cache").rglob("network.safetensors"))


@pytest.mark.parametrize(
    "header", [b"[" * 5000, b'{"__metadata__": 3}', b'{"__metadata__": {"kind": "vqgan", "config": "3"}}']
)
def test_a_hostile_header_is_one_line(header: bytes) -> None:
    Path("mine.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ClipgenError, match=r"mine\.safetensors"):
        import_autoencoder("vqgan", Path("mine.safetensors"), None)


@pytest.mark.parametrize("name", ["encoder.conv_out.weight", "encoder.conv_in.weight", "decoder.conv_in.weight"])
@pytest.mark.parametrize("shape", [(), (0, 3, 3, 3)])
def test_hostile_shapes_are_one_line(name: str, shape: tuple[int, ...]) -> None:
    state = references.vqgan(VQGANS["taming"]).state_dict() | {name: torch.zeros(shape)}
    torch.save(state, "my.ckpt")
    with pytest.raises(ClipgenError, match=r"my\.ckpt"):
        import_autoencoder("vqgan", Path("my.ckpt"), None)


@pytest.mark.parametrize("model", ["hf-hub:org/name", "local-dir:/etc", "ViT-B-33"])
def test_no_name_of_a_model_makes_open_clip_open_or_fetch_anything(model: str) -> None:
    save_file({"w": torch.ones(2)}, "my.safetensors")
    with pytest.raises(UsageError, match="open_clip has no model"):
        import_clip(model, Path("my.safetensors"))


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


def test_a_full_disk_is_one_line_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    path = saved(VQGANS["taming"])
    monkeypatch.setattr("clipgen.weights.checkpoint.save_file", full)
    with pytest.raises(ClipgenError, match=r"cannot be written \(No space left on device\)"):
        import_autoencoder("vqgan", path, None)
    assert not [each for each in Path("cache").rglob("*") if each.is_file()]
