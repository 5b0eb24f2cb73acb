"""What a notebook shows of jobs, runs and results, and the functions and films that `generate` takes."""

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from fakes import job as small_job
from PIL import Image
from test_generate import SMALL, _fakes, made, pixels

import clipgen
from clipgen.core.contracts import Outcome, Step
from clipgen.errors import UsageError
from clipgen.outputs.notebook import SHARE, NotebookProgress
from clipgen.outputs.whole import is_whole_film
from clipgen.util.interrupts import Stop

_ = _fakes  # applies here, too


class Page(HTMLParser):
    """Collects the elements, their texts and the data inside; fails on elements that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "img":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"

    def sources(self, tag: str) -> list[tuple[str, bytes]]:
        """The media types and contents of the data URIs of elements."""
        found = [str(attributes["src"]) for name, attributes in self.elements if name == tag]
        pairs = [re.fullmatch(r"data:([a-z0-9/]+);base64,(.*)", each) for each in found]
        return [(pair[1], base64.b64decode(pair[2], validate=True)) for pair in pairs if pair]


def test_a_result_shows_its_picture_with_its_recipe_and_its_settings() -> None:
    result = made("red", seed=7)
    page = Page(result._repr_html_())
    assert page.sources("img") == [("image/png", result._repr_png_())]
    for shown in ("red", "seed 7, score ", "settings", "cutouts", "48x32" if result.plan.size == (48, 32) else "32x32"):
        assert shown in page.text
    assert "finished" not in page.text


def test_a_job_shows_what_was_asked_for_and_nothing_else() -> None:
    page = Page(small_job("red:2|blue", losses=("palette:1:navy", "saturation:2"), seed=3)._repr_html_())
    rows = page.text.split("\n")
    names = ["prompts", "size", "steps", "seed", "cutouts", "lr", "losses"]
    assert set(names) <= set(rows)
    assert rows[0] == "prompts"
    for shown in ("red:2|blue", "48x32", "12", "3"):
        assert shown in rows
    assert "init_weight" not in page.text


def test_no_prompt_becomes_html_or_hides_anything() -> None:
    prompt = '<script>alert("x")</script> \u202ehidden'
    page = Page(small_job(prompt)._repr_html_())
    assert {tag for tag, _ in page.elements} == {"table", "tr", "th", "td"}
    assert '<script>alert("x")</script> \\u202ehidden' in page.text


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".apng"])
def test_a_film_is_written_and_shown(suffix: str) -> None:
    result = made(film=f"new/red{suffix}", seed=1)
    [path] = result.films
    assert path == Path("new", f"red{suffix}")
    assert is_whole_film(path)
    kind = {".mp4": "video/mp4", ".gif": "image/gif", ".apng": "image/apng"}[suffix]
    page = Page(result._repr_html_())
    assert (kind, path.read_bytes()) in page.sources("video" if kind.startswith("video") else "img")
    path.unlink()
    assert str(path) in Page(result._repr_html_()).text
    assert pixels(made(seed=1)) == pixels(result)


def test_several_films_and_names_that_are_taken() -> None:
    Path("a.gif").write_bytes(b"mine")
    result = made(film=["a.gif", Path("a.apng")])
    assert result.films == (Path("a-2.gif"), Path("a.apng"))
    assert Path("a.gif").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"film": "cat.avi"}, "film must be a path that ends in .mp4, .webm, .gif, .apng, or several, got 'cat.avi'"),
        ({"film": "film"}, "film must be a path"),
        ({"film": 3}, "film must be a path that ends in .mp4, .webm, .gif, .apng, or several, got 3"),
        ({"film": ["a.mp4", 3]}, "film must be a path that ends in .mp4, .webm, .gif, .apng, or several, got 3"),
        ({"film": "file/a.mp4"}, "film file cannot be written"),
        ({"progress": "yes"}, "progress must be True, False, None or a function of the progress, got 'yes'"),
        ({"on_step": 3}, "on_step must be a function of a step, got 3"),
    ],
)
def test_what_cannot_watch_a_run_is_refused_before_it(settings: dict[str, Any], message: str) -> None:
    Path("file").touch()
    with pytest.raises(UsageError) as raised:
        made(**settings)
    assert str(raised.value).startswith(message)
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_a_film_that_cannot_be_made_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clipgen.outputs.film.publish", full)
    result = made(film="a.gif")
    assert result.films == ()
    assert result.notes[-1].startswith("warning: the film a.gif was not written: ")
    assert list(Path().iterdir()) == []


def test_a_function_receives_the_progress() -> None:
    seen: list[clipgen.Progress] = []
    result = made(steps=5, progress=seen.append)
    assert [each.step for each in seen] == [0, 1, 2, 3, 4, 5]
    assert {each.total for each in seen} == {5}
    assert seen[-1].score == pytest.approx(result.score)
    assert seen[0].seconds_left is None
    assert seen[-1].seconds_left == 0
    with pytest.raises(AttributeError):
        seen[0].step = 3  # type: ignore[misc]


def test_a_function_receives_every_step_and_ends_the_run_with_the_picture_so_far() -> None:
    seen: list[Step] = []
    stop = Stop()
    result = made(steps=50, on_step=lambda step: seen.append(step) or len(seen) < 4, stop=stop)
    assert [step.index for step in seen] == [0, 1, 2, 3, 4]
    assert result.outcome is Outcome.INTERRUPTED
    assert result.record["steps_done"] == 4
    assert not stop.asked  # it belongs to its owner, who may use it for other runs
    assert "interrupted" in Page(result._repr_html_()).text
    assert made(steps=3, on_step=lambda step: None).outcome is Outcome.FINISHED


def test_the_stop_of_the_user_is_heard_beside_a_function() -> None:
    stop = Stop()
    assert made(steps=50, stop=stop, on_step=lambda _step: stop.ask()).record["steps_done"] == 1


@pytest.mark.parametrize("name", ["progress", "on_step"])
def test_a_function_that_fails_is_named_and_costs_no_picture(name: str) -> None:
    def fail(_value: object) -> None:
        raise KeyError("mine")

    result = made(**{name: fail})
    assert result.outcome is Outcome.FINISHED
    assert result.notes[-1] == f"warning: {name} was left out after KeyError: 'mine'"


class Notebook:
    """Stands for IPython: keeps what is displayed, by display."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: dict[str, list[dict[str, str]]] = {}
        modules = {name: ModuleType(name) for name in ("IPython", "IPython.display")}
        shell = SimpleNamespace(kernel=object())
        vars(modules["IPython"])["get_ipython"] = lambda: shell
        vars(modules["IPython.display"]).update(display=self._display, update_display=self._update)
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    def _display(self, content: dict[str, str], *, raw: bool, display_id: bool) -> SimpleNamespace:
        assert raw
        assert display_id
        name = str(len(self.shown))
        self.shown[name] = [content]
        return SimpleNamespace(display_id=name)

    def _update(self, content: dict[str, str], *, raw: bool, display_id: str) -> None:
        assert raw
        self.shown[display_id].append(content)


