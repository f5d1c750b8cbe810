"""The tables of MobileSAM's README and of Ultralytics' page, counted and timed here, beside what they say.

Quoted figures: MobileSAM's README and table 3 and 6 of arXiv:2306.14289v2 (a GPU that isn't named); Ultralytics'
documentation, page "MobileSAM" (Apple M4 Pro, everything mode).
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .._optional import require
from ..catalog.models import ARCHS
from . import machine
from .report import shown

Say = Callable[[str], None]
ENCODER = "image_encoder."
QUOTED = {
    ("sam_vit_h", "encoder"): ("611M (paper: 632M)", "452 ms"),
    ("mobile_sam", "encoder"): ("5M (paper: 5.78M)", "8 ms"),
    ("sam_vit_h", "decoder"): ("3.876M", "4 ms"),
    ("mobile_sam", "decoder"): ("3.876M", "4 ms"),
    ("sam_vit_h", "whole"): ("615M", "456 ms"),
    ("mobile_sam", "whole"): ("9.66M", "12 ms"),
    ("FastSAM-x", "whole"): ("68M", "64 ms (its own page: 40 ms)"),
}
NAMES = {"sam_vit_h": "original SAM (ViT-H)", "mobile_sam": "MobileSAM"}
FASTSAM = "yolov8x-seg.yaml"
"""FastSAM-x is YOLOv8x-seg with one class."""
SWAPPED = (
    'Ultralytics\' page says "5 times smaller and 7 times faster than FastSAM"; the paper says 7 times smaller (68M to '
    "9.66M) and 5 times faster (64 ms to 12 ms)."
)


def parameters(arch: str) -> dict[str, int]:
    """What an architecture's networks compute with, by part: without BatchNorm's counters and the unused ImageNet head.

    >>> parameters("mobile_sam")["encoder"], parameters("mobile_sam")["decoder"]
    (5743892, 4064816)
    """
    spec = ARCHS[arch]
    sizes = {
        k: int(np.prod(shape)) for k, shape in spec.shapes.items() if not spec.is_optional(k) and ".running_" not in k
    }
    encoder = sum(size for key, size in sizes.items() if key.startswith(ENCODER))
    whole = sum(sizes.values())
    return {"encoder": encoder, "decoder": whole - encoder, "whole": whole}


def tables(rounds: int = 3, say: Say = lambda _: None) -> str:
    """Both tables as Markdown; needs torch, and some 5 GB for ViT-H's random weights."""
    torch = require("torch", "torch", "bench --paper")
    jobs = _jobs(torch, say)
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in jobs}
    for i in range(1 + rounds):
        say(f"round {i} of {rounds}" if i else "warm-up")
        for key, job in jobs.items():
            start = time.perf_counter()
            job()
            if i:
                seconds[key].append(time.perf_counter() - start)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    head = (
        f"> {machine.describe()}\n\n{rounds} interleaved rounds after one of warm-up, eager PyTorch fp32 unless said.\n"
    )
    return "\n".join([head, _readme(medians), "", SWAPPED])


def _jobs(torch: Any, say: Say) -> dict[tuple[str, str], Callable[[], object]]:
    from ..model import SAM
    from ..nn.sam import build_sam

    image = torch.zeros(1, 3, 1024, 1024)
    coords, labels = torch.full((1, 2, 2), 500.0), torch.tensor([[1.0, -1.0]])
    jobs: dict[tuple[str, str], Callable[[], object]] = {}

    def inference(function: Callable[[], object]) -> Callable[[], object]:
        return torch.inference_mode()(function)  # type: ignore[no-any-return]  # torch has no types here

    features = torch.zeros(1, 256, 64, 64)
    for arch in NAMES:
        say(f"building {arch}, random weights")
        sam = build_sam(arch)
        jobs[arch, "encoder"] = inference(partial(sam.encode, image))
        jobs[arch, "decoder"] = inference(partial(sam.decode, features, coords, labels))
    ours: Any = SAM(padding="full").predictor.backend
    name = f"mobilesam, {ours.info.runtime} {ours.info.precision}"
    given = (features.numpy(), coords.numpy(), labels.numpy())
    jobs[name, "encoder"] = lambda: ours.encode(image.numpy())
    jobs[name, "decoder"] = lambda: ours.decode(*given)
    if importlib.util.find_spec("ultralytics"):
        say("building FastSAM-x, random weights")
        network = importlib.import_module("ultralytics").YOLO(FASTSAM).model.eval()
        count = sum(p.numel() for p in network.parameters())
        jobs[f"FastSAM-x (architecture only, {count:,} parameters)", "whole"] = inference(lambda: network(image))
    return jobs


def _readme(medians: Mapping[tuple[str, str], float]) -> str:
    lines = [
        "| | part | parameters, counted | quoted | time, measured | quoted (a GPU) |",
        "|---|---|---|---|---|---|",
    ]
    models = list(dict.fromkeys(model for model, _ in medians))
    for model in models:
        counted = parameters(model) if model in ARCHS else parameters("mobile_sam") if "mobilesam" in model else {}
        for part in ("encoder", "decoder", "whole"):
            seconds = medians.get((model, part))
            if part == "whole" and seconds is None:
                seconds = medians[model, "encoder"] + medians[model, "decoder"]
            if seconds is None:
                continue
            size, speed = QUOTED.get((model.split(" (")[0], part), ("–", "–"))
            count = f"{counted[part] / 1e6:.2f}M" if counted else "–"
            lines.append(f"| {NAMES.get(model, model)} | {part} | {count} | {size} | {shown(seconds, 's')} | {speed} |")
    return "\n".join(lines)
