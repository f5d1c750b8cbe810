"""Everything mode, step by step as Meta's, each step to be overridden.

`mobilesam.SAM.everything` gives the same masks in a fraction of the time, and runs without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...everything.suppress import best_boxes
from ...types import AnyArray, Int
from .modeling import Sam
from .predictor import SamPredictor
from .utils.amg import (
    MaskData,
    area_from_rle,
    batch_iterator,
    batched_mask_to_box,
    box_xyxy_to_xywh,
    build_all_layer_point_grids,
    calculate_stability_score,
    coco_encode_rle,
    generate_crop_boxes,
    is_box_near_crop_edge,
    mask_to_rle_pytorch,
    remove_small_regions,
    rle_to_mask,
    uncrop_boxes_xyxy,
    uncrop_masks,
    uncrop_points,
)

ENCODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "binary_mask": rle_to_mask,
    "uncompressed_rle": lambda rle: rle,
    "coco_rle": coco_encode_rle,
}
"""Output mode -> what makes a record's segmentation of uncompressed run lengths."""


class SamAutomaticMaskGenerator:
    """All masks of a photo: a grid of clicks, filtered by predicted IoU and stability, duplicates removed.

    The arguments are Meta's; `mobilesam.everything.EverythingConfig` explains each. Raises AssertionError where
    not exactly one of points_per_side and point_grids is given, or for another output_mode.
    """

    def __init__(
        self,
        model: Sam,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: list[AnyArray] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
    ) -> None:
        assert (points_per_side is None) != (point_grids is None), (
            "Exactly one of points_per_side or point_grid must be provided."
        )
        assert output_mode in ENCODERS, f"Unknown output_mode {output_mode}."
        if point_grids is None and points_per_side is not None:
            point_grids = build_all_layer_point_grids(points_per_side, crop_n_layers, crop_n_points_downscale_factor)
        self.point_grids: Any = point_grids
        self.predictor = SamPredictor(model)
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode

    @torch.no_grad()
    def generate(self, image: AnyArray) -> list[dict[str, Any]]:
        """The masks of a photo (H, W, 3) uint8, RGB, best first, as records of plain Python values.

        segmentation ((H, W) bool, or run lengths by output_mode), area, bbox (x, y, width, height),
        predicted_iou, point_coords, stability_score, crop_box (x, y, width, height).
        """
        data = self._generate_masks(image)
        if self.min_mask_region_area > 0:
            threshold = max(self.box_nms_thresh, self.crop_nms_thresh)
            data = self.postprocess_small_regions(data, self.min_mask_region_area, threshold)
        return [self._record(data, i) for i in range(len(data["rles"]))]

    def _record(self, data: MaskData, i: int) -> dict[str, Any]:
        rle = data["rles"][i]
        return {
            "segmentation": ENCODERS[self.output_mode](rle),
            "area": area_from_rle(rle),
            "bbox": box_xyxy_to_xywh(data["boxes"][i]).tolist(),
            "predicted_iou": data["iou_preds"][i].item(),
            "point_coords": [data["points"][i].tolist()],
            "stability_score": data["stability_score"][i].item(),
            "crop_box": box_xyxy_to_xywh(data["crop_boxes"][i]).tolist(),
        }

    def _generate_masks(self, image: AnyArray) -> MaskData:
        hw = image.shape[:2]
        crop_boxes, layers = generate_crop_boxes(hw, self.crop_n_layers, self.crop_overlap_ratio)
        data = MaskData()
        for crop_box, layer in zip(crop_boxes, layers, strict=True):
            data.cat(self._process_crop(image, crop_box, layer, hw))
        if len(crop_boxes) > 1:
            x1, y1, x2, y2 = data["crop_boxes"].T
            data.filter(_distinct(data["boxes"], 1 / ((x2 - x1) * (y2 - y1)), self.crop_nms_thresh))
        data.to_numpy()
        return data

    def _process_crop(
        self, image: AnyArray, crop_box: list[int], crop_layer_idx: int, orig_size: tuple[int, ...]
    ) -> MaskData:
        x1, y1, x2, y2 = crop_box
        crop = image[y1:y2, x1:x2, :]
        hw = crop.shape[:2]
        self.predictor.set_image(crop)
        points = self.point_grids[crop_layer_idx] * np.array(hw)[::-1]
        data = MaskData()
        for (batch,) in batch_iterator(self.points_per_batch, points):
            data.cat(self._process_batch(batch, hw, crop_box, orig_size))
        self.predictor.reset_image()

        data.filter(_distinct(data["boxes"], data["iou_preds"], self.box_nms_thresh))
        data["boxes"] = uncrop_boxes_xyxy(data["boxes"], crop_box)
        data["points"] = uncrop_points(data["points"], crop_box)
        data["crop_boxes"] = torch.tensor([crop_box] * len(data["rles"])).reshape(-1, 4)
        return data

    def _process_batch(
        self, points: AnyArray, im_size: tuple[int, ...], crop_box: list[int], orig_size: tuple[int, ...]
    ) -> MaskData:
        height, width = orig_size
        coords = torch.as_tensor(self.predictor.transform.apply_coords(points, im_size), device=self.predictor.device)
        labels = torch.ones(len(coords), dtype=torch.int, device=coords.device)
        masks, iou, _ = self.predictor.predict_torch(
            coords[:, None], labels[:, None], multimask_output=True, return_logits=True
        )
        repeated = torch.as_tensor(points.repeat(masks.shape[1], axis=0))
        data = MaskData(masks=masks.flatten(0, 1), iou_preds=iou.flatten(0, 1), points=repeated)
        del masks

        if self.pred_iou_thresh > 0.0:
            data.filter(data["iou_preds"] > self.pred_iou_thresh)
        threshold = self.predictor.model.mask_threshold
        data["stability_score"] = calculate_stability_score(data["masks"], threshold, self.stability_score_offset)
        if self.stability_score_thresh > 0.0:
            data.filter(data["stability_score"] >= self.stability_score_thresh)
        data["masks"] = data["masks"] > threshold
        data["boxes"] = batched_mask_to_box(data["masks"])
        data.filter(~is_box_near_crop_edge(data["boxes"], crop_box, [0, 0, width, height]))
        data["rles"] = mask_to_rle_pytorch(uncrop_masks(data["masks"], crop_box, height, width))
        del data["masks"]
        return data

    @staticmethod
    def postprocess_small_regions(mask_data: MaskData, min_area: int, nms_thresh: float) -> MaskData:
        """Remove holes and islands below `min_area` pixels, in place; of masks that became alike one stays."""
        if len(mask_data["rles"]) == 0:
            return mask_data
        masks, is_untouched = [], []
        for rle in mask_data["rles"]:
            mask, had_holes = remove_small_regions(rle_to_mask(rle), min_area, mode="holes")
            mask, had_islands = remove_small_regions(mask, min_area, mode="islands")
            masks.append(torch.as_tensor(mask))
            is_untouched.append(float(not (had_holes or had_islands)))
        stacked = torch.stack(masks)
        boxes = batched_mask_to_box(stacked)
        keep = _distinct(boxes, torch.tensor(is_untouched), nms_thresh)
        for i in keep.tolist():
            if not is_untouched[i]:
                mask_data["rles"][i] = mask_to_rle_pytorch(stacked[i : i + 1])[0]
                mask_data["boxes"][i] = boxes[i]
        mask_data.filter(keep)
        return mask_data


def _distinct(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Numbers of the boxes that non-maximum suppression keeps, the best first."""
    kept: Int = best_boxes(boxes.cpu().double().numpy(), scores.cpu().double().numpy(), threshold)
    return torch.as_tensor(kept, dtype=torch.int64)
