"""What a trained checkpoint says of itself beside its weights: one JSON entry in the header of its safetensors file.

Where the model isn't an architecture of the catalog at its size, the file also carries the graphs that run it
without torch, as tensors of bytes named `graph.encoder` and so on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..nn.config import TinyVitConfig

ENTRY = "mobilesam"
"""Key of the header's metadata. One only: safetensors writes several in any order, and files would differ."""
FORMAT = 1
GRAPH, CLASSES = "graph.", "class_head."
"""Prefixes of tensors that are no weights of the model."""
SIZED = ("encoder", "prompts", "decoder_masked")
"""Parts whose graphs depend on the input size; the decoder without a mask takes maps of any size."""
SIZES = range(64, 4097, 32)
"""Sides of the model's square that a TinyViT can have."""
MOST = {"dims": 4096, "depths": 64, "heads": 256, "windows": 64}
"""No honest file goes beyond; without bounds a header of a few bytes could ask for any amount of memory."""


@dataclass(frozen=True)
class Description:
    """`config` is None for an architecture of the catalog, which keys and shapes tell by themselves."""

    img_size: int = 1024
    config: TinyVitConfig | None = None
    graphs: Mapping[str, str] = field(default_factory=dict)
    """Part -> sha256 of its graph in the file."""
    names: tuple[str, ...] | None = None
    """The classes, in the order of the class head's outputs."""
    about: Mapping[str, str] = field(default_factory=dict)
    """How it was made, for people."""

    def to_metadata(self) -> dict[str, str]:
        """What safetensors takes as metadata."""
        facts = {"format": FORMAT} | {key: value for key, value in asdict(self).items() if value not in (None, {})}
        return {ENTRY: json.dumps(facts)}


def read(metadata: Mapping[str, Any]) -> Description | None:
    """The description in a header's metadata, None where there is none. Raises ValueError, TypeError or KeyError."""
    if ENTRY not in metadata:
        return None
    facts = json.loads(metadata[ENTRY])
    if facts.get("format") != FORMAT:
        raise ValueError(f"its format is {facts.get('format')!r}, this version reads {FORMAT}")
    img_size = facts.get("img_size")
    if img_size not in SIZES:
        raise ValueError(f"img_size {img_size!r} is no multiple of 32 between {SIZES[0]} and {SIZES[-1]}")
    names = facts.get("names")
    return Description(
        img_size=img_size,
        config=_config(facts["config"]) if "config" in facts else None,
        graphs=_texts(facts.get("graphs", {})),
        names=None if names is None else tuple(_texts(dict(enumerate(names))).values()),
        about=_texts(facts.get("about", {})),
    )


def _config(given: Mapping[str, Any]) -> TinyVitConfig:
    four: dict[str, Any] = {name: tuple(given[name]) for name in MOST}
    for name, numbers in four.items():
        if len(numbers) != 4 or not all(type(n) is int and 1 <= n <= MOST[name] for n in numbers):
            raise ValueError(f"{name} must be four numbers from 1 to {MOST[name]}, got {numbers}")
    config = TinyVitConfig(four["dims"], four["depths"], four["heads"], four["windows"])
    if any(dim % heads for dim, heads in zip(config.dims[1:], config.heads[1:], strict=True)):
        raise ValueError(f"dims {config.dims} can't be divided by heads {config.heads}")
    return config


def _texts(given: Mapping[Any, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in given.values()):
        raise ValueError("names, graphs and about must be texts")
    return {str(key): value for key, value in given.items()}
