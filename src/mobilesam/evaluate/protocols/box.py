"""B. Box mIoU: the true box, then one and two correcting clicks.

EdgeSAM (Zhou et al. 2023), evaluation/eval_mIoU.py: crowds dropped, boxes without noise, one mask, the mean over
objects. Corrections: see corrected.py.
"""

from .corrected import Corrected, from_box

BOX = Corrected("box", "true box, then +1 and +2 correcting clicks (EdgeSAM)", from_box)
