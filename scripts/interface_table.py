#!/usr/bin/env python3
"""Write docs/interfaces.md: every name of Meta's, MobileSAM's and Ultralytics' interfaces, and what tests it.

Needs the test requirements; `--check` compares instead of writing.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs/interfaces.md"
HEAD = """# Every name of the three interfaces

Made by [scripts/interface_table.py](../scripts/interface_table.py). Meta's and MobileSAM's names are those that the
packages `segment-anything` 1.0 and `mobilesam-mirror` 1.0.0 define in each of their modules; every signature is
compared with theirs (tests/compat/test_meta_signatures.py), and the values by the test in the table. Ultralytics' are
what its pages and users name: its code is AGPL, and is run only as a program of its own (clients.md). Tests are in
tests/compat.
"""


def meta(package: str) -> list[str]:
    """Lines of the table of a package of Meta's family."""
    names = importlib.import_module("meta_names")
    signatures = importlib.import_module("test_meta_signatures")
    lines = [f"\n## {package}\n", "| name | here | values tested by |", "|---|---|---|"]
    for module, name in signatures.callables(package):
        lines.append(f"| {module}.{name} | yes | {names.covered_by(f'{module}.{name}')} |")
    return lines


def ultralytics() -> list[str]:
    """Lines of the table of Ultralytics' names."""
    table = importlib.import_module("ultralytics_names").NAMES
    rows = [
        f"| {name} | {'a named error' if name == 'SAM.train' else 'yes'} | {test} |" for name, test in table.items()
    ]
    return ["\n## ultralytics\n", "| name | here | tested by |", "|---|---|---|", *rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where the page isn't what would be written")
    check = parser.parse_args().check
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/compat")]
    page = HEAD + "\n".join([*meta("segment_anything"), *meta("mobile_sam"), *ultralytics()]) + "\n"
    if not check:
        TARGET.write_text(page, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != page:
        raise SystemExit("docs/interfaces.md is out of date; run scripts/interface_table.py.")


if __name__ == "__main__":
    main()
