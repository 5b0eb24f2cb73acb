"""The page in a real browser, for tests that use it as a person does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browsers import playwright

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
pytest.importorskip("uvicorn", reason='pip install "clipgen[web]"')

from web_live import live  # noqa: E402

from clipgen.web.jobs import Queue  # noqa: E402

PATIENCE = 60_000
"""Milliseconds, for a machine that has more to do."""
expect = playwright.expect
expect.set_options(timeout=PATIENCE)
Show = Callable[..., Any]


@pytest.fixture(scope="module", name="served")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Queue, int]]:
    """A server of an empty folder: its queue and its port."""
    with live(tmp_path_factory.mktemp("outputs")) as served:
        yield served


@pytest.fixture(scope="module", name="address")
def address_of_server(served: tuple[Queue, int]) -> str:
    """Where the server is."""
    return f"http://127.0.0.1:{served[1]}"


@pytest.fixture(name="show")
def browser_page(browser: Any, address: str) -> Iterator[Show]:
    """Opens the page; whatever it asks for is at this server, and no script of it fails."""
    contexts, asked, problems = [], list[str](), list[str]()

    def opened(**settings: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address)
        expect(page.locator("#preset option")).not_to_have_count(0)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((address + "/", f"blob:{address}/"))] == []
    assert [text for text in problems if "status of 4" not in text] == []  # a refused request is no fault of the page


def faults(page: Any) -> list[str]:
    """Return what axe-core finds that keeps people out."""
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 10
    severe = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    return [f"{each['help']}: {node['html']} ({node['failureSummary']})" for each in severe for node in each["nodes"]]
