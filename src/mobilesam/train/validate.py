"""Masks of the network as it is, measured by the protocols of `evaluate`."""

from __future__ import annotations

import numpy as np
import torch

from ..backends.base import BackendInfo
from ..evaluate import evaluate
from ..nn.sam import Sam
from ..predictor import Predictor
from ..types import F32
from .config import Validation


class Live:
    """A network in training as a backend; see `backends.Backend`."""

    def __init__(self, sam: Sam, name: str) -> None:
        self._sam = sam
        self._device = next(sam.parameters()).device
        size = sam.prompt_encoder.img_size
        self.info = BackendInfo("pytorch", str(self._device), "fp32", name, size)

    def encode(self, image_bchw: F32) -> F32:
        """See `Backend.encode`."""
        with torch.inference_mode():
            return np.asarray(self._sam.encode(self._tensor(image_bchw)).float().cpu())

    def decode(
        self, features_bchw: F32, coords_bn2: F32, labels_bn: F32, mask_b1hw: F32 | None = None
    ) -> tuple[F32, F32]:
        """See `Backend.decode`."""
        arrays = [features_bchw, coords_bn2, labels_bn, *([] if mask_b1hw is None else [mask_b1hw])]
        with torch.inference_mode():
            logits, iou = self._sam.decode(*map(self._tensor, arrays))
        return np.asarray(logits.float().cpu()), np.asarray(iou.float().cpu())

    def _tensor(self, array: F32) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array, np.float32), device=self._device)


def validate(sam: Sam, config: Validation, step: int) -> dict[str, float]:
    """The protocol's first score on each data set. Raises as `evaluate`."""
    predictor = Predictor(Live(sam, f"training-step-{step}"))
    report = evaluate(
        predictor, list(config.data), config.protocol, limit=config.limit, max_objects=config.max_objects, cached=False
    )
    first = report.figures[0]
    chosen = [f for f in report.figures if (f.protocol, f.score, f.size) == (first.protocol, first.score, first.size)]
    return {f"{f.data} {f.protocol} {f.score}": f.value for f in chosen}
