"""The manifest beside an export: what the files are, and that they are whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, InputError

NAME = "manifest.json"
KIND = "mobilesam-export-1"
MOST_BYTES = 1 << 20
"""A manifest is a few kilobytes."""


@dataclass(frozen=True)
class Manifest:
    """What a runtime needs to know of an exported folder."""

    format: str
    precision: str
    model_id: str
    """Embeddings of the source model and of its exports are the same thing."""
    img_size: int
    prompts: int | None
    """Prompts that the decoder takes at a time; None for any number."""
    points: int | None
    """Tokens of each prompt; None for any number."""
    files: Mapping[str, str]
    """Path below the folder -> sha256."""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises InputError for a folder that is no export of ours, CheckpointError for a damaged one."""
        path = folder / NAME
        if not path.is_file():
            raise InputError(f"{folder} has no {NAME}: it isn't a folder that `mobilesam export` has written.")
        try:
            if path.stat().st_size > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes")
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            kind = data["kind"]
            if kind != KIND:
                raise InputError(
                    f"{folder} is an export for other programs ({kind}); SAM() runs those of the kind {KIND}: "
                    "export without --layout."
                )
            decoder = data["decoder"]
            return cls(
                format=str(data["format"]),
                precision=str(data["precision"]),
                model_id=str(data["model"]["id"]),
                img_size=_size(data["img_size"]),
                prompts=_size(decoder["prompts"]) if decoder["prompts"] else None,
                points=_size(decoder["points"]) if decoder["points"] else None,
                files={str(name): str(entry["sha256"]) for name, entry in data["files"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise CheckpointError(f"{path} can't be read ({error!r}). Export the model again.") from error

    def check(self, folder: Path) -> None:
        """Raises CheckpointError where a file is missing or has changed since it was exported."""
        inside = folder.resolve()
        for name, sha256 in self.files.items():
            path = (folder / name).resolve()
            if not path.is_relative_to(inside) or not path.is_file():
                raise CheckpointError(f"{folder} lacks {name}, which its manifest lists. Export the model again.")
            if digest(path) != sha256:
                raise CheckpointError(f"{path} isn't the file that was exported. Export the model again.")


def digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _size(value: object) -> int:
    if not isinstance(value, int) or not 1 <= value <= 1 << 14:
        raise ValueError(f"a size of {value!r}")
    return value
