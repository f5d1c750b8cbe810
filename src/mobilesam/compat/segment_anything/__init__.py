"""Meta's `segment_anything` (facebookresearch/segment-anything at dca509f) over our networks.

Names, signatures, attributes and steps that may be overridden are Meta's; docs/migrating.md says what differs.
Needs torch.
"""

from .automatic_mask_generator import SamAutomaticMaskGenerator
from .build_sam import (
    build_sam,
    build_sam_vit_b,
    build_sam_vit_h,
    build_sam_vit_l,
    sam_model_registry,
)
from .predictor import SamPredictor

__all__ = [
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "build_sam",
    "build_sam_vit_b",
    "build_sam_vit_h",
    "build_sam_vit_l",
    "sam_model_registry",
]
