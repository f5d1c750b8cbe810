"""Modules in the place of packages that a program imports but that can't be had here, or aren't called."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from unittest.mock import MagicMock


class StandIn(types.ModuleType):
    """A module that has whatever is asked of it: classes to inherit from, functions to call."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {}) if name[0].isupper() else MagicMock(name=name)
        setattr(self, name, made)
        return made


def stand_in(*names: str) -> None:
    """Put a `StandIn` in the place of each module and of the packages above it."""
    for name in names:
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            part = ".".join(parts[:end])
            if part not in sys.modules:
                sys.modules[part] = StandIn(part)
            if end > 1:
                setattr(sys.modules[".".join(parts[: end - 1])], parts[end - 1], sys.modules[part])


def stand_in_torchvision() -> None:
    """torchvision has no CPU build for the tested torch; of what it does, only suppression of boxes is called."""
    names = (
        "ops.boxes",
        "transforms.functional",
        "transforms.v2.functional",
        "models",
        "io",
        "datasets.utils",
        "utils",
    )
    stand_in(*(f"torchvision.{name}" for name in names))
    for module in ("torchvision.ops", "torchvision.ops.boxes"):
        sys.modules[module].nms = nms
        sys.modules[module].batched_nms = batched_nms
        sys.modules[module].box_area = box_area
    sys.modules["torchvision"].__version__ = "0.0"


def box_area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def nms(boxes, scores, iou_threshold: float):
    """Indices of the boxes that no better one overlaps by more than the threshold, the best first."""
    import torch

    order, kept = scores.argsort(descending=True, stable=True), []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        low = torch.maximum(boxes[best, :2], boxes[rest, :2])
        high = torch.minimum(boxes[best, 2:], boxes[rest, 2:])
        both = (high - low).clamp(min=0).prod(dim=1)
        union = box_area(boxes[best][None]) + box_area(boxes[rest]) - both
        order = rest[both <= iou_threshold * union]
    return torch.stack(kept) if kept else order


def batched_nms(boxes, scores, idxs, iou_threshold: float):
    """`nms` within each group `idxs`: the groups are moved so far apart that their boxes can't meet."""
    far = idxs.to(boxes.dtype) * (boxes.max() + 1 if boxes.numel() else 1)
    return nms(boxes + far[:, None], scores, iou_threshold)
