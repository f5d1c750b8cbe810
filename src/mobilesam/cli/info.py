"""`mobilesam info`: version, runtimes, devices, cache."""

from __future__ import annotations

import json
import platform
from typing import Annotated, Any

import typer

EXAMPLES = """
Examples:

    mobilesam info

    mobilesam info --json

    mobilesam info student.safetensors
"""


def run(
    model: Annotated[
        str | None, typer.Argument(help="Name of a model or a weights file, to describe it alone.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the version, the runtimes with their devices, and the cache; or what a weights file is."""
    if model is not None:
        facts = _model(model)
        typer.echo(json.dumps(facts, indent=2) if as_json else "\n".join(f"{key}: {facts[key]}" for key in facts))
        return
    facts = _facts()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"mobilesam {facts['version']}, Python {facts['python']}, {facts['platform']}")
    for runtime in facts["runtimes"]:
        state = (
            f"{runtime['version']}, devices: {', '.join(runtime['devices'])}"
            if runtime["version"]
            else (f"not installed: {runtime['install']}")
        )
        typer.echo(f"runtime {runtime['name']}: {state}")
    typer.echo(f"default runtime: {facts['default_runtime']}")
    cache = facts["cache"]
    typer.echo(f"cache: {cache['path']} ({cache['files']} files, {cache['bytes'] / 1e6:.1f} MB)")


def _model(model: str) -> dict[str, Any]:
    from math import prod

    from ..backends import Checkpoint
    from ..catalog import locate

    checkpoint = Checkpoint(locate(model))
    names = checkpoint.description.names
    return {
        "path": str(checkpoint.path),
        "architecture": checkpoint.name,
        "img_size": checkpoint.img_size,
        "values": sum(prod(shape) for shape in checkpoint.shapes.values()),
        "sha256": checkpoint.digest,
        **({"classes": ", ".join(names)} if names else {}),
        **checkpoint.description.about,
    }


def _facts() -> dict[str, Any]:
    from .. import __version__, backends, settings
    from ..errors import MobileSAMError

    cache = settings.cache_dir()
    files = [path for path in cache.rglob("*") if path.is_file()] if cache.is_dir() else []
    try:
        default = backends.choose().name
    except MobileSAMError as error:
        default = f"none ({error})"
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "runtimes": [_runtime(runtime) for runtime in backends.RUNTIMES.values()],
        "default_runtime": default,
        "cache": {
            "path": str(cache),
            "files": len(files),
            "bytes": sum(path.stat().st_size for path in files),
        },
    }


def _runtime(runtime: Any) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(runtime.package)
    except PackageNotFoundError:
        found = None
    extra = f"mobilesam[{runtime.extra}]" if runtime.extra else runtime.package
    devices = runtime.present_devices() if found else []
    return {"name": runtime.name, "version": found, "devices": devices, "install": f"pip install '{extra}'"}
