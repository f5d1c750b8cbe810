"""samexporter's own runner of exported files, which needs no window."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from samexporter.sam_onnx import SegmentAnythingONNX

work = Path(sys.argv[1])
request = json.loads((work / "request.json").read_text())
model = SegmentAnythingONNX(request["encoder"], request["decoder"])
masks = {}
for photo, path in request["photos"].items():
    embedding = model.encode(cv2.imread(path))
    for name, marks in request["marks"][photo].items():
        masks[f"{photo}.{name}"] = model.predict_masks(embedding, marks)
np.savez(work / "masks.npz", **masks)
print(json.dumps({"version": version("samexporter")}))
