from __future__ import annotations

import numpy as np

from mobilesam.testing import FakeBackend


def test_the_fake_is_what_its_docstring_says() -> None:
    backend = FakeBackend(radius=100)
    photo = np.zeros((1, 3, 1024, 1024), np.float32)
    photo[:, 1] = 2
    features = backend.encode(photo)
    assert features[0, :4, 5, 5].tolist() == [0, 2, 0, 0]
    coords = np.array([[[400, 500], [0, 0]]], np.float32)
    logits, iou = backend.decode(features, coords, np.array([[1, -1]], np.float32))
    assert iou.tolist() == [np.array([0.75, 0.7, 0.9, 0.8], np.float32).tolist()]
    for area, radius in zip((logits[0] > 0).sum(axis=(1, 2)) * 16, (100, 50, 100, 200), strict=True):
        assert abs(area / (np.pi * radius**2) - 1) < 0.05
    nothing, _ = backend.decode(features, coords, np.array([[0, -1]], np.float32))
    assert not (nothing > 0).any()
