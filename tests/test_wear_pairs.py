from pathlib import Path

import numpy as np
import torch

from clipgen.starter.train.wear_pairs import changed_cells, join_mirrored, probabilities, wear_pairs


def test_pictures_are_drawn_a_second_time_without_what_is_worn(tmp_path: Path) -> None:
    found = wear_pairs(tmp_path, 6, 64, seed=3)
    assert all(truth.relation == "wearing" for truth in found.shown)
    for dressed, bare, truth, undressed in zip(found.dressed, found.bare, found.shown, found.undressed, strict=True):
        assert (dressed != bare).any()
        assert (undressed.noun, undressed.colour, undressed.style) == (truth.noun, truth.colour, truth.style)
        assert (undressed.relation, undressed.other, undressed.other_colour) == (None, None, None)


def test_each_part_has_its_share_and_stays_beside_its_mirror_images() -> None:
    few, many = torch.arange(4.0).view(4, 1), torch.arange(10.0, 18.0).view(8, 1)
    assert join_mirrored(few, many)[:, 0].tolist() == [0, 1, 10, 11, 12, 13, 2, 3, 14, 15, 16, 17]
    odds = probabilities((0.2, 0.8), (torch.zeros(3, 2, 5), torch.zeros(3, 4, 5)))
    np.testing.assert_allclose(odds, [0.1, 0.1, 0.2, 0.2, 0.2, 0.2])


def test_what_is_worn_is_found_where_pictures_differ() -> None:
    bare = np.random.default_rng(0).integers(0, 200, (2, 16, 16, 3), np.uint8)
    dressed = bare.copy()
    dressed[0, 4:8, 8:12] += 50
    dressed[1] += 50
    found = changed_cells(dressed, bare, 4)
    assert found.shape == (4, 1, 4, 4)
    assert found.nonzero().tolist() == [[0, 0, 1, 2], [2, 0, 1, 1]]
