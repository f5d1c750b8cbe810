"""Copy a small sample of reference outputs into tests/golden.

    python scripts/copy_golden.py FOLDER

FOLDER holds, for each image, NAME.npz and NAME.json (made with the upstream code, float32, on the
bundled model's full-precision weights) and images/NAME.png. Of the embedding every 8th channel and every
4th row and column are kept, of the low-resolution logits every 8th row and column; prompts, predicted
IoU and final masks are kept whole.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np

TARGET = Path(__file__).parents[1] / "tests/golden"
EXAMPLES = Path(__file__).parents[1] / "examples"
CHANNELS, CELLS, LOW_RES = 8, 4, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for source in sorted(folder.glob("*.npz")):
        copy(folder, source.stem)


def copy(folder: Path, name: str) -> None:
    with np.load(folder / f"{name}.npz") as data:
        channels, cells = int(data["embedding_channel_step"]), int(data["low_res_step"])
        kept = {"embedding": data["embedding"][0, :: CHANNELS // channels, ::CELLS, ::CELLS]}
        for key in data.files:
            if key.endswith("/low_res"):
                step = LOW_RES // cells
                kept[key] = data[key][:, ::step, ::step]
    np.savez_compressed(TARGET / f"{name}.npz", **kept)
    facts = json.loads((folder / f"{name}.json").read_text())
    facts.pop("set_image_s", None)
    (TARGET / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    picture = folder / "images" / f"{name}.png"
    shutil.copyfile(picture, (EXAMPLES if name == "coffee" else TARGET) / picture.name)


if __name__ == "__main__":
    main()
