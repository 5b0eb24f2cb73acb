"""The notebook of the examples runs from top to bottom, offline, and shows what it says."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_notebook_display import Page

import clipgen

ROOT = Path(clipgen.__file__).parents[1]
PATH = ROOT / "examples" / "clipgen.ipynb"
NOTEBOOK = json.loads(PATH.read_text(encoding="utf-8"))
CELLS = NOTEBOOK["cells"]
TINY = {"SIZE": 32, "STEPS": 2, "CUTOUTS": 2, "START": "noise"}
"""What the form is filled with, so that the runs take no time."""
MAX_BYTES = 60_000


def code(cell: dict[str, Any]) -> str:
    return "".join(cell["source"]) if cell["cell_type"] == "code" else ""


def filled(values: dict[str, Any]) -> dict[str, Any]:
    """The notebook with other values in its form."""
    text = PATH.read_text(encoding="utf-8")
    for name, value in values.items():
        shown = json.dumps(value)
        text, count = re.subn(rf'"{name} = .*?  # @param', json.dumps(f"{name} = {shown}  # @param")[:-1], text)
        assert count == 1, name
    found: dict[str, Any] = json.loads(text)
    return found


def executed(values: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The code cells of the notebook after it has run in an empty folder."""
    before, after = folder / "before.ipynb", folder / "after.ipynb"
    before.write_text(json.dumps(filled(values)), encoding="utf-8")
    own = {name: str(folder / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    environment = {**os.environ, **own, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(Path(__file__).with_name("execute_notebook.py")), str(before), str(after)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    return [cell for cell in json.loads(after.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def pictures(outputs: list[dict[str, Any]], kind: str) -> list[Image.Image]:
    found = [each["data"][kind] for each in outputs if kind in each.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode("".join(each)))) for each in found]


def check(cells: list[dict[str, Any]], folder: Path) -> None:
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        said = ["".join(each.get("text", "")) for each in cell["outputs"] if each.get("name") == "stderr"]
        assert not said, (code(cell), said)
        if "row(" in code(cell) or "contact_sheet(" in code(cell):
            [shown] = pictures(cell["outputs"], "image/png")
            assert len(shown.getcolors(shown.width * shown.height) or ()) > 20, code(cell)
    pages = ["".join(each["data"]["text/html"]) for cell in cells for each in cell["outputs"] if is_html(each)]
    results = [Page(page) for page in pages if "<details>" in page]
    assert len(results) == 2
    assert [kind for kind, _ in results[0].sources("video")] == ["video/mp4"]
    assert [kind for kind, _ in results[1].sources("img")] == ["image/png", "image/gif"]
    assert any("<svg" in page for page in pages)
    assert any("<th" in page and "night:-0.3" in page for page in pages)
    assert {"early.gif", "film.mp4"} < {path.name for path in (folder / "pictures").iterdir()}


def is_html(output: dict[str, Any]) -> bool:
    return "text/html" in output.get("data", {})


def test_the_notebook_is_small_and_comes_without_outputs() -> None:
    assert PATH.stat().st_size <= MAX_BYTES
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CELLS if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in CELLS}) == len(CELLS)


def test_every_field_of_the_form_is_used() -> None:
    text = "\n".join(map(code, CELLS))
    names = re.findall(r"^([A-Z]+) = .*# @param", text, re.MULTILINE)
    assert set(TINY) < set(names)
    for name in names:
        assert len(re.findall(rf"\b{name}\b", text)) > 1


def test_the_notebook_runs_with_tiny_settings(tmp_path: Path) -> None:
    check(executed(TINY, tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["vqgan", "dvae"])
def test_the_notebook_runs_as_it_is(backend: str, tmp_path: Path) -> None:
    check(executed({"BACKEND": backend}, tmp_path), tmp_path)
