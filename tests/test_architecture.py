import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import clipgen

ROOT = Path(clipgen.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# A room imports from lower rooms only. Rooms of one level do not know each other, but for the pairs in NEIGHBOURS.
LEVELS = [
    {"printable"},
    {"errors"},
    {"job", "presets", "images", "weights", "rng", "naming", "towers", "device", "interrupts", "memory", "diffusion"},
    {"resolving"},
    {
        "generators",
        "cutouts",
        "losses",
        "perceptor",
        "feature_prior",
        "sketch",
        "painter",
        "optim",
        "sinks",
        "metadata",
    },
    {"imagination"},
    {"guidance", "starter", "conversion"},
    {"sample", "library"},
    {"scene", "runner", "state", "local"},
    {"evaluation", "candidates"},
    {"cli", "__main__"},
]
NEIGHBOURS = {
    ("job", "presets"),
    ("job", "weights"),
    ("images", "presets"),
    ("weights", "naming"),
    ("sinks", "metadata"),
    ("metadata", "sinks"),
    ("__main__", "cli"),
    ("runner", "scene"),
    ("state", "scene"),
}
TORCH_FREE = {"__init__", "__main__", "errors", "interrupts", "job", "presets", "resolving", "naming", "printable",
              "metadata", "cli", "weights.__init__", "weights.records", "weights.autoencoders", "weights.clips",
              "weights.catalogue", "weights.cache", "weights.shelf", "weights.transport", "weights.fetch",
              "generators.__init__", "sinks.base", "starter.__init__", "starter.grammar"}  # fmt: skip


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def run_time_nodes(node: ast.AST, *, inside_functions: bool) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see, and those inside functions unless asked for."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        yield child
        yield from run_time_nodes(child, inside_functions=inside_functions)


def imported(path: Path, *, inside_functions: bool = True) -> set[str]:
    """Full names of the modules that a file imports; of `from a import b` also a.b, in case b is a module."""
    names: set[str] = set()
    for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8")), inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def room(name: str) -> str:
    return name.split(".")[0]


def level(name: str) -> int:
    found = [index for index, rooms in enumerate(LEVELS) if name in rooms]
    assert found, f"give the new room {name} a level"
    return found[0]


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_every_file_is_in_a_room_and_imports_only_from_lower_rooms(path: Path) -> None:
    here = room(module_name(path))
    if here == "__init__":
        return
    for name in imported(path):
        there = room(name.removeprefix("clipgen.")) if name.startswith("clipgen.") else "__version__"
        if there in ("__version__", here):
            continue
        assert level(there) < level(here) or (here, there) in NEIGHBOURS, f"{here} imports {there}"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_rooms_without_torch_import_none_when_they_are_imported(path: Path) -> None:
    name = module_name(path)
    if name in TORCH_FREE or room(name) in TORCH_FREE:
        heavy = {"torch", "torchvision", "kornia", "open_clip", "taming", "dall_e"}
        assert not {room(module) for module in imported(path, inside_functions=False)} & heavy


def test_the_package_and_a_checked_job_load_neither_torch_nor_pillow() -> None:
    program = (
        "import sys, clipgen, clipgen.generators, clipgen.core.contracts, clipgen.weights.fetch, clipgen.cli.app\n"
        "from clipgen.config.resolving import resolve\n"
        "from clipgen.config.job import parse_prompts\n"
        "resolve(clipgen.Job(parse_prompts('a cat')))\n"
        "assert not {'torch', 'PIL', 'numpy', 'kornia'} & set(sys.modules), sorted(sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=300)


def test_the_public_surface_is_what_it_says() -> None:
    assert sorted(clipgen.__all__) == ["ClipgenError", "Job", "__version__", "generate"]
    assert all(getattr(clipgen, name) is not None for name in clipgen.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        clipgen.nonsense  # noqa: B018


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_code_draws_unseeded_numbers_or_trusts_foreign_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for banned in (
        "np.random.seed",
        "np.random.rand",
        "weights_only=False",
        "torch.hub",
        "trust_remote_code",
        "shell=True",
    ):
        assert banned not in text
    assert "random" not in imported(path)
    if room(module_name(path)) != "starter":  # training seeds the global generator of its own process
        assert "torch.manual_seed" not in text


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_files_and_functions_stay_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 400
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name
