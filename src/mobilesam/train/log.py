"""What a run tells: OUT/log.csv (step, name, value), TensorBoard's events, pictures, photos that were left out."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._optional import require
from ..errors import OutputError
from ..files import write_picture, write_text
from ..types import U8

CSV, SKIPPED, EVENTS, PICTURES = "log.csv", "skipped.json", "tensorboard", "pictures"


class Log:
    """The files of a run that goes on after `step` steps; later lines of a killed run are dropped."""

    def __init__(self, folder: Path, step: int) -> None:
        require("tensorboard", "train", "Training")
        from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415  # takes a second

        self.folder = folder
        self.skipped: dict[str, str] = {}
        self._lock = threading.Lock()
        kept = [line for line in read(folder) if int(line["step"]) <= step] if step else []
        lines = ["step,name,value", *(f"{line['step']},{line['name']},{line['value']}" for line in kept)]
        write_text(folder / CSV, "\n".join(lines) + "\n")
        self._events: Any = SummaryWriter(str(folder / EVENTS), purge_step=step + 1 if step else None)

    def values(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step. Raises OutputError."""
        try:
            with (self.folder / CSV).open("a", encoding="utf-8") as handle:
                handle.writelines(f"{step},{name},{value!r}\n" for name, value in values.items())
        except OSError as error:
            raise OutputError(
                f"Can't write {self.folder / CSV}: {error}. Free some space, go on with --resume."
            ) from error
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def pictures(self, step: int, pictures: Sequence[U8]) -> None:
        """Pictures (H, W, 3) side by side as one PNG."""
        if not pictures:
            return
        height = max(picture.shape[0] for picture in pictures)
        padded = [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0)), constant_values=255) for p in pictures]
        sheet = np.concatenate(padded, axis=1)
        write_picture(self.folder / PICTURES / f"step_{step:06d}.png", sheet)
        self._events.add_image("masks", sheet, step, dataformats="HWC")

    def skip(self, key: str, why: str) -> None:
        """Note a photo that couldn't be read."""
        with self._lock:  # threads that read photos call this
            if key not in self.skipped:
                self.skipped[key] = why
                write_text(self.folder / SKIPPED, json.dumps(self.skipped, indent=1))

    def close(self) -> None:
        """Flush TensorBoard's events."""
        self._events.close()


def read(folder: Path) -> list[dict[str, str]]:
    """The lines of a run's log.csv; a last line that was cut is dropped."""
    path = folder / CSV
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        return [line for line in csv.DictReader(handle) if line["value"] and line["step"].isdecimal()]
