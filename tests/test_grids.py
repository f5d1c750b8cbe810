from __future__ import annotations

import numpy as np
import pytest

from mobilesam.grids import crop_boxes, layer_grids, point_grid


def test_points_are_the_centres_of_cells_row_by_row() -> None:
    grid = point_grid(4)
    assert grid[:5].tolist() == [[0.125, 0.125], [0.375, 0.125], [0.625, 0.125], [0.875, 0.125], [0.125, 0.375]]
    np.testing.assert_allclose(grid.mean(axis=0), [0.5, 0.5])


def test_each_layer_is_coarser() -> None:
    assert [len(grid) for grid in layer_grids(32, 2, 2)] == [1024, 256, 64]
    assert [len(grid) for grid in layer_grids(2, 3, 4)] == [4, 1, 1, 1]


@pytest.mark.parametrize("hw", [(400, 600), (1200, 1800), (37, 53), (601, 333)])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_crops_cover_the_image_and_overlap(hw: tuple[int, int], layers: int) -> None:
    boxes = crop_boxes(hw, layers, 512 / 1500)
    assert boxes[0] == ((0, 0, hw[1], hw[0]), 0)
    assert len(boxes) == sum(4**i for i in range(layers + 1))
    for layer in range(layers + 1):
        covered = np.zeros(hw, int)
        for (x1, y1, x2, y2), at in boxes:
            assert 0 <= x1 < x2 <= hw[1]
            assert 0 <= y1 < y2 <= hw[0]
            if at == layer:
                covered[y1:y2, x1:x2] += 1
        assert covered.min() >= 1
        assert layer == 0 or covered.max() >= 4


def test_crops_by_metas_numbers() -> None:
    """generate_crop_boxes((400, 600), 1, 512 / 1500), worked out by hand: overlap 136, crops of 368 x 268."""
    assert [box for box, _ in crop_boxes((400, 600), 1, 512 / 1500)] == [
        (0, 0, 600, 400),
        (0, 0, 368, 268),
        (0, 132, 368, 400),
        (232, 0, 600, 268),
        (232, 132, 600, 400),
    ]
