"""Completion as it is in bash, zsh and fish: typed into these shells, where they are."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TYPED = [
    ("clipgen --ba", "--backend"),
    ("clipgen --backend vq", "vqgan"),
    ("clipgen zoom --preset standa", "standard"),
    ("clipgen zo", "zoom"),
    ("clipgen models pu", "pull"),
    ("clipgen help exi", "exit-codes"),
]
IN_BASH = """
source "$1"
COMP_WORDS=({words}); COMP_CWORD={last}
_clipgen_completion clipgen
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
IN_FISH = 'source "$argv[1]"; complete --do-complete "{typed}"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program `clipgen`, as pip makes it, and the scripts for the shells."""
    folder = tmp_path_factory.mktemp("shells")
    program = folder / "clipgen"
    program.write_text(f"#!{sys.executable}\nfrom clipgen.__main__ import main\nmain()\n")
    program.chmod(0o755)
    # Without the variable, which Typer has for tests, the script is that of the shell which started the program.
    named = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    for shell in ("bash", "zsh", "fish"):
        command = [program, "--show-completion", shell]
        made = subprocess.run(command, env=named, capture_output=True, text=True, check=True)
        (folder / f"clipgen.{shell}").write_text(made.stdout)
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb"}


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")


@pytest.mark.parametrize(("typed", "wanted"), TYPED)
def test_bash_completes(folder: Path, typed: str, wanted: str) -> None:
    needs("bash")
    words = typed.split(" ")
    code = IN_BASH.format(words=" ".join(words), last=len(words) - 1)
    command = ["bash", "--norc", "-c", code, "bash", str(folder / "clipgen.bash")]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=True)
    assert wanted in done.stdout.split()
    assert all(each.startswith(words[-1]) for each in done.stdout.split())


@pytest.mark.parametrize(
    ("typed", "wanted"), [*TYPED[:2], *(pytest.param(*each, marks=pytest.mark.slow) for each in TYPED[2:])]
)
def test_fish_completes(folder: Path, typed: str, wanted: str) -> None:
    needs("fish")
    command = ["fish", "--no-config", "-c", IN_FISH.format(typed=typed), str(folder / "clipgen.fish")]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=True)
    assert wanted in [line.split("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.slow  # an interactive shell on a busy machine can take minutes
@pytest.mark.timeout(180)
def test_zsh_completes_what_is_typed_into_it(folder: Path) -> None:
    needs("zsh")
    pexpect = pytest.importorskip("pexpect", reason="types into zsh")
    shell = pexpect.spawn(
        "zsh", ["-f", "-i"], env=environment(folder), timeout=60, encoding="utf-8", dimensions=(50, 200)
    )
    shell.sendline("PS1='ready> '; autoload -U compinit; compinit -u -D; LISTMAX=0; unsetopt menu_complete auto_menu")
    shell.sendline(f"source {folder / 'clipgen.zsh'}; compdef _clipgen_completion clipgen; print loaded")
    shell.expect("\nloaded")
    for typed, wanted in TYPED:
        shell.send(f"{typed}\t")
        shell.expect(re.escape(wanted))
        shell.sendcontrol("u")
    shell.close(force=True)


def test_a_completion_loads_no_torch(folder: Path) -> None:
    variables = {"_CLIPGEN_COMPLETE": "complete_bash", "COMP_WORDS": "clipgen --preset s", "COMP_CWORD": "2"}
    command = [sys.executable, "-X", "importtime", "-m", "clipgen"]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "starter" in done.stdout.split()
    assert "clipgen.cli.app" in imported
    assert not imported & {"torch", "numpy", "PIL", "open_clip"}
