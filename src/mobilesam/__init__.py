"""MobileSAM: a click or a box on a photo gives the object's mask.

>>> from mobilesam import SAM
>>> result = SAM().predict("examples/coffee.png", points=[300, 200])[0]
>>> result.masks.shape
(1, 400, 600)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    BackendError,
    CheckpointError,
    DownloadError,
    ExportError,
    ImageError,
    ImageTooLargeError,
    InputError,
    MissingDependencyError,
    MobileSAMError,
    NotSupportedError,
    OutputError,
    PromptError,
    SourceNotFoundError,
    TrainingError,
    WeightsNotFoundError,
)

if TYPE_CHECKING:
    from .embedding import Embedding
    from .masks import Polygon
    from .model import SAM
    from .results import Results
    from .scene import Scene

__version__ = "0.1.0"

__all__ = [
    "SAM",
    "BackendError",
    "CheckpointError",
    "DownloadError",
    "Embedding",
    "ExportError",
    "ImageError",
    "ImageTooLargeError",
    "InputError",
    "MissingDependencyError",
    "MobileSAMError",
    "NotSupportedError",
    "OutputError",
    "Polygon",
    "PromptError",
    "Results",
    "Scene",
    "SourceNotFoundError",
    "TrainingError",
    "WeightsNotFoundError",
    "__version__",
]

_LAZY = {"SAM": "model", "Embedding": "embedding", "Results": "results", "Polygon": "masks", "Scene": "scene"}


def __getattr__(name: str) -> Any:
    """Import the heavier names on first use, so that `import mobilesam` is quick."""
    if name not in _LAZY:
        raise AttributeError(f"module 'mobilesam' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
