"""What the automatic mask generator is made of."""

from __future__ import annotations

from collections.abc import Generator, ItemsView
from copy import deepcopy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ....grids import crop_boxes, layer_grids, point_grid
from ....masks import rle_compress
from ....types import AnyArray, Bool

KINDS = (list, np.ndarray, torch.Tensor)


class MaskData:
    """Lists, arrays and tensors of equal length, one entry a mask, filtered and joined together."""

    def __init__(self, **kwargs) -> None:  # type: ignore[no-untyped-def]  # as Meta's
        self._stats: dict[str, Any] = {}
        for key, value in kwargs.items():
            self[key] = value

    def __setitem__(self, key: str, item: Any) -> None:
        assert isinstance(item, KINDS), "MaskData only supports list, numpy arrays, and torch tensors."
        self._stats[key] = item

    def __delitem__(self, key: str) -> None:
        del self._stats[key]

    def __getitem__(self, key: str) -> Any:
        return self._stats[key]

    def items(self) -> ItemsView[str, Any]:
        """Names and values."""
        return self._stats.items()

    def filter(self, keep: Tensor) -> None:
        """Keep the entries that a tensor of booleans or of numbers chooses."""
        for key, value in self._stats.items():
            self._stats[key] = _chosen(value, keep)

    def cat(self, new_stats: MaskData) -> None:
        """Append another's entries, name by name."""
        for key, value in new_stats.items():
            mine = self._stats.get(key)
            self._stats[key] = deepcopy(value) if mine is None else _joined(mine, value)

    def to_numpy(self) -> None:
        """Tensors become arrays."""
        for key, value in self._stats.items():
            if isinstance(value, Tensor):
                self._stats[key] = value.detach().cpu().numpy()


