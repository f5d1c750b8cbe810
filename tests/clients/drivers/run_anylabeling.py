"""AnyLabeling's or X-AnyLabeling's own ONNX runner, and its own way of reading a configuration, without a window.

The programs' packages import Qt; a stand-in for it is enough for what is called here.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import yaml
from standins import stand_in

work = Path(sys.argv[1])
request = json.loads((work / "request.json").read_text())


def import_runner(root: Path, package: str):
    """`sam_onnx.py` of the package with its neighbours, but none of the windows around it."""
    stand_in("PyQt6.QtCore", "PyQt6.QtGui", "PyQt6.QtWidgets")
    # The packages' __init__ files import every model and every window; only their place is needed.
    for name in (package, f"{package}.services", f"{package}.services.auto_labeling"):
        module = types.ModuleType(name)
        module.__path__ = [str(root / name.replace(".", "/"))]
        sys.modules[name] = module
    module = __import__(f"{package}.services.auto_labeling.sam_onnx", fromlist=["SegmentAnythingONNX"])
    return module.SegmentAnythingONNX, module.__file__


root = next(Path(p) for p in sys.path if (Path(p) / "anylabeling/services/auto_labeling/sam_onnx.py").is_file())
runner, file = import_runner(root, "anylabeling")
config_path = Path(request["config"])
with config_path.open(encoding="utf-8-sig") as handle:
    config = yaml.safe_load(handle)
model = runner(*(str(config_path.parent / config[key]) for key in ("encoder_model_path", "decoder_model_path")))

masks = {}
for photo, path in request["photos"].items():
    bgr = cv2.imread(path)
    embedding = model.encode(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    masks[f"{photo}.embedding"] = embedding["image_embedding"]
    for name, marks in request["marks"][photo].items():
        masks[f"{photo}.{name}"] = model.predict_masks(embedding, marks)
np.savez(work / "masks.npz", **masks)
print(json.dumps({"config": config, "file": file}))
