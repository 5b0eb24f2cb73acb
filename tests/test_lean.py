"""What a run need not load, it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys
sys.argv = ["clipgen", "red", "--size", "32x32", "--steps", "1", "--cutouts", "1", "--seed", "1", "--start", "noise"]
sys.argv += ["-o", "FOLDER"]
import clipgen.__main__ as program
try:
    program.main()
except SystemExit as end:
    assert not end.code, end.code
"""
IS_LOADED = "assert ('torch._dynamo' in sys.modules) is {wanted}, [name for name in sys.modules if 'dynamo' in name]\n"
COMPILE = """
import torch
assert torch.compile(lambda x: x.sin() + 1, backend="eager")(torch.zeros(1)).item() == 1
"""
KEPT = """
import sys
import torch._dynamo
from clipgen.util.lean import without_compiler
before = sys.modules["torch._dynamo"]
with without_compiler():
    assert sys.modules["torch._dynamo"] is before
assert sys.modules["torch._dynamo"] is before
"""


def python(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_does_not_load_the_compiler_which_can_be_used_afterwards(tmp_path: Path) -> None:
    python(
        RUN.replace("FOLDER", str(tmp_path)) + IS_LOADED.format(wanted=False) + COMPILE + IS_LOADED.format(wanted=True)
    )


@pytest.mark.slow
def test_a_compiler_that_is_loaded_stays() -> None:
    python(KEPT)
