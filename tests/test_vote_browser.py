"""The vote page in a real browser: keys, clicks, undo, what is kept and saved, and that nothing leaves the file.

It needs Chromium, a package of most systems, and Playwright, `pip install playwright`, which drives it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import NEEDED, chromium  # noqa: F401 - a fixture
from PIL import Image

from clipgen.outputs.vote_page import Question, page
from clipgen.session.votes import Comparison, read_ballot

OWN = ("file:", "data:", "blob:")
HOSTILE = (
    "a cat",
    "</script><script>document.title='broken'</script>",
    '<img src="http://127.0.0.1:9/x" onerror="document.title=1">',
    "\"quotes' & <b>tags</b> \u2028 {{PAIRS}} ${1}",
    "\u202eقطة على \u05d7\u05ea\u05d5\u05dc",
)
"""Prompts that a careless page would run, fetch, or show turned around."""
COMPARISON = Comparison("0123456789abcdef", ("A", "B"), (Question(0, 0, 1),) * len(HOSTILE), {})
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}

pytestmark = [pytest.mark.slow, *NEEDED]


def pictures(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "vote.html"
    pairs = [(text, pictures(2 * number), pictures(2 * number + 1)) for number, text in enumerate(HOSTILE)]
    path.write_text(page("0123456789abcdef", pairs, 256), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any, file: Path, tmp_path: Path) -> Iterator[Any]:
    """The page, in a context whose every request and error is noted and must be none."""
    context = browser.new_context(viewport=DESKTOP, accept_downloads=True)
    asked: list[str] = []
    problems: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    shown = context.new_page()
    shown.on("console", lambda message: problems.append(message.text))
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.goto(file.as_uri())
    yield shown
    context.close()
    assert [url for url in asked if not url.startswith(OWN)] == []
    assert problems == []


def saved(shown: Any) -> dict[str, Any]:
    with shown.expect_download() as download:
        shown.get_by_role("button", name="Save votes").click()
    assert download.value.suggested_filename.startswith("votes-")
    path = Path(download.value.path())
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    ballot = read_ballot(path, COMPARISON)
    assert [ballot.votes[number] for number in sorted(ballot.votes)] == votes(document)
    assert ballot.voter == document["voter"]
    assert document == json.loads(shown.locator("#text").input_value())
    return document


def votes(document: dict[str, Any]) -> list[str]:
    assert [row["pair"] for row in document["votes"]] == list(range(1, 1 + len(document["votes"])))
    return [row["vote"] for row in document["votes"]]


def test_all_pairs_are_voted_on_by_keys(opened: Any) -> None:
    for number, (text, key) in enumerate(zip(HOSTILE, ("ArrowLeft", "ArrowRight", "Space", "u", "Space"), strict=True)):
        if key == "u":
            opened.keyboard.press("u")  # back to the third
            assert opened.locator("#place").inner_text() == "3 of 5"
            opened.keyboard.press("ArrowLeft")
            opened.keyboard.press("ArrowRight")
            continue
        assert opened.locator("#prompt").evaluate("each => each.textContent") == text
        assert opened.locator("#place").inner_text() == f"{number + 1} of 5"
        opened.keyboard.press(key)
    assert opened.locator("#place").inner_text() == "5 of 5 done"
    assert not opened.locator("#vote").is_visible()
    opened.keyboard.press("ArrowLeft")  # there is nothing left to vote on
    document = saved(opened)
    assert votes(document) == ["left", "right", "left", "right", "equal"]
    assert document["comparison"] == "0123456789abcdef"
    assert document["format"] == "clipgen votes 1"
    assert opened.title() == "Which picture fits better?"


def test_all_pairs_are_voted_on_by_clicks_and_a_name_is_typed(opened: Any) -> None:
    opened.get_by_label("Your name").fill("u ← Ann <b>")
    for name in ("Left", "Right", "About equal", "Left"):
        opened.get_by_role("button", name=name).click()
    opened.get_by_role("button", name="Undo").click()
    opened.locator("#equal").focus()
    opened.keyboard.press("Space")  # presses the button, once
    document = saved(opened)
    assert votes(document) == ["left", "right", "equal", "equal"]
    assert document["voter"] == "u ← Ann <b>"
    opened.reload()
    assert opened.locator("#place").inner_text() == "5 of 5"  # what was voted is kept
    assert saved(opened) == document


def test_the_page_goes_on_without_a_store(opened: Any) -> None:
    opened.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('refused'); } })")
    opened.reload()
    opened.keyboard.press("ArrowRight")
    assert votes(saved(opened)) == ["right"]


def test_a_screen_reader_is_told_what_changes(opened: Any) -> None:
    assert opened.locator("#place").get_attribute("aria-live") == "polite"
    opened.keyboard.press("ArrowLeft")
    assert opened.evaluate("document.activeElement.id") == "prompt"
    names = opened.locator("main button:visible").evaluate_all("all => all.map(one => one.innerText.split(' ')[0])")
    assert names == ["Left", "Right", "About", "Undo"]
    assert opened.get_by_role("img", name="Left picture").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_pairs_fit_on_the_screen(opened: Any, size: dict[str, int], scheme: str, tmp_path: Path) -> None:
    opened.set_viewport_size(size)
    opened.emulate_media(color_scheme=scheme)
    left, right = (opened.locator(f"#{side}").bounding_box() for side in ("left", "right"))
    assert left["x"] >= 0
    assert left["x"] + left["width"] <= right["x"]
    assert right["x"] + right["width"] <= size["width"]
    assert left["width"] == pytest.approx(right["width"], abs=1)
    equal = opened.locator("#equal").bounding_box()
    assert equal["y"] + equal["height"] <= size["height"]
    assert opened.evaluate("document.documentElement.scrollWidth") <= size["width"]
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(253, 253, 252)") == (scheme == "light")
    opened.screenshot(path=tmp_path / "page.png", full_page=True)
    with Image.open(tmp_path / "page.png") as image:
        assert len(image.convert("RGB").getcolors(2**24) or []) > 500  # the pictures are there
