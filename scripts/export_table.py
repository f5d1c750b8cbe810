"""The tables of docs/export.md.

    python scripts/export_table.py --write           # the contract and the formats, from the package's tables
    python scripts/export_table.py --check           # that they are what --write would write
    python scripts/export_table.py FOLDER [--make]   # prints what was measured, from the exports' manifests

FOLDER holds one export a subfolder, as `mobilesam export` wrote them: of every format and precision those
that can be made here. `--make` makes them first; those that are there already are left as they are.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from mobilesam import MobileSAMError
from mobilesam.backends.exported import READERS
from mobilesam.export import export
from mobilesam.export.contract import CONTRACT
from mobilesam.export.formats import FORMATS

PAGE = Path(__file__).parents[1] / "docs/export.md"

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


def contract() -> str:
    """The networks' inputs and outputs."""
    rows = ["| network | | name | shape | what it is |", "|---|---|---|---|---|"]
    for name, part in CONTRACT.items():
        for side in ("inputs", "outputs"):
            for tensor in getattr(part, side):
                shape = ", ".join(map(str, tensor.axes))
                rows.append(f"| {name} | {side[:-1]} | `{tensor.name}` | ({shape}) | {tensor.meaning} |")
    return "\n".join(rows)


def formats() -> str:
    """The formats, and what each needs."""
    rows = [
        "| format | for | precisions | decoder | install what converts | what runs it here |",
        "|---|---|---|---|---|---|",
    ]
    for name, item in FORMATS.items():
        decoder = "fixed" if item.is_fixed else "any B, N"
        reader = READERS.get(name)
        runs = "–"
        if reader:
            runs = f"`pip install 'mobilesam[{reader.extra}]'`" if reader.extra else "the plain install"
        rows.append(
            f"| `{name}` | {item.for_whom} | {', '.join(item.precisions)} | {decoder} "
            f"| `pip install 'mobilesam[{item.extra}]'` | {runs} |"
        )
    return "\n".join(rows)


def written(text: str) -> str:
    """The page with its two tables as they are now."""
    for name, table in (("contract", contract()), ("formats", formats())):
        block = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
        text, found = re.subn(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, block=block: block, text, flags=re.S)
        if found != 1:
            sys.exit(f"{PAGE} has no place for the table {name}")
    return text


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
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--photos", type=Path, help="to measure ranges on")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.write or options.check:
        text = PAGE.read_text(encoding="utf-8")
        if options.check and written(text) != text:
            sys.exit(f"{PAGE} isn't what {Path(__file__).name} --write would write")
        PAGE.write_text(written(text), encoding="utf-8")
    if options.folder is None:
        return
    if options.make:
        make(options.folder, options.photos)
    found = [json.loads(path.read_text()) for path in options.folder.glob("*/manifest.json")]
    order = [(name, precision) for name, item in FORMATS.items() for precision in item.precisions]
    found.sort(key=lambda manifest: order.index((manifest["format"], manifest["precision"])))
    print("\n".join([*HEAD, *map(row, found)]))


if __name__ == "__main__":
    main()
