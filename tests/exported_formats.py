"""Which formats the tests marked `exports` try: those that MOBILESAM_EXPORTS names, else those that are installed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable

from mobilesam.export.formats import FORMATS


def chosen(names: Iterable[str]) -> list[str]:
    """Of `names`; one that is asked for and not installed stays in, and fails."""
    asked = os.environ.get("MOBILESAM_EXPORTS")
    if asked is not None:
        return [name for name in names if name in asked.split(",")]
    return [name for name in names if all(importlib.util.find_spec(package) for package in FORMATS[name].needs)]