def test_a_notebook_shows_the_picture_while_it_is_made_and_then_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    result = made("red", size=(45, 32), steps=4)
    [shown] = notebook.shown.values()
    assert shown[0]["text/plain"] == "red: preparing"
    first, last = Page(shown[1]["text/html"]), Page(shown[-1]["text/html"])
    [(kind, content)] = first.sources("img")
    assert kind == "image/jpeg"
    assert Image.open(io.BytesIO(content)).size == (48, 32)
    assert "progress" in [tag for tag, _ in first.elements]
    assert "red: 0/4" in first.text
    assert re.search(r"red: 4/4  loss \S+  score \S+  .* steps/s  in 0:00:0", last.text)
    assert {tag for tag, _ in last.elements} == {"div"}
    assert result.notes[0] in last.text
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize("progress", [False, lambda _progress: None])
def test_a_notebook_shows_nothing_where_nothing_is_wanted(progress: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch)
    made(progress=progress)
    assert not notebook.shown


def test_how_a_run_ended_early_is_on_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch)
    made(steps=50, on_step=lambda _step: False)
    [shown] = notebook.shown.values()
    assert "1/50" in shown[-1]["text/plain"]
    assert "interrupted  in 0:00:0" in shown[-1]["text/plain"]


def test_showing_takes_a_small_part_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook, now = Notebook(monkeypatch), [0.0]
    sink = NotebookProgress(clock=lambda: now[0]).begin("red")
    drawn = []

    def draw() -> Any:
        now[0] += 1.0  # a slow picture
        drawn.append(now[0])
        return Image.new("RGB", (8, 8))

    monkeypatch.setattr("clipgen.util.images.to_pil", lambda image: image)
    for index in range(1000):
        sink.on_step(Step(index, 1000, 0.5, 0.5, {}, draw))  # type: ignore[arg-type]
        now[0] += 1.0
    assert len(drawn) <= 1.5 * SHARE * now[0] + 1
    assert len(notebook.shown["0"]) == len(drawn) + 1


def test_pictures_are_the_same_whoever_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = pixels(made(seed=1))
    Notebook(monkeypatch)
    for watching in ({}, {"progress": print}, {"on_step": lambda step: step.image}, {"film": "a.gif"}):
        assert pixels(made(seed=1, **watching)) == alone
    assert SMALL["steps"] == 3
