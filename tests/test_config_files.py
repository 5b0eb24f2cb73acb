"""The YAML files that belong to VQGANs are read as plain data, and what they cannot say is refused truthfully."""

from pathlib import Path
from typing import Any

import pytest
import references
import torch
import yaml
from own_files import SMALL, cli, saved
from test_foreign_networks import VQGANS

from clipgen.errors import UsageError
from clipgen.weights.config_files import read_yaml
from clipgen.weights.imports import import_autoencoder
from clipgen.weights.loader import load

pytestmark = pytest.mark.usefixtures("own_folder", "tiny_clips")

VQGAN = VQGANS["taming"]


def written(target: str = "taming.models.vqgan.VQModel", change: Any = None, **shape: Any) -> str:
    """A YAML file of a VQGAN; a value of None takes a key of its shape away."""
    ddconfig = {name: value for name, value in {**VQGAN["ddconfig"], **shape}.items() if value is not None}
    params = {"embed_dim": VQGAN["embed_dim"], "n_embed": VQGAN["n_embed"], "ddconfig": ddconfig, **(change or {})}
    return yaml.safe_dump({"model": {"target": target, "params": params}})


def config_of(text: str, encoding: str = "utf-8") -> dict[str, Any]:
    Path("my.yaml").write_text(text, encoding=encoding)
    return read_yaml(Path("my.yaml"))


@pytest.mark.parametrize("target", ["VQModel", "VQNoDiscModel", "EMAVQ", "ldm.models.autoencoder.VQModelInterface"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_vqgans_of_both_programs_are_read(target: str, encoding: str) -> None:
    assert config_of(written(target), encoding) == VQGAN


def test_without_double_z_the_latent_is_that_of_a_vqgan() -> None:
    assert config_of(written(double_z=None)) == VQGAN
    found = load(import_autoencoder("vqgan", saved(VQGAN), Path("my.yaml")))
    assert found.config == VQGAN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            written(change={"embed_dim": "${model.params.n_embed}"}),
            r"'embed_dim' is '\$\{model\.params\.n_embed\}', which",
        ),
        (
            written(change={"n_embed": "${n}"}),
            r"'n_embed' is '\$\{n\}', which refers to another value; write the number",
        ),
        (written(z_channels="${oc.env:HOME}"), "'z_channels' is .* which refers to another value"),
        (written(ch_mult=["${a}", 2]), "'ch_mult' is .* which refers to another value"),
        (written(attn_resolutions="${a.b}"), "'attn_resolutions' is .* which refers to another value"),
        (written(double_z=True), "says double_z: True, as for KL autoencoders; a VQGAN has false"),
        (written(in_channels=1, out_ch=1), "in_channels 1 and out_ch 1; only RGB, 3 and 3, is supported"),
        (written(in_channels=4, out_ch=4), "in_channels 4 and out_ch 4; only RGB, 3 and 3, is supported"),
        (written(in_channels=4), "in_channels 4 and out_ch 3; only RGB"),
        (written("ldm.models.autoencoder.AutoencoderKL"), "is of a 'AutoencoderKL'; known are VQModel,.*leave it out"),
        (written("mine.Own"), "is of a 'Own'; known are VQModel"),
        (yaml.safe_dump(VQGAN), "it has no 'model'; leave it out, and the shapes of the tensors tell the config"),
    ],
)
def test_what_a_vqgan_cannot_have_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        config_of(text)
    assert str(caught.value).startswith("--vqgan-config my.yaml ")


def test_a_file_in_another_encoding_is_no_text() -> None:
    with pytest.raises(UsageError, match=r"cannot be read \(it is no text in UTF-8\)"):
        config_of(written(), "utf-16")


@pytest.mark.parametrize("channels", [1, 4, 182])
def test_channels_that_are_not_supported_are_told_by_the_tensors_too(channels: int) -> None:
    shape = {**VQGAN["ddconfig"], "in_channels": channels, "out_ch": channels}
    torch.save(references.vqgan({**VQGAN, "ddconfig": shape}).state_dict(), "my.ckpt")
    with pytest.raises(UsageError, match=rf"--vqgan my\.ckpt: a VQGAN must have 3 channels of pixels, got {channels}"):
        import_autoencoder("vqgan", Path("my.ckpt"), None)


def test_convolutions_that_do_not_resample_are_told_by_their_absence() -> None:
    config = {**VQGAN, "ddconfig": {**VQGAN["ddconfig"], "resamp_with_conv": False}}
    found = load(import_autoencoder("vqgan", saved(config), None))
    assert found.config["ddconfig"]["resamp_with_conv"] is False


WRONG: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty": (b"", ("--vqgan",)),
    "a page": (b"<!DOCTYPE html><title>Virus scan warning</title>", ("--vqgan",)),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", ("--vqgan",)),
    "cut": (b"PK\x03\x04" + b"\0" * 40, ("--vqgan",)),
    "for a CLIP": (b"noise" * 20, ("--clip", "tiny-vit", "--clip-weights")),
    "for a classifier": (b"noise" * 20, ("--perceptor", "timm:resnet18", "--perceptor-weights")),
    "for a dVAE": (b"noise" * 20, ("--backend", "dvae", "--dvae")),
    "its own format": (b'\x08\0\0\0\0\0\0\0{"a":1} ', ("--vqgan",)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_of_weights_is_a_usage_error(name: str) -> None:
    content, flags = WRONG[name]
    Path("my.file").write_bytes(content)
    result = cli(*SMALL, *flags, "my.file")
    assert result.exit_code == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: {flags[-1]}: my.file cannot be read as weights: ")


def test_a_file_that_does_not_match_is_a_usage_error_and_missing_weights_are_not() -> None:
    saved(VQGAN)
    Path("my.yaml").write_text(written(change={"n_embed": 25}))
    wrong = cli(*SMALL, "--vqgan", "my.ckpt", "--vqgan-config", "my.yaml")
    assert (wrong.exit_code, wrong.stderr.splitlines()) == (
        2,
        [
            "error: --vqgan: tensors of my.ckpt at 'state_dict.': 1 of another shape (quantize.embedding.weight: 24x16 "
            "float32); choose the config or architecture that belongs to the file"
        ],
    )
    missing = cli(*SMALL, "--vqgan", "vqgan/local-0123456789abcdef", "--preset", "draft")
    assert missing.exit_code == 3


def test_a_config_of_ibq_names_its_class_otherwise() -> None:
    params = {**yaml.safe_load(written())["model"]["params"]}
    text = yaml.safe_dump({"model": {"class_path": "src.IBQ.models.ibqgan.IBQ", "init_args": params}})
    assert config_of(text) == {**config_of(written()), "quantizer": "dot"}
