"""How close PyTorch on an NVIDIA GPU comes to what the card can do, in under eight minutes.

    python benchmarks/gpu.py [--rounds 30]

Prints Markdown: for each way of running the image encoder and the mask decoder the median over interleaved rounds, the
floor (their arithmetic at the rate of the card's best matrix product in that type), and measured / floor; then
everything mode as `SAM` runs it. The ways: the networks as they are, `nn.fuse.quicken`, bf16 by autocast, a batch,
CUDA graphs. Needs the torch extra with a CUDA build; without a card it says "not measured".
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from mobilesam import SAM
from mobilesam.backends import Checkpoint
from mobilesam.bench.jobs import PHOTO
from mobilesam.catalog import locate
from mobilesam.nn.checkpoint import load_sam
from mobilesam.nn.fuse import quicken

ENCODER_GFLOP = 72.3
PROMPTS = 64
DECODER_GFLOP = 1.6
"""A prompt in a batch, first layer's image side not counted."""
WARM_UP = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    if not torch.cuda.is_available():
        print("No CUDA device here: not measured.")
        return
    print(f"> {torch.cuda.get_device_name()}; torch {torch.__version__}, CUDA {torch.version.cuda}\n")
    rates = {dtype: matmul_tflops(dtype) for dtype in (torch.float32, torch.bfloat16)}
    print(", ".join(f"{str(dtype)[6:]} product {rate:.0f} TFLOP/s" for dtype, rate in rates.items()) + "\n")
    print("| | median ms | floor ms | measured / floor |\n|---|---|---|---|")
    jobs = encoders() | decoders()
    for name, seconds in interleaved({name: job for name, (job, _, _) in jobs.items()}, rounds).items():
        _, gflop, dtype = jobs[name]
        floor = gflop / rates[dtype]
        print(f"| {name} | {seconds * 1e3:.2f} | {floor:.2f} | {seconds * 1e3 / floor:.1f} |")
    photo = np.asarray(Image.open(PHOTO).convert("RGB"))
    sam = SAM(runtime="pytorch", device="cuda")
    whole = {q: lambda q=q: sam.everything(photo, quality=q) for q in ("exact", "fast")}
    for name, seconds in interleaved(whole, 3).items():
        print(f"| everything, {name}, 1800x1200, {sam.info.precision} | {seconds * 1e3:.0f} | – | – |")


def encoders() -> dict[str, tuple[Callable[[], Any], float, torch.dtype]]:
    plain = load_sam("mobile_sam", 1024, Checkpoint(locate("mobilesam")).state()).eval().cuda().image_encoder
    quick = quicken(copy.deepcopy(plain))
    one, four = (torch.randn(n, 3, 1024, 1024, device="cuda") for n in (1, 4))
    bf16 = torch.bfloat16
    return {
        "encode, networks as they are, fp32": (inference(lambda: plain(one)), ENCODER_GFLOP, torch.float32),
        "encode, quickened, fp32": (inference(lambda: quick(one)), ENCODER_GFLOP, torch.float32),
        "encode, quickened, bf16": (inference(lambda: quick(one), bf16), ENCODER_GFLOP, bf16),
        "encode, 4 photos, bf16": (inference(lambda: quick(four), bf16), 4 * ENCODER_GFLOP, bf16),
        "encode, CUDA graph, bf16": (captured(inference(lambda: quick(one), bf16)), ENCODER_GFLOP, bf16),
    }


def decoders() -> dict[str, tuple[Callable[[], Any], float, torch.dtype]]:
    sam = load_sam("mobile_sam", 1024, Checkpoint(locate("mobilesam")).state()).eval().cuda()
    features = torch.randn(1, 256, 64, 64, device="cuda")

    def prompts(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.tensor([[1.0, -1.0]], device="cuda").expand(count, 2).contiguous()
        return torch.rand(count, 2, 2, device="cuda") * 1024, labels

    one, many, bf16 = prompts(1), prompts(PROMPTS), torch.bfloat16
    return {
        "click, bf16": (inference(lambda: sam.decode(features, *one), bf16), DECODER_GFLOP, bf16),
        "click, CUDA graph, bf16": (
            captured(inference(lambda: sam.decode(features, *one), bf16)), DECODER_GFLOP, bf16,
        ),
        f"{PROMPTS} clicks, bf16": (
            inference(lambda: sam.decode(features, *many), bf16), PROMPTS * DECODER_GFLOP, bf16,
        ),
    }  # fmt: skip


def inference(function: Callable[[], Any], dtype: torch.dtype | None = None) -> Callable[[], Any]:
    def run() -> Any:
        with torch.inference_mode(), torch.autocast("cuda", dtype, enabled=dtype is not None):
            return function()

    return run


def captured(function: Callable[[], Any]) -> Callable[[], Any]:
    """The function as a CUDA graph: one launch for all its kernels."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def interleaved(jobs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, every round in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for i in range(WARM_UP + rounds):
        for name, job in jobs.items():
            torch.cuda.synchronize()
            start = time.perf_counter()
            job()
            torch.cuda.synchronize()
            if i >= WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matmul_tflops(dtype: torch.dtype, side: int = 8192) -> float:
    x, y = (torch.randn(side, side, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * side**3 / interleaved({"product": lambda: x @ y}, 10)["product"] / 1e12


if __name__ == "__main__":
    main()
