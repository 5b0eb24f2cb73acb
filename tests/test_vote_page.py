"""The vote page is one file that asks nobody, tells nothing and runs nothing else; votes come back as they were."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from clipgen.errors import UsageError
from clipgen.outputs.vote_page import Question, common_side, page, questions
from clipgen.session.votes import Comparison, agreement, read_ballot, read_ballots, read_comparison, tally

HOSTILE = "</script><img src=x onerror=alert(1)> \"quoted\" & 'so' \u202egnp.tac\u2028"
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'sha256-"


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> Image.Image:
    image = Image.new("RGB", size, colour)
    image.info["Comment"] = "secret-side"
    return image


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def html() -> str:
    pairs = [(HOSTILE, picture((255, 0, 0)), picture((0, 0, 255), (128, 64))), ("a cat", *[picture((0, 255, 0))] * 2)]
    return page("00ff00ff00ff00ff", pairs, 96)


def data_of(html: str) -> dict[str, Any]:
    [found] = re.findall(r'<script id="pairs" type="application/json">(.*?)</script>', html, re.DOTALL)
    data: dict[str, Any] = json.loads(found)
    return data


def test_a_page_asks_nobody(html: str) -> None:
    text = re.sub(r"base64,[^\"]*|//\s", "", html)
    assert not re.search(r"(https?|wss?|ftp):|//", text, re.IGNORECASE)
    for word in ("fetch(", "XMLHttpRequest", "sendBeacon", "WebSocket", "import(", "eval(", "innerHTML"):
        assert word not in html
    tags = Tags()
    tags.feed(html)
    policies = [attrs["content"] for tag, attrs in tags.found if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert (policies[0] or "").startswith(POLICY)
    assert not [attrs for _, attrs in tags.found if any(name.startswith("on") or name == "style" for name in attrs)]
    assert {str(attrs[name]) for _, attrs in tags.found for name in ("src", "href") if name in attrs} == {"data:,"}


def test_prompts_are_data_and_not_markup(html: str) -> None:
    assert [pair["prompt"] for pair in data_of(html)["pairs"]] == [HOSTILE, "a cat"]
    assert html.count("</script>") == 2
    assert "onerror" not in re.sub(r'<script id="pairs".*?</script>', "", html, flags=re.DOTALL)


def test_pictures_are_of_one_size_and_hold_nothing_but_pixels(html: str) -> None:
    shown = [Image.open(io.BytesIO(base64.b64decode(pair[side].partition(",")[2]))) for pair in data_of(html)["pairs"]
             for side in ("left", "right")]  # fmt: skip
    assert [image.size for image in shown] == [(96, 96), (96, 48), (96, 96), (96, 96)]
    assert np.asarray(shown[0]).mean((0, 1)) == pytest.approx([254, 0, 0], abs=2)
    assert {name for image in shown for name in image.info} <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert common_side([(64, 32), (2000, 100)]) == 512
    assert common_side([(64, 32), (40, 100)]) == 100


def test_recipes_and_comments_of_pictures_stay_outside(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("clipgen", "secret-side")
    picture((1, 2, 3)).save(tmp_path / "a.png", pnginfo=text)
    with Image.open(tmp_path / "a.png") as image:
        html = page("0" * 16, [("a", image, image)])
    assert b"secret-side" not in b"".join(base64.b64decode(each) for each in re.findall('base64,([^"]*)', html))
    assert "secret-side" not in html


@pytest.mark.parametrize(("prompts", "sides"), [(32, 2), (7, 2), (5, 3), (4, 8)])
def test_every_pair_is_asked_once_and_sides_are_balanced(prompts: int, sides: int) -> None:
    asked = questions(prompts, sides, 3)
    assert {(one.prompt, *sorted((one.left, one.right))) for one in asked} == {
        (prompt, left, right) for prompt in range(prompts) for right in range(sides) for left in range(right)
    }
    assert len(asked) == prompts * sides * (sides - 1) // 2
    first = [one.left < one.right for one in asked]
    assert abs(2 * sum(first) - len(first)) <= sides * (sides - 1) // 2
    assert asked == questions(prompts, sides, 3)
    assert asked != questions(prompts, sides, 4)
    assert [one.prompt for one in asked] != sorted(one.prompt for one in asked)
    assert len(questions(prompts, sides, 3, most=5)) == 5


COMPARISON = Comparison(
    "00ff00ff00ff00ff",
    ("A", "B"),
    (Question(1, 0, 1), Question(0, 1, 0), Question(2, 1, 0)),
    {"judge": [[0.1, 0.2], [0.3, 0.1], None]},
)


def ballot(**changes: Any) -> dict[str, Any]:
    votes = [{"pair": 1, "vote": "left"}, {"pair": 2, "vote": "left"}, {"pair": 3, "vote": "equal"}]
    record = {"format": "clipgen votes 1", "comparison": "00ff00ff00ff00ff", "ballot": "ab" * 8, "voter": "Ann"}
    return {**record, "votes": votes, **changes}


def written(path: Path, record: object) -> Path:
    path.write_text(record if isinstance(record, str) else json.dumps(record), encoding="utf-8")
    return path


def test_votes_go_to_the_sides_that_were_shown(tmp_path: Path) -> None:
    one = read_ballot(written(tmp_path / "a.json", ballot()), COMPARISON)
    won = tally([one], COMPARISON)
    assert won[:, 0, 1].tolist() == [0.0, 1.0, 0.5]  # the second question had B on the left
    assert won[:, 1, 0].tolist() == [1.0, 0.0, 0.5]
    found = agreement(won, COMPARISON.scores["judge"])
    assert found is not None
    assert (found[0].value, found[1]) == (1.0, 2)
    assert agreement(won, [None, None, None]) is None
    other = written(tmp_path / "b.json", ballot(ballot="cd" * 8, votes=[{"pair": 1, "vote": "right"}]))
    both = tally(read_ballots([tmp_path / "a.json", other], COMPARISON), COMPARISON)
    assert both[:, 0, 1].tolist() == [0.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "is not a JSON object"),
        ({}, "holds no votes"),
        (ballot(comparison="other"), "holds votes of another comparison"),
        (ballot(ballot="x"), "the ballot must be 16 hexadecimal digits"),
        (ballot(votes=[{"pair": 1, "vote": "left"}] * 2), "pair 1 is voted on twice"),
        (ballot(votes=[{"pair": 4, "vote": "left"}]), "the number of a pair must be a whole number from 1 to 3, got 4"),
        (ballot(votes=[{"pair": True, "vote": "left"}]), "got True"),
        (ballot(votes=[7]), "the number of a pair must be a whole number"),
        (ballot(votes=[{"pair": 1, "vote": ["left"]}]), "the vote on pair 1 must be one of equal, left, right"),
        (ballot(votes=[]), "votes must be a list of 1 to 3, got 0"),
        (ballot(votes=[{"pair": 1, "vote": "left"}] * 9999), "votes must be a list of 1 to 3, got 9,999"),
        (ballot(votes=[{"pair": 1, "vote": "left"}] * 10**5), "is larger than 1 MB"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_votes_is_one_line(tmp_path: Path, record: object, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_ballot(written(tmp_path / "votes.json", record), COMPARISON)
    assert message in str(raised.value)
    assert "votes.json" in str(raised.value)


def test_copies_of_votes_count_once(tmp_path: Path) -> None:
    paths = [written(tmp_path / name, ballot()) for name in ("a.json", "b.json")]
    with pytest.raises(UsageError, match="hold the same person's votes; leave one out"):
        read_ballots(paths, COMPARISON)


SIDES = [{"name": "A"}, {"name": "B"}]
PAIRS = [{"scores": {"judge": [0.1, 0.2]}}, {"scores": {}}]
KEY = {"format": "clipgen compare 1", "comparison": "1", "sides": SIDES, "pairs": PAIRS}
ASKED = [{"prompt": 1, "left": 0, "right": 1}]


def test_the_key_is_read(tmp_path: Path) -> None:
    found = read_comparison(written(tmp_path / "k.json", {**KEY, "questions": ASKED}))
    assert found == Comparison("1", ("A", "B"), (Question(1, 0, 1),), {"judge": [[0.1, 0.2], None]})
    assert found.prompts == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "is not the compare.json of a comparison"),
        ({}, "questions must be a list"),
        ({"questions": [{"prompt": 2, "left": 0, "right": 1}]}, "prompt must be a whole number from 0 to 1, got 2"),
        ({"questions": [{"prompt": 0, "left": 1, "right": 1}]}, "must be about two sides"),
        ({"questions": [{"left": 1}]}, "is damaged"),
        ({"questions": [3]}, "is damaged"),
        ({"questions": ASKED, "sides": [1, 2]}, "is damaged"),
        ({"questions": ASKED, "pairs": [{"scores": {"j": [1]}}] * 2}, "scores must be 2 numbers"),
        ({"questions": ASKED, "pairs": [{"scores": {"j": [1, float("nan")]}}] * 2}, "a score must be a number"),
    ],
)
def test_what_is_wrong_with_the_key_is_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_comparison(written(tmp_path / "k.json", {**KEY, **changes}))
    assert message in str(raised.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_comparison(tmp_path / "nowhere.json")
