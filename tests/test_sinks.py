"""The picture is written whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.core.contracts import Outcome, Step
from clipgen.errors import ClipgenError
from clipgen.outputs import metadata
from clipgen.outputs.picture import PictureSink
from clipgen.util import files as naming

PLAN = resolve(Job(parse_prompts("a cat"), steps=100, size=(32, 16)))[0]


def step_at(index: int, total: int = 100) -> Step:
    picture, number = torch.full((3, 16, 32), index / total), torch.tensor(0.25)
    return Step(index=index, total=total, loss=number, score=number, terms={}, draw=lambda: picture)


@pytest.mark.parametrize("outcome", [Outcome.FINISHED, Outcome.INTERRUPTED])
def test_png_has_the_last_picture_and_its_recipe(tmp_path: Path, outcome: Outcome) -> None:
    sink = PictureSink(tmp_path / "a.png", PLAN)
    sink.on_step(step_at(0))
    sink.on_step(step_at(60))
    sink.close(outcome)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (32, 16)
        assert np.asarray(image).tolist() == np.full((16, 32, 3), 153).tolist()
    record = metadata.read(tmp_path / "a.png")
    assert record is not None
    assert (record["outcome"], record["steps_done"], record["clip_score"]) == (outcome.value, 60, 0.25)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_no_png_of_a_failed_run_or_of_no_step(tmp_path: Path) -> None:
    failed = PictureSink(tmp_path / "a.png", PLAN)
    failed.on_step(step_at(1))
    failed.close(Outcome.FAILED)
    PictureSink(tmp_path / "b.png", PLAN).close(Outcome.INTERRUPTED)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_and_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(partial: Path, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(naming, "publish", full)
    (tmp_path / "a.png").write_text("old")
    sink = PictureSink(tmp_path / "a.png", PLAN)
    sink.on_step(step_at(1))
    with pytest.raises(ClipgenError, match=r"the picture .*a\.png could not be written: No space left on device"):
        sink.close(Outcome.FINISHED)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.png", "old")]


def test_the_init_image_may_go_while_the_run_lasts(tmp_path: Path) -> None:
    init = tmp_path / "init.png"
    init.write_bytes(b"pixels")
    sink = PictureSink(tmp_path / "a.png", resolve(Job(parse_prompts("a cat"), init=str(init)))[0])
    init.unlink()
    sink.on_step(step_at(1))
    sink.close(Outcome.FINISHED)
    assert (tmp_path / "a.png").exists()
