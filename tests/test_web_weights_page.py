"""The download of what a preset needs, asked for, watched and stopped on the page in a real browser."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from browsers import NEEDED, chromium  # noqa: F401 - a fixture
from loopback import CONTENT, HALF, Files, dribbles, fetcher, says, serves
from web_pages import Show, address_of_server, browser_page, expect, faults, served_folder  # noqa: F401 - fixtures
from web_weights import DRAFT, QUICK, small_weights  # noqa: F401 - a fixture

from clipgen.web.jobs import Queue

pytestmark = NEEDED
TEXT, ERROR, SAID = "#weights-text", "#weights-error", "#announce"


@pytest.fixture
def gate(weights: Files, served: tuple[Queue, int]) -> Iterator[threading.Event]:
    """The second half of the file of preset quick comes once this is set."""
    served[0].downloads.make_fetcher = fetcher
    gate = threading.Event()
    weights.server.routes[f"/{QUICK}"] = dribbles(CONTENT, HALF, gate)
    yield gate
    gate.set()


def choose(page: Any, preset: str) -> None:
    page.get_by_label("What should the picture show?").fill("a cat")
    page.get_by_label("Preset").select_option(preset)


def test_a_preset_is_downloaded_stopped_and_gone_on_with(show: Show, gate: threading.Event) -> None:
    page = show()
    load, stop = page.get_by_role("button", name="Download"), page.get_by_role("button", name="Stop the download")
    expect(page.locator("#weights")).not_to_be_visible()
    choose(page, "quick")
    expect(page.locator(TEXT)).to_have_text("41 kB that this preset needs are not on this machine yet.")
    page.get_by_role("button", name="Draw").click()
    expect(page.locator("#draw-error")).to_contain_text("press Download, below the choice of preset")
    expect(load).to_be_focused()
    assert faults(page) == []
    load.press("Enter")
    expect(stop).to_be_focused()
    expect(page.locator("#draw-error")).to_be_empty()
    expect(page.locator(TEXT)).to_have_text(
        re.compile(r"^Preset quick: file 1 of 1; 2\d kB of 41 kB have arrived, (20|1\d) kB left$")
    )
    assert page.locator("#weights-progress").evaluate("each => each.value / each.max") >= 0.5
    assert faults(page) == []
    other = page.context.new_page()  # which another tab tells of what happens
    other.goto(page.url)
    expect(other.locator(TEXT)).to_contain_text("Preset quick: file 1 of 1")
    page.reload()
    expect(page.locator(TEXT)).to_contain_text("Preset quick: file 1 of 1")
    stop.press("Enter")
    expect(page.locator(TEXT)).to_contain_text("kB have arrived.")
    expect(page.locator(SAID)).to_have_text("The download is stopped. What has arrived is kept.")
    expect(load).to_be_focused()
    expect(other.get_by_role("button", name="Stop the download")).not_to_be_visible()
    gate.set()
    load.press("Enter")
    expect(page.locator(TEXT)).to_have_text("What preset quick needs is ready.")
    expect(page.locator(SAID)).to_have_text("What preset quick needs is ready.")
    expect(page.get_by_label("Preset")).to_be_focused()
    expect(load).not_to_be_visible()


def test_a_failure_is_told_near_the_button_and_fits_a_narrow_screen(
    show: Show, gate: threading.Event, weights: Files
) -> None:
    page = show(color_scheme="dark", viewport={"width": 320, "height": 640})
    for name in DRAFT:
        weights.server.routes[f"/{name}"] = says(404)
    choose(page, "draft")
    page.get_by_role("button", name="Download 82 kB").click()
    expect(page.locator(ERROR)).to_contain_text("it answers 404 Not Found")
    expect(page.get_by_role("button", name="Download 82 kB")).to_be_visible()
    page.get_by_text("Licences").click()
    expect(page.locator("#weights-files li")).to_have_count(2)
    page.get_by_label("Generator").select_option("dvae")
    expect(page.locator("#weights code")).to_have_text("clipgen models pull dvae/dall-e --trust-on-first-use")
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.get_by_label("Generator").select_option("")
    for name in DRAFT:
        weights.server.routes[f"/{name}"] = serves(CONTENT)
    page.get_by_role("button", name="Download 82 kB").click()
    expect(page.locator(TEXT)).to_have_text("What preset draft needs is ready.")
    expect(page.locator(ERROR)).to_be_empty()


def test_offline_no_button_is_offered(show: Show, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    page = show()
    choose(page, "quick")
    expect(page.locator(TEXT)).to_contain_text("Downloads are switched off by HF_HUB_OFFLINE.")
    expect(page.get_by_role("button", name="Download")).not_to_be_visible()
