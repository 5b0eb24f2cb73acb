"""A Chromium of the system, driven by Playwright; tests with it are skipped where one of the two is missing."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
ARGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
NEEDED = [
    pytest.mark.skipif(CHROMIUM is None, reason="apt-get install chromium, or another Chromium"),
    pytest.mark.filterwarnings("default"),  # those of Playwright are its own
]
"""What marks a test that uses the browser."""


@pytest.fixture(scope="module", name="browser")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGS))
        yield opened
        opened.close()
