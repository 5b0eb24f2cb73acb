"""A training on one's own pictures: stopped, taken up again, ended early, limited in time, on a full disk."""

import errno
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from own_pictures import SIDE, shrink, train, write_pictures

from clipgen.config.own_presets import read_own_preset
from clipgen.errors import ClipgenError, UsageError
from clipgen.training import clip, own, watch
from clipgen.training.autoencoders import VQGANTask
from clipgen.training.clip import ClipTask
from clipgen.training.loop import STATE, Losses
from clipgen.training.settings import KINDS, Settings


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shrink(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def stop_at(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Send Ctrl-C in each of these steps, once."""
    for task in (ClipTask, VQGANTask):
        plain = task.losses_at

        def losses_at(self: Any, step: int, plain: Any = plain) -> Losses:
            if step in steps:
                steps.remove(step)
                signal.raise_signal(signal.SIGINT)
            losses: Losses = plain(self, step)
            return losses

        monkeypatch.setattr(task, "losses_at", losses_at)


@pytest.mark.parametrize("kind", ["clip", "vqgan"])
def test_stopped_twice_it_ends_as_if_never_stopped(
    kind: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(kind, data, tmp_path / "whole", steps=8)
    stop_at(monkeypatch, {1, 4})
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(kind, data, tmp_path / "parts", said, steps=8)
        assert not (tmp_path / "parts" / f"{kind}.safetensors").exists()
    parts = train(kind, data, tmp_path / "parts", said, steps=8)
    assert [line for line in said if line.startswith("going on")] == [f"going on from step {k} of 8" for k in (2, 5)]
    assert parts.tensors.keys() == whole.tensors.keys()
    assert all(torch.equal(value, parts.tensors[name]) for name, value in whole.tensors.items())
    assert parts.recipe == whole.recipe


def test_all_networks_of_a_folder_make_one_preset(data: Path, tmp_path: Path) -> None:
    for kind in KINDS:
        train(kind, data, tmp_path)
    preset = read_own_preset(tmp_path)
    assert set(preset.networks) == set(KINDS)
    assert preset.size == (SIDE, SIDE)
    assert set(preset.captions) == {"a red square", "a blue square"}
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{kind}.safetensors" for kind in KINDS), "preset.json", "training"
    }  # fmt: skip


def losses_of_checks(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    left = iter(losses)
    monkeypatch.setattr(ClipTask, "held_out_loss", lambda _self, _module: next(left))


def test_the_best_weights_on_held_out_pictures_are_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses_of_checks(monkeypatch, [3.0, 2.0, 5.0, 6.0])
    best = train("clip", data, tmp_path / "a", steps=4)
    assert best.recipe["kept_step"] == 2
    losses_of_checks(monkeypatch, [3.0, 2.0, 1.0, 0.5])
    last = train("clip", data, tmp_path / "b", steps=4)
    assert last.recipe["kept_step"] == 4
    assert not all(torch.equal(value, last.tensors[name]) for name, value in best.tensors.items())


def test_patience_ends_a_training_that_brings_nothing_also_after_it_was_taken_up_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    losses_of_checks(monkeypatch, [3.0, 4.0, 4.0])
    ended = train("clip", data, tmp_path, said, steps=20, patience=2)
    assert ended.recipe["steps"] == 3
    assert any("stopping early" in line for line in said)
    again = train("clip", data, tmp_path, steps=20, patience=2)  # no check is left to be made
    assert again.recipe == ended.recipe


def test_minutes_become_steps_once_and_for_all(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_steps_in", lambda *_: 5)
    stop_at(monkeypatch, {1})
    with pytest.raises(KeyboardInterrupt):
        train("clip", data, tmp_path, steps=None, minutes=1.0)
    monkeypatch.setattr(own, "_steps_in", lambda *_: 77)
    assert train("clip", data, tmp_path, steps=None, minutes=1.0).recipe["steps"] == 5
    with pytest.raises(ClipgenError, match=r"minutes 1.0, now 2.0"):
        train("clip", data, tmp_path, steps=None, minutes=2.0)


def test_more_minutes_are_more_steps(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    plain = own._steps_in
    monkeypatch.setattr(own, "_steps_in", lambda *asked: found.append(plain(*asked)) or 2)
    monkeypatch.setattr(clip, "SHOWN", 1)
    for minutes in (0.5, 5.0):
        train("clip", data, tmp_path / f"{minutes}", steps=None, minutes=minutes)
    assert found[1] > 3 * found[0] > 3 * own.MIN_STEPS


def test_a_full_disk_costs_nothing_that_was_saved(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train("clip", data, tmp_path / "whole")
    stop_at(monkeypatch, {3})
    with pytest.raises(KeyboardInterrupt):
        train("clip", data, tmp_path / "parts")
    save = torch.save

    def full(_state: object, file: Any) -> None:
        file.write(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ClipgenError, match=r"No space left on device.*free space and give the same command again"):
        train("clip", data, tmp_path / "parts")
    monkeypatch.setattr(torch, "save", save)
    folder = tmp_path / "parts" / "training" / "clip"
    assert {path.name for path in folder.iterdir()} <= {STATE, "log.jsonl", "lock"}
    said: list[str] = []
    parts = train("clip", data, tmp_path / "parts", said)
    assert "going on from step 4 of 6" in said
    assert all(torch.equal(value, parts.tensors[name]) for name, value in whole.tensors.items())


def test_a_disk_that_is_full_for_a_while_ends_no_training(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = torch.save, []

    def sometimes(state: object, file: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError:  # what torch says then
                raise RuntimeError("[enforce fail at inline_container.cc:659] . unexpected pos 64 vs 0")  # noqa: B904
        save(state, file)

    monkeypatch.setattr(torch, "save", sometimes)
    monkeypatch.setattr(watch.WatchedFit, "save_seconds", 0.0)
    said: list[str] = []
    assert train("clip", data, tmp_path, said).recipe["steps"] == 6
    assert sum("warning" in line and "No space left on device" in line for line in said) == 1


def test_too_few_pictures_to_hold_any_out_are_trained_on_and_nothing_is_claimed(tmp_path: Path) -> None:
    said: list[str] = []
    few = write_pictures(tmp_path / "few", count=10)
    recipe = train("clip", few, tmp_path / "out", said, seed=1).recipe
    assert recipe["pictures"] == {"training": 10, "held_out": 0}
    assert recipe["metrics"] == {}
    assert any("nothing will be measured" in line for line in said)


def test_a_network_is_trained_by_one_process_at_a_time(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "training" / "clip"
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"), pytest.raises(ClipgenError, match="another process trains a clip"):
        train("clip", data, tmp_path)
    assert train("clip", data, tmp_path).recipe["steps"] == 6


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"resolution": 40}, "--resolution must be a multiple of 16, got 40"),
        ({"steps": 5, "minutes": 1.0}, "both say how long"),
        ({"size": "huge"}, "--size must be one of medium, small"),
        ({"batch": 1}, "--batch must be a whole number from 2"),
        ({"rate": 0.0}, "--lr must be a number"),
        ({"kind": "vqgan", "radius": 1.0}, "--radius is for the views of a CLIP"),
        ({"kind": "judge"}, "NAME must be one of"),
        ({"precision": "fp8"}, "--precision must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Settings(**{"kind": "clip", "data": Path("d"), "out": Path("o"), **values})
    assert "\n" not in str(caught.value)


def test_a_folder_with_something_else_in_the_place_of_a_preset_is_refused_before_the_training(
    data: Path, tmp_path: Path
) -> None:
    (tmp_path / "preset.json").write_text(json.dumps({"clipgen_preset": 99}))
    with pytest.raises(UsageError, match="version"):
        train("clip", data, tmp_path)
    assert not (tmp_path / "training").exists()
