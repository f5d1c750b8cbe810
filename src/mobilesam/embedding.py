"""Embedding: what the image encoder made of a photo, as a value that can be kept, saved and shared."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import InputError, SourceNotFoundError
from .files import atomic_path, png_bytes
from .geometry import Letterbox
from .types import F32, HW, U8

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Embedding:
    """A photo as the mask decoder sees it; any number of prompts can be answered from it.

    Nothing in it changes, so threads may share it. It keeps the photo for overlays and cut-outs.
    """

    features_bchw: F32
    """(1, 256, S/16, S/16) float32."""
    letterbox: Letterbox
    model_id: str
    """Architecture and weights that made it; another model can't read it."""
    image: U8 | None = None
    """The photo (H, W, 3), RGB."""
    name: str = "image0"
    path: Path | None = None

    @property
    def image_hw(self) -> HW:
        """Size of the photo as (height, width)."""
        return self.letterbox.image_hw

    def save(self, path: str | Path) -> Path:
        """Write everything to a .npz file (the photo as lossless PNG inside); returns the path.

        Raises OutputError where it can't be written.
        """
        target = Path(path)
        if target.suffix != ".npz":
            raise InputError(f"An embedding is saved as .npz, got {target.name!r}; choose a name like 'photo.npz'.")
        values = {
            "format": np.array(FORMAT),
            "features": self.features_bchw,
            "image_hw": np.array(self.image_hw),
            "size": np.array(self.letterbox.size),
            "model_id": np.array(self.model_id),
            "name": np.array(self.name),
            "path": np.array(str(self.path or "")),
            "png": _to_png(self.image),
        }
        with atomic_path(target) as part:
            np.savez(part, **values)  # type: ignore[arg-type]  # NumPy's stub mistakes them for allow_pickle
        return target

    @classmethod
    def load(cls, path: str | Path) -> Embedding:
        """Read what `save` wrote; nothing is unpickled.

        Raises SourceNotFoundError where there is no file, InputError where it holds something else.
        """
        source = Path(path)
        if not source.is_file():
            raise SourceNotFoundError(f"No embedding at {str(source)!r}; make one with sam.embed(image).save(path).")
        try:
            # Opened here: NumPy leaves a file that it can't read open.
            with source.open("rb") as handle, np.load(handle, allow_pickle=False) as data:
                if int(data["format"]) != FORMAT:
                    raise InputError(f"{source} has format {int(data['format'])}, this version reads {FORMAT}.")
                height, width = data["image_hw"].tolist()
                return cls(
                    features_bchw=np.asarray(data["features"], np.float32),
                    letterbox=Letterbox((height, width), int(data["size"])),
                    model_id=str(data["model_id"]),
                    image=_from_png(data["png"]),
                    name=str(data["name"]),
                    path=Path(str(data["path"])) if str(data["path"]) else None,
                )
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{source} is no saved embedding ({error}). Make it anew with sam.embed().") from error


def _to_png(image: U8 | None) -> U8:
    if image is None:
        return np.zeros(0, np.uint8)
    return np.frombuffer(png_bytes(image, level=1), np.uint8)


def _from_png(data: U8) -> U8 | None:
    if data.size == 0:
        return None
    with Image.open(io.BytesIO(data.tobytes())) as image:
        return np.asarray(image.convert("RGB"))
