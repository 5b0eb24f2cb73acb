"""Pictures of single steps are numbered in a folder of their own, and cost neither the picture nor anybody's file."""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import Cli, plan
from PIL import Image
from test_faults import at_step
from test_footage import noise_at
from test_resume import SMALL, digests, start, stop_at

from clipgen.core.contracts import Outcome
from clipgen.outputs import metadata, steps
from clipgen.outputs.metadata import describe_plan
from clipgen.outputs.steps import StepPictures, has_all_steps
from clipgen.session.ownership import OwnSteps
from clipgen.util.images import to_pil

NAME = "outputs/red-blue-0-3-1"
FOLDER = Path(f"{NAME}-steps")
EVERY = (*SMALL[:-1], "3600", "--save-every-step", "5")
OF_TWELVE = ["000000.png", "000005.png", "000010.png", "000012.png"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sink(folder: Path, every: int = 3) -> StepPictures:
    for name in ("steps", "state"):
        (folder / name).mkdir(exist_ok=True)
    claim = OwnSteps(folder / "state").claim
    made = plan()
    return StepPictures(folder / "steps", folder / "state", made, every, described=describe_plan(made), claim=claim)


@pytest.mark.parametrize(
    ("outcome", "stop", "indices"),
    [
        (Outcome.FINISHED, 8, [0, 3, 6, 8]),
        (Outcome.INTERRUPTED, 6, [0, 3]),  # the picture so far is that of the run, and no step that others pass through
        (Outcome.DIVERGED, 7, [0, 3, 6, 7]),
        (Outcome.FAILED, 7, [0, 3, 6]),
    ],
)
def test_every_third_step_is_written_as_it_is(tmp_path: Path, outcome: Outcome, stop: int, indices: list[int]) -> None:
    pictures = sink(tmp_path)
    for index in range(stop + 1):
        pictures.on_step(noise_at(index, 8))
    pictures.close(outcome)
    assert (pictures.problem, pictures.written) == (None, len(indices))
    assert names(tmp_path / "steps") == [f"{index:06d}.png" for index in indices]
    for index in indices:
        with Image.open(tmp_path / "steps" / f"{index:06d}.png") as image:
            assert image.tobytes() == to_pil(noise_at(index, 8).image).tobytes()
    assert names(tmp_path / "state") == ["steps.jsonl"]
    assert has_all_steps(tmp_path / "steps", 8, 3) is (outcome is Outcome.FINISHED)


def test_what_precedes_a_saved_state_is_on_disk(tmp_path: Path) -> None:
    pictures = sink(tmp_path)
    for index in range(4):
        pictures.on_step(noise_at(index, 8))
    pictures.keep(3)
    assert names(tmp_path / "steps") == ["000000.png"]
    pictures.keep(4)
    assert names(tmp_path / "steps") == ["000000.png", "000003.png"]


def test_a_run_names_the_folder_in_a_note_and_in_its_document_only(cli: Cli) -> None:
    made = cli(*EVERY, "--gif")
    assert made.exit_code == 0
    assert made.stdout.split() == [f"{NAME}.png", f"{NAME}.gif"]
    assert f"the pictures of single steps are in {FOLDER}" in made.stderr.splitlines()
    assert names(FOLDER) == OF_TWELVE
    with Image.open(f"{NAME}.png") as picture, Image.open(FOLDER / OF_TWELVE[-1]) as last:
        assert picture.tobytes() == last.tobytes()
    records = [metadata.read(FOLDER / name) or {} for name in OF_TWELVE]
    assert [record["steps_done"] for record in records] == [0, 5, 10, 12]
    document = json.loads(cli(*EVERY, "--json").stdout)
    assert document["step_pictures"] == f"{NAME}-2-steps"
    assert "step_pictures" not in json.loads(cli(*SMALL, "--json").stdout)


def test_without_metadata_they_hold_pixels_only(cli: Cli) -> None:
    assert cli(*EVERY, "--no-metadata").exit_code == 0
    assert [metadata.read(FOLDER / name) for name in OF_TWELVE] == [None] * 4


@pytest.mark.parametrize("taken", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_a_taken_name_is_left_alone(cli: Cli, taken: Callable[[Path], object]) -> None:
    FOLDER.parent.mkdir()
    taken(FOLDER)
    assert cli(*EVERY).stdout == f"{NAME}-2.png\n"
    assert names(Path(f"{NAME}-2-steps")) == OF_TWELVE
    assert names(FOLDER.parent) == sorted([f"{Path(NAME).name}{end}" for end in ("-2-steps", "-2.png", "-steps")])
    assert not FOLDER.is_dir() or names(FOLDER) == []
    assert cli(*SMALL).stdout == f"{NAME}.png\n"  # which needs no such folder


def test_a_run_that_is_stopped_at_once_leaves_nothing(cli: Cli) -> None:
    assert cli("nonsense", *EVERY[1:]).exit_code != 0
    assert not Path("outputs").exists() or names(Path("outputs")) == []


@pytest.mark.parametrize("index", [0, 5, 7])
def test_a_resumed_run_has_the_pictures_of_one_that_was_never_stopped(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, index)
        assert cli(*EVERY, "-o", "parts").exit_code == 130
    folder = f"parts/{FOLDER.name}"
    assert names(Path(folder)) == [name for name in OF_TWELVE if int(name[:6]) <= index]
    assert cli("resume", f"parts/{Path(NAME).name}.png").exit_code == 0
    assert cli(*EVERY, "-o", "whole").exit_code == 0
    assert digests(folder) == digests(f"whole/{FOLDER.name}")
    assert names(Path("parts")) == names(Path("whole"))


def test_a_folder_that_was_removed_meanwhile_is_made_again(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        assert cli(*EVERY).exit_code == 130
    shutil.rmtree(FOLDER)
    assert cli("resume", f"{NAME}.png").exit_code == 0
    assert names(FOLDER) == OF_TWELVE[2:]


@pytest.mark.slow
def test_a_killed_run_replaces_what_it_wrote_after_its_last_save(cli: Cli) -> None:
    process = start(*SMALL[:-1], "3600", "--save-every-step", "1", pause=0.3)
    while not (FOLDER / "000004.png").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    other = Image.new("RGB", (32, 32), "red")  # as of a run on another device
    other.save(FOLDER / "000003.png")
    claimed = Path("claimed.png")
    shutil.copy(FOLDER / "000003.png", claimed)
    OwnSteps(Path(f"{NAME}.clipgen")).claim(claimed, Path("nowhere") / "000003.png")
    assert cli("resume", f"{NAME}.png").exit_code == 0
    assert cli(*SMALL, "--save-every-step", "1", "-o", "whole").exit_code == 0
    assert digests(str(FOLDER)) == digests(f"whole/{FOLDER.name}")


PUTS = [
    lambda path: path.write_bytes(b"a stranger's"),
    lambda path: path.symlink_to("precious"),
    Path.mkdir,
    os.mkfifo,
]


@pytest.mark.parametrize("put", PUTS)
def test_the_file_of_another_is_not_replaced(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path], object]
) -> None:
    path = FOLDER / "000010.png"
    before: list[int] = []
    at_step(monkeypatch, 7, lambda: (put(path), before.append(path.lstat().st_ino)))
    made = cli(*EVERY, "--quiet")
    assert (made.exit_code, made.stdout) == (0, f"{NAME}.png\n")
    assert made.stderr == f"warning: the step picture {path} was not written: another file was put there meanwhile\n"
    assert path.lstat().st_ino == before[0]
    assert names(FOLDER) == OF_TWELVE
    assert names(FOLDER.parent) == [f"{Path(NAME).name}-steps", f"{Path(NAME).name}.png"]


def test_a_full_disk_costs_the_step_pictures_only(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(steps, "write_picture", full)
    made = cli(*EVERY)
    assert (made.exit_code, made.stdout) == (0, f"{NAME}.png\n")
    assert made.stderr.splitlines()[-1] == (
        f"warning: 4 step pictures were not written; {FOLDER}/000000.png was not written: No space left on device"
    )
    assert names(FOLDER.parent) == [f"{Path(NAME).name}.png"]


@pytest.mark.parametrize("put", [Path.touch, lambda path: path.symlink_to("moved"), os.mkfifo])
def test_what_has_the_name_of_the_folder_is_told_before_a_run_goes_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path], object]
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 6)
        assert cli(*EVERY).exit_code == 130
    FOLDER.rename(FOLDER.with_name("moved"))
    put(FOLDER)
    refused = cli("resume", f"{NAME}.png")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"error: {FOLDER} is no folder, and that of the step pictures has this name; move it away\n"
    )
    FOLDER.unlink()
    FOLDER.with_name("moved").rename(FOLDER)
    assert cli("resume", f"{NAME}.png").exit_code == 0
    assert names(FOLDER) == OF_TWELVE


