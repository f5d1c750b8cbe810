"""How well `SAM.track` follows an object: real ones, cut out of photos and moved over other photos, with known masks.

    python benchmarks/track.py [--frames 30] [--scenes NAME ...]

There is no labelled video among the repository's files, so the scenes are made: the cut-out moves, turns and grows a
little from frame to frame over a moving background. That is easier than a film (nothing blurs, sharp edges) in some
ways and harder in others (cut-outs fit no scene). Prints each scene's mean IoU with the known masks, that of the last
frame, and the same without carrying anything along (the first frame's box for every frame).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mobilesam import SAM
from mobilesam.image import to_rgb
from mobilesam.masks import box_of, iou
from mobilesam.types import U8, Bool

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests/golden"
HW = (360, 480)


@dataclass(frozen=True)
class Scene:
    """How an object moves; lengths are pixels a frame."""

    photo: Path
    box: tuple[float, float, float, float]
    background: Path
    speed: tuple[float, float]
    turn: float = 0.0
    """Degrees a frame."""
    grow: float = 1.0
    """Factor a frame."""
    pan: float = 1.0
    """How the background moves."""
    hidden: tuple[int, int] = (0, 0)
    """Frames, from and up to, in which a bar hides it."""
    size: float = 120.0
    """Its longer side in the first frame."""


COFFEE, CAT, ASTRONAUT = ROOT / "examples/coffee.png", GOLDEN / "chelsea.png", GOLDEN / "astronaut.png"
CUP, FACE, HEAD = (150.0, 80.0, 480.0, 340.0), (95.0, 10.0, 350.0, 290.0), (165.0, 10.0, 310.0, 200.0)
SCENES = {
    "cup, slow": Scene(COFFEE, CUP, CAT, (5, 1)),
    "cup, fast": Scene(COFFEE, CUP, CAT, (10, 3), size=80),
    "cup, turning and growing": Scene(COFFEE, CUP, ASTRONAUT, (3, 1), turn=3, grow=1.02, size=90),
    "cat, slow": Scene(CAT, FACE, COFFEE, (5, 2)),
    "head, shrinking": Scene(ASTRONAUT, HEAD, CAT, (4, 2), grow=0.98, size=140),
    "cup, hidden for 4 frames": Scene(COFFEE, CUP, CAT, (5, 1), hidden=(12, 16)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--scenes", nargs="*", default=list(SCENES))
    options = parser.parse_args()
    sam = SAM()
    print(f"{sam.info.runtime} {sam.info.precision}, {options.frames} frames of {HW[1]} x {HW[0]}")
    for name in options.scenes:
        measure(sam, name, list(frames(sam, SCENES[name], options.frames)))


def measure(sam: SAM, name: str, made: list[tuple[U8, Bool]]) -> None:
    images, truths = zip(*made, strict=True)
    start = time.perf_counter()
    box = box_of(truths[0])
    track = sam.track(list(images), bboxes=box)
    found = [result.masks[0] if len(result) else np.zeros(HW, bool) for result in track]
    spent = (time.perf_counter() - start) / len(found)
    ious = [iou(mask, truth) for mask, truth in zip(found, truths, strict=False)]
    still = [
        iou(r.masks[0], truth) for r, truth in zip(sam.predict(list(images[::5]), bboxes=box), truths[::5], strict=True)
    ]
    lost = "; ".join(f"lost at frame {one.frame} (IoU {one.iou}, overlap {one.overlap})" for one in track.lost.values())
    print(
        f"{name:26s} first {ious[0]:.3f}  mean {np.mean(ious):.3f}  least {min(ious):.3f}  last {ious[-1]:.3f}  "
        f"not carried {np.mean(still):.3f}  {1e3 * spent:.0f} ms a frame  {lost}",
        flush=True,
    )


def frames(sam: SAM, scene: Scene, count: int) -> Iterator[tuple[U8, Bool]]:
    """Pictures and the moved object's true mask."""
    photo = to_rgb(scene.photo)
    mask = sam.predict(photo, bboxes=scene.box)[0].masks[0]
    background = cv2.resize(to_rgb(scene.background), (HW[1] * 3 // 2, HW[0] * 3 // 2), interpolation=cv2.INTER_AREA)
    x1, y1, x2, y2 = box_of(mask)
    scale = scene.size / max(x2 - x1, y2 - y1)
    rng = np.random.default_rng(0)
    for i in range(count):
        centre = np.array([100.0, 150.0]) + i * np.array(scene.speed)
        matrix = cv2.getRotationMatrix2D(
            (float(x1 + x2) / 2, float(y1 + y2) / 2), scene.turn * i, scale * scene.grow**i
        )
        matrix[:, 2] += centre - np.array([(x1 + x2) / 2, (y1 + y2) / 2])
        moved = cv2.warpAffine(photo, matrix, HW[::-1], flags=cv2.INTER_AREA)
        share = cv2.warpAffine(mask.astype(np.float32), matrix, HW[::-1], flags=cv2.INTER_LINEAR)
        offset = int(scene.pan * i)
        behind = background[offset : offset + HW[0], offset : offset + HW[1]]
        picture = behind * (1 - share[..., None]) + moved * share[..., None]
        truth = share > 0.5
        if scene.hidden[0] <= i < scene.hidden[1]:
            picture[:, :300] = (90, 90, 90)
            truth = truth & (np.arange(HW[1]) >= 300)
        yield np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8), truth


if __name__ == "__main__":
    main()
