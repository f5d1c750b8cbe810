"""Import of optional packages, with the exact install line when one is missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingDependencyError


def require(module: str, extra: str | None, why: str) -> ModuleType:
    """Import `module`, or raise MissingDependencyError naming the pip line.

    `extra` is the name of our extra that brings it, or None where it belongs to the plain install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        target = f"mobilesam[{extra}]" if extra else "--force-reinstall mobilesam"
        raise MissingDependencyError(
            f"{why} needs the package {module.split('.', maxsplit=1)[0]!r}, which can't be imported ({error}). "
            f"Install it with: pip install '{target}'"
        ) from error
