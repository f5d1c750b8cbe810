"""The model that an export is made of."""

from __future__ import annotations

import re
from pathlib import Path

from ..backends.checkpoint import Checkpoint
from ..catalog import locate
from ..catalog.models import MODELS
from ..nn.checkpoint import load_sam
from ..nn.sam import Sam


def load_source(model: str | Path) -> tuple[Sam, dict[str, str]]:
    """A model of the catalog or a weights file, and what a manifest says of it.

    Raises WeightsNotFoundError, CheckpointError.
    """
    checkpoint = Checkpoint(locate(model))
    sam = load_sam(checkpoint.architecture, checkpoint.img_size, checkpoint.state())
    known = next((spec for spec in MODELS.values() if spec.sha256 == checkpoint.digest), None)
    return sam, {
        "name": re.sub(r"[^A-Za-z0-9._-]+", "_", Path(known.name if known else checkpoint.path).stem),
        "id": checkpoint.model_id,
        "architecture": checkpoint.name,
        "sha256": checkpoint.digest,
        "licence": known.licence if known else "that of the weights file",
    }
