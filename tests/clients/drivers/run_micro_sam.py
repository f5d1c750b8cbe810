"""micro-sam with our classes as the `mobile_sam` that it prefers: embeddings kept in zarr, prompts, its everything."""

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
compat.install("mobile_sam")
stand_in_torchvision()
stand_in("bioimageio.core", "bioimageio.spec", "mrcfile", "skan", "tensorboard", "timm")
import mobile_sam
from micro_sam import instance_segmentation, prompt_based_segmentation, util

image = np.asarray(Image.open(request["photo"]).convert("RGB"))
predictor = util.get_sam_model("vit_t", device="cpu", checkpoint_path=request["checkpoint"])
kept = work / "embeddings.zarr"
embeddings = util.precompute_image_embeddings(predictor, image, save_path=str(kept), ndim=2, verbose=False)
again = util.precompute_image_embeddings(predictor, image, save_path=str(kept), ndim=2, verbose=False)  # from zarr

generator = instance_segmentation.AutomaticMaskGenerator(predictor, points_per_side=request["points_per_side"])
generator.initialize(image, image_embeddings=again)
labels = generator.generate(output_mode="instance_segmentation")

fresh = mobile_sam.SamPredictor(predictor.model)
util.set_precomputed(fresh, again)  # writes features and sizes, and never calls set_image
y1, x1, y2, x2 = request["box_yxyx"]
arrays = {
    "image": util._to_image(image),
    "labels": np.asarray(labels),
    "features": np.asarray(embeddings["features"]),
    "again": np.asarray(again["features"]),
    "box": prompt_based_segmentation.segment_from_box(fresh, np.array([y1, x1, y2, x2])),
    "click": prompt_based_segmentation.segment_from_points(
        fresh, np.array([request["point_yx"]]), np.array([1]), multimask_output=True
    ),
}
np.savez(work / "arrays.npz", **arrays)
facts = {"version": version("micro-sam"), "from": type(predictor).__module__, "model_type": predictor.model_type}
print(json.dumps(facts))
