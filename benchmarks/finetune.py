"""Fine-tuning on part of a labelled data set, measured on the rest: the table of docs/training-finetune.md.

python benchmarks/finetune.py DATA OUT --test 10 --set loop.steps=60

The split is by the photos' sorted names: the last `--test` photos are for the test. It prints the change of each score,
and what one pixel at the border of the true masks costs, as IoU.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mobilesam import SAM
from mobilesam.evaluate.datasets import Dataset, load
from mobilesam.masks import iou
from mobilesam.train import finetune
from mobilesam.train import load as recipe

PROTOCOLS = ("box", "center", "random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--test", type=int, default=10)
    parser.add_argument("--objects", type=int, default=30, help="of each test photo")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    arguments = parser.parse_args()
    whole = load(arguments.data)
    photos = sorted(whole.photos, key=lambda photo: photo.key)
    train, test = (replace(whole, photos=some) for some in (photos[: -arguments.test], photos[-arguments.test :]))
    print(f"one pixel at the border of the test masks: IoU {border(test, arguments.objects):.3f}")
    before = scores("mobilesam", test, arguments.objects)
    start, work = time.perf_counter(), time.process_time()
    result = finetune(train, arguments.out, recipe("finetune_small", arguments.changes), say=print, progress=show)
    print(f"{time.perf_counter() - start:.0f} s, {time.process_time() - work:.0f} s of processor time")
    after = scores(str(result.model), test, arguments.objects)
    for name, value in before.items():
        print(f"{name}: {value:.3f} -> {after[name]:.3f}")


def show(done: int, total: int, word: str) -> None:
    if done % 10 == 0:
        print(f"{done}/{total} {word}", flush=True)


def scores(model: str, test: Dataset, objects: int) -> dict[str, float]:
    report = SAM(model, precision="fp32").val(test, PROTOCOLS, max_objects=objects)
    return {f"{f.protocol} {f.score}": f.value for f in report.figures if f.size == "all"}


def border(test: Dataset, objects: int) -> float:
    """The mean IoU of true masks with themselves one pixel larger, and one smaller."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    found = []
    for photo in test.photos:
        for instance in photo.read()[:objects]:
            pixels = instance.mask.astype(np.uint8)
            found += [iou(instance.mask, change(pixels, cross) > 0) for change in (cv2.dilate, cv2.erode)]
    return float(np.mean(found))


if __name__ == "__main__":
    main()
