"""The page in a real browser, used as a person does, with the starter set behind it.

It needs Chromium, a package of most systems, and Playwright, which drives it.
"""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import NEEDED, chromium  # noqa: F401 - a fixture
from PIL import Image
from web_clients import png
from web_pages import Show, address_of_server, browser_page, expect, faults, served_folder  # noqa: F401 - fixtures

SMALL = {"start": "noise", "size": "64x64", "cutouts": "2", "seed": "1"}
DROP = """([data, name, type]) => {
    const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name, { type }));
    return carried;
}"""
"""What a person's hand holds who drags a file over the page."""

pytestmark = NEEDED


def ask(page: Any, prompt: str, steps: int, preset: str = "starter", **settings: str) -> None:
    """Fill the form for a small picture."""
    page.get_by_label("What should the picture show?").fill(prompt)
    page.get_by_label("Preset").select_option(preset)
    if page.locator("#settings").get_attribute("open") is None:
        page.get_by_text("All settings").click()
    for name, value in {**SMALL, "steps": str(steps), **settings}.items():
        field = page.locator(f"#setting-{name}")
        (field.select_option if field.evaluate("each => each.tagName") == "SELECT" else field.fill)(value)


def draw(page: Any, prompt: str, steps: int, preset: str = "starter", **settings: str) -> None:
    """Draw a small picture, and wait until it is finished."""
    ask(page, prompt, steps, preset, **settings)
    page.get_by_role("button", name="Draw").click()
    expect(page.locator("#step-text")).to_have_text(re.compile(f"^Done, {steps} steps?$"))
    expect(page.locator("#job-prompt")).to_have_text(prompt)


def picture_of(page: Any) -> bytes:
    """Return the file of the finished picture that is shown."""
    link = page.locator("#stage").get_by_role("link", name="Download PNG").get_attribute("href")
    return bytes(page.request.get(page.url.rstrip("/") + link).body())


