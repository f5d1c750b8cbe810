"""Time and memory of the main job, every runtime and precision side by side in one run.

    python benchmarks/predict.py [--rounds 15] [--json FILE]

Columns: encode (resize, normalise, image encoder), click (one point on an embedding to a full-size mask)
on a photo of 1800x1200, whole `mobilesam predict` processes with a warm model cache, and their peak
memory. One round times every candidate once, in turn, so that a drift of the machine hits all alike; what
is printed are medians over rounds and ratios of medians to eager PyTorch in float32. Two rounds of
warm-up are not counted. Needs the test install and a POSIX system.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mobilesam import SAM, __version__

COFFEE = Path(__file__).parents[1] / "examples/coffee.png"
WARM_UP = 2
HW = (1200, 1800)
XY = (900.0, 600.0)

Timings = dict[str, dict[str, list[float]]]


def machine() -> str:
    """Processor, cores, memory, system, versions."""
    cpu = platform.processor() or "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        flags = next((line for line in info.read_text().splitlines() if line.startswith("flags")), "")
        cpu = names[0] + "".join(f", {f}" for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {f}" in flags)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    from importlib.metadata import version

    packages = ", ".join(f"{p} {version(p)}" for p in ("openvino", "onnxruntime", "torch", "numpy"))
    return (
        f"{cpu}; {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} {platform.machine()}; "
        f"Python {platform.python_version()}, mobilesam {__version__}, {packages}"
    )


def names() -> list[str]:
    """Every runtime and precision, as "openvino bf16"; asked for in a process of its own."""
    code = """
from mobilesam import SAM, MobileSAMError, backends
for runtime in backends.installed():
    for precision in ("fp32", "bf16"):
        try:
            print(runtime, SAM(runtime=runtime, precision=precision).info.precision)
        except MobileSAMError:
            pass  # a runtime without that precision
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def in_process(rounds: int) -> Timings:
    """Seconds of encode and click, interleaved."""
    photo = np.asarray(Image.open(COFFEE).convert("RGB").resize(HW[::-1], Image.Resampling.BICUBIC))
    from reference import EagerReference  # torch: only after the processes, whose memory would count it

    eager = EagerReference()
    features = eager.encode(photo)
    jobs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "eager PyTorch fp32 (upstream's way)": (
            lambda: eager.encode(photo),
            lambda: eager.click(features, HW, XY),
        )
    }
    for name in names():
        runtime, precision = name.split()
        sam = SAM(runtime=runtime, precision=precision)  # type: ignore[arg-type]
        embedding = sam.embed(photo)
        jobs[name] = (
            lambda sam=sam: sam.embed(photo),  # type: ignore[misc]
            lambda sam=sam, e=embedding: sam.predict(e, points=XY)[0].masks,  # type: ignore[misc]
        )
    times: Timings = {name: {"encode": [], "click": []} for name in jobs}
    for i in range(WARM_UP + rounds):
        for name, (encode, click) in jobs.items():
            for what, job in (("encode", encode), ("click", click)):
                start = time.perf_counter()
                job()
                if i >= WARM_UP:
                    times[name][what].append(time.perf_counter() - start)
    return times


def whole_processes(names: list[str], rounds: int) -> Timings:
    """Wall seconds and peak MB of `mobilesam predict`, interleaved, after one run that fills the cache."""
    times: Timings = {}
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        Image.open(COFFEE).convert("RGB").resize(HW[::-1]).save(photo, quality=92)
        environment = {**os.environ, "MOBILESAM_CACHE": folder}
        for i in range(1 + rounds):
            for name in names:
                runtime, precision = name.split()
                command = [sys.executable, "-m", "mobilesam", "predict", str(photo), "--point", "900,600",
                           "-o", f"{folder}/out.png", "--runtime", runtime, "--precision", precision]  # fmt: skip
                start = time.perf_counter()
                process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                if process.returncode:
                    raise SystemExit(f"{' '.join(command)} failed")
                if i:
                    row = times.setdefault(name, {"cold": [], "memory": []})
                    row["cold"].append(time.perf_counter() - start)
                    row["memory"].append(usage.ru_maxrss / 1024)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write all measured values here")
    args = parser.parse_args()
    # A child process starts as a copy of this one and its peak memory counts that, so this one stays small.
    processes = whole_processes(names(), max(3, args.rounds // 3))
    times = in_process(args.rounds)
    print(f"{machine()}\n{args.rounds} interleaved rounds after {WARM_UP} of warm-up; medians (fastest to slowest)\n")
    print(table(times, processes))
    if args.json:
        merged = {name: {**row, **processes.get(name, {})} for name, row in times.items()}
        args.json.write_text(json.dumps({"machine": machine(), "seconds": merged}, indent=1))


def table(times: Timings, processes: Timings) -> str:
    """A Markdown table; ratios are to the first row."""
    first = next(iter(times.values()))
    rows = [
        "| runtime | encode ms | faster | click ms | faster | whole command s | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in times.items():
        encode, click = statistics.median(row["encode"]), statistics.median(row["click"])
        ratios = [statistics.median(first[k]) / statistics.median(row[k]) for k in ("encode", "click")]
        whole = processes.get(name)
        cold = f"{statistics.median(whole['cold']):.2f}" if whole else "–"
        memory = f"{max(whole['memory']):.0f}" if whole else "–"
        rows.append(
            f"| {name} | {encode * 1e3:.0f} ({_spread(row['encode'])}) | {ratios[0]:.1f}x "
            f"| {click * 1e3:.1f} ({_spread(row['click'])}) | {ratios[1]:.1f}x | {cold} | {memory} |"
        )
    return "\n".join(rows)


def _spread(seconds: list[float]) -> str:
    return f"{min(seconds) * 1e3:.0f}–{max(seconds) * 1e3:.0f}"


if __name__ == "__main__":
    main()
