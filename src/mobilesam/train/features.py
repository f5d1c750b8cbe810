"""What a frozen encoder makes of a photo, computed once and kept in files: the system's cache holds them in memory
while there is room, and a run that goes on finds them again."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import atomic_path

FOLDER = "features"


class Features:
    """One .npy file a photo in a folder of the run; `frozen` is the part of the network that doesn't change."""

    def __init__(self, frozen: Callable[[Tensor], Tensor], folder: Path, made_by: str) -> None:
        self._frozen, self._made_by = frozen, made_by
        self.folder = folder / FOLDER
        self._lock = threading.Lock()

    def of(self, key: str, image: Callable[[], Tensor]) -> Tensor:
        """The features (C, h, w) of a photo, which is only read where they aren't there. Raises OutputError."""
        name = hashlib.blake2b(f"{self._made_by}\n{key}".encode(), digest_size=16).hexdigest()
        path = self.folder / f"{name}.npy"
        with self._lock, torch.inference_mode():  # one at a time: each takes all cores
            if not path.exists():
                features = self._frozen(image()[None])[0].float().cpu().numpy()
                with atomic_path(path) as part:
                    np.save(part, features)
        return torch.from_numpy(np.load(path, allow_pickle=False))

    def remove(self) -> None:
        """Delete the folder: the run is over."""
        shutil.rmtree(self.folder, ignore_errors=True)
