import torch

from clipgen.util.randomness import generator_for


def first(seed: int, step: int, stream: str) -> float:
    return float(torch.rand((), generator=generator_for(seed, step, stream), dtype=torch.float64))


def test_draws_depend_on_seed_step_and_stream_only() -> None:
    assert first(1, 2, "a") == first(1, 2, "a")
    different = {first(seed, step, stream) for seed in range(20) for step in range(20) for stream in "ab"}
    assert len(different) == 800


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    first(2**63 - 1, 5, "a")
    assert torch.equal(torch.get_rng_state(), before)
