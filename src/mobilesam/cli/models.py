"""`mobilesam models`: what the catalog has."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

EXAMPLES = """
Examples:

    mobilesam models

    mobilesam models --json
"""


def run(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the known models: bundled, in the cache, or to be downloaded."""
    rows = _rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "where", "MB", "licence", "origin")
    for row in rows:
        table.add_row(row["name"], row["where"], f"{row['bytes'] / 1e6:.1f}", row["licence"], row["origin"])
    Console().print(table)


def _rows() -> list[dict[str, Any]]:
    from ..catalog import MODELS
    from ..catalog.store import is_cached

    return [
        {
            "name": spec.name,
            "where": "bundled" if spec.is_bundled else "cached" if is_cached(spec) else "download",
            "arch": spec.arch,
            "bytes": spec.bytes,
            "sha256": spec.sha256,
            "licence": spec.licence,
            "origin": spec.origin,
            "url": spec.url,
        }
        for spec in MODELS.values()
    ]
