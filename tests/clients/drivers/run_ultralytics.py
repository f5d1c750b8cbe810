"""Ultralytics' own SAM on a file called mobile_sam.pt: every nesting of prompts, and what its results hold."""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
from standins import stand_in_torchvision

work = Path(sys.argv[1])
request = json.loads((work / "request.json").read_text())
os.environ.update(YOLO_OFFLINE="true", YOLO_CONFIG_DIR=str(work), YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
stand_in_torchvision()
version = metadata.version
metadata.version = lambda name: "0.28.0" if name == "torchvision" else version(name)  # it asks at import
import ultralytics
from ultralytics import SAM

os.chdir(work)
sam = SAM(request["checkpoint"])
arrays, facts = {}, {}
for name, prompts in request["prompts"].items():
    (result,) = sam(request["photo"], verbose=False, **prompts)
    arrays[f"{name}.masks"] = result.masks.data.cpu().numpy()
    arrays[f"{name}.boxes"] = result.boxes.data.cpu().numpy()
    facts[name] = {
        "masks": [list(result.masks.data.shape), str(result.masks.data.dtype)],
        "boxes": [list(result.boxes.data.shape), str(result.boxes.data.dtype)],
        "orig_shape": list(result.orig_shape),
        "names": {str(k): v for k, v in result.names.items()},
        "polygons": [list(xy.shape)[1:] for xy in result.masks.xy],
    }
np.savez(work / "arrays.npz", **arrays)
print(json.dumps({"version": ultralytics.__version__, "facts": facts}))
