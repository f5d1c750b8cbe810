"""The table of docs/export.md, from what the exports' manifests say: python scripts/export_table.py FOLDER

FOLDER holds one export a subfolder, as `mobilesam export` wrote them: of every format and precision those
that can be made here. `--make` makes them first; those that are there already are left as they are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mobilesam import MobileSAMError
from mobilesam.export import export
from mobilesam.export.formats import FORMATS

HEAD = (
    "| format | precision | runs here | MB | embedding error | mean mask IoU | lowest | encode ms | click ms |",
    "|---|---|---|---|---|---|---|---|---|",
)


def row(manifest: dict[str, Any]) -> str:
    """One export."""
    parity = manifest["parity"]
    size = sum(entry["bytes"] for name, entry in manifest["files"].items() if not name.startswith("ort/")) / 1e6
    start = f"| {manifest['format']} | {manifest['precision']} |"
    if not parity["verified"]:
        return f"{start} no | {size:.1f} | – | – | – | – | – |"
    return (
        f"{start} yes | {size:.1f} | {parity['embedding_error']:.1e} | {parity['mean_iou']:.4f} | "
        f"{parity['min_iou']:.3f} | {parity['encode_ms']:.0f} | {parity['decode_ms']:.0f} |"
    )


def make(folder: Path, photos: Path | None) -> None:
    """Every format and precision that this environment has the converters for."""
    for name, item in FORMATS.items():
        for precision in item.precisions:
            target = folder / f"{name}-{precision}"
            if (target / "manifest.json").exists():
                continue
            needs_photos = precision in item.needs_photos
            try:
                export("mobilesam", target, format=name, precision=precision, photos=photos if needs_photos else None)
                print(f"{name} {precision}: written")
            except MobileSAMError as error:
                print(f"{name} {precision}: {type(error).__name__}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--photos", type=Path, help="to measure ranges on")
    options = parser.parse_args()
    if options.make:
        make(options.folder, options.photos)
    found = [json.loads(path.read_text()) for path in options.folder.glob("*/manifest.json")]
    order = [(name, precision) for name, item in FORMATS.items() for precision in item.precisions]
    found.sort(key=lambda manifest: order.index((manifest["format"], manifest["precision"])))
    print("\n".join([*HEAD, *map(row, found)]))


if __name__ == "__main__":
    main()
