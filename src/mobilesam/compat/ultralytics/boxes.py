"""Boxes and Masks: what a Results holds, one row a mask."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ...masks import one_ring, polygons_of
from ...types import F32, HW, AnyArray
from .tensors import alike, array_of, tensor_of

Self = TypeVar("Self", bound="Rows")


class Rows:
    """N rows of data over a photo of `orig_shape` (height, width). It can be indexed, moved and iterated."""

    def __init__(self, data: Any, orig_shape: HW) -> None:
        self.data = data
        self.orig_shape = orig_shape

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return tuple(self.data.shape)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self: Self, index: Any) -> Self:
        """One row (still with its first axis), a slice, or the rows of an index array or boolean mask."""
        part = self.data[index]
        return type(self)(part if part.ndim == self.data.ndim else part[None], self.orig_shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} of {self.orig_shape[0]}x{self.orig_shape[1]})"

    def cpu(self: Self) -> Self:
        """The same in main memory."""
        return type(self)(self.data if isinstance(self.data, np.ndarray) else self.data.cpu(), self.orig_shape)

    def numpy(self: Self) -> Self:
        """The same as NumPy arrays."""
        return type(self)(array_of(self.data), self.orig_shape)

    def cuda(self: Self) -> Self:
        """The same on the GPU."""
        return self.to("cuda")

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """The same on another device or of another type, as `torch.Tensor.to`."""
        data = self.data if hasattr(self.data, "to") else tensor_of(self.data)
        return type(self)(data.to(*args, **kwargs), self.orig_shape)


class Boxes(Rows):
    """Boxes of masks: data (N, 6) is x1, y1, x2, y2, conf, cls.

    They are computed from the masks, in whole pixels with inclusive ends as Ultralytics counts (the native
    Results.boxes have exclusive ends). `conf` is the predicted IoU, `cls` the number of the prompt.

    >>> boxes = Boxes(np.array([[0, 0, 4, 2, 0.9, 0]], np.float32), (10, 10))
    >>> boxes.xywh.tolist()
    [[2.0, 1.0, 4.0, 2.0]]
    """

    is_track = False
    id = None
    """No tracker gave these boxes numbers."""

    @property
    def xyxy(self) -> Any:
        """Corners (N, 4)."""
        return self.data[:, :4]

    @property
    def conf(self) -> Any:
        """Predicted IoU (N,)."""
        return self.data[:, 4]

    @property
    def cls(self) -> Any:
        """Number of the prompt (N,), in everything mode of the mask."""
        return self.data[:, 5]

    @property
    def xywh(self) -> Any:
        """Centre, width and height (N, 4)."""
        return alike(_centred(array_of(self.xyxy)), self.data)

    @property
    def xyxyn(self) -> Any:
        """Corners as shares of width and height (N, 4)."""
        return alike(array_of(self.xyxy) / self._whwh, self.data)

    @property
    def xywhn(self) -> Any:
        """Centre, width and height as shares of width and height (N, 4)."""
        return alike(_centred(array_of(self.xyxy)) / self._whwh, self.data)

    @property
    def _whwh(self) -> F32:
        height, width = self.orig_shape
        return np.array([width, height, width, height], np.float32)


class Masks(Rows):
    """Masks: data (N, H, W) bool, at the photo's size.

    >>> masks = Masks(np.ones((1, 2, 4), bool), (2, 4))
    >>> masks.xyn[0].tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    """

    @cached_property
    def xy(self) -> list[F32]:
        """Each mask's outline (K, 2) float32, along pixel edges; its regions and holes joined by bridges."""
        return [_outline(mask) for mask in array_of(self.data)]

    @property
    def xyn(self) -> list[F32]:
        """As `xy`, in shares of width and height."""
        scale = np.array(self.orig_shape[::-1], np.float32)
        return [outline / scale for outline in self.xy]


def _centred(xyxy: AnyArray) -> AnyArray:
    low, high = xyxy[:, :2], xyxy[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def _outline(mask: AnyArray) -> F32:
    rings = [ring for region in polygons_of(mask) for ring in (region.exterior, *region.holes)]
    return one_ring(rings) if rings else np.zeros((0, 2), np.float32)
