"""Tables for docs/accuracy.md out of `mobilesam val`'s report.json files.

    python scripts/accuracy_tables.py REPORT_FOLDER... [--scores REGEX] [--size all] [--differences]

One row a score, one column a data set; "protocol score" is matched against REGEX.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from mobilesam.evaluate import Figure
from mobilesam.evaluate.report.page import shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--scores", default="")
    parser.add_argument("--size", default="all")
    parser.add_argument("--differences", action="store_true")
    options = parser.parse_args()
    cells: dict[tuple[str, str], dict[str, Figure]] = {}
    counts: dict[str, int] = {}
    for folder in options.folders:
        report: dict[str, Any] = json.loads((folder / "report.json").read_text())
        for record in report["differences" if options.differences else "figures"]:
            figure = Figure(**record)
            name = f"{figure.protocol} {figure.score}"
            if figure.size == options.size and re.search(options.scores, name):
                cells.setdefault((figure.protocol, figure.score), {})[figure.data] = figure
                counts[figure.data] = max(counts.get(figure.data, 0), figure.count)
    print("| protocol | score | " + " | ".join(f"{data} ({count})" for data, count in counts.items()) + " |")
    print("|" + "---|" * (2 + len(counts)))
    for (protocol, score), by_data in cells.items():
        row = [shown(by_data[d], signed=options.differences) if d in by_data else "–" for d in counts]
        print(f"| {protocol} | {score} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
