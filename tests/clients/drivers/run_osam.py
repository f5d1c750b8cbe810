"""osam generates masks with our files, registered as a model: the snippet of docs/clients.md."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import osam
from osam._models.sam._models import Sam
from PIL import Image

work = Path(sys.argv[1])
request = json.loads((work / "request.json").read_text())


def blob(path: str) -> osam.types.Blob:
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return osam.types.Blob(url=Path(path).absolute().as_uri(), hash=f"sha256:{digest}")


BLOBS = {part: blob(request[part]) for part in ("encoder", "decoder")}


class MobileSam(Sam):
    name = "mobilesam:latest"
    _blobs = BLOBS


for part, made in BLOBS.items():  # osam's own cache, in this process's home
    Path(made.path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(request[part], made.path)
osam.apis.registered_model_types.append(MobileSam)

masks, boxes = {}, {}
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
print(json.dumps({"osam": osam.__version__, "model": osam.apis.get_model_type_by_name("mobilesam").get_id()}))
