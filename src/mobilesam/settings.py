"""Settings from the environment, and what the machine has; the only reader of `os.environ`.

| variable | meaning | default |
|---|---|---|
| MOBILESAM_CACHE | folder for downloaded weights and compiled models | the user's cache folder |
| MOBILESAM_OFFLINE | "1" forbids every download | unset |
| MOBILESAM_MAX_PIXELS | the most pixels an image may have | 178956970, Pillow's own limit |
| MOBILESAM_MAX_BYTES | the most bytes an image file may have | 1000000000 |
| MOBILESAM_RUNTIME | runtime that "auto" takes: openvino, onnx or pytorch | unset |
| MOBILESAM_SERVE_... | options of the server: docs/server.md lists them | unset |
| DISPLAY, WAYLAND_DISPLAY | on Linux, that windows can be shown | unset |
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .errors import InputError

MAX_PIXELS = 178_956_970
"""Where Pillow itself refuses (twice its MAX_IMAGE_PIXELS); to go beyond, raise that too."""
MAX_BYTES = 1_000_000_000


def cache_dir() -> Path:
    """Folder for downloads and compiled models; not created here."""
    if explicit := os.environ.get("MOBILESAM_CACHE"):
        return Path(explicit).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mobilesam"


def is_offline() -> bool:
    """True where downloads are forbidden by MOBILESAM_OFFLINE."""
    return os.environ.get("MOBILESAM_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def max_pixels() -> int:
    """The most pixels (height x width) an image may have."""
    return _positive_int("MOBILESAM_MAX_PIXELS", MAX_PIXELS)


def max_bytes() -> int:
    """The most bytes an image file may have."""
    return _positive_int("MOBILESAM_MAX_BYTES", MAX_BYTES)


def preferred_runtime() -> str | None:
    """The runtime named by MOBILESAM_RUNTIME, if any."""
    return os.environ.get("MOBILESAM_RUNTIME") or None


def cores() -> int:
    """Processor cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_display() -> bool:
    """True where a window can be shown."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def serve(name: str) -> str | None:
    """What MOBILESAM_SERVE_<NAME> says, if anything."""
    return os.environ.get(f"MOBILESAM_SERVE_{name.upper()}") or None


def _positive_int(name: str, default: int) -> int:
    raw = os.environ.get(name)
    if not raw:
        return default
    if not raw.isdecimal() or int(raw) == 0:
        raise InputError(f"{name} must be a positive whole number, got {raw!r}.")
    return int(raw)
