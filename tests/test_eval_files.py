"""What evaluations read and keep: files of prompts, folders with settings, seconds, and plots."""

import json
import sys
from pathlib import Path

import pytest
from fakes import plan

from clipgen.cli.eval_plots import plot_records
from clipgen.cli.eval_prompt_file import PromptRow, read_prompts, spread
from clipgen.errors import UsageError
from clipgen.session.evaluation_folder import described, evaluation_folder, remove_if_empty
from clipgen.session.evaluation_run import added


def rows(folder: Path, text: str, name: str = "p.tsv") -> list[PromptRow]:
    path = folder / name
    path.write_bytes(text.encode())
    return read_prompts(path)


def test_a_table_has_columns_in_any_order_and_cells_in_quotes(tmp_path: Path) -> None:
    text = '\ufeffNote\tCategory\tPrompt\r\nx\tArts\t"a sign ""no"""\r\n\t"A, B"\ta sign that says "no"\r\n\t\tlast'
    assert rows(tmp_path, text) == [
        PromptRow('a sign "no"', "Arts"),
        PromptRow('a sign that says "no"', "A, B"),
        PromptRow("last"),
    ]


def test_rows_without_a_prompt_and_repeated_ones_are_left_out(tmp_path: Path) -> None:
    assert [row.text for row in rows(tmp_path, "Prompt\tNote\na\t1\n\tb\n\na\t2\nc")] == ["a", "c"]


def test_plain_lines_are_taken_as_they_are(tmp_path: Path) -> None:
    text = "# title\n a cat:2 \n\na {red|b} dog".replace("|", "/")
    assert [row.text for row in rows(tmp_path, text, "p.txt")] == ["a cat:2", "a {red/b} dog"]


def test_a_part_is_spread_evenly() -> None:
    some = [PromptRow(str(k)) for k in range(10)]
    assert [row.text for row in spread(some, 4)] == ["0", "2", "5", "7"]
    assert spread(some, 10) == some


def test_a_folder_is_continued_by_the_same_settings_only(tmp_path: Path) -> None:
    one, other = described([plan("red")]), described([plan("red", lr=0.2)])
    assert one["prompts"] == other["prompts"]
    first = evaluation_folder(tmp_path, "eval", one)
    assert (first, evaluation_folder(tmp_path, "eval", one)) == (tmp_path / "eval", tmp_path / "eval")
    assert evaluation_folder(tmp_path, "eval", other).name == "eval-2"
    assert evaluation_folder(tmp_path, "eval", one).name == "eval"
    assert evaluation_folder(tmp_path, "eval", one, redo=True).name == "eval-3"
    assert evaluation_folder(tmp_path, "eval", one).name == "eval-3"  # a redo that was stopped goes on


def test_a_folder_goes_only_if_nothing_was_made(tmp_path: Path) -> None:
    folder = evaluation_folder(tmp_path, "eval", described([plan("red")]))
    (folder / "pictures").mkdir()
    (folder / "pictures" / "red-0.png").touch()
    remove_if_empty(folder)
    assert (folder / "settings.json").exists()
    (folder / "pictures" / "red-0.png").unlink()
    remove_if_empty(folder)
    assert not folder.exists()


def test_seconds_add_up_over_stops_and_are_unknown_after_a_kill() -> None:
    stopped = added(None, 0, 2.0, {"steps_done": 3})
    assert stopped == {"seconds": 2.0, "steps": 3}
    assert added(stopped, 3, 1.5, {"steps_done": 8}) == {"seconds": 3.5, "steps": 8}
    assert added(stopped, 6, 1.5, {"steps_done": 8}) == {"seconds": None, "steps": 8}
    assert added(None, 6, 1.5, {"steps_done": 8}) == {"seconds": None, "steps": 8}
    assert added(stopped, 0, 1.0, {"steps_done": 8}) == {"seconds": 1.0, "steps": 8}


def world(path: Path, seconds: float, prompts: int = 2) -> Path:
    sure = {"R@1": {"value": 0.5, "low": 0.2, "high": 0.8}}
    scores = {"R@1": 0.5, "seconds a picture": seconds}
    record = {"scores": scores, "intervals": sure, "prompts": [str(k) for k in range(prompts)]}
    path.write_text(json.dumps(record))
    return path


def test_quality_over_seconds_is_a_picture(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    pytest.importorskip("matplotlib")
    files = [world(tmp_path / "a.json", 1.0), world(tmp_path / "b.json", 30.0)]
    for number in ("", "-2"):
        plot_records(files, tmp_path / "out")
        written = tmp_path / "out" / f"quality-over-seconds{number}.png"
        assert written.read_bytes().startswith(b"\x89PNG")


def test_only_records_of_the_same_measure_are_compared(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(UsageError, match="2 prompts of the drawn world and R@1 among 3 prompts"):
        plot_records([world(tmp_path / "a.json", 1.0), world(tmp_path / "b.json", 1.0, 3)], tmp_path)
    (tmp_path / "c.json").write_text("[1]")
    with pytest.raises(UsageError, match=r"c\.json is no record of an evaluation"):
        plot_records([tmp_path / "c.json"], tmp_path)


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"--plot needs Matplotlib.*clipgen\[plots\]"):
        plot_records([world(tmp_path / "a.json", 1.0)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
