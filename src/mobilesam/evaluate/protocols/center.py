"""C. Centre-point mIoU: a click on the pixel farthest from the mask's edge, then one and two correcting clicks.

EdgeSAM, evaluation/eval_mIoU.py --point-from mask-center. The distance is measured at the photo's own size, with exact
L2 distances, where EdgeSAM does so on the mask scaled to 1024 with Kornia's approximation.
"""

from __future__ import annotations

import numpy as np

from ...types import F32
from ..clicker import Click, farthest
from ..datasets import Instance
from .corrected import Corrected


def from_center(instance: Instance, rng: np.random.Generator) -> tuple[list[Click], F32 | None]:
    """A click on the mask's innermost pixel."""
    del rng
    return [(*farthest(instance.mask), 1)], None


CENTER = Corrected("center", "innermost point, then +1 and +2 correcting clicks (EdgeSAM)", from_center)
