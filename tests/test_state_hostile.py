"""No file of a state is believed: damaged, swapped, hostile and endless ones are told in one line, and at once."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import Cli, install
from PIL import Image
from test_resume import SMALL, damage_state, digests, stop_at
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.errors import UsageError
from clipgen.outputs.footage import Footage
from clipgen.session.checksum import FIELD, record_digest
from clipgen.session.state import Workspace, read_order

NAME = "outputs/red-blue-0-3-1"
STATE = Path(f"{NAME}.clipgen")
QUICK = (*SMALL[:-1], "3600", "--video")
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run with an init image and films leaves when it is stopped."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        install(patch.setattr)
        Image.effect_noise((32, 32), 90).convert("RGB").save("init.png")
        stop_at(patch, 5)
        assert CliRunner().invoke(app, [*QUICK, "--init", "init.png"]).exit_code == 130
    return folder


@pytest.fixture
def stopped(cli: Cli, made: Path) -> Path:
    """The state of that run, in the folder of the test."""
    shutil.copytree(made, ".", dirs_exist_ok=True)
    return STATE


def flipped(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def open_and_read(folder: Path) -> tuple[object, object]:
    """Read everything in a state as a resumed run does."""
    workspace = Workspace.open(folder)
    try:
        snapshot = workspace.snapshot()
        assert snapshot is not None
        tensors = {name: tensor.numpy().tobytes() for name, tensor in snapshot.tensors.items()}
        init = workspace.inputs.init.tobytes() if workspace.inputs.init else None
        return (workspace.order, snapshot.done, snapshot.grown, snapshot.lr, tensors, init), workspace.digests
    finally:
        workspace.release()


@pytest.mark.parametrize("name", ["job.json", "init.png", "state.safetensors"])
def test_no_flipped_bit_changes_what_is_read(stopped: Path, name: str) -> None:
    path, whole = stopped / name, open_and_read(stopped)
    content = path.read_bytes()
    noticed = 0
    for bit in range(0, 8 * len(content), 8 * len(content) // 100 | 1):
        flipped(path, bit)
        try:
            assert open_and_read(stopped) == whole, bit  # such as a space that became another
        except UsageError:
            noticed += 1
        path.write_bytes(content)
    assert noticed > 75
    assert open_and_read(stopped) == whole


@pytest.mark.parametrize("name", ["job.json", "init.png", "state.safetensors"])
def test_no_shortened_file_is_read(stopped: Path, name: str) -> None:
    path = stopped / name
    content = path.read_bytes()
    for size in [*range(0, len(content), max(len(content) // 20, 1)), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(UsageError, match="damaged"):
            open_and_read(stopped)
    path.write_bytes(content + b"\n\0")
    with pytest.raises(UsageError, match="damaged"):
        open_and_read(stopped)


@pytest.mark.parametrize("name", ["init.png", "state.safetensors", "job.json"])
def test_files_of_another_state_are_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, stopped: Path, name: str
) -> None:
    Image.effect_noise((32, 32), 90).convert("RGB").save("other.png")
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        assert cli(*QUICK, "--init", "other.png", "-o", "others").exit_code == 130
    shutil.copy(next(Path("others").glob("*.clipgen")) / name, stopped / name)
    refused = cli("resume", f"{NAME}.png")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "is damaged" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


SEGMENT = "mp4-000000.pngs"
FRAMES: dict[str, Damage] = {
    "missing": lambda folder: (folder / SEGMENT).unlink(),
    "truncated": lambda folder: os.truncate(folder / SEGMENT, 100),
    "empty": lambda folder: (folder / SEGMENT).write_bytes(b""),
    "flipped": lambda folder: flipped(folder / SEGMENT, 4001),
    "of another film": lambda folder: shutil.copy(folder / "mp4-000003.pngs", folder / SEGMENT),
    "a pipe": lambda folder: ((folder / SEGMENT).unlink(), os.mkfifo(folder / SEGMENT)),
    "a folder": lambda folder: ((folder / SEGMENT).unlink(), (folder / SEGMENT).mkdir()),
    "endless": lambda folder: ((folder / SEGMENT).unlink(), (folder / SEGMENT).symlink_to("/dev/zero")),
}


def test_a_film_without_all_its_frames_is_not_called_whole_and_costs_no_picture(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, command in ((2, QUICK), (5, ("resume", f"{NAME}.png"))):
        with monkeypatch.context() as patch:
            stop_at(patch, index)
            assert cli(*command).exit_code == 130
    Path("outputs").rename("stopped")
    assert cli(*QUICK, "-o", "whole").exit_code == 0
    Path("whole/red-blue-0-3-1.mp4").unlink()
    for name, damage in FRAMES.items():
        shutil.copytree("stopped", "outputs")
        damage(STATE)
        resumed = cli("resume", f"{NAME}.png")
        assert resumed.exit_code == 1, name
        assert resumed.stdout.split() == [f"{NAME}.png", f"{NAME}.gif"]
        [line] = [line for line in resumed.stderr.splitlines() if line.startswith("error:")]
        assert f"the film {NAME}.mp4 was not written: its frames in {STATE / SEGMENT} are" in line
        assert not STATE.exists()
        Path(f"{NAME}.mp4").unlink(missing_ok=True)
        assert digests("outputs") == digests("whole")
        shutil.rmtree("outputs")


def test_stray_files_among_the_frames_change_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        assert cli(*QUICK).exit_code == 130
    for stray in ("mp4-000000 (copy).pngs", "mp4-x.pngs", "mp4-000002.pngs", "gif-.pngs", "notes.txt"):
        (STATE / stray).write_bytes(b"not a frame")
    assert cli("resume", f"{NAME}.png").exit_code == 0
    assert cli(*QUICK, "-o", "whole").exit_code == 0
    assert digests("outputs") == digests("whole")


def test_frames_that_could_not_be_kept_are_missed_when_the_run_goes_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Footage.add

    def refuse(self: Footage, index: int, frame: Image.Image) -> None:
        if index == 3 and self._kind == "gif":
            raise OSError(28, "No space left on device")
        add(self, index, frame)

    with monkeypatch.context() as patch:
        patch.setattr(Footage, "add", refuse)
        stop_at(patch, 5)
        assert cli(*QUICK).exit_code == 130
    resumed = cli("resume", f"{NAME}.png")
    assert resumed.exit_code == 1
    assert resumed.stdout.split() == [f"{NAME}.png", f"{NAME}.mp4"]
    assert f"the film {NAME}.gif was not written: its frames could not be kept" in resumed.stderr


NUMBERS: dict[str, Damage] = {
    "no step": lambda folder: damage_state(folder, {"done": -4}),
    "too many": lambda folder: damage_state(folder, {"done": 10**400}),
    "half a step": lambda folder: damage_state(folder, {"done": 5.5}),
    "a word": lambda folder: damage_state(folder, {"done": "6"}),
    "true": lambda folder: damage_state(folder, {"done": True}),
    "no rate": lambda folder: damage_state(folder, {"lr": 0}),
    "endless rate": lambda folder: damage_state(folder, {"lr": 1e400}),
    "maybe": lambda folder: damage_state(folder, {"grown": "no"}),
    "not a number": lambda folder: damage_state(folder, {}, lambda each: each * float("nan")),
    "infinite": lambda folder: damage_state(folder, {}, lambda each: each.float() / 0),
    "negative count": lambda folder: damage_state(folder, {}, lambda each: each if each.is_floating_point() else -each),
    "frames elsewhere": lambda folder: damage_state(folder, {"digests": {"../x.pngs": "0" * 64}}),
    "frames of a number": lambda folder: damage_state(folder, {"digests": {SEGMENT: 3}}),
    "frames in a list": lambda folder: damage_state(folder, {"digests": [1, 2, 3]}),
    "no list of frames": lambda folder: damage_state(folder, {"digests": None}),
    "another run": lambda folder: damage_state(folder, {"run": "0" * 16}),
}


@pytest.mark.parametrize("damage", NUMBERS.values(), ids=NUMBERS)
def test_hostile_numbers_with_a_right_checksum_are_refused(stopped: Path, damage: Damage) -> None:
    damage(stopped)
    with pytest.raises(UsageError, match=r"state\.safetensors is damaged"):
        open_and_read(stopped)


def signed(folder: Path, **changes: Any) -> None:
    record = {**json.loads((folder / "job.json").read_text()), **changes}
    record = {name: value for name, value in record.items() if value is not None}
    (folder / "job.json").write_text(json.dumps({**record, FIELD: record_digest(record)}))


@pytest.mark.parametrize(
    "changes",
    [{"schema": 3}, {"schema": True}, {"version": 7}, {"films": ".mp4"}, {"films": [".mp4"] * 2}, {"films": [".exe"]},
     {"metadata": 1}, {"run": "../x"}, {"run": None}, {"init_png": "x"}, {"init_png": None}, {"plan": {}}, {"more": 1},
     {"keep_state": 1}, {"fps": 0}, {"fps": True}, {"film_length": "8"}, {"film_length": 1e9}, {"every_step": 0},
     {"every_step": True}],
    ids=str,
)  # fmt: skip
def test_hostile_orders_with_a_right_checksum_are_refused(stopped: Path, changes: dict[str, Any]) -> None:
    signed(stopped, **changes)
    with pytest.raises(UsageError, match="damaged"):
        open_and_read(stopped)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


ENDLESS: dict[str, Damage] = {
    "pipe": pipe,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/stdin"),
    "folder": Path.mkdir,
    "huge": huge,
    "circle": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("name", ["job.json", "state.safetensors", "init.png", "lock"])
@pytest.mark.parametrize("kind", ENDLESS)
def test_what_is_no_plain_file_is_refused_at_once(cli: Cli, stopped: Path, name: str, kind: str) -> None:
    (stopped / name).unlink(missing_ok=True)
    ENDLESS[kind](stopped / name)
    if (name, kind) == ("lock", "huge"):  # nothing in it is read
        return
    began = time.monotonic()
    refused = cli("resume", f"{NAME}.png")
    assert time.monotonic() - began < 5
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1
    assert str(stopped) in refused.stderr


@pytest.mark.parametrize("put", ENDLESS.values(), ids=ENDLESS)
def test_beside_a_batch_it_costs_no_time_and_no_line(cli: Cli, put: Damage) -> None:
    for number in range(12):
        folder = Path(f"outputs/red-1-{number + 2}.clipgen")
        folder.mkdir(parents=True)
        put(folder / "job.json")
        os.utime(folder, (0, 0))
    Path("prompts.txt").write_text("red\n")
    began = time.monotonic()
    result = cli("batch", "prompts.txt", *SMALL[1:])
    assert (result.exit_code, result.stdout) == (0, "outputs/red-1.png\n"), result.stderr
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_never_gets_an_order_is_not_waited_for(tmp_path: Path, make: Damage) -> None:
    make(tmp_path / "old.clipgen")
    os.utime(tmp_path / "old.clipgen", (0, 0))
    began = time.monotonic()
    assert read_order(tmp_path / "old.clipgen", 30.0) is None
    assert time.monotonic() - began < 5


def test_a_state_of_an_earlier_version_goes_on_as_it_did(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, stopped: Path
) -> None:
    job = stopped / "job.json"  # what an earlier version would have left
    record = json.loads(job.read_text())
    added = ("run", "init_png", "keep_state", FIELD)
    job.write_text(json.dumps({name: value for name, value in record.items() if name not in added}))
    (stopped / "files.json").unlink()
    damage_state(stopped, {})
    with monkeypatch.context() as patch:
        stop_at(patch, 8)
        assert cli("resume", f"{NAME}.png", "--save-every", "0").exit_code == 130
    assert cli("resume", f"{NAME}.png").exit_code == 0
    assert cli(*QUICK, "--init", "init.png", "-o", "whole").exit_code == 0
    assert digests("outputs") == digests("whole")
