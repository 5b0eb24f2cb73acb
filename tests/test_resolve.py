import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipgen.config.job import MAX_SIDE, Job, parse_prompts
from clipgen.config.presets import BACKENDS, PRESETS
from clipgen.config.resolving import MAX_ASPECT, resolve
from clipgen.errors import UsageError
from clipgen.generators import GENERATORS
from clipgen.weights.registry import stride

CAT = parse_prompts("a cat")
STRIDE = PRESETS["starter"].generators["vqgan"].stride
sides = st.integers(max(row.stride for preset in PRESETS.values() for row in preset.generators.values()), 2048)


def test_every_backend_of_every_preset_exists_and_the_other_way_round() -> None:
    assert set(BACKENDS) == set(GENERATORS)


@given(st.sampled_from(BACKENDS), st.none() | st.tuples(sides, sides))
def test_resolving_fills_everything_in_and_changes_nothing_when_done_again(
    backend: str, size: tuple[int, int] | None
) -> None:
    job, _ = resolve(Job(CAT, backend=backend, size=size))
    assert None not in (job.size, job.steps, job.lr, job.cutouts)
    assert job.preset in PRESETS
    assert resolve(job) == (job, [])


@given(sides, sides)
def test_rounding_moves_each_side_by_at_most_half_a_cell_and_is_said(width: int, height: int) -> None:
    job, notes = resolve(Job(CAT, size=(width, height)))
    assert job.size is not None
    for wanted, given_side in zip((width, height), job.size, strict=True):
        assert given_side % STRIDE == 0
        assert abs(given_side - wanted) <= STRIDE / 2
    assert job.size == (width, height) or any(f"{width}x{height} rounded to" in note for note in notes)


@given(st.integers(1, 10**5), st.integers(1, 10**5))
def test_without_a_size_the_init_image_gives_the_shape_and_the_preset_the_area(width: int, height: int) -> None:
    job, notes = resolve(Job(CAT), (width, height))
    assert job.size is not None
    area = job.size[0] * job.size[1]
    assert 0.85 < area / 256**2 < 1.15
    assert (width < height) <= (job.size[0] <= job.size[1])
    assert max(job.size) / min(job.size) < 1.15 * MAX_ASPECT
    assert any("from the shape of the init image" in note for note in notes)


def test_a_landscape_photograph_stays_one() -> None:
    job, _ = resolve(Job(CAT), (1920, 1080))
    assert job.size is not None
    assert abs(job.size[0] - 341) <= STRIDE / 2
    assert abs(job.size[1] - 192) <= STRIDE / 2


def test_auto_says_what_it_chose_and_why() -> None:
    job, notes = resolve(Job(CAT))
    assert job.preset == "starter"
    assert any("starter" in note for note in notes)
    assert resolve(Job(CAT, preset="starter"))[1] == []


def test_a_number_that_may_be_text_is_pointed_out() -> None:
    _, notes = resolve(Job(parse_prompts("a ratio of 16:9"), preset="starter"))
    assert notes == ['reading "a ratio of 16" with weight 9; to keep the colon as text write "a ratio of 16:9:1:-inf"']
    assert resolve(Job(parse_prompts("a ratio of 16:9:1:-inf"), preset="starter"))[1] == []


@pytest.mark.parametrize("size", [(STRIDE - 1, 256), (256, 1)])
def test_less_than_a_cell_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=f"smaller than one latent cell of vqgan; use at least {STRIDE}x{STRIDE}"):
        resolve(Job(CAT, size=size))


def test_an_absurd_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"too large.*2048x2048"):
        resolve(Job(CAT, size=(MAX_SIDE, MAX_SIDE)))


@pytest.mark.parametrize(("preset", "backend"), [(p.name, b) for p in PRESETS.values() for b in p.generators])
def test_the_stride_of_a_preset_is_that_of_its_weights(preset: str, backend: str) -> None:
    defaults = PRESETS[preset].generators[backend]
    assert stride(defaults.weights) == defaults.stride
