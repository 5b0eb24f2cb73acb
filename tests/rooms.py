"""The structure of the code, measured: `python tests/rooms.py [SETTING VALUE]`.

Prints the lines of each package, the six files of the idea, every import that points to a package above (there is
none), and the way of a setting, by default `cutouts`, from argv through the functions that it is passed to.
"""

import ast
import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parent.parent / "clipgen"
LEVELS: list[set[str]] = [
    {"errors", "util"},
    {"weights"},
    {"config"},
    {"core"},
    {"generators", "perceptors", "steering"},
    {"judge"},
    {"engine"},
    {"outputs"},
    {"training"},
    {"starter"},
    {"session"},
    {"cli"},
    {"__main__"},
]
"""A package imports from lower levels only; `errors` and `util` may know each other."""
IDEA = [f"core/{name}.py" for name in ("contracts", "loop", "cutouts", "losses", "optim")] + ["generators/vqgan.py"]


def level(package: str) -> int:
    """Return the level of a package, or of a module beside the packages."""
    return next(number for number, packages in enumerate(LEVELS) if package in packages)


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return the modules of this project that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "clipgen":
            found |= {f"clipgen.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return {name for name in found if name.startswith("clipgen.") and not name.endswith("__version__")}


def upward_imports() -> Iterator[str]:
    """Say which file imports from a package that is not below its own."""
    for path in sorted(ROOT.rglob("*.py")):
        here = package_of(path)
        if here == "__init__":
            continue
        for name in sorted(imported(path)):
            there = name.split(".")[1]
            if there != here and level(there) >= level(here) and {here, there} != {"errors", "util"}:
                yield f"{path.relative_to(ROOT)} imports {name}"


def way(setting: str, value: str) -> list[str]:
    """Run a tiny picture with a setting on the command line, and return the calls that it passes, by file."""
    from typer.main import get_command

    from clipgen.cli.app import app

    passed: dict[str, str] = {}

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(ROOT)) and (holding := _holding(frame, value)):
            place = str(Path(file).relative_to(ROOT))
            passed.setdefault(place, f"{place}: {frame.f_code.co_qualname}({', '.join(holding)})")

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        arguments = ["a heart:-1", "--steps", "1", "--size", "32x32", "--preset", "starter", "-q", "-o", folder]
        sys.setprofile(watch)
        try:
            with contextlib.suppress(SystemExit):
                get_command(app).main(args=[*arguments, f"--{setting}", value])
        finally:
            sys.setprofile(None)
    return list(passed.values())


def _is(value: object, wanted: str) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool) and str(value) == wanted


def _holding(frame: FrameType, wanted: str) -> list[str]:
    """Return the parameters of a call that are the value, and the field of a record that is being made of it."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    values = {name: frame.f_locals.get(name) for name in names}
    own = values.get("self")
    if code.co_name == "__post_init__" and is_dataclass(own):
        values |= {field.name: getattr(own, field.name) for field in fields(own)}
    return [name for name, value in values.items() if _is(value, wanted)]


def main(setting: str = "cutouts", value: str = "211") -> None:
    print("PACKAGE      FILES  LINES")
    for packages in LEVELS:
        for package in sorted(packages):
            files = [path for path in ROOT.rglob("*.py") if package_of(path) == package]
            print(f"{package:12} {len(files):5}  {sum(map(lines, files)):5}")
    print(f"\nTHE IDEA, {sum(lines(ROOT / name) for name in IDEA)} lines")
    for name in IDEA:
        print(f"{lines(ROOT / name):5}  {name}")
    print("\nIMPORTS THAT POINT UPWARDS")
    print("\n".join(upward_imports()) or "none")
    print(f"\nTHE WAY OF --{setting}")
    print("\n".join(way(setting, value)))


if __name__ == "__main__":
    main(*sys.argv[1:])
