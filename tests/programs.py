"""Real programs as clients: each in a folder of its own, made by `scripts/clients`, run in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import COFFEE, GOLDEN, ROOT, load_sam
from mobilesam import Embedding
from mobilesam.image import to_rgb

DRIVERS = ROOT / "tests/clients/drivers"
FOLDERS = "MOBILESAM_CLIENTS"
"""The environment variable by which scripts/clients tells where it installed the programs."""
PHOTOS = {"landscape": COFFEE, "portrait": GOLDEN / "coffee_portrait.png", "square": GOLDEN / "astronaut.png"}


def run(name: str, request: dict[str, Any], work: Path, *, driver: str | None = None) -> dict[str, Any]:
    """Runs `drivers/run_NAME.py` with the program's folder on the path; returns the JSON that it prints last.

    The driver reads `request.json` in `work`, which is also its home; arrays go both ways as .npz files there.
    """
    if FOLDERS not in os.environ:
        pytest.fail("Real clients need their folders: run `scripts/clients ci` or `scripts/clients nightly`.")
    folder = Path(os.environ[FOLDERS]) / name
    if not folder.is_dir():
        pytest.fail(f"{name} isn't installed in {folder.parent}: run scripts/clients for its tier.")
    (work / "request.json").write_text(json.dumps(request, default=str))
    # PYTHONPATH of this run, if any, comes after: it may name the checkout's src.
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    home = {"HOME": str(work), "USERPROFILE": str(work), "PYTHONPATH": os.pathsep.join(paths)}
    offline = {"HF_HUB_OFFLINE": "1", "QT_QPA_PLATFORM": "offscreen", "MPLBACKEND": "agg"}
    command = [sys.executable, str(DRIVERS / f"run_{driver or name}.py"), str(work)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=900, env={**os.environ, **home, **offline}
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    printed: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return printed


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two boolean masks; two empty ones agree."""
    assert a.shape == b.shape
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def best_partners(found: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """For each found mask the highest IoU with one of ours."""
    return np.array([max(mask_iou(mask, other) for other in ours) for mask in found])


Marks = list[dict[str, Any]]


def marks(photo: Path) -> dict[str, Marks]:
    """Four sets of marks as labelling programs write them, in the photo's pixels."""
    height, width = to_rgb(photo).shape[:2]

    def at(x: float, y: float, label: int = 1) -> dict[str, Any]:
        return {"type": "point", "data": [x * width, y * height], "label": label}

    box = {"type": "rectangle", "data": [0.25 * width, 0.1 * height, 0.75 * width, 0.8 * height]}
    return {
        "click": [at(0.5, 0.5)],
        "clicks": [at(0.5, 0.5), at(0.6, 0.45), at(0.1, 0.1, 0)],
        "box": [box],
        "box and click": [box, at(0.5, 0.5)],
    }


def tokens(given: Marks) -> tuple[list[list[float]], list[int]]:
    """Marks as points and labels: a box is its two corners, labels 2 and 3."""
    points, labels = [], []
    for mark in given:
        points += np.reshape(mark["data"], (-1, 2)).tolist()
        labels += [mark["label"]] if mark["type"] == "point" else [2, 3]
    return points, labels


def logits(embedding: Embedding, given: Marks) -> np.ndarray:
    """What Meta's ONNX decoder should answer, as logits (H, W), by our own runtime.

    These programs always add a padding point, and get the mask that Meta's rule chooses: the best of three for one
    click, else the single-mask output.
    """
    points, labels = tokens(given)
    coords = embedding.letterbox.to_model(np.array([*points, [0, 0]]))
    low_bmhw, iou_bm = load_sam("onnx").predictor.backend.decode(
        embedding.features_bchw, coords[None], np.array([[*labels, -1]], np.float32)
    )
    chosen = 1 + iou_bm[0, 1:].argmax() if len(labels) == 1 else 0
    return embedding.letterbox.upsample(low_bmhw[0, chosen])
