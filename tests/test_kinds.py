"""The table of kinds builds what weight files hold, and imports a network's module only when it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clipgen import weights
from clipgen.errors import UsageError
from clipgen.weights import kinds, registry
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.packaged import PACKAGED

ROOT = Path(weights.__file__).parents[2]


PATHS = sorted(registry.starter_folder().glob("*.safetensors"))


def kind_of(path: Path) -> str:
    header = registry.read_header(path)
    assert header
    return header.kind


@pytest.mark.parametrize("path", [path for path in PATHS if kind_of(path) in kinds.KINDS], ids=lambda path: path.stem)
def test_the_kind_of_every_starter_file_builds_the_network_of_its_tensors(path: Path) -> None:
    checkpoint = weights.read(path)
    with torch.device("meta"):
        network = kinds.builder(checkpoint.kind)(checkpoint.config)
    found = {name: value.shape for name, value in network.state_dict().items()}
    assert found == {name: value.shape for name, value in checkpoint.tensors.items()}


def test_every_kind_is_in_a_starter_file_or_comes_with_a_package_or_can_be_fetched() -> None:
    kinds_there = {*map(kind_of, PATHS), *(row.kind for row in (*PACKAGED.values(), *RECORDS.values()))}
    assert kinds.KINDS.keys() <= kinds_there


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean vqgan"):
        kinds.builder("vqgam")


def test_a_clip_without_a_tower_of_the_starter_set_imports_none_of_it() -> None:
    """Nor does the reading of weights import any network."""
    program = (
        "import sys\n"
        "import clipgen.weights.loader, clipgen.weights.imports, clipgen.weights.conversion\n"
        "rooms = ('clipgen.generators', 'clipgen.perceptors', 'clipgen.core', 'clipgen.starter')\n"
        "assert not [name for name in sys.modules if name.startswith(rooms)]\n"
        "from clipgen.util.lean import without_compiler\n"
        "with without_compiler():\n"
        "    from clipgen.perceptors.clip import build_clip\n"
        "vision = {'image_size': 32, 'layers': 1, 'width': 64, 'patch_size': 16}\n"
        "build_clip({'embed_dim': 8, 'vision_cfg': vision, 'text_cfg': {'layers': 1, 'width': 64, 'heads': 1}})\n"
        "assert not [name for name in sys.modules if name.startswith('clipgen.starter')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=120)
