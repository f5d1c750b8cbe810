"""E. NanoSAM's box mIoU: crowds included, the mask with the highest predicted IoU of the three.

NVIDIA-AI-IOT/nanosam, nanosam/tools/eval_coco.py.
"""

from .corrected import Corrected, from_box

NANOSAM = Corrected("box-nanosam", "true box, crowds too, best of three (NanoSAM)", from_box, True, 0, crowds=True)
