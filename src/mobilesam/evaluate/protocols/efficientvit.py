"""F. EfficientViT-SAM's mIoU (Zhang et al. 2024), applications/efficientvit_sam/eval_efficientvit_sam_model.py.

Objects with an area of at least 1, crowds too; always the mask with the highest predicted IoU of the three. Boxes as
they are; in point mode the clicker of clicker.py makes 1, 3 and 5 clicks, each prediction from all clicks so far.
"""

from .clicks import Clicks
from .corrected import Corrected, from_box

BOX_EFFICIENTVIT = Corrected(
    "box-efficientvit", "true box, best of three (EfficientViT-SAM)", from_box, True, 0, crowds=True, smallest_area=1
)
CLICKS_EFFICIENTVIT = Clicks(
    "clicks-efficientvit", "1, 3, 5 clicks, best of three (EfficientViT-SAM)", later=True, most=5, until=1.1
)
