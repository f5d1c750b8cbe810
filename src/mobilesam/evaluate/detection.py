"""AP of instance masks: pycocotools' COCOeval, and on it the rules of LVIS and of boundary AP.

The package lvis 0.5.3 needs a NumPy older than 1.24 (it uses np.float) and declares opencv-python, so its rules are
here, and a test holds its own figures against ours.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..types import AnyArray
from .bootstrap import statistic_interval
from .metrics import boundary

COCO_MOST, LVIS_MOST = 100, 300
"""Masks a photo that count."""
RESAMPLES = 200
AREAS = {"all": 0, "S": 1, "M": 2, "L": 3}

Values = dict[tuple[str, str], tuple[float, float, float]]
"""(score, size) -> value, and its interval."""


def average_precision(
    truth: dict[str, Any],
    detections: Sequence[dict[str, Any]],
    image_ids: Sequence[int],
    *,
    is_lvis: bool = False,
    by_boundary: bool = False,
) -> Values:
    """AP, AP50, AP75 over all sizes and AP by size; for LVIS APr, APc, APf too. In 0..1, -1 where nothing counts.

    `truth` is COCO's or LVIS' JSON, `detections` COCO results with run lengths; only photos in `image_ids` count.
    AP over all sizes has the 95 % interval over photos drawn with replacement, the others none: (value, value, value).
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        known = _restricted(truth, image_ids)
        found = [dict(item) for item in detections if item["image_id"] in known.imgs]
        found = _most(found, LVIS_MOST) if is_lvis else found
        result = known.loadRes(found) if found else _restricted({**truth, "annotations": []}, image_ids)
        evaluation = (_LvisEval if is_lvis else _Eval)(known, result, by_boundary)
        evaluation.evaluate()
        evaluation.accumulate()
        precision = evaluation.eval["precision"]
        values = {("AP", size): _mean(precision[:, :, :, area]) for size, area in AREAS.items()}
        values |= {("AP50", "all"): _mean(precision[0, :, :, 0]), ("AP75", "all"): _mean(precision[5, :, :, 0])}
        if is_lvis:
            for frequency in "rcf":
                places = [i for i, c in enumerate(evaluation.params.catIds) if known.cats[c]["frequency"] == frequency]
                values["AP" + frequency, "all"] = _mean(precision[:, :, places, 0])
        low, high = _interval(evaluation)
    found_values: Values = {key: (value, value, value) for key, value in values.items()}
    return found_values | {("AP", "all"): (values["AP", "all"], low, high)}


def _restricted(truth: dict[str, Any], image_ids: Sequence[int]) -> COCO:
    """An index of some photos' annotations; copies, as pycocotools writes into them, and numbered from 1, as it takes
    0 for "no match"."""
    wanted = set(image_ids)
    some = [a for a in truth["annotations"] if a["image_id"] in wanted]
    coco = COCO()
    coco.dataset = {
        "images": [image for image in truth["images"] if image["id"] in wanted],
        "categories": truth["categories"],
        "annotations": [{"iscrowd": 0, **a, "id": number} for number, a in enumerate(some, start=1)],
    }
    coco.createIndex()
    return coco


def _most(detections: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The best `most` masks of each photo."""
    by_photo: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for item in detections:
        by_photo[item["image_id"]].append(item)
    ranked = (
        sorted(some, key=lambda d: d["score"], reverse=True) if len(some) > most else some for some in by_photo.values()
    )
    return [item for some in ranked for item in some[:most]]


def _mean(precision: AnyArray) -> float:
    counted = precision[precision > -1]
    return float(counted.mean()) if counted.size else -1.0


def _interval(evaluation: _Eval) -> tuple[float, float]:
    """Of AP over all sizes, whole photos drawn with replacement."""
    photos, areas = len(evaluation.params.imgIds), len(AREAS)
    every = evaluation.evalImgs
    evaluation.params.areaRng = evaluation.params.areaRng[:1]
    evaluation._paramsEval.areaRng = evaluation.params.areaRng  # noqa: SLF001  accumulate() takes its counts from there
    starts = range(0, len(every), photos * areas)

    def statistic(drawn: AnyArray) -> float:
        evaluation.evalImgs = [every[start + i] for start in starts for i in drawn]
        evaluation.accumulate()
        return _mean(evaluation.eval["precision"][:, :, :, 0])

    return statistic_interval(photos, statistic, RESAMPLES)


class _Eval(COCOeval):  # type: ignore[misc]  # pycocotools has no types
    """COCOeval at one number of masks a photo; with `by_boundary` the smaller of mask IoU and boundary IoU counts."""

    most = COCO_MOST

    def __init__(self, known: COCO, found: COCO, by_boundary: bool) -> None:
        super().__init__(known, found, "segm")
        self.params.maxDets = [self.most]
        self.by_boundary = by_boundary

    def computeIoU(self, imgId: int, catId: int) -> Any:  # noqa: N802, N803  COCOeval's names
        """As COCOeval; boundary AP by Cheng et al. 2021, crowds excepted."""
        ious = super().computeIoU(imgId, catId)
        if not self.by_boundary or len(ious) == 0:
            return ious
        true, found = self._gts[imgId, catId], self._dts[imgId, catId]
        order = np.argsort([-d["score"] for d in found], kind="mergesort")[: self.most]
        crowd = [int(g["iscrowd"]) for g in true]
        edges = rle.iou([_edge(found[i]) for i in order], [_edge(g) for g in true], crowd)
        return np.where(np.array(crowd, bool), ious, np.minimum(ious, edges))


class _LvisEval(_Eval):
    """LVIS' rules: only categories known present or absent in a photo count, and where a category isn't drawn
    exhaustively an unmatched mask of it is no mistake."""

    most = LVIS_MOST

    def _prepare(self) -> None:
        super()._prepare()
        images = self.cocoGt.imgs
        present = {key for key, some in self._gts.items() if some}
        for image, category in list(self._dts):
            if (image, category) not in present and category not in images[image]["neg_category_ids"]:
                del self._dts[image, category]

    def evaluateImg(self, imgId: int, catId: int, aRng: Any, maxDet: int) -> Any:  # noqa: N802, N803
        """As COCOeval, then unmatched masks of categories not drawn exhaustively are ignored."""
        found = super().evaluateImg(imgId, catId, aRng, maxDet)
        if found is not None and catId in self.cocoGt.imgs[imgId]["not_exhaustive_category_ids"]:
            found["dtIgnore"] = np.logical_or(found["dtIgnore"], found["dtMatches"] == 0)
        return found


def _edge(annotation: dict[str, Any]) -> Any:
    """The run lengths of a mask's boundary, kept with it."""
    if "boundary" not in annotation:
        edge = boundary(np.asarray(rle.decode(annotation["segmentation"]), bool))
        annotation["boundary"] = rle.encode(np.asfortranarray(edge, np.uint8))
    return annotation["boundary"]
