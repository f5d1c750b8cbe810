"""How far each runtime and precision is from the upstream code's outputs in tests/golden.

    python benchmarks/parity.py [--weights mobilesam_fp32.safetensors]

One row a runtime and precision: the largest difference of embedding, logits and predicted IoU over all
images and prompts, the mean and worst overlap of the final masks. `--weights` takes the full-precision
weights that scripts/build_weights.py --float32 writes; without it the bundled ones are measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/contracts")]

from test_golden import predict  # noqa: E402

from conftest import GOLDEN_NAMES, read_golden  # noqa: E402  # after the path is set
from mobilesam import SAM, InputError, backends  # noqa: E402
from mobilesam.masks import iou, rle_decode  # noqa: E402


def measure(sam: SAM) -> tuple[float, ...]:
    embedding_off, logits_off, iou_off, overlaps = 0.0, 0.0, 0.0, []
    for name in GOLDEN_NAMES:
        golden = read_golden(name)
        embedding = sam.embed(golden.image)
        sampled = embedding.features_bchw[0, ::8, ::4, ::4]
        embedding_off = max(embedding_off, abs(sampled - golden.arrays["embedding"]).max())
        for key, entry in golden.facts["prompts"].items():
            result = predict(sam, embedding, golden, key)
            logits_off = max(logits_off, abs(result.low_res[:, ::8, ::8] - golden.arrays[f"{key}/low_res"]).max())
            iou_off = max(iou_off, abs(result.iou - np.array(entry["iou"])).max())
            overlaps += [iou(a, rle_decode(b)) for a, b in zip(result.masks, entry["masks"], strict=True)]
    return embedding_off, logits_off, iou_off, float(np.mean(overlaps)), float(np.min(overlaps)), len(overlaps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="mobilesam")
    weights = parser.parse_args().weights
    print("| runtime | embedding | logits | predicted IoU | mean mask IoU | worst mask IoU | masks |")
    print("|---|---|---|---|---|---|---|")
    for runtime in backends.installed():
        for precision in ("fp32", "bf16"):
            try:
                sam = SAM(weights, runtime=runtime, precision=precision)  # type: ignore[arg-type]
            except InputError:
                continue  # this runtime has no such precision
            e, z, s, mean, worst, count = measure(sam)
            print(f"| {runtime} {precision} | {e:.1e} | {z:.1e} | {s:.1e} | {mean:.4f} | {worst:.4f} | {count} |")


if __name__ == "__main__":
    main()
