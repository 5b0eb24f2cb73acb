import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipgen.config.job import Job, parse_size
from clipgen.config.perceptor_names import weighted
from clipgen.config.preset import MAX_SIDE
from clipgen.config.prompts import NO_STOP, Prompt, parse_prompts
from clipgen.errors import UsageError

CAT = parse_prompts("a cat")

numbers = st.floats(-1000, 1000).filter(lambda number: abs(number) > 1e-16)
texts = st.text(st.sampled_from("aé猫 :.-+0123456789einf|\t"), max_size=20).map(lambda text: text.replace("|", " "))
prompts = st.builds(
    Prompt, texts.filter(str.strip), weight=numbers, stop=st.one_of(st.just(NO_STOP), st.floats(-10, 10))
)


def names_of(*names: str) -> st.SearchStrategy[str]:
    """Names of perceptors, alone or with a weight."""
    weights = st.floats(0, 1000, exclude_min=True).map(lambda weight: f":{weight!r}")
    return st.tuples(st.sampled_from(names), st.just("") | weights).map("".join)


jobs = st.builds(
    Job,
    prompts=st.lists(prompts, min_size=1, max_size=4).map(tuple),
    backend=st.sampled_from([None, "vqgan", "dvae"]),
    preset=st.sampled_from(["auto", "starter", "photo"]),
    size=st.none() | st.tuples(st.integers(1, MAX_SIDE), st.integers(1, MAX_SIDE)),
    steps=st.none() | st.integers(1, 1000),
    seed=st.integers(0, 2**63 - 1),
    lr=st.none() | st.floats(1e-6, 100),
    cutouts=st.none() | st.integers(1, 1024),
    init=st.just("a photo\udcff.jpg"),
    init_weight=st.none() | st.floats(0, 1000),
    clips=st.lists(names_of("clip/openai-rn50", "clip/openai-vit-b-32"), max_size=1).map(tuple),
    classifiers=st.lists(names_of("classifier/efficientnet-lite0"), max_size=1).map(tuple),
    start=st.sampled_from([None, "init"]),
)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a cat", [("a cat", 1.0, NO_STOP)]),
        ("a cat:2|fog:-0.5:-.2", [("a cat", 2.0, NO_STOP), ("fog", -0.5, -0.2)]),
        ("blade runner: the city", [("blade runner: the city", 1.0, NO_STOP)]),
        ("note: a cat:1e-1", [("note: a cat", 0.1, NO_STOP)]),
        ("a ratio of 16:9", [("a ratio of 16", 9.0, NO_STOP)]),
        ("a ratio of 16:9:1:-inf", [("a ratio of 16:9", 1.0, NO_STOP)]),
        ("a train at 7:00", [("a train at 7:00", 1.0, NO_STOP)]),
        ("a clock at 12:05:2", [("a clock at 12:05", 2.0, NO_STOP)]),
        ("a cat:1:10", [("a cat", 1.0, 10.0)]),
        ("to:infinity", [("to:infinity", 1.0, NO_STOP)]),
        ("naan:nan", [("naan:nan", 1.0, NO_STOP)]),
        ("  two\nlines\t ", [("two lines", 1.0, NO_STOP)]),
        ("a:1:2:3", [("a:1", 2.0, 3.0)]),
        ("Blade Runner:2049", [("Blade Runner:2049", 1.0, NO_STOP)]),
        ("Blade Runner:2049:2", [("Blade Runner:2049", 2.0, NO_STOP)]),
        ("a cat:1e999", [("a cat:1e999", 1.0, NO_STOP)]),
    ],
)
def test_prompts_are_read_from_the_right(typed: str, expected: list[tuple[str, float, float]]) -> None:
    assert [(p.text, p.weight, p.stop) for p in parse_prompts(typed)] == expected


@given(st.lists(prompts, min_size=1, max_size=4).map(tuple))
def test_what_is_typed_from_a_job_reads_back_as_its_prompts(some: tuple[Prompt, ...]) -> None:
    assert parse_prompts(Job(some).text) == some


def test_the_typed_text_is_as_short_as_it_was() -> None:
    assert Job(parse_prompts("a cat:2|fog:-0.5:-0.2|a: b")).text == "a cat:2|fog:-0.5:-0.2|a: b"


