"""`clipgen rank`: pictures by a prompt and prompts by a picture, best first, and nothing copied unless asked for."""

import json
from pathlib import Path
from typing import Any

import by_hand
import pytest
from own_files import cli
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.starter.evaluation import drawn, questions

pytestmark = pytest.mark.usefixtures("own_folder")
JUDGE = ("--clip", "starter/judge")


@pytest.fixture
def world() -> dict[str, Path]:
    """Pictures of the drawn world by the noun that they show."""
    Path("world").mkdir()
    found: dict[str, Path] = {}
    for number, answer in enumerate(drawn(questions(8, seed=2), seed=4)):
        path = Path("world", f"{number}.png")
        answer.picture.save(path)
        found.setdefault(answer.question.truth.noun, path)
    return found


def lines(*args: str) -> list[str]:
    result = cli("rank", *args)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def record(*args: str) -> Any:
    return json.loads("\n".join(lines(*args, "--json")))


def by_similarity(prompt: dict[str, float], paths: list[Path], *names: str) -> list[tuple[str, float]]:
    """Paths with their weighted similarities by hand, best first."""
    total = sum(map(abs, prompt.values()))
    each = [by_hand.starter(name).cosines(by_hand.opened(paths), list(prompt)) for name in names or ("starter/judge",)]
    weights = [weight / total for weight in prompt.values()]
    scores = [
        sum(float(row[k]) * weight for row in (one[n] for one in each) for k, weight in enumerate(weights)) / len(each)
        for n in range(len(paths))
    ]
    return sorted(zip(map(str, paths), scores, strict=True), key=lambda pair: -pair[1])


@pytest.mark.parametrize(
    ("spelled", "prompt"),
    [("a tree", {"a tree": 1.0}), ("a house:2|the night:-0.5", {"a house": 2, "the night": -0.5})],
)
def test_pictures_are_in_the_order_of_their_weighted_cosines(
    world: dict[str, Path], spelled: str, prompt: dict[str, float]
) -> None:
    expected = by_similarity(prompt, sorted(Path("world").iterdir()))
    assert lines(spelled, "world", *JUDGE) == [path for path, _ in expected]
    found = record(spelled, "world", *JUDGE)
    assert found["prompt"] == spelled
    assert [row["path"] for row in found["ranked"]] == [path for path, _ in expected]
    assert [row["similarity"] for row in found["ranked"]] == pytest.approx([score for _, score in expected], abs=1e-5)


def test_several_clips_are_averaged(world: dict[str, Path]) -> None:
    names = ("starter/judge", "starter/clip")
    expected = by_similarity({"a tree": 1.0}, sorted(Path("world").iterdir()), *names)
    found = record("a tree", "world", *(part for name in names for part in ("--clip", name)))
    assert [row["similarity"] for row in found["ranked"]] == pytest.approx([score for _, score in expected], abs=1e-5)
    for row in found["ranked"]:
        assert row["similarity"] == pytest.approx(sum(row["by_clip"].values()) / 2)


def test_the_picture_of_a_thing_comes_first_and_of_prompts_the_true_one(world: dict[str, Path]) -> None:
    nouns = list(world)
    firsts = [lines(f"a {noun}", *map(str, world.values()), *JUDGE)[0] == str(world[noun]) for noun in nouns]
    assert sum(firsts) >= len(nouns) - 1
    prompts = [f"a {noun}" for noun in nouns]
    true = [lines("--image", str(path), *prompts, *JUDGE)[0] == f"a {noun}" for noun, path in world.items()]
    assert sum(true) >= len(nouns) - 1
    found = record("--image", str(world[nouns[0]]), *prompts, prompts[0], *JUDGE, "--keep", "2")
    assert found["image"] == str(world[nouns[0]])
    assert [set(row) for row in found["ranked"]] == [{"prompt", "similarity", "by_clip"}] * 2


def test_only_the_best_are_kept_and_copied_and_nothing_is_overwritten(world: dict[str, Path]) -> None:
    order = lines("a tree", "world", *JUDGE)
    before = sorted(Path().rglob("*"))
    assert lines("a tree", "world", *JUDGE, "--keep", "2") == order[:2]
    assert sorted(Path().rglob("*")) == before
    best = Path("best")
    best.mkdir()
    taken = best / Path(order[0]).name
    taken.write_bytes(b"mine")
    copies = lines("a tree", "world", *JUDGE, "--keep", "2", "--copy", "best")
    assert copies == [f"best/{taken.stem}-2.png", f"best/{Path(order[1]).name}"]
    assert taken.read_bytes() == b"mine"
    assert [Path(copy).read_bytes() for copy in copies] == [Path(path).read_bytes() for path in order[:2]]
    again = record("a tree", "world", *JUDGE, "--keep", "1", "--copy", "best")
    assert again["ranked"][0]["copy"] == f"best/{taken.stem}-3.png"


def test_pictures_of_one_name_in_several_folders_are_all_copied(world: dict[str, Path]) -> None:
    path = next(iter(world.values()))
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "same.png").write_bytes(path.read_bytes())
    assert lines("a tree", "a", "b", *JUDGE, "--copy", "c") == ["c/same.png", "c/same-2.png"]
    assert lines("a tree", "a", "b", *JUDGE) == ["a/same.png", "b/same.png"]  # of equals, the first is first


def test_paths_come_from_standard_input_and_a_broken_one_costs_itself(world: dict[str, Path]) -> None:
    Path("bad.png").write_bytes(b"\x89PNG")
    typed = "".join(f"{path}\n" for path in [*world.values(), "bad.png"])
    result = CliRunner().invoke(app, ["rank", "a tree", "-", *JUDGE], input=typed)
    assert result.exit_code == 0
    assert sorted(result.stdout.splitlines()) == sorted(map(str, world.values()))
    assert result.stderr.startswith("left out: the picture 'bad.png' ")
    assert len(record("a tree", "world", "bad.png", *JUDGE)["left_out"]) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), 'say what to look for and name pictures, as in clipgen rank "a cat" outputs'),
        (("a cat",), "name pictures after the prompt"),
        (("world/0.png", "a cat"), "the prompt comes first: clipgen rank 'a cat' world/0.png"),
        (("a cat", "empty"), "there is no picture in empty"),
        (("a cat", "bad.png"), "the picture 'bad.png' is"),
        (("a cat", "world", "--keep", "0"), "--keep must be a whole number from 1"),
        (("a cat:0", "world"), "every weight of 'a cat:0' is 0"),
        (("", "world"), "prompt"),
        (("--image", "world", "a cat"), "--image world must be one picture"),
        (("--image", "nowhere.png", "a cat"), "there is no file or folder nowhere.png"),
        (("--image", "world/0.png", "a cat", "--copy", "c"), "--copy c copies pictures, and --image ranks prompts"),
        (("a cat", "world", "--copy", "bad.png"), "--copy bad.png cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(
    world: dict[str, Path], args: tuple[str, ...], message: str
) -> None:
    Path("empty").mkdir()
    Path("bad.png").write_bytes(b"\x89PNG")
    before = sorted(Path().rglob("*"))
    result = cli("rank", *args, *(JUDGE if args else ()))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1 + ("left out" in result.stderr)
    assert sorted(Path().rglob("*")) == before
