"""Which weights a name means, loaded once a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import InputError
from ...model import SAM
from .arguments import device_of

METAS = {
    "sam_b.pt": "sam_vit_b_01ec64.pth",
    "sam_l.pt": "sam_vit_l_0b3195.pth",
    "sam_h.pt": "sam_vit_h_4b8939.pth",
}
"""Ultralytics' names of Meta's files -> Meta's own."""


def name_of(model: str | Path) -> str | Path:
    """The file or catalog name: a file that is there, else Meta's name for Ultralytics'.

    >>> name_of("sam_b.pt"), name_of("mobile_sam.pt")
    ('sam_vit_b_01ec64.pth', 'mobile_sam.pt')
    """
    return model if Path(model).expanduser().is_file() else METAS.get(str(model), model)


class Weights:
    """A model by its file, its name, or as a loaded `mobilesam.SAM`, which stays on its device."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._loaded: dict[str, SAM] = {}

    def on(self, device: Any) -> SAM:
        """The model on a device, named as Ultralytics does. Raises InputError and as `mobilesam.SAM`."""
        wanted = device_of(device)
        if isinstance(self._model, SAM):
            if wanted != "auto" and wanted.removesuffix(":0") != self._model.info.device.removesuffix(":0"):
                raise InputError(f"The given SAM is on {self._model.info.device!r}; make it with device={wanted!r}.")
            return self._model
        if wanted not in self._loaded:
            self._loaded[wanted] = SAM(name_of(self._model), device=wanted)
        return self._loaded[wanted]
