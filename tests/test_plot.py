from __future__ import annotations

import numpy as np

from mobilesam.plot import NEGATIVE, PALETTE, POSITIVE, colour, draw

GREY = np.full((200, 300, 3), 100, np.uint8)


def test_inside_is_half_the_colour_and_outside_untouched() -> None:
    mask = np.zeros((1, 200, 300), bool)
    mask[0, 50:150, 100:200] = True
    picture = draw(GREY, mask)
    expected = np.round(100 * 0.5 + np.array(PALETTE[0]) * 0.5)
    assert abs(picture[100, 150].astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(picture[10, 10], GREY[10, 10])
    assert (GREY == 100).all()


def test_clicks_boxes_and_no_masks() -> None:
    none = np.zeros((0, 200, 300), bool)
    picture = draw(GREY, none, points=[(50, 60, 1), (150, 60, 0)])
    assert picture[60, 50].tolist() == list(POSITIVE)
    assert picture[60, 150].tolist() == list(NEGATIVE)
    boxed = draw(GREY, none, boxes=np.array([[20, 30, 120, 90]], np.float32))
    assert boxed[30, 60].tolist() == list(colour(0))
    assert boxed[60, 60].tolist() == [100] * 3


def test_colours_are_fixed_and_differ() -> None:
    assert len({colour(i) for i in range(60)}) == 60
    assert colour(17) == colour(17)


def test_masks_of_a_few_pixels_are_visible() -> None:
    tiny = np.zeros((2, 2, 3), np.uint8)
    assert draw(tiny, np.ones((1, 2, 2), bool), alpha=1.0)[0, 0].tolist() == list(PALETTE[0])


def test_labels_colours_and_lines() -> None:
    photo = np.zeros((60, 80, 3), np.uint8)
    masks = np.zeros((2, 60, 80), bool)
    masks[0, 20:50, 5:35], masks[1, 20:50, 45:75] = True, True
    boxes = np.array([[5, 20, 35, 50], [45, 20, 75, 50]], np.float32)
    default, chosen = draw(photo, masks, alpha=1.0), draw(photo, masks, colours=[1, 1], alpha=1.0)
    assert [tuple(picture[35, x]) for picture in (default, chosen) for x in (20, 60)] == [
        colour(i) for i in (0, 1, 1, 1)
    ]
    bare, written = draw(photo, masks, boxes=boxes), draw(photo, masks, boxes=boxes, labels=["7", "8"])
    assert (bare[8:16, 5:12] == 0).all()
    assert (written[8:16, 5:12] != 0).any()
    assert (draw(photo, masks, boxes=boxes, line=3) != bare).any()