@given(jobs)
def test_jobs_survive_json(job: Job) -> None:
    assert Job.from_json(job.to_json()) == job
    assert job.to_json().isascii()


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "a cat|", "|", ":2", "a\0cat", "a \x1b[31m cat", "a \udc80 cat", "a cat:-inf",
     "a cat:-1e999", "a cat:0", "x" * 2001, "|".join("a" * 65)],
)  # fmt: skip
def test_bad_prompts_are_refused_in_one_printable_line(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        Job(parse_prompts(typed))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (
            "backend",
            "vqgn",
            "--backend must be one of dvae, kl, pixels, strokes, titok, vqgan, got 'vqgn'; did you mean vqgan?",
        ),
        ("backend", ["vqgan"], "--backend must be one of"),
        ("preset", "startr", "did you mean starter?"),
        ("steps", 0, "--steps must be a whole number from 1 to 100000, got 0"),
        ("steps", True, "--steps must be"),
        ("steps", 1.5, "--steps must be"),
        ("seed", -1, "--seed must be"),
        ("seed", 2**63, "--seed must be"),
        ("lr", 0.0, "--lr must be above 0"),
        ("prompts", (Prompt("red", 1e-50),), "the weights of the prompt are together 1e-50, less than 1e-16"),
        (
            "prompts",
            (Prompt("red", 1e-20), Prompt("blue", -1e-300)),
            "nothing would be drawn; give one text a larger weight",
        ),
        ("prompts", (Prompt("red", -5e-324),), "nothing would be drawn"),
        ("prompts", (Prompt("red", 0.0), Prompt("blue", 1e-46)), "nothing would be drawn"),
        ("lr", math.nan, "--lr must be a number from 0 to 100, got nan"),
        ("lr", math.inf, "--lr must be"),
        ("lr", 10**400, "--lr must be"),
        ("lr", "0.1", "--lr must be"),
        ("cutouts", 0, "--cutouts must be"),
        ("size", (0, 256), "the width of --size must be"),
        ("size", (256, 10**9), "the height of --size must be"),
        ("size", (256,), "--size must be a width and a height"),
        ("size", "256x256", "--size must be a width and a height"),
        ("init", "", "--init must be the path"),
        ("init", "a\0.png", "--init must be the path"),
        ("start", "nois", "did you mean noise?"),
        ("start", "init", "--start init needs an init image; add --init FILE"),
        ("clips", ("clip/openai-rn50", "clip/openai-rn50"), "--clip names the same network twice"),
        ("clips", ("clip/openai-rn50:2", "clip/openai-rn50:3"), "--clip names the same network twice"),
        ("clips", ("clip/openai-rn51:2",), "did you mean clip/openai-rn50?"),
        ("clips", ("classifier/efficientnet-lite0",), "--clip must be one of"),
        ("clips", "clip/openai-rn50", "--clip must be a list of names"),
        ("clips", ("clip/openai-rn50:0",), "the weight of 'clip/openai-rn50' must be a number above 0"),
        ("clips", ("clip/openai-rn50:-1",), "at most 1000, got '-1'"),
        ("clips", ("clip/openai-rn50:1001",), "at most 1000, got '1001'"),
        ("clips", ("clip/openai-rn50:nan",), "at most 1000, got 'nan'"),
        ("clips", ("clip/openai-rn50:",), "at most 1000, got ''"),
        ("clips", ("\x1b[31m:\x1b[31m",), "must be a number above 0"),
        ("clips", (3,), "--clip must be a name, got 3"),
        ("classifiers", ("clip/openai-rn50",), "--perceptor must be one of"),
        ("classifiers", ("classifier/efficientnet-lite0",) * 2, "--perceptor names the same network twice"),
        ("classifiers", ("classifier/efficientnet-lite0:x",), "the weight of 'classifier/efficientnet-lite0' must be"),
        ("init_weight", -1.0, "--init-weight must be"),
        ("init_weight", 1.0, "--init-weight 1 needs an init image; add --init FILE"),
        ("prompts", "a cat", "prompts must be a tuple of Prompt"),
        ("prompts", (), "1 to 64 texts"),
    ],
)
def test_bad_values_are_refused_with_flag_and_value(field: str, value: object, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Job(**{"prompts": CAT, field: value})
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "name", "weight"),
    [("clip/rn50", "clip/rn50", 1.0), ("clip/rn50:0.5", "clip/rn50", 0.5), ("clip/rn50:1e3", "clip/rn50", 1000.0)],
)
def test_a_name_may_carry_a_weight(text: str, name: str, weight: float) -> None:
    assert weighted(text) == (name, weight)


def test_what_a_job_leaves_to_the_preset_is_none() -> None:
    job = Job(CAT)
    assert (job.backend, job.init_weight, job.clips, job.classifiers) == (None, None, (), ())
    named = Job(CAT, clips=("clip/openai-rn50:2",), classifiers=("classifier/efficientnet-lite0",))
    assert Job.from_json(named.to_json()) == named
    assert json.loads(named.to_json())["clips"] == ["clip/openai-rn50:2"]
    assert not {"clips", "classifiers"} & set(json.loads(job.to_json()))  # a record reads the same with and without


def _record(**changes: object) -> dict[str, object]:
    return {**Job(CAT).to_dict(), **changes}


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "[]", "null", "3", "{}", "[" * 100_000, " " * 1_000_001,
        json.dumps(_record(out="/etc/passwd")),
        json.dumps(_record(prompts="a cat")),
        json.dumps(_record(prompts=[["a cat"]])),
        json.dumps(_record(prompts=[{"weight": 1}])),
        json.dumps(_record(prompts=[{"text": "a", "stop": "x"}])),
        json.dumps(_record(prompts=[{"text": 3}])),
        json.dumps(_record(seed="1")),
        json.dumps(_record(size=[256, "256"])),
        json.dumps(_record()).replace('"lr": null', '"lr": NaN'),
        json.dumps(_record()).replace('"lr": null', '"lr": 1e999'),
        json.dumps(_record()).replace('"seed": 0', '"seed": ' + "9" * 10_000),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_hostile_json_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Job.from_json(text)
    assert len(str(caught.value)) < 500


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["prompts", "size", "text", "x"]), inner),
)


@given(json_values)
def test_any_other_value_is_refused_as_a_usage_error(value: object) -> None:
    with pytest.raises(UsageError):
        Job.from_dict(value)


@pytest.mark.parametrize(
    ("text", "size"), [("384x256", (384, 256)), (" 64 X 32 ", (64, 32)), ("128", (128, 128)), ("7*9", (7, 9))]
)
def test_sizes_are_read(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "12x", "axb", "1x2x3", "-1x5", "1.5x2", "0x8", "99999x99999"])
def test_bad_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        parse_size(text)