@pytest.mark.parametrize("damage", [None, Path.unlink, lambda path: os.truncate(path, path.stat().st_size - 1)])
def test_a_batch_makes_those_again_that_are_not_whole(cli: Cli, damage: Callable[[Path], object] | None) -> None:
    Path("prompts.txt").write_text("red|blue:0.3\n")
    command = ("batch", "prompts.txt", *EVERY[1:])
    assert json.loads(cli(*command, "--json").stdout)["pictures"][0]["step_pictures"] == str(FOLDER)
    if damage:
        damage(FOLDER / "000005.png")
    assert cli(*command).stdout == (f"{NAME}-2.png\n" if damage else "")


@pytest.mark.parametrize("log", ["", "\n[]\n{}\n[1]\n", "[" * 100_000, '["000003.png", "x", 3]\n', "\xff", None])
def test_a_damaged_log_makes_nothing_the_runs_own(tmp_path: Path, log: str | None) -> None:
    picture, part, record = tmp_path / "000003.png", tmp_path / "part.png", tmp_path / "steps.jsonl"
    part.write_bytes(b"mine")
    os.mkfifo(record) if log is None else record.write_text(log, encoding="latin-1")
    picture.write_bytes(b"another's")
    with pytest.raises(FileExistsError):
        OwnSteps(tmp_path).claim(part, picture)
    picture.write_bytes(b"mine")  # the same picture does no harm
    OwnSteps(tmp_path).claim(part, picture)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--save-every-step", "0"), "--save-every-step must be a whole number from 1 to 100000, got 0"),
        (("--save-every-step", "-5"), "--save-every-step must be a whole number from 1 to 100000, got -5"),
        (("--save-every-step", "x"), "--save-every-step must be a whole number, got 'x'"),
        (("--save-every-steps", "5"), "--save-every-step"),
        (("--save-every", "-1"), "--save-every must be from 0 to 86400 seconds, got -1"),
        (("--save-interval", "5"), "use --save-every-step NUMBER"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(cli: Cli, args: tuple[str, ...], said: str) -> None:
    result = cli("red", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_seconds_are_not_steps(cli: Cli) -> None:
    assert cli(*SMALL[:-1], "5").exit_code == 0
    assert names(Path("outputs")) == [f"{Path(NAME).name}.png"]
