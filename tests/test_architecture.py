"""The rooms of the package, what each may know of the others, and what it costs to enter them."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import clipgen
from clipgen.weights import kinds

ROOT = Path(clipgen.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.glob("*.py"))

# A room imports from lower rooms only; rooms of one level do not know each other, but for the first two.
LEVELS = [
    {"errors", "util"},
    {"weights"},
    {"config"},
    {"core"},
    {"generators", "perceptors", "steering"},
    {"priors"},
    {"engine", "judge"},
    {"outputs"},
    {"training"},
    {"starter"},
    {"session"},
    {"cli", "web", "__main__"},
]
NEIGHBOURS = {("errors", "util"), ("util", "errors"), ("__main__", "cli"), ("cli", "web"), ("web", "cli")}
HEAVY = {"torch", "torchvision", "kornia", "open_clip", "taming", "dall_e", "numpy", "PIL", "timm", "safetensors"}
TORCH_FREE = (
    "clipgen",
    "clipgen.__main__",
    "clipgen.cli.*",
    "clipgen.config.*",
    "clipgen.core.contracts",
    "clipgen.engine.forecast",
    "clipgen.errors",
    "clipgen.generators",
    *(
        f"clipgen.outputs.{name}"
        for name in ("callbacks", "chart", "embedded", "metadata", "notebook", "progress", "sparkline", "terminal")
    ),
    *(f"clipgen.outputs.{name}" for name in ("tracker", "xmp")),
    *(f"clipgen.session.{name}" for name in ("options", "naming", "notices", "plan_rows", "planning", "reading_plans")),
    "clipgen.starter",
    "clipgen.starter.words",
    "clipgen.starter.nearby",
    "clipgen.web.*",
    *(
        f"clipgen.util.{name}"
        for name in ("text", "html", "typos", "files", "devices", "interrupts", "lean", "streams")
    ),
    *(
        f"clipgen.weights.{name}"
        for name in ("registry", "records", "catalogue", "cache", "fetch", "transport", "kinds", "packaged")
    ),
)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in SOURCES}


def run_time_nodes(node: ast.AST, *, inside_functions: bool) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see, and those inside functions unless asked for."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        yield child
        yield from run_time_nodes(child, inside_functions=inside_functions)


@cache
def imported(path: Path, *, inside_functions: bool = True) -> frozenset[str]:
    """Full names of the modules that a file imports; of `from a import b` also a.b, in case b is a module."""
    names: set[str] = set()
    for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8")), inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(names)


def own(path: Path, *, inside_functions: bool) -> set[str]:
    """The modules of the package that a file imports, with the packages that they are in."""
    found = {name for name in imported(path, inside_functions=inside_functions) if name in MODULES}
    return found - {module_name(path)}


def room(name: str) -> str:
    """The first part of a name within the package; "" for the package itself."""
    return name.removeprefix("clipgen").removeprefix(".").split(".")[0]


def level(name: str) -> int:
    found = [index for index, rooms in enumerate(LEVELS) if name in rooms]
    assert found, f"give the new room {name} a level"
    return found[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "clipgen"])
def test_every_file_is_in_a_room_and_imports_only_from_lower_rooms(name: str) -> None:
    here = room(name)
    level(here)
    for there in {room(each) for each in own(MODULES[name], inside_functions=True)} - {here, ""}:
        assert level(there) < level(here) or (here, there) in NEIGHBOURS, f"{here} imports {there}"


def test_a_session_and_the_command_line_import_the_starter_set_and_only_one_place_below_names_it() -> None:
    text = "clipgen." + "starter"
    for name, path in MODULES.items():
        if room(name) not in ("starter", "session", "cli"):
            assert not any(each.startswith(text) for each in imported(path)), name
            assert path.read_text(encoding="utf-8").count(text) == (name == kinds.__name__), name
    assert text == kinds.STARTER_PACKAGE


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: own(path, inside_functions=True) - {"clipgen"} for name, path in MODULES.items()}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("clipgen.core.loop") < order.index("clipgen.engine.run")


READS_PICTURES = ("clipgen.outputs.embedded", "clipgen.outputs.metadata")
"""The modules without torch that need Pillow."""


def torch_free() -> list[str]:
    rooms = tuple(each.removesuffix("*") for each in TORCH_FREE if each.endswith("*"))
    return [name for name in MODULES if name in TORCH_FREE or f"{name}.".startswith(rooms)]


def test_modules_without_torch_are_there() -> None:
    assert {each for each in TORCH_FREE if not each.endswith("*")} <= set(torch_free())


@pytest.mark.parametrize("name", torch_free())
def test_modules_without_torch_load_none_when_they_are_imported(name: str) -> None:
    """Neither by themselves, nor by what they import of the package, as far as that goes."""
    reached, left = set(), [name]
    while left:
        module = left.pop()
        if module in reached:
            continue
        reached.add(module)
        parents = [parent for parent in (module.rpartition(".")[0],) if parent in MODULES]
        left += [*own(MODULES[module], inside_functions=False), *parents]
        heavy = {each.split(".")[0] for each in imported(MODULES[module], inside_functions=False)} & HEAVY
        heavy -= {"PIL"} if name in READS_PICTURES else set()
        assert not heavy, f"{name} loads {heavy} by way of {module}"


@pytest.mark.parametrize(
    "program",
    [
        "import " + ", ".join(name for name in torch_free() if name not in READS_PICTURES),
        "from clipgen.config.resolve import resolve; from clipgen.config.prompts import parse_prompts\n"
        "resolve(clipgen.Job(parse_prompts('a cat')))",
        "from clipgen.cli.app import app\napp(['--help'], standalone_mode=False)",
    ],
    ids=["import", "resolve", "help"],
)
def test_what_needs_no_torch_loads_none(program: str) -> None:
    check = f"assert not {HEAVY - {'safetensors'}} & set(sys.modules), sorted(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    command = [sys.executable, "-c", f"import sys, clipgen\n{program}\n{check}\n"]
    subprocess.run(command, check=True, env=environment, timeout=60, stdout=subprocess.DEVNULL)


def test_the_idea_is_six_short_files_that_know_of_nothing_else() -> None:
    files = [*(ROOT / "core").glob("*.py"), ROOT / "generators" / "vqgan.py"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files if path.name != "__init__.py"}
    assert len(texts) == 6
    assert sum(text.count("\n") for text in texts.values()) < 900
    for name, text in texts.items():
        for word in ("starter", "open(", "print(", "Path", "sys.std", "import_module", "clipgen.engine"):
            assert word not in text, f"{name}: {word}"


def test_the_public_surface_is_what_it_says() -> None:
    types = ["ClipgenError", "Job", "Progress", "Result", "Settings", "Step"]
    assert sorted(clipgen.__all__) == [*types, "__version__", "generate"]
    assert all(getattr(clipgen, name) is not None for name in clipgen.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        clipgen.nonsense  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_no_code_draws_unseeded_numbers_or_trusts_foreign_code(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    for banned in (
        "np.random.seed",
        "np.random.rand",
        "weights_only=False",
        "torch.hub",
        "trust_remote_code",
        "shell=True",
    ):
        assert banned not in text
    assert "random" not in imported(MODULES[name])
    if room(name) not in ("starter", "training"):  # training seeds the global generator of its own process
        assert "torch.manual_seed" not in text


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: path.stem)
def test_files_and_functions_stay_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= (300 if path in SOURCES else 400)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name
