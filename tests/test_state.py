"""What a stopped run leaves on disk is whole, locked while it is in use, and read as data."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import fake_models, plan
from PIL import Image

from clipgen.config.plan import Plan
from clipgen.engine.optimise import optimise
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import UsageError
from clipgen.session.state import BusyError, Order, PeriodicKeeper, Workspace, read_order, with_more_steps, workspaces

SNAPSHOT = Snapshot(3, False, 0.05, {"generator.start": torch.arange(4.0), "optimizer.counts": torch.tensor([3])})


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.create(tmp_path / "a.clipgen", Order.of(plan(), [".mp4"]))
    yield made
    made.release()


def test_what_was_asked_for_comes_back(workspace: Workspace) -> None:
    workspace.release()
    again = Workspace.open(workspace.folder)
    assert again.order == workspace.order == Order.of(plan(), [".mp4"])
    assert again.snapshot() is None
    assert not again.has_snapshot
    again.release()


def test_a_snapshot_comes_back_to_the_bit_and_replaces_the_last(workspace: Workspace) -> None:
    workspace.keep(replace(SNAPSHOT, done=1))
    workspace.keep(SNAPSHOT)
    kept = workspace.snapshot()
    assert kept is not None
    assert (kept.done, kept.grown, kept.lr) == (3, False, 0.05)
    assert kept.tensors.keys() == SNAPSHOT.tensors.keys()
    assert all(torch.equal(kept.tensors[name], tensor) for name, tensor in SNAPSHOT.tensors.items())
    assert sorted(path.name for path in workspace.folder.iterdir()) == ["job.json", "lock", "state.safetensors"]


def test_the_init_image_is_kept_as_the_run_uses_it_and_its_path_is_not(tmp_path: Path) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 90, 3), dtype=np.uint8))
    path = tmp_path / "secret-folder" / "face.png"
    path.parent.mkdir()
    photo.save(path)
    asked = plan(init=str(path), lr=0.02)
    workspace = Workspace.create(tmp_path / "a.clipgen", Order.of(asked), photo)
    workspace.release()
    assert b"secret-folder" not in b"".join(file.read_bytes() for file in workspace.folder.iterdir())
    again = Workspace.open(workspace.folder)
    assert again.order.plan.init == "face.png"
    assert (
        optimise(again.order.plan, fake_models(), init=again.inputs).image
        == optimise(asked, fake_models(), init=photo).image
    )
    again.release()


def test_a_folder_in_use_is_left_alone(workspace: Workspace) -> None:
    with pytest.raises(BusyError, match="another process"):
        Workspace.open(workspace.folder)
    with pytest.raises(UsageError, match="cannot be created"):
        Workspace.create(workspace.folder, Order.of(plan()))
    workspace.discard()
    assert not workspace.folder.exists()


def test_a_link_in_place_of_the_lock_is_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    workspace.release()
    (tmp_path / "precious").write_text("precious")
    (workspace.folder / "lock").unlink(missing_ok=True)
    (workspace.folder / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(UsageError, match="lock is not a regular file"):
        Workspace.open(workspace.folder)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "null", '{"schema": 1, "asked": {"job": {}}, "films": [], "metadata": true}',
     '{"schema": 2, "plan": {}, "films": [], "metadata": true}', '{"films": [], "metadata": 1}', "[" * 100_000,
     '{"schema": 1, "films": [".exe"], "metadata": true, "asked": {"job": {"prompts": [{"text": "a"}]}}}'],
)  # fmt: skip
def test_a_damaged_record_is_refused(workspace: Workspace, text: str) -> None:
    workspace.release()
    (workspace.folder / "job.json").write_text(text)
    assert read_order(workspace.folder) is None
    with pytest.raises(UsageError, match="damaged"):
        Workspace.open(workspace.folder)


@pytest.mark.parametrize("cut", [0, 1, 8, 60, -1])
def test_a_damaged_snapshot_is_refused(workspace: Workspace, cut: int) -> None:
    workspace.keep(SNAPSHOT)
    path = workspace.folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UsageError, match="damaged"):
        workspace.snapshot()


def test_the_folders_of_a_name_are_found(tmp_path: Path) -> None:
    for name in ("a cat.clipgen", "a cat-2.clipgen", "a cathedral.clipgen", "a cat.png"):
        (tmp_path / name).mkdir()
    assert [path.name for path in workspaces(tmp_path, "a cat")] == ["a cat-2.clipgen", "a cat.clipgen"]


def test_snapshots_are_kept_every_so_often_after_what_must_survive_with_them(workspace: Workspace) -> None:
    now, seen = [0.0], []

    def before(done: int) -> None:
        seen.append((done, workspace.has_snapshot))

    keeper = PeriodicKeeper(workspace, 10.0, [before], clock=lambda: now[0])
    assert not keeper.is_due(12, 12)
    assert PeriodicKeeper(workspace, 10.0, last=True, clock=lambda: now[0]).is_due(12, 12)
    now[0] = 10.0
    assert keeper.is_due(1, 12)
    keeper.keep(SNAPSHOT)
    assert not keeper.is_due(1, 12)
    assert seen == [(3, False)]
    assert keeper.problem is None


def test_a_snapshot_that_cannot_be_written_harms_nothing(workspace: Workspace) -> None:
    workspace.keep(SNAPSHOT)
    before = (workspace.folder / "state.safetensors").read_bytes()

    def full(_done: int) -> None:
        raise OSError(28, "No space left on device")

    keeper = PeriodicKeeper(workspace, 0.0, [full])
    keeper.keep(replace(SNAPSHOT, done=9))
    assert keeper.problem is not None
    assert "No space left" in keeper.problem
    assert (workspace.folder / "state.safetensors").read_bytes() == before


@pytest.mark.parametrize(("steps", "total"), [(None, 12), ("20", 20), ("+5", 17)])
def test_more_steps(steps: str | None, total: int) -> None:
    order = with_more_steps(Order.of(plan()), steps, done=8)
    assert order == Order.of(plan(steps=total))


@pytest.mark.parametrize("steps", ["8", "x", "-4", "+", "1.5", "9" * 20, "²"])
def test_no_other_steps(steps: str) -> None:
    with pytest.raises(UsageError, match="--steps"):
        with_more_steps(Order.of(plan()), steps, done=8)


def test_the_record_holds_the_whole_plan(workspace: Workspace) -> None:
    record = json.loads((workspace.folder / "job.json").read_text())
    assert Plan.from_dict(record["plan"]) == plan()
