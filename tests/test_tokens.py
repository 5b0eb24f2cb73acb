"""Tokens: what a file of them may hold, and runs that start from them."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import STRIDE, Cli, fake_models, plan, size_of
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_resume import stop_at

import clipgen
from clipgen.config.tokens import backends_with_tokens
from clipgen.engine.inputs import Inputs
from clipgen.engine.models import Models, load_tokenizer
from clipgen.engine.optimise import Result, Task, optimise, optimise_together
from clipgen.errors import UsageError
from clipgen.generators import GENERATORS, create
from clipgen.generators.networks import build_network
from clipgen.generators.tokens import StartsFromTokens, Tokenizer
from clipgen.judge.reconstruction import decode
from clipgen.outputs.metadata import read_recipe
from clipgen.outputs.tokens import token_picture
from clipgen.steering.given import Given
from clipgen.util.tokens import MAX_CELLS, TokenGrid
from clipgen.weights import registry
from clipgen.weights.loader import load

CPU = torch.device("cpu")
SMALL = ("--steps", "8", "--cutouts", "2", "--seed", "1", "--preset", "starter")
both = pytest.mark.parametrize("backend", ["vqgan", "dvae"])


def grid(rows: int = 4, columns: int = 6, codes: int = 300, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, codes, (rows, columns))


def content(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_header(text: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


class Evil:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("owned",)


HOSTILE = {
    "nothing": (b"", "is not a .npy file, or is damaged"),
    "text": (b"12 13\n14 15\n", "is not a .npy file"),
    "pickle": (pickle.dumps(Evil()), "is not a .npy file"),
    "objects": (content(np.array([[Evil(), 1]], dtype=object)), "holds object values, and tokens are whole numbers"),
    "floats": (content(grid() * 1.0), "holds float64 values, and tokens are whole numbers"),
    "booleans": (content(grid() > 3), "holds bool values"),
    "dates": (content(np.zeros((2, 2), "M8[s]")), "holds datetime64[s] values"),
    "records": (content(np.zeros((2, 2), [("a", "<i4"), ("b", "<i4")])), "holds void64 values"),
    "three axes": (content(grid()[None]), "has 3 dimensions, and tokens are a grid"),
    "one axis": (content(grid()[0]), "has 1 dimension, and tokens"),
    "a number": (content(np.array(3)), "has 0 dimensions"),
    "empty": (content(np.zeros((0, 4), int)), "is empty; give a grid of at least one code"),
    "negative": (content(grid() - 5), "holds the code -5, and codes count from 0"),
    "unsigned": (content(np.full((2, 2), 2**64 - 1, np.uint64)), f"holds the code {2**64 - 1}, and no network has"),
    "huge": (
        with_header("{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000, 1000000000)}"),
        f"has 1000000000x1000000000 codes, more than the {MAX_CELLS:,} that are accepted",
    ),
    "negative shape": (with_header("{'descr': '<i8', 'fortran_order': False, 'shape': (-4, -4)}"), "more than the"),
    "cut": (content(grid())[:-1], "is incomplete, or longer than its header says"),
    "more": (content(grid()) + b"\0", "is incomplete, or longer than its header says"),
    "code in the header": (with_header("__import__('os').mkdir('owned')"), "is not a .npy file, or is damaged"),
    "deep header": (with_header("(" * 5000), "is not a .npy file, or is damaged"),
    "later version": (with_header("{}", version=b"\x09\x00"), "is not a .npy file, or is damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_holds_no_grid_of_codes_is_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data, said = HOSTILE[name]
    Path("x.npy").write_bytes(data)
    with pytest.raises(UsageError) as caught:
        TokenGrid.read("x.npy", "--init-tokens")
    message = str(caught.value)
    assert message.startswith("--init-tokens 'x.npy' ")
    assert said in message
    assert message.isprintable()
    assert not Path("owned").exists()


def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(10**12)
    cases = {"none": "does not exist", "": "is a folder", "pipe": "not a regular file", "large": "it is larger than"}
    for name, said in cases.items():
        with pytest.raises(UsageError, match=said):
            TokenGrid.read(tmp_path / name, "--init-tokens")
    with pytest.raises(UsageError, match="cannot be read"):
        TokenGrid.read("a\0b", "--init-tokens")


@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_nothing_else_comes_of_any_bytes(data: bytes) -> None:
    for start in (b"", b"\x93NUMPY\x01\x00", content(grid())[:60]):
        with io.BytesIO(start + data) as file:
            path = Path(os.environ["CLIPGEN_CACHE"]).with_name("any.npy")
            path.write_bytes(file.getvalue())
            with pytest.raises(UsageError):
                TokenGrid.read(path, "the tokens")


@pytest.mark.parametrize("kind", ["<i2", ">i4", "<u8", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_whole_numbers_of_any_kind_and_order_are_read(kind: str, order: Any, tmp_path: Path) -> None:
    values = np.array(grid(codes=100), dtype=kind, order=order)
    np.save(tmp_path / "t.npy", values)
    read = TokenGrid.read(tmp_path / "t.npy", "x")
    assert (read.codes == values).all()
    assert (read.codes.dtype, read.size) == (np.int32, (6, 4))
    read.save(tmp_path / "again.npy")
    assert (np.load(tmp_path / "again.npy") == values).all()
    (tmp_path / "link.npy").symlink_to(tmp_path / "t.npy")
    assert TokenGrid.read(tmp_path / "link.npy", "x").sha256 == read.sha256


@given(st.lists(st.integers(0, 2**24 - 1), min_size=2, max_size=40, unique=True))
def test_no_two_codes_have_the_same_colour(codes: list[int]) -> None:
    picture = token_picture(np.array([codes], dtype=np.int32), 3)
    assert picture.size == (3 * len(codes), 3)
    assert len(picture.getcolors(64) or []) == len(codes)


def test_the_backends_with_tokens_are_those_whose_networks_and_generators_have_them() -> None:
    found = []
    for name in GENERATORS:
        models = fake_models(name)
        generator = create(name, models.network, CPU, 1, size_of(name), plan(backend=name).generator)
        assert isinstance(generator, StartsFromTokens) == isinstance(models.network, Tokenizer)
        found += [name] if isinstance(generator, StartsFromTokens) else []
    assert found == backends_with_tokens()


@both
def test_a_picture_that_goes_through_its_codes_is_that_of_the_network(backend: str) -> None:
    network: Any = build_network(load(f"starter/{backend}")).eval()
    pictures = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        codes, encoded = network.codes_of(pictures), network.encode(pictures)
        hard = torch.zeros_like(encoded).scatter_(1, encoded.argmax(1, keepdim=True), 1.0)
        straight = network.straight_through(encoded) if backend == "vqgan" else hard
        assert torch.allclose(network.images_of(codes), network.decode(straight).clamp(0, 1), atol=1e-5)
    assert codes.shape == (2, 48 // network.stride, 64 // network.stride)
    assert 0 <= int(codes.min()) <= int(codes.max()) < network.code_count
    assert registry.code_count(f"starter/{backend}") == network.code_count
    assert registry.stride(f"starter/{backend}") == network.stride


def begun(backend: str, tokens: TokenGrid, models: Models, **changes: Any) -> Result:
    columns, rows = tokens.size
    size = columns * STRIDE, rows * STRIDE
    asked = plan(
        "red", backend=backend, init_tokens="t.npy", **{"size": size, "steps": 1, "lr": 1e-6, "cutouts": 2} | changes
    )
    return optimise(asked, models, init=Inputs(tokens=tokens))


@both
def test_a_run_that_makes_no_way_has_exactly_the_picture_of_its_tokens(backend: str) -> None:
    network: Any = load_tokenizer(f"starter/{backend}", CPU)
    codes = grid(codes=network.code_count)
    made = begun(backend, TokenGrid.of(codes, "x"), Models(network, fake_models().guides, CPU))
    assert made.image.tobytes() == decode(codes.astype(np.int32), network, CPU).tobytes()


@both
def test_a_run_moves_away_from_its_tokens_unless_it_is_held(backend: str) -> None:
    models, tokens = fake_models(backend), TokenGrid.of(grid(), "x")
    start = np.asarray(decode(tokens.codes, models.network, CPU), dtype=float)  # type: ignore[arg-type]
    free, held = (
        np.abs(np.asarray(begun(backend, tokens, models, steps=20, lr=0.4, init_weight=w).image) - start).mean()
        for w in (None, 1000.0)
    )
    assert free > 2 * held


def test_tokens_begin_pictures_that_are_made_together() -> None:
    asked = [plan("red", init_tokens="t.npy", seed=seed) for seed in (1, 2)]
    given_tokens = Inputs(tokens=TokenGrid.of(grid(), "x"))
    together = optimise_together([Task(each, given_tokens) for each in asked], fake_models())
    for each, one in zip(asked, together, strict=True):
        assert isinstance(one, Result)
        assert one.image.tobytes() == optimise(each, fake_models(), init=given_tokens).image.tobytes()


def test_tokens_that_do_not_fit_a_plan_are_refused() -> None:
    asked = plan("red", init_tokens="t.npy")
    for inputs in (Inputs(), Inputs(tokens=TokenGrid.of(grid(3), "x")), Inputs(tokens=TokenGrid.of(grid() + 343, "x"))):
        with pytest.raises(UsageError, match="tokens"):
            optimise(asked, fake_models(), init=inputs)
    with pytest.raises(UsageError, match="and no other"):
        optimise(plan("red"), fake_models(), init=Inputs(tokens=TokenGrid.of(grid(), "x")))
    assert Given().tokens is None


@both
def test_a_run_from_tokens_is_recorded_replayed_and_resumed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    np.save("t.npy", grid())
    args = ("red", "--init-tokens", "t.npy", "--backend", backend, "--init-weight", "0.5", *SMALL, "--save-every", "0")
    whole = Path(cli(*args, "-o", "whole.png").stdout.strip())
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        stopped = cli(*args, "-o", "parts.png")
    assert stopped.exit_code == 130
    Path("t.npy").rename("moved.npy")
    assert cli("resume", "parts.png").exit_code == 0
    recipe = read_recipe(whole)
    [row] = recipe.plan.init_tokens
    assert (recipe.plan.start, recipe.plan.size, row.file, len(row.sha256)) == ("tokens", (48, 32), "t.npy", 64)
    refused = cli("replay", str(whole))
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "starts from the tokens 't.npy', sha256" in refused.stderr
    assert "add --init-tokens FILE" in refused.stderr
    again = cli("replay", str(whole), "--init-tokens", "moved.npy", "-o", "again.png")
    assert "warning" not in again.stderr
    pixels = {Image.open(name).tobytes() for name in (whole, "parts.png", "again.png")}
    assert len(pixels) == 1
    assert "--init-tokens FILE" in cli("info", str(whole)).stdout
    np.save("other.npy", grid(seed=1))
    other = cli("replay", str(whole), "--init-tokens", "other.npy")
    assert "is not the file that the first run started from" in other.stderr
    assert read_recipe(Path(cli("replay", str(whole), "--start", "noise").stdout.strip())).plan.init_tokens == ()


def test_a_state_with_other_tokens_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("t.npy", grid())
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        cli("red", "--init-tokens", "t.npy", *SMALL, "--save-every", "0", "-o", "a.png")
    np.save("a.clipgen/tokens.npy", grid(seed=1))
    refused = cli("resume", "a.png")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "tokens.npy is damaged (its checksum is wrong)" in refused.stderr


def test_a_replay_starts_from_tokens_in_place_of_an_init_image(cli: Cli) -> None:
    Image.new("RGB", (48, 32), "red").save("red.png")
    np.save("t.npy", grid())
    first = cli("red", "--init", "red.png", *SMALL).stdout.strip()
    made = cli("replay", first, "--init-tokens", "t.npy")
    assert made.exit_code == 0, made.stderr
    found = read_recipe(Path(made.stdout.strip())).plan
    assert (found.init, found.init_tokens[0].file, found.start) == ("", "t.npy", "tokens")


def test_a_batch_starts_every_picture_from_the_same_tokens(cli: Cli) -> None:
    np.save("t.npy", grid())
    Path("lines.txt").write_text("red\nblue\n")
    made = cli("batch", "lines.txt", "--init-tokens", "t.npy", *SMALL, "-o", "out")
    assert made.exit_code == 0, made.stderr
    assert [read_recipe(Path(name)).plan.size for name in made.stdout.split()] == [(48, 32)] * 2
    again = cli("batch", "lines.txt", "--init-tokens", "t.npy", *SMALL, "-o", "out")
    assert again.stderr.count("already made") == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--backend", "pixels"), "--init-tokens: backend pixels has no tokens; vqgan, dvae, titok have"),
        (("--init", "red.png"), "--init 'red.png' and --init-tokens 't.npy' exclude each other; leave one out"),
        (("--start", "unclip"), "--start unclip and --init-tokens 't.npy' exclude each other; leave one out"),
        (("--size", "64x64"), "--size 64x64 is not the size of the 6x4 tokens of --init-tokens, which is 48x32"),
        (("--mask", "left"), "--mask needs an init image"),
        (("--init-noise", "0.5"), "--init-noise 0.5 needs an init image"),
        (("--init-tokens", "large.npy"), "--init-tokens holds the code 8192, and starter/vqgan has 2,048 codes"),
    ],
)
def test_what_does_not_go_with_tokens_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    np.save("t.npy", grid())
    np.save("large.npy", grid() * 0 + 8192)
    Image.new("RGB", (48, 32), "red").save("red.png")
    before = sorted(path.name for path in Path().iterdir())
    result = cli("red", "--init-tokens", "t.npy", *SMALL, *args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert said in result.stderr
    assert sorted(path.name for path in Path().iterdir()) == before


def test_the_start_tokens_needs_tokens_and_their_size_may_be_typed(cli: Cli) -> None:
    refused = cli("red", "--start", "tokens", *SMALL)
    assert "--start tokens needs tokens; add --init-tokens FILE" in refused.stderr
    np.save("t.npy", grid())
    assert cli("red", "--init-tokens", "t.npy", "--start", "tokens", "--size", "48x32", *SMALL).exit_code == 0


def test_generate_takes_tokens_of_any_kind(cli: Cli) -> None:
    np.save("t.npy", grid())
    ways: list[Any] = ["t.npy", Path("t.npy"), grid(), torch.from_numpy(grid()), grid().tolist()]
    common: dict[str, Any] = {"preset": "starter", "device": "cpu", "steps": 2, "cutouts": 2, "seed": 1}
    made = [clipgen.generate("red", init_tokens=way, **common) for way in ways]
    assert len({one.image.tobytes() for one in made}) == 1
    assert [one.plan.init_tokens[0].file for one in made] == ["t.npy"] * 2 + ["array"] * 3
    again = clipgen.generate(made[2].plan, init_tokens=grid())
    assert again.image.tobytes() == made[0].image.tobytes()
    for wrong, said in ((grid() * 0.5, "init_tokens holds float64"), ([[1], [2, 3]], "rows of one length")):
        with pytest.raises(UsageError, match=said):
            clipgen.generate("red", init_tokens=wrong, **common)
