"""MobileSAM's authors' `mobile_sam` (ChaoningZhang/MobileSAM at 34bbbfd): Meta's interface with "vit_t".

All modules but `build_sam` are those of `mobilesam.compat.segment_anything`, under both names.
"""

import importlib
import sys

from .. import MODULES
from ..segment_anything import SamAutomaticMaskGenerator, SamPredictor
from .build_sam import (
    build_sam,
    build_sam_vit_b,
    build_sam_vit_h,
    build_sam_vit_l,
    build_sam_vit_t,
    sam_model_registry,
)

__all__ = [
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "build_sam",
    "build_sam_vit_b",
    "build_sam_vit_h",
    "build_sam_vit_l",
    "build_sam_vit_t",
    "sam_model_registry",
]

for _name in MODULES:
    # The very modules, not copies: a class has one identity, and what is patched in one is patched in the other.
    if _name != "build_sam":
        _module = importlib.import_module(f"mobilesam.compat.segment_anything.{_name}")
        sys.modules[f"{__name__}.{_name}"] = _module
        if "." not in _name:
            globals()[_name] = _module
