"""What quality="fast" finds of what quality="exact" finds, and how much of the true objects both find.

    python benchmarks/everything_quality.py DATA [--photos 24] [--json FILE]

DATA is a folder with coco_inst/train (instances.json, images) and bsds500/{train,val}/images. Half of the
photos come from each, spread evenly. Printed are, over all photos: the share of exact's masks that have a
partner in fast with IoU >= 0.85, the clicks that were decoded, seconds; and over the photos of coco_inst the
recall of the true instances of at least 1024 pixels by at most 1000 masks, averaged over IoU 0.50, 0.55, ... 0.95
(AR@1000).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from mobilesam import SAM
from mobilesam.everything import EverythingConfig

THRESHOLDS = np.arange(0.5, 0.96, 0.05)
SMALLEST = 1024


def overlaps(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> np.ndarray:
    """The best IoU of each wanted mask (COCO run lengths) among those found."""
    if not found or not wanted:
        return np.zeros(len(wanted))
    return np.asarray(coco.iou(found, wanted, [0] * len(wanted))).max(axis=0)


def instances(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """File name -> run lengths of its instances (no crowds) that are large enough."""
    data = json.loads((folder / "instances.json").read_text())
    images = {image["id"]: image for image in data["images"]}
    found: dict[str, list[dict[str, Any]]] = {image["file_name"]: [] for image in data["images"]}
    for item in data["annotations"]:
        image = images[item["image_id"]]
        if not item.get("iscrowd"):
            rle = coco.merge(coco.frPyObjects(item["segmentation"], image["height"], image["width"]))
            if coco.area(rle) >= SMALLEST:
                found[image["file_name"]].append(rle)
    return found


def spread(items: list[Path], count: int) -> list[Path]:
    return [items[i] for i in np.linspace(0, len(items) - 1, count).astype(int)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--slack", type=float, default=EverythingConfig.look_slack)
    parser.add_argument("--nms", type=float, default=EverythingConfig.look_nms_thresh)
    options = parser.parse_args()
    truth = instances(options.data / "coco_inst/train")
    photos = spread([options.data / "coco_inst/train/images" / name for name in sorted(truth)], options.photos // 2)
    photos += spread(sorted((options.data / "bsds500").glob("*/images/*")), options.photos // 2)
    sam = SAM()
    settings = {"exact": {"quality": "exact"}, "fast": {"look_slack": options.slack, "look_nms_thresh": options.nms}}
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    recalls: dict[str, list[np.ndarray]] = {name: [] for name in settings}
    partners: list[np.ndarray] = []
    for path in photos:
        embedding = sam.embed(np.asarray(Image.open(path).convert("RGB")))
        masks = {}
        for name, arguments in settings.items():
            start = time.perf_counter()
            scene = sam.everything(embedding, output_mode="coco_rle", **arguments)
            seconds[name].append(time.perf_counter() - start)
            masks[name] = [record["segmentation"] for record in scene]
            if path.name in truth:
                recalls[name].append(overlaps(masks[name][:1000], truth[path.name]))
        partners.append(overlaps(masks["fast"], masks["exact"]))
        share = (partners[-1] >= 0.85).mean() if len(partners[-1]) else 1
        print(
            f"{path.name}: exact {len(masks['exact'])}, fast {len(masks['fast'])} masks, {share:.2f} found", flush=True
        )
    every = np.concatenate(partners)
    summary = {
        "photos": len(photos),
        "exact's masks": len(every),
        "share with a partner": float((every >= 0.85).mean()),
        **{f"seconds {name}": float(np.median(values)) for name, values in seconds.items()},
    }
    for name, values in recalls.items():
        best = np.concatenate(values)
        summary[f"AR@1000 {name}"] = float(np.mean([(best >= t).mean() for t in THRESHOLDS]))
        summary["instances"] = len(best)
    print(json.dumps(summary, indent=2))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
