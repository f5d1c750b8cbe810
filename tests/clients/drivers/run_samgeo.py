"""segment-geospatial with our classes in the place of `segment_anything`: everything, prompts, its own subclass."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from standins import stand_in, stand_in_torchvision

from mobilesam import compat

work = Path(sys.argv[1])
request = json.loads((work / "request.json").read_text())
compat.install("segment_anything")
stand_in_torchvision()
stand_in("smoothify", "huggingface_hub")
import samgeo
import segment_anything

image = np.asarray(Image.open(request["photo"]).convert("RGB"))
geo = samgeo.SamGeo(
    model_type="vit_t",
    checkpoint=request["checkpoint"],
    automatic=True,
    device="cpu",
    sam_kwargs={"points_per_side": request["points_per_side"]},
)
geo.generate(image, unique=False)
arrays = {"everything": np.stack([record["segmentation"] for record in geo.masks])}

clicked = samgeo.SamGeo(model_type="vit_t", checkpoint=request["checkpoint"], automatic=False, device="cpu")
clicked.set_image(image)
clicked.predict(point_coords=[request["point"]], point_labels=1, return_results=True)
arrays["click"], arrays["click_scores"] = clicked.masks, clicked.scores

# Its own predictor sets two attributes and never calls the base class's __init__.
own = samgeo.samgeo.SamGeoPredictor(clicked.sam)
own.set_image(image)
arrays["box"], arrays["box_scores"], _ = own.predict(box=np.array(request["box"]), multimask_output=False)
np.savez(work / "arrays.npz", **arrays)
print(json.dumps({"version": version("segment-geospatial"), "from": segment_anything.SamPredictor.__module__}))