def _chosen(value: Any, keep: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value[torch.as_tensor(keep, device=value.device)]
    if isinstance(value, np.ndarray):
        return value[keep.detach().cpu().numpy()]
    numbers = keep.nonzero()[:, 0] if keep.dtype == torch.bool else keep
    return [value[i] for i in numbers.tolist()]


def _joined(first: Any, second: Any) -> Any:
    if isinstance(second, Tensor):
        return torch.cat([first, second], dim=0)
    if isinstance(second, np.ndarray):
        return np.concatenate([first, second], axis=0)
    return first + deepcopy(second)


def is_box_near_crop_edge(boxes: Tensor, crop_box: list[int], orig_box: list[int], atol: float = 20.0) -> Tensor:
    """True (B,) for boxes (B, 4) of a crop that end near an edge of it which is no edge of the photo."""
    device = boxes.device
    uncropped = uncrop_boxes_xyxy(boxes, crop_box).float()
    near_crop, near_photo = (
        (uncropped - torch.tensor(edges, dtype=torch.float, device=device)).abs() <= atol
        for edges in (crop_box, orig_box)
    )
    return (near_crop & ~near_photo).any(dim=1)


def box_xyxy_to_xywh(box_xyxy: Tensor) -> Tensor:
    """One box (4,), tensor, array or list, by its corner and size."""
    box = deepcopy(box_xyxy)
    box[2] = box[2] - box[0]
    box[3] = box[3] - box[1]
    return box


def batch_iterator(batch_size: int, *args) -> Generator[list[Any], None, None]:  # type: ignore[no-untyped-def]  # as Meta's
    """The arguments side by side, `batch_size` entries at a time."""
    assert args and all(len(arg) == len(args[0]) for arg in args), (
        "Batched iteration must have inputs of all the same size."
    )
    for start in range(0, len(args[0]), batch_size):
        yield [arg[start : start + batch_size] for arg in args]


def mask_to_rle_pytorch(tensor: Tensor) -> list[dict[str, Any]]:
    """Masks (B, H, W) as uncompressed run lengths, column by column, zeros first."""
    _, height, width = tensor.shape
    runs = []
    for column_wise in tensor.permute(0, 2, 1).flatten(1).detach().cpu().numpy():
        changes = np.flatnonzero(column_wise[1:] != column_wise[:-1]) + 1
        counts = np.diff(np.concatenate([[0], changes, [height * width]])).tolist()
        runs.append({"size": [height, width], "counts": [0, *counts] if column_wise[0] else counts})
    return runs


def rle_to_mask(rle: dict[str, Any]) -> Bool:
    """The mask (H, W) of uncompressed run lengths."""
    height, width = rle["size"]
    values = np.arange(len(rle["counts"])) % 2 == 1
    return np.repeat(values, rle["counts"]).reshape(width, height).T


def area_from_rle(rle: dict[str, Any]) -> int:
    """Pixels of the mask of uncompressed run lengths."""
    return sum(rle["counts"][1::2])


def calculate_stability_score(masks: Tensor, mask_threshold: float, threshold_offset: float) -> Tensor:
    """How much of masks (..., H, W), as logits, stays when the threshold rises from -offset to +offset; 0/0 is NaN."""
    high, low = (
        # Rows in int16 and their sum in int32, as no mask has more than 32767 columns: a quarter of the memory.
        (masks > mask_threshold + offset).sum(-1, dtype=torch.int16).sum(-1, dtype=torch.int32)
        for offset in (threshold_offset, -threshold_offset)
    )
    return high / low


def build_point_grid(n_per_side: int) -> AnyArray:
    """Points (n * n, 2) at the centres of a grid's cells, x and y in 0..1."""
    return point_grid(n_per_side)


def build_all_layer_point_grids(n_per_side: int, n_layers: int, scale_per_layer: int) -> list[AnyArray]:
    """A grid for the photo and for each layer of crops."""
    return list(layer_grids(n_per_side, n_layers, scale_per_layer))


def generate_crop_boxes(
    im_size: tuple[int, ...], n_layers: int, overlap_ratio: float
) -> tuple[list[list[int]], list[int]]:
    """Boxes xyxy of the photo (H, W) and of the crops of each layer, and the layer of each."""
    height, width = im_size
    crops = list(crop_boxes((height, width), n_layers, overlap_ratio))
    return [list(box) for box, _ in crops], [layer for _, layer in crops]


def uncrop_boxes_xyxy(boxes: Tensor, crop_box: list[int]) -> Tensor:
    """Boxes (B, 4) or (B, C, 4) of a crop, in the photo's pixels."""
    return boxes + torch.tensor([*crop_box[:2], *crop_box[:2]], device=boxes.device)


def uncrop_points(points: Tensor, crop_box: list[int]) -> Tensor:
    """Points (B, 2) or (B, C, 2) of a crop, in the photo's pixels."""
    return points + torch.tensor(crop_box[:2], device=points.device)


def uncrop_masks(masks: Tensor, crop_box: list[int], orig_h: int, orig_w: int) -> Tensor:
    """Masks (..., h, w) of a crop as masks (..., H, W) of the photo."""
    x1, y1, x2, y2 = crop_box
    if (x1, y1, x2, y2) == (0, 0, orig_w, orig_h):
        return masks
    return F.pad(masks, (x1, orig_w - x2, y1, orig_h - y2), value=0)


def remove_small_regions(mask: AnyArray, area_thresh: float, mode: str) -> tuple[AnyArray, bool]:
    """A mask (H, W) without its "holes" or its "islands" of fewer pixels, and whether that changed it.

    Where every island is small, the largest stays.
    """
    import cv2  # noqa: PLC0415  # as late as Meta imports it

    assert mode in ["holes", "islands"]
    filled = mode == "holes"
    count, regions, stats, _ = cv2.connectedComponentsWithStats((filled ^ mask).astype(np.uint8), connectivity=8)
    sizes = stats[:, cv2.CC_STAT_AREA]
    numbers = np.arange(count)
    small = (numbers > 0) & (sizes < area_thresh)  # 0 is the background
    if not small.any():
        return mask, False
    if filled:
        kept = small | (numbers == 0)
    else:
        kept = ~small & (numbers > 0)
        if not kept.any():
            kept = numbers == 1 + sizes[1:].argmax()
    return kept[regions], True


def coco_encode_rle(uncompressed_rle: dict[str, Any]) -> dict[str, Any]:
    """COCO's compressed run lengths, as text that JSON can hold."""
    height, width = uncompressed_rle["size"]
    return rle_compress(uncompressed_rle["counts"], (height, width))


def batched_mask_to_box(masks: Tensor) -> Tensor:
    """Boxes (..., 4) xyxy, inclusive, of masks (..., H, W); zeros for an empty mask."""
    height, width = masks.shape[-2:]
    if masks.numel() == 0:
        return torch.zeros(*masks.shape[:-2], 4, device=masks.device)
    rows, columns = masks.any(dim=-1), masks.any(dim=-2)
    y1, y2 = _ends(rows, height)
    x1, x2 = _ends(columns, width)
    return torch.stack([x1, y1, x2, y2], dim=-1) * rows.any(dim=-1, keepdim=True)


def _ends(lines: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The first and the last line that is set."""
    lines = lines.to(torch.uint8)
    return lines.argmax(dim=-1), length - 1 - lines.flip(-1).argmax(dim=-1)
