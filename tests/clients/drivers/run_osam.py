"""osam generates masks with our files, registered as a model by the snippet of docs/clients.md as it stands there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import osam
from PIL import Image

work = Path(sys.argv[1])
request = json.loads((work / "request.json").read_text())
os.chdir(work)
exec(compile(request["snippet"], "docs/clients.md", "exec"), {"__name__": "snippet"})

masks = {}
for photo, path in request["photos"].items():
    image = np.asarray(Image.open(path).convert("RGB"))
    for name, (points, labels) in request["prompts"][photo].items():
        prompt = osam.types.Prompt(points=np.array(points, np.float32), point_labels=np.array(labels, np.int32))
        asked = osam.types.GenerateRequest(model="mobilesam", image=image, prompt=prompt)
        (annotation,) = osam.apis.generate(asked).annotations
        box = annotation.bounding_box
        mask = np.zeros(image.shape[:2], bool)
        mask[box.ymin : box.ymax + 1, box.xmin : box.xmax + 1] = annotation.mask
        masks[f"{photo}.{name}"] = mask
np.savez(work / "masks.npz", **masks)
print(json.dumps({"osam": osam.__version__}))
