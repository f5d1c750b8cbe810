"""A cold `mobilesam predict` beside its floor, interleaved.

    python benchmarks/cold.py [--rounds 9]

The floor is Python with NumPy and OpenVINO that imports the same compiled models from the cache, encodes once and
answers one click, on arrays of zeros: what no program on this runtime can do without. The command also reads a JPEG of
1800x1200, resizes it, brings the mask to full size, and writes a mask as PNG.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from mobilesam.bench import machine
from mobilesam.bench.jobs import PHOTO

BARE = """
import sys
import numpy as np
import openvino as ov
core, models = ov.Core(), {}
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        models[path.rsplit("/", 1)[1].split("-")[0]] = core.import_model(file.read(), "CPU", config)
for name in sorted(models, key=lambda name: not name.startswith("encoder")):
    request = models[name].create_infer_request()
    request.infer([np.zeros([abs(n) for n in port.partial_shape.get_max_shape()] if port.partial_shape.is_static
                   else [1, 2, 2][:len(port.partial_shape)], np.float32) for port in models[name].inputs])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        Image.open(PHOTO).convert("RGB").resize((1800, 1200)).save(photo, quality=92)
        environment = {**os.environ, "MOBILESAM_CACHE": folder}
        command = [sys.executable, "-m", "mobilesam", "predict", str(photo), "--point", "900,600",
                   "-o", f"{folder}/mask.png", "--kind", "mask"]  # fmt: skip
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        blobs = [str(path) for path in (Path(folder) / "compiled").iterdir()]
        jobs = {
            "Python alone": [sys.executable, "-c", "pass"],
            "floor": [sys.executable, "-c", BARE, *blobs],
            "mobilesam predict": command,
        }
        seconds: dict[str, list[float]] = {name: [] for name in jobs}
        for i in range(1 + rounds):
            for name, job in jobs.items():
                start = time.perf_counter()
                subprocess.run(job, env=environment, check=True, stdout=subprocess.DEVNULL)
                if i:
                    seconds[name].append(time.perf_counter() - start)
    print(f"> {machine.describe()}\n\n| | median s | spread | of the floor |\n|---|---|---|---|")
    floor = statistics.median(seconds["floor"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.2f} | {min(values):.2f}–{max(values):.2f} | {median / floor:.2f} |")


if __name__ == "__main__":
    main()
