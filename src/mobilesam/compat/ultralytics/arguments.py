"""The keyword arguments of a prediction: which there are, and what they are here."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ...errors import InputError
from ...types import F32, AnyArray, Int

IGNORED = (
    "agnostic_nms", "augment", "batch", "half", "mode", "retina_masks", "save_frames", "stream_buffer", "task",
    "visualize",
)  # fmt: skip
"""Arguments of Ultralytics that can't change what SAM finds, or are always as if they were set."""
IMG_SIZE = 1024


@dataclass
class Arguments:
    """What is done with a source, besides its prompts. Raises InputError for another imgsz than 1024."""

    conf: float | None = None
    """Masks with a predicted IoU of at most this are left out; None keeps every mask."""
    classes: Any = None
    """Only these numbers of prompts (one, or several)."""
    max_det: int | None = None
    """Only so many masks, the best."""
    multimask_output: bool = False
    """Three masks a prompt."""
    imgsz: Any = IMG_SIZE
    device: Any = ""
    vid_stride: int = 1
    """Of a video or camera, every so-many-th frame."""
    allow_urls: bool = False
    """http(s) addresses are fetched."""
    verbose: bool = False
    """Print a line a photo."""

    crop_n_layers: int = 0
    crop_overlap_ratio: float = 512 / 1500
    crop_downscale_factor: int = 1
    point_grids: Any = None
    points_stride: int = 32
    """Everything mode: clicks along each side of the grid."""
    points_batch_size: int = 64
    conf_thres: float = 0.88
    """Everything mode: masks with a predicted IoU of at most this are dropped."""
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 0.95
    crop_nms_thresh: float = 0.7
    iou: float = 0.7
    """Everything mode: of masks whose boxes overlap more, the best stays."""
    min_mask_region_area: int = 0

    save: bool = False
    """Write the photo with its masks into a new folder project/name."""
    save_txt: bool = False
    """Write labels/<photo>.txt there; with save_conf the scores too."""
    save_conf: bool = False
    save_crop: bool = False
    """Write crops/<number of the prompt>/<photo> there."""
    project: Any = None
    name: Any = None
    exist_ok: bool = False
    """The folder needn't be new."""
    show: bool = False
    show_boxes: bool = True
    show_labels: bool = True
    show_conf: bool = True
    line_width: int | None = None

    def __post_init__(self) -> None:
        if not np.isin(self.imgsz, IMG_SIZE).all():
            raise InputError(f"imgsz is {IMG_SIZE} for every SAM model, got {self.imgsz!r}; leave it out.")

    @property
    def writes(self) -> bool:
        """True where a folder is needed."""
        return self.save or self.save_txt or self.save_crop

    @property
    def drawn(self) -> dict[str, Any]:
        """What `Results.plot` is asked for."""
        names = {"boxes": "show_boxes", "labels": "show_labels", "conf": "show_conf", "line_width": "line_width"}
        return {name: getattr(self, given) for name, given in names.items()}

    @property
    def everything(self) -> dict[str, Any]:
        """What `mobilesam.SAM.everything` is asked for."""
        return {
            "points_per_side": None if self.point_grids is not None else self.points_stride,
            "point_grids": self.point_grids,
            "points_per_batch": self.points_batch_size,
            "pred_iou_thresh": self.conf_thres,
            "stability_score_thresh": self.stability_score_thresh,
            "stability_score_offset": self.stability_score_offset,
            "box_nms_thresh": self.iou,
            "crop_n_layers": self.crop_n_layers,
            "crop_nms_thresh": self.crop_nms_thresh,
            "crop_overlap_ratio": self.crop_overlap_ratio,
            "crop_n_points_downscale_factor": self.crop_downscale_factor,
            "min_mask_region_area": self.min_mask_region_area,
        }

    def chosen(self, scores_n: F32, numbers_n: Int) -> Int:
        """Which of the masks, with these scores and numbers of prompts, are wanted; in their order."""
        keep = np.ones(len(scores_n), bool)
        if self.conf is not None:
            keep &= scores_n > self.conf
        if self.classes is not None:
            keep &= np.isin(numbers_n, self.classes)
        rows: AnyArray = np.flatnonzero(keep)
        if self.max_det is not None:
            rows = np.sort(rows[np.argsort(-scores_n[rows], kind="stable")[: self.max_det]])
        return rows


KNOWN = tuple(sorted(field.name for field in fields(Arguments)))


def read(given: dict[str, Any], base: Arguments | None = None) -> Arguments:
    """The arguments of a call, over those of `base`. Raises InputError for one that isn't known.

    >>> read({"conf": 0.5, "retina_masks": True}).conf
    0.5
    """
    unknown = [name for name in given if name not in KNOWN and name not in IGNORED]
    if unknown:
        raise InputError(f"There is no argument {unknown[0]!r}; there are: {', '.join(sorted((*KNOWN, *IGNORED)))}.")
    known = {name: value for name, value in given.items() if name in KNOWN and value is not None}
    return replace(base or Arguments(), **known)


def device_of(device: Any) -> str:
    """Ultralytics' ways to name a device as ours. Raises InputError for several at once.

    >>> device_of(""), device_of(0), device_of("cuda:1"), device_of([0])
    ('auto', 'cuda:0', 'cuda:1', 'cuda:0')
    """
    if isinstance(device, (list, tuple)):
        device = ",".join(map(str, device))
    name = str("" if device is None else device).strip("() ").lower().removeprefix("intel:")
    if "," in name:
        raise InputError(f"A prediction runs on one device, got {device!r}; name one, like 0 or 'cpu'.")
    if name == "-1":  # Ultralytics: an idle GPU
        return "cuda"
    return f"cuda:{name}" if name.isdecimal() else name or "auto"
