"""Make the pictures of the README and the docs, with the program itself, on CC0 photos.

python scripts/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mobilesam import SAM
from mobilesam.plot import draw

ROOT = Path(__file__).parents[1]
CLICK = (300, 200)
BOX = [170, 15, 425, 310]


def main() -> None:
    sam = SAM()
    embedding = sam.embed(ROOT / "examples/coffee.png")
    clicked = sam.predict(embedding, points=CLICK, multimask="best")[0]
    boxed = sam.predict(embedding, bboxes=BOX)[0]
    assert embedding.image is not None
    left = draw(embedding.image, clicked.masks, points=[(*CLICK, 1)])
    right = draw(embedding.image, boxed.masks, boxes=np.array([BOX], np.float32))
    cutout = clicked.cutout()
    squares = (np.indices(cutout.shape[:2]) // 16).sum(axis=0) % 2
    checks = np.repeat((210 + 30 * squares).astype(np.uint8)[..., None], 3, axis=2)
    board = np.where(cutout[..., 3:] > 0, cutout[..., :3], checks)
    gap = np.full((left.shape[0], 12, 3), 255, np.uint8)
    Image.fromarray(np.hstack([left, gap, right, gap, board])).save(ROOT / "docs/img/coffee.jpg", quality=88)


if __name__ == "__main__":
    main()
