"""Classes on top of masks: a linear layer on the embedding's mean under a mask, trained beside the rest.

It is part of the model while it is trained (`sam.class_head`, so that state and optimiser know it) and of its file;
`mobilesam.classes` runs it in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..classes import MASK_CELLS
from ..errors import InputError
from ..evaluate.datasets import Dataset
from ..nn.sam import Sam


def categories_of(datasets: Sequence[Dataset]) -> dict[str, int]:
    """Each category's name and number from 0, in the order of their ids, of all the sets.

    Raises InputError where a set has none.
    """
    names: dict[str, int] = {}
    for dataset in datasets:
        found = sorted((dataset.coco or {}).get("categories", []), key=lambda one: int(one["id"]))
        if not found:
            raise InputError(f"{dataset.name} has no categories; classes are learnt from COCO's or LVIS' JSON.")
        for category in found:
            names.setdefault(str(category["name"]), len(names))
    return names


def numbers_of(dataset: Dataset, names: dict[str, int]) -> dict[int, int]:
    """A set's category ids as numbers of the classes."""
    return {int(one["id"]): names[str(one["name"])] for one in (dataset.coco or {}).get("categories", [])}


def add_head(sam: Sam, classes: int, seed: int) -> nn.Linear:
    """Give a model a class head with small random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(sam.mask_decoder.iou_token.weight.shape[1], classes)
    sam.add_module("class_head", head)
    return head


def under_masks(features_1chw: Tensor, mask_nhw: Tensor) -> Tensor:
    """The mean (N, C) of an embedding under low-resolution masks; as `mobilesam.classes.under_masks`."""
    share_nk = F.avg_pool2d(mask_nhw.unsqueeze(1).float(), MASK_CELLS).flatten(1)
    cells_ck = features_1chw[0].flatten(1).float()
    return (share_nk @ cells_ck.T) / share_nk.sum(1, keepdim=True).clamp(min=1e-6)
