"""The chapter on parts of one's own does what it says: its code, put where it says, takes part in a run."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

import clipgen

ROOT = Path(clipgen.__file__).parent
PAGE = (ROOT.parent / "examples/extending/README.md").read_text(encoding="utf-8")
FILE = re.compile(r"^`([\w/.]+)`:\n\n```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"\bIn `(\w+)` of `([\w/.]+)`[^\n]*:\n\n```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
POINTS = re.search(r'^\[project\.entry-points\."([\w.]+)"\]\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
LINES = 48
WATCHED = 'preset="photo", steps=5'


def extended(folder: Path) -> None:
    """Copy the package, without its weights, and put into it what the chapter says."""
    shutil.copytree(
        ROOT, folder / "clipgen", ignore=shutil.ignore_patterns("weights.*", "*.safetensors", "__pycache__")
    )
    for path in (ROOT / "starter/weights").iterdir():
        (folder / "clipgen/starter/weights" / path.name).unlink(missing_ok=True)
        (folder / "clipgen/starter/weights" / path.name).symlink_to(path)
    for name, code in FILE.findall(PAGE):
        assert len(code.splitlines()) <= LINES
        (folder / name).write_text(code)
    for table, name, row in ROW.findall(PAGE):
        source = (folder / name).read_text()
        opening = re.search(rf"^{table}\b.*?{{\n", source, re.DOTALL | re.MULTILINE)
        assert opening
        (folder / name).write_text(source[: opening.end()] + row + source[opening.end() :])
    assert POINTS
    (folder / "my_losses-1.0.dist-info").mkdir()
    (folder / "my_losses-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: my-losses\nVersion: 1.0\n")
    (folder / "my_losses-1.0.dist-info/entry_points.txt").write_text(f"[{POINTS[1]}]\n{POINTS[2]}".replace('"', ""))


def test_a_generator_a_loss_and_a_sink_take_part_in_a_run(tmp_path: Path) -> None:
    extended(tmp_path)
    watch = (tmp_path / "watch.py").read_text()
    assert WATCHED in watch
    # One run for all three: with the generator and the loss of the chapter, too.
    watch = watch.replace(WATCHED, f'{WATCHED}, backend="waves", losses=["brightness:20:0.9"]')
    (tmp_path / "watch.py").write_text(f"{watch}print(made.plan.backend, [row.name for row in made.plan.losses])\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "watch.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "waves" in done.stdout
    assert "brightness" in done.stdout
    rows = [tuple(map(float, row)) for row in csv.reader((tmp_path / "scores.csv").read_text().splitlines())]
    assert [row[0] for row in rows] == list(range(6))
    assert rows[-1][1] < rows[0][1]
    with Image.open(tmp_path / "heart.png") as picture:
        assert picture.size == (64, 64)


def test_the_chapter_shows_all_three_kinds() -> None:
    assert [name for name, _ in FILE.findall(PAGE)] == ["clipgen/generators/waves.py", "my_losses.py", "watch.py"]
    assert [(table, name) for table, name, _ in ROW.findall(PAGE)] == [
        ("GENERATORS", "clipgen/generators/__init__.py"),
        ("_PHOTO", "clipgen/config/preset_photo.py"),
    ]
