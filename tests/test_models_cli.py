"""`clipgen models`: what it prints and where, what it removes, and that nothing is downloaded unasked."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from loopback import HOST, Files, LoopbackServer, cuts, serves
from typer.testing import CliRunner, Result

import clipgen
from clipgen.cli import downloads, model_files
from clipgen.cli.app import app
from clipgen.weights import fetch
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.packaged import PACKAGED
from clipgen.weights.registry import network_of

CONTENT = bytes(range(256)) * 20
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PINNED, UNPINNED = "vqgan/tiny", "dvae/unpinned"
Cli = Callable[..., Result]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """Two records, with and without a hash, whose files a server on this machine has."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with LoopbackServer() as server:
        files = Files(server, CONTENT, SHA256)
        server.routes["/good"] = serves(CONTENT)
        unpinned = files.record("/good", sha256=None, size=None)
        monkeypatch.setitem(RECORDS, PINNED, files.record("/good"))
        monkeypatch.setitem(RECORDS, UNPINNED, replace(unpinned, name=UNPINNED, kind="dvae"))
        yield files


@pytest.fixture
def cli(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    quick = partial(fetch.Fetcher, pause_seconds=0.0, retries=1, allow_http_to=(HOST,))
    monkeypatch.setattr(fetch, "Fetcher", lambda **settings: quick(Cache(), **settings))
    return lambda *args, **settings: CliRunner().invoke(app, ["models", *args], **settings)


def here(tmp_path: Path, name: str = PINNED) -> Path:
    return tmp_path / "cache" / name / "tiny.ckpt"


def row(cli: Cli, name: str) -> dict[str, object]:
    rows = json.loads(cli("list", "--json").stdout)["models"]
    return next(one for one in rows if one["name"] == name)


def test_list_names_every_record_and_what_is_known_of_it(cli: Cli, files: Files) -> None:
    lines = cli("list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    shown = [line[2:].split()[0] for line in lines if line[:2] in ("  ", "* ") and "/" in line[2:].split(" ")[0]]
    assert sorted(shown) == sorted({network_of(name) for name in (*RECORDS, *PACKAGED)})
    tiny, unpinned = (next(k for k, line in enumerate(lines) if name in line) for name in (PINNED, UNPINNED))
    assert lines[tiny].split() == [PINNED, "5", "kB"]
    assert lines[tiny + 1].strip() == "a file of a test. Licence: none."
    assert lines[unpinned].split() == [UNPINNED, "?"]
    assert lines[unpinned + 1].strip() == "a file of a test. Licence: none. No published hash."
    assert next(line for line in lines if "vqgan/imagenet-f16-16384" in line).startswith("* ")
    assert len(json.loads(cli("list", "--json").stdout)["models"]) == len(RECORDS) + len(PACKAGED)
    assert files.server.log == []


def test_pull_prints_the_path_alone_and_says_the_terms_on_stderr(cli: Cli, tmp_path: Path) -> None:
    result = cli("pull", PINNED)
    assert (result.exit_code, result.stdout) == (0, f"{here(tmp_path)}\n")
    assert f"{PINNED}: none; sha256 {SHA256}" in result.stderr
    assert "100 %" in result.stderr
    assert "\x1b" not in result.stderr
    assert here(tmp_path).read_bytes() == CONTENT
    assert row(cli, PINNED)["cached"] is True
    assert cli("path", PINNED).stdout == f"{here(tmp_path)}\n"


def test_pull_as_json_and_quietly(cli: Cli, tmp_path: Path) -> None:
    result = cli("pull", PINNED, PINNED, "--json", "--quiet")
    (pulled,) = json.loads(result.stdout)["models"]
    assert pulled == {"name": PINNED, "path": str(here(tmp_path)), "sha256": SHA256, "licence": "none"}
    assert result.stderr == ""


def test_pull_without_a_published_hash_needs_trust_once(cli: Cli, files: Files, tmp_path: Path) -> None:
    refused = cli("pull", UNPINNED)
    assert refused.exit_code == 2
    assert "--trust-on-first-use" in refused.stderr
    assert files.server.log == []
    result = cli("pull", UNPINNED, "--trust-on-first-use")
    assert result.stdout == f"{here(tmp_path, UNPINNED)}\n"
    assert f"sha256 {SHA256}, recorded here" in result.stderr
    assert row(cli, UNPINNED)["needs_trust_on_first_use"] is False

    assert cli("rm", UNPINNED, "--yes").exit_code == 0
    files.server.routes["/good"] = serves(CONTENT[::-1])
    changed = cli("pull", UNPINNED, "--trust-on-first-use")
    assert changed.exit_code == 1
    assert SHA256 in changed.stderr
    assert "--forget" in changed.stderr
    assert cli("rm", UNPINNED, "--forget", "--yes").exit_code == 0
    assert cli("pull", UNPINNED, "--trust-on-first-use").exit_code == 0


def test_a_failed_pull_keeps_what_arrived_and_the_list_says_so(cli: Cli, files: Files) -> None:
    files.server.routes["/good"] = cuts(CONTENT, 1000)
    result = cli("pull", PINNED)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith(f"error: {PINNED} could not be downloaded: {HOST}: it broke off")
    assert row(cli, PINNED)["partial_bytes"] == 1000
    assert "in part" in cli("list").stdout


def test_a_pull_that_is_stopped_says_how_to_go_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_args: object, **_settings: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads, "pull_one", stop)
    result = cli("pull", PINNED, "--json")
    assert result.exit_code == 130
    assert "run the same command again" in result.stderr
    assert json.loads(result.stdout) == {"models": []}


@pytest.mark.parametrize("args", [("pull", PINNED, "--offline"), ("path", PINNED), ("verify", PINNED)])
def test_what_is_missing_ends_in_exit_code_3_with_the_command(cli: Cli, files: Files, args: tuple[str, ...]) -> None:
    result = cli(*args)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "the file tiny.ckpt, 5 kB" in result.stderr
    assert f"clipgen models pull {PINNED}" in result.stderr
    assert files.server.log == []


def test_the_whole_program_answers_offline_in_no_time(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(clipgen.__file__).parent.parent), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-X", "importtime", "-m", "clipgen", "models", "pull", "vqgan/imagenet-f16-16384"]
    environment["CLIPGEN_CACHE"] = str(tmp_path)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 3
    assert "980 MB" in result.stderr.splitlines()[-1]
    loaded = {line.split("|")[-1].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert not loaded & {"torch", "numpy", "PIL", "huggingface_hub"}


def test_verify_reads_the_files_again(cli: Cli, tmp_path: Path) -> None:
    packaged = [f"ok       {name}" for name in PACKAGED]
    assert cli("verify").stdout.splitlines() == packaged
    cli("pull", PINNED)
    cli("pull", UNPINNED, "--trust-on-first-use")
    assert cli("verify").stdout.splitlines() == [f"ok       {PINNED}", f"ok       {UNPINNED}", *packaged]
    damaged = bytearray(CONTENT)
    damaged[700] ^= 1
    here(tmp_path, UNPINNED).write_bytes(damaged)
    result = cli("verify")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [f"ok       {PINNED}", f"damaged  {UNPINNED}", *packaged]
    for part in (
        f"1 of {2 + len(packaged)}",
        SHA256,
        hashlib.sha256(damaged).hexdigest(),
        f"clipgen models pull {UNPINNED}",
    ):
        assert part in result.stderr
    assert cli("verify", PINNED).exit_code == 0
    rows = json.loads(cli("verify", "--json").stdout)["models"]
    assert [one["ok"] for one in rows] == [True, False, *(True for _ in packaged)]


def test_add_takes_the_right_file_and_no_other(cli: Cli, files: Files, tmp_path: Path) -> None:
    mine, wrong = tmp_path / "mine.ckpt", tmp_path / "wrong.ckpt"
    mine.write_bytes(CONTENT)
    wrong.write_bytes(CONTENT[:-1])
    result = cli("add", PINNED, str(wrong))
    assert result.exit_code == 2
    for part in ("wrong.ckpt is not vqgan/tiny", "5119 bytes, not 5120", SHA256):
        assert part in result.stderr
    assert not (tmp_path / "cache").exists()
    assert cli("add", PINNED, str(tmp_path)).exit_code == 2
    assert cli("add", PINNED, str(tmp_path / "nothing")).exit_code == 2
    result = cli("add", PINNED, str(mine))
    assert (result.exit_code, result.stdout) == (0, f"{here(tmp_path)}\n")
    mine.write_bytes(b"changed by its owner")
    assert here(tmp_path).read_bytes() == CONTENT
    assert cli("verify").exit_code == 0
    assert files.server.log == []


def test_add_without_a_published_hash_needs_trust(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.pkl").write_bytes(CONTENT)
    assert cli("add", UNPINNED, "mine.pkl").exit_code == 2
    result = cli("add", UNPINNED, "mine.pkl", "--trust-on-first-use", "--json")
    assert json.loads(result.stdout) == {"name": UNPINNED, "path": str(here(tmp_path, UNPINNED))}


def test_rm_asks_in_a_terminal_and_needs_yes_elsewhere(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("pull", PINNED)
    refused = cli("rm", PINNED)
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    dry = cli("rm", PINNED, "--dry-run")
    assert dry.stdout.splitlines() == [str(here(tmp_path)), f"{here(tmp_path)}.sha256"]
    monkeypatch.setattr(model_files, "can_ask", lambda: True)
    for answer in ("n\n", ""):
        declined = cli("rm", PINNED, input=answer)
        assert (declined.exit_code, declined.stdout) == (1, "")
        assert declined.stderr.endswith("error: nothing was removed\n")
    assert here(tmp_path).exists()
    agreed = cli("rm", PINNED, input="y\n")
    assert agreed.stdout == dry.stdout
    assert not here(tmp_path).parent.exists()
    nothing = cli("rm", PINNED)
    assert (nothing.exit_code, nothing.stdout) == (0, "")


def test_prune_removes_what_nobody_needs_and_nothing_else(cli: Cli, files: Files, tmp_path: Path) -> None:
    cli("pull", PINNED)
    cli("pull", UNPINNED, "--trust-on-first-use")
    cli("rm", UNPINNED, "--yes")
    kept = sorted((tmp_path / "cache").rglob("*.*"))
    part = here(tmp_path).with_name("tiny.ckpt.part")
    part.write_bytes(b"some")
    old = tmp_path / "cache" / "vqgan" / "old" / "old.ckpt"
    old.parent.mkdir()
    old.write_bytes(CONTENT)
    old.with_name("old.ckpt.sha256").write_text(f"{SHA256}  old.ckpt\n")
    mine = old.with_name("mine.ckpt")
    mine.write_bytes(b"no download")
    doomed = [str(part), str(old), f"{old}.sha256"]

    assert cli("prune").exit_code == 2
    assert cli("prune", "--dry-run").stdout.splitlines() == doomed
    assert part.exists()
    with Cache(tmp_path / "cache").claimed(files.record()):
        assert cli("prune", "--dry-run").stdout.splitlines() == doomed[1:]
    assert json.loads(cli("prune", "--yes", "--json").stdout) == {
        "removed": doomed,
        "bytes": 4 + len(CONTENT) + len(f"{SHA256}  old.ckpt\n"),
        "dry_run": False,
    }
    assert sorted((tmp_path / "cache").rglob("*.*")) == sorted([*kept, mine])
    assert "nothing to remove" in cli("prune").stderr


def test_rm_leaves_a_download_in_progress_alone(cli: Cli, files: Files, tmp_path: Path) -> None:
    cli("pull", PINNED)
    with Cache(tmp_path / "cache").claimed(files.record()):
        result = cli("rm", PINNED, "--yes")
    assert result.exit_code == 1
    assert "another process is downloading" in result.stderr
    assert here(tmp_path).exists()


@pytest.mark.parametrize("command", ["pull", "path", "verify", "rm"])
def test_an_unknown_name_gets_the_nearest(cli: Cli, command: str) -> None:
    result = cli(command, "vqgan/imagenet-16384")
    assert result.exit_code == 2
    assert "did you mean vqgan/imagenet-f16-16384?" in result.stderr


def test_models_alone_shows_help_and_a_misspelled_command_is_named(cli: Cli) -> None:
    assert cli().exit_code == 0
    assert "pull" in cli().stdout
    wrong = cli("lst")
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("error: No such command 'lst'")


def test_a_prompt_about_models_is_a_prompt(cli: Cli) -> None:
    result = CliRunner().invoke(app, ["models of cars", "--steps", "0"])
    assert "--steps must be" in result.stderr
    assert "models" in CliRunner().invoke(app, ["--help"]).stdout
    assert 'looks like the command "models"' in CliRunner().invoke(app, ["model"]).stderr
