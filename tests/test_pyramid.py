import pytest
import torch

from clipgen.generators.pyramid import Pyramid

every_kind = pytest.mark.parametrize("cascaded", [False, True])


@pytest.fixture
def value() -> torch.Tensor:
    return torch.randn(2, 3, 6, 9, generator=torch.Generator().manual_seed(0))


@every_kind
def test_it_holds_what_was_set(value: torch.Tensor, cascaded: bool) -> None:
    pyramid = Pyramid(value.shape, torch.device("cpu"), depth=3, cascaded=cascaded)
    pyramid.set_(value)
    assert torch.equal(pyramid.value(), value)
    assert [tuple(level.shape[2:]) for level in pyramid.levels] == [(6, 9), (3, 5), (2, 3)]


@every_kind
@pytest.mark.parametrize("depth", [1, 3])
def test_the_sum_does_not_change_when_the_levels_do(value: torch.Tensor, depth: int, cascaded: bool) -> None:
    pyramid = Pyramid(value.shape, torch.device("cpu"), depth, cascaded=cascaded)
    pyramid.set_(value)
    before = pyramid.value().detach()
    pyramid.set_(value + 1)
    assert torch.equal(before, value)


@every_kind
def test_a_coarse_cell_moves_all_cells_under_it(value: torch.Tensor, cascaded: bool) -> None:
    pyramid = Pyramid(value.shape, torch.device("cpu"), depth=3, cascaded=cascaded)
    pyramid.set_(value)
    with torch.no_grad():
        pyramid.levels[2].fill_(1.0)
    assert torch.allclose(pyramid.value(), value + 1, atol=1e-6)


@every_kind
def test_every_level_has_a_gradient(value: torch.Tensor, cascaded: bool) -> None:
    pyramid = Pyramid(value.shape, torch.device("cpu"), depth=3, cascaded=cascaded)
    (pyramid.value() * value).sum().backward()
    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in pyramid.levels)


@every_kind
def test_projecting_brings_the_sum_into_the_range(value: torch.Tensor, cascaded: bool) -> None:
    pyramid = Pyramid(value.shape, torch.device("cpu"), depth=2, cascaded=cascaded)
    pyramid.set_(value)
    with torch.no_grad():
        pyramid.levels[1].fill_(2.0)
    expected = (value + 2).clamp(-0.5, 0.5)
    pyramid.project_(lambda latent: latent.clamp(-0.5, 0.5))
    assert torch.allclose(pyramid.value(), expected, atol=1e-6)


@every_kind
@pytest.mark.parametrize("cells", [(6, 9), (32, 32), (1, 5)])
def test_the_sum_of_a_picture_is_the_same_to_the_last_bit_beside_others(cells: tuple[int, int], cascaded: bool) -> None:
    cpu = torch.device("cpu")
    pyramids = [Pyramid((pictures, 3, *cells), cpu, depth=6, cascaded=cascaded) for pictures in (3, 1)]
    numbers = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for many, one in zip(*(pyramid.levels for pyramid in pyramids), strict=True):
            many.copy_(torch.randn(many.shape, generator=numbers))
            one.copy_(many[1:2])
    assert torch.equal(pyramids[0].value()[1:2], pyramids[1].value())


def test_nine_cascaded_levels_of_a_large_picture_all_have_a_gradient() -> None:
    pyramid = Pyramid((1, 3, 256, 192), torch.device("cpu"), depth=9, cascaded=True)
    assert tuple(pyramid.levels[-1].shape) == (1, 3, 1, 1)
    pyramid.value().sum().backward()
    for level in pyramid.levels:  # every level is part of every pixel
        assert level.grad is not None
        assert (level.grad > 0).all()
        assert float(level.grad.sum()) == pytest.approx(3 * 256 * 192, rel=1e-3)


def test_setting_a_cascade_empties_its_coarse_levels(value: torch.Tensor) -> None:
    pyramid = Pyramid(value.shape, torch.device("cpu"), depth=4, cascaded=True)
    with torch.no_grad():
        for level in pyramid.levels:
            level.fill_(3.0)
    pyramid.set_(value)
    assert torch.equal(pyramid.value(), value)
    assert all(not level.any() for level in pyramid.levels[1:])
    assert all(level.requires_grad and level.is_leaf for level in pyramid.levels)
