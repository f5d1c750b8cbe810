"""Which checkpoints exist, where they are, and how they get here; the only room with network code."""

from __future__ import annotations

from .models import MODELS, ModelSpec, find
from .store import locate

__all__ = ["MODELS", "ModelSpec", "find", "locate"]