def pixels_of(file: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def noise(seed: int = 0) -> Image.Image:
    drawn = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(drawn).resize((64, 64), Image.Resampling.NEAREST)


def drop(page: Any, target: str, name: str, data: bytes) -> None:
    carried = page.evaluate_handle(DROP, [base64.b64encode(data).decode(), name, "image/png"])
    page.dispatch_event(target, "dragover", {"dataTransfer": carried})
    page.dispatch_event(target, "drop", {"dataTransfer": carried})


def test_a_picture_is_watched_stopped_resumed_and_steered(show: Show) -> None:
    page = show()
    ask(page, "a red heart", 300)
    page.get_by_label("What should the picture show?").press("Control+Enter")
    live, step = page.locator("#live"), page.locator("#step-text")
    seen = list[str]()
    for _ in range(3):  # frames, each another one
        expect(live).to_have_attribute("data-version", re.compile(rf"^(?!({'|'.join(seen)})$)\d+$"))
        seen.append(live.get_attribute("data-version"))
    assert live.evaluate("each => each.naturalWidth") == 64
    assert "a red heart" in live.get_attribute("alt")
    page.reload()
    expect(step).to_have_text(re.compile(r"^Step \d+ of 300$"))  # attached again
    expect(page.get_by_label("What should the picture show?")).to_have_value("a red heart")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(step).to_have_text(re.compile(r"^Stopped at step \d+ of 300$"))
    stopped = int(step.inner_text().split()[3])
    page.get_by_role("button", name="Resume").click()
    expect(step).to_have_text(re.compile(r"^Step \d+ of 300$"))
    page.get_by_role("button", name="Pause").click()
    expect(step).to_have_text(re.compile(r"^Paused at step \d+ of 300$"))
    assert stopped <= int(step.inner_text().split()[3]) < 300
    page.locator("#steer-prompt").fill("a blue heart")
    page.get_by_role("button", name="Change").click()
    expect(page.locator("#queue-list .running .name")).to_have_text("a blue heart")
    expect(step).to_have_text(re.compile(r"^Step \d+ of 300$"))
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#announce")).to_have_text("Stopped: a blue heart")
    points = page.locator("#curve .line").get_attribute("d").count("L")
    assert points >= 2


def test_a_mask_protects_the_picture_and_another_is_a_prompt(show: Show) -> None:
    page, start = show(), noise()
    drop(page, "#init-tile", "start.png", png(start))
    page.get_by_role("button", name="Paint a mask").click()
    page.get_by_role("button", name="Use this mask").click()
    expect(page.get_by_text("Nothing is painted yet")).to_be_visible()
    board = page.locator("#mask-canvas").bounding_box()
    page.mouse.move(board["x"] + board["width"] / 2, board["y"] + board["height"] / 2)
    page.mouse.down()
    page.mouse.move(board["x"] + board["width"] / 2, board["y"] + board["height"] * 0.7, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("img", name="The mask: 0 percent")).to_be_visible()
    page.get_by_text("A rectangle by numbers").click()
    page.get_by_role("button", name="Apply the rectangle").click()
    expect(page.get_by_role("img", name="The mask: 50 percent")).to_be_visible()
    page.get_by_role("button", name="Use this mask").click()
    drop(page, "#like-tile", "like.png", png(noise(1)))
    page.get_by_label("Weight", exact=True).fill("0.5")
    draw(page, "a yellow flower", 4, "photo", feather="0", start="", cutouts="1")
    made = pixels_of(picture_of(page))
    assert (made[:, 32:] == np.asarray(start)[:, 32:]).all()
    assert (made[:, :32] != np.asarray(start)[:, :32]).any()
    asked = page.request.get(page.url + "api/jobs").json()[-1]["request"]
    assert [each["weight"] for each in asked["image_prompts"]] == [0.5]


def test_a_recipe_is_dropped_and_a_picture_replayed(show: Show, tmp_path: Path) -> None:
    page = show()
    page.get_by_label("GIF").check()
    draw(page, "a green tree", 3)
    first = picture_of(page)
    page.get_by_label("What should the picture show?").fill("something else")
    page.get_by_role("button", name="Reset all").click()
    drop(page, "#stage", "a-green-tree.png", first)
    expect(page.get_by_label("What should the picture show?")).to_have_value("a green tree")
    expect(page.locator("#setting-steps")).to_have_value("3")
    drop(page, "#stage", "noise.png", png(noise()))
    expect(page.locator("#draw-error")).not_to_be_empty()
    page.get_by_label("Search the gallery").fill("green tree")
    expect(page.locator("#gallery-list li")).to_have_count(1)
    page.locator("#gallery-list").get_by_role("button", name="a green tree film").click()
    expect(page.locator("#item").get_by_role("link", name="Download GIF")).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#gallery-list li")).to_have_count(2)
    expect(page.locator("#step-text")).to_have_text("Done, 3 steps")
    assert np.array_equal(pixels_of(picture_of(page)), pixels_of(first))
    page.locator("#gallery-list button").first.click()
    page.get_by_role("button", name="Compare with").click()
    page.locator("#gallery-list button").last.click()
    page.get_by_role("slider", name="How much of the left").press("ArrowRight")
    assert page.locator(".pair-view").evaluate("each => each.style.getPropertyValue('--share')") == "51%"
    page.keyboard.press("Escape")
    expect(page.locator("#compare")).not_to_be_visible()


def test_a_queue_of_three_is_drawn_in_its_order(show: Show) -> None:
    page = show()
    for text in ("one house", "two houses", "three houses"):
        ask(page, text, 120)
        page.get_by_role("button", name="Draw").click()
        expect(page.locator("#queue-list .name", has_text=text)).to_be_visible()
    states = page.locator("#queue-list li:is(.running, .queued) .name")
    expect(states).to_have_text(["one house", "two houses", "three houses"])
    page.get_by_role("button", name="Leave the queue: two houses").click()
    expect(states).to_have_text(["one house", "three houses"])
    page.get_by_role("button", name="Stop: one house").click()
    expect(page.locator("#queue-list .running .name")).to_have_text("three houses")
    page.get_by_role("button", name="Stop: three houses").click()
    expect(page.locator("#queue-list .running")).to_have_count(0)
    page.get_by_role("button", name="Clear finished").click()
    expect(page.locator("#queue")).not_to_be_visible()


def test_errors_are_near_what_they_are_about(show: Show) -> None:
    page = show()
    page.get_by_role("button", name="Draw").click()
    expect(page.locator("#prompt-error")).to_have_text("Say what the picture should show.")
    ask(page, "a cat", 0)
    page.get_by_role("button", name="Draw").click()
    expect(page.locator("#draw-error")).to_contain_text("steps")
    expect(page.locator("#setting-steps")).to_be_focused()
    drop(page, "#init-tile", "a.png", b"no picture")
    expect(page.locator("#pictures-error")).not_to_be_empty()


def test_a_prompt_is_never_markup(show: Show) -> None:
    page, hostile = show(), "<img src=https://example.org/x onerror=document.title=1> </textarea><script>1</script>"
    draw(page, hostile, 1)
    page.locator("#gallery-list button").first.click()
    expect(page.locator("#item-prompt")).to_have_text(hostile)
    assert page.title() == "clipgen"


def test_more_tabs_than_connections_follow_one_run(show: Show) -> None:
    page = show()  # a browser opens six connections to a server, and each stream of events keeps one
    others = [page.context.new_page() for _ in range(7)]
    for other in others:
        other.goto(page.url)
    draw(page, "a yellow sun", 1)
    for other in others:
        expect(other.locator("#job-prompt")).to_have_text("a yellow sun")
        expect(other.locator("#step-text")).to_have_text("Done, 1 step")
    page.close()
    draw(others[0], "a red sun", 1)  # another tab listens now
    expect(others[1].locator("#job-prompt")).to_have_text("a red sun")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_use_it(show: Show, scheme: str) -> None:
    page = show(color_scheme=scheme, viewport={"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    draw(page, "a blue boat", 1)
    page.locator("#init-file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png(noise())})
    assert faults(page) == []
    page.get_by_role("button", name="Paint a mask").click()
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.locator("#gallery-list button").first.click()
    expect(page.locator("#item")).to_be_visible()
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320
