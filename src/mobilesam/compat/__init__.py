"""Other packages' interfaces over this one, so that their users switch with one line.

| was | becomes |
|---|---|
| `from segment_anything import ...` | `from mobilesam.compat.segment_anything import ...` |
| `from mobile_sam import ...` | `from mobilesam.compat.mobile_sam import ...` |
| `from ultralytics import SAM` | `from mobilesam.compat.ultralytics import SAM` |

Where files can't be changed, `install("mobile_sam")` lets their own imports find ours.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from ..errors import InputError

__all__ = ["install", "uninstall"]

PACKAGES = ("segment_anything", "mobile_sam")
MODULES = (
    "automatic_mask_generator",
    "build_sam",
    "predictor",
    "modeling",
    "modeling.common",
    "modeling.image_encoder",
    "modeling.mask_decoder",
    "modeling.prompt_encoder",
    "modeling.sam",
    "modeling.tiny_vit_sam",
    "modeling.transformer",
    "utils",
    "utils.amg",
    "utils.onnx",
    "utils.transforms",
)
"""What can be imported from each of them."""
_replaced: dict[str, dict[str, ModuleType]] = {}
"""Of each installed name, the modules that had it before."""


def install(name: str) -> None:
    """Let `import segment_anything` or `import mobile_sam`, with every submodule, find this package's.

    It holds for this process, from now on: what was imported before keeps the package that it got. Needs torch.
    `uninstall` takes it back. Raises InputError for another name.

    >>> install("mobile_sam")
    >>> import mobile_sam.utils.transforms
    >>> mobile_sam.utils.transforms.ResizeLongestSide.__module__
    'mobilesam.compat.segment_anything.utils.transforms'
    >>> uninstall("mobile_sam")
    """
    if name not in PACKAGES:
        raise InputError(f"install takes one of {', '.join(PACKAGES)}, got {name!r}.")
    if name in _replaced:
        return
    ours = {f"{name}{tail}": f"{__name__}.{name}{tail}" for tail in ("", *(f".{module}" for module in MODULES))}
    modules = {theirs: importlib.import_module(own) for theirs, own in ours.items()}
    _replaced[name] = _entries(name)
    _remove(name)
    sys.modules.update(modules)


def uninstall(name: str) -> None:
    """Take `install` back: the name means again what it meant before; nothing where it isn't installed."""
    if name in _replaced:
        _remove(name)
        sys.modules.update(_replaced.pop(name))


def _entries(name: str) -> dict[str, ModuleType]:
    return {key: module for key, module in sys.modules.items() if key == name or key.startswith(f"{name}.")}


def _remove(name: str) -> None:
    for key in _entries(name):
        del sys.modules[key]
