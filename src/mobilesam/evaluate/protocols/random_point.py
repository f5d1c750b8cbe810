"""C and N. Random-point mIoU: a click on any pixel of the mask, each equally likely, then one and two correcting ones.

EdgeSAM, evaluation/eval_mIoU.py --point-from mask-rand; EfficientSAM's point protocol (Xiong et al. 2023) draws the
point the same way and takes the most confident of three masks, which is `random-best`.
"""

from __future__ import annotations

import numpy as np

from ...types import F32
from ..clicker import Click, random_pixel
from ..datasets import Instance
from .corrected import Corrected


def from_random(instance: Instance, rng: np.random.Generator) -> tuple[list[Click], F32 | None]:
    """A click on a random pixel of the mask."""
    x, y = random_pixel(instance.mask, rng).tolist()
    return [(x, y, 1)], None


RANDOM = Corrected("random", "random point, then +1 and +2 correcting clicks (EdgeSAM)", from_random)
RANDOM_BEST = Corrected("random-best", "random point, best of three (EfficientSAM)", from_random, True, 0)
