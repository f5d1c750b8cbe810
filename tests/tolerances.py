"""How far a result may be from the reference outputs, in one table, with the reasons.

The references in tests/golden come from the upstream code (float32, CPU) on the full-precision weights,
stored as float16: that alone is worth 2.4e-4 in the embedding and 7.8e-3 in logits of about 20.
"""

from __future__ import annotations

from typing import NamedTuple


class Tolerance(NamedTuple):
    embedding: float
    logits: float
    iou: float
    mean_mask_iou: float
    worst_mask_iou: float


FULL = Tolerance(embedding=1e-3, logits=3e-2, iou=2e-3, mean_mask_iou=0.995, worst_mask_iou=0.995)
"""Full-precision weights in fp32: rounding of other kernels, and the stored float16."""

HALF_STORED = Tolerance(embedding=3e-3, logits=0.3, iou=5e-3, mean_mask_iou=0.998, worst_mask_iou=0.97)
"""The bundled weights (matrices rounded to float16) in fp32: the rounding moves masks' borders by a pixel."""

BF16_MEAN_MASK_IOU = 0.985
"""The default precision where the CPU has bf16, against fp32; measured figure in docs/performance.md."""

INT8_MEAN_MASK_IOU = 0.985
"""The default precision where the CPU has VNNI and no bf16, against fp32; as above."""
