"""Who can be measured: a table of our runtimes and of other implementations."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import backends
from ..errors import InputError


@dataclass(frozen=True)
class Candidate:
    """One column of the table."""

    name: str
    kind: str
    """A name of `runners.RUNNERS`."""
    options: dict[str, Any] = field(default_factory=dict)


PEERS = {
    "eager": ("compat", "upstream's procedure in eager PyTorch (our mobilesam.compat.mobile_sam)", "torch"),
    "mobile_sam": ("upstream", "MobileSAM's own package", "mobile_sam"),
    "ultralytics": ("ultralytics", "Ultralytics' SAM", "ultralytics"),
    "samexporter": (
        "pair",
        "an ONNX pair of samexporter's layout: samexporter=ENCODER.onnx,DECODER.onnx",
        "onnxruntime",
    ),
    "transformers": ("transformers", "transformers' SamModel, ViT-B, random weights", "transformers"),
}
"""Name -> runner, what it is, the package that must be importable."""


def ours() -> list[Candidate]:
    """Our installed runtimes, "auto" with padding skipped and fp32 as upstream computes; PyTorch's fp32 is left out."""
    pairs = [(runtime, precision) for runtime in backends.installed() for precision in ("auto", "fp32")]
    return [
        Candidate(f"{runtime} {precision}", "ours", {"runtime": runtime, "precision": precision})
        for runtime, precision in pairs
        if (runtime, precision) != ("pytorch", "fp32")
    ]


def peer(text: str) -> Candidate:
    """ "mobile_sam", or "mobile_sam=FOLDER" to import it from there. Raises InputError for what can't be imported."""
    name, _, place = text.partition("=")
    if name not in PEERS:
        raise InputError(f"Unknown peer {name!r}; known: {', '.join(PEERS)}.")
    runner, _, package = PEERS[name]
    if name == "samexporter" and place.count(",") != 1:
        raise InputError("samexporter is given by its two files: samexporter=ENCODER.onnx,DECODER.onnx.")
    is_folder = bool(place) and name != "samexporter"
    if not is_folder and importlib.util.find_spec(package) is None:
        raise InputError(f"Peer {name} needs the package {package}: install it, or give its folder: {name}=FOLDER.")
    return Candidate(name, runner, {"place": place} if place else {})


def chosen(peers: Sequence[str], runtimes: Sequence[str] = ()) -> list[Candidate]:
    """The peers in their order, the first of which is what ratios are to, then ours."""
    own = [c for c in ours() if not runtimes or c.options["runtime"] in runtimes]
    if unknown := set(runtimes) - {c.options["runtime"] for c in own}:
        raise InputError(f"No installed runtime {sorted(unknown)[0]!r}; installed: {', '.join(backends.installed())}.")
    return [*map(peer, peers), *own]
