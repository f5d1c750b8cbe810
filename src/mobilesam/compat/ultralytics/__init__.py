"""Ultralytics' SAM interface over `mobilesam`: `from mobilesam.compat.ultralytics import SAM`.

Written from its documented behaviour, without its code. NumPy pictures are BGR here, as there.

| room | holds |
|---|---|
| model | SAM |
| predictor | Predictor: set_image, sources, prompts |
| arguments | the keyword arguments of a prediction |
| results, boxes | what comes back |
| tensors | PyTorch tensors, or arrays with a tensor's methods |
| output | files, windows, lines |
| weights | names of models, devices |
| annotate, detections | auto_annotate |
"""

from .annotate import auto_annotate
from .boxes import Boxes, Masks
from .model import SAM
from .predictor import Predictor
from .results import Results

SAMPredictor = Predictor

__all__ = ["SAM", "Boxes", "Masks", "Predictor", "Results", "SAMPredictor", "auto_annotate"]
