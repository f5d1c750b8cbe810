"""Encoding a photo without its padding: where to cut, and what to put in the blank's place.

A photo of 3:2 fills two thirds of the model's square. The encoder can leave out the rest (`nn/cut.py`), but the
decoder reads the whole square's embedding. What the encoder makes of the rest is much the same for all photos of one
shape: a mean over a few synthetic photos stands in for it, as the sum of a part for each row and one for each column.
Where a photo's last encoded row is off that mean, the rows below it are so too, the less the further: by shares
measured alike.
docs/decisions/0004-skipping-the-padding.md has the measurements.
"""

from __future__ import annotations

import logging
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from . import settings
from .backends.base import Backend, BackendInfo
from .catalog.models import FILES
from .errors import InputError, MobileSAMError
from .files import atomic_path
from .geometry import Letterbox
from .image import to_tensor
from .types import F32, HW, U8

log = logging.getLogger(__name__)

STRIDE = 16
PHOTOS = 8
"""Synthetic photos that are averaged: 15 real ones of other people gave masks no closer to the whole square's."""
BUNDLED = FILES / "mobilesam.padding.npz"


def skipping(mode: str, precision: str, backend: Backend) -> Padding | None:
    """What `SAM(padding=mode, precision=precision)` asks for. Raises InputError where it can't be."""
    info = backend.info
    if mode not in ("auto", "full", "skip"):
        raise InputError(f"padding must be 'auto', 'full' or 'skip', got {mode!r}.")
    if mode == "skip" and not info.cuts:
        raise InputError(f"{info.model_id} has no encoder for a part of the square; leave out padding='skip'.")
    skip = bool(info.cuts) and precision != "fp32" if mode == "auto" else mode == "skip"
    return Padding(info, backend.encode) if skip else None


class Padding:
    """Encodes photos without the blank rest of the square, by a backend's `encode`.

    For a checkpoint that wasn't met before the blank part of a shape's embeddings is computed once, when the first
    photo of that shape comes (some seconds), and kept in the cache folder.
    """

    def __init__(self, info: BackendInfo, encode: Callable[[F32], F32]) -> None:
        self._info, self._encode = info, encode
        self._blanks: dict[HW, Blank] = {}
        self._lock = threading.Lock()

    def encode(self, image_rgb: U8, letterbox: Letterbox) -> F32:
        """The whole square's embedding (1, 256, S/16, S/16) of a photo (H, W, 3)."""
        cells_hw = self._cut(letterbox)
        if cells_hw is None:
            return self._encode(to_tensor(image_rgb, letterbox))
        return self._complete(self._encode(to_tensor(image_rgb, letterbox, _pixels(cells_hw))), cells_hw)

    def _cut(self, letterbox: Letterbox) -> HW | None:
        """Cells (h, w) of the embedding to encode, with a row or column to spare; None for the whole square."""
        cells = self._info.img_size // STRIDE
        height, width = (-(-side // STRIDE) for side in letterbox.resized_hw)
        rows = next((cut for cut in self._info.cuts if cut > min(height, width)), None)
        if rows is None:
            return None
        return (rows, cells) if height < width else (cells, rows)

    def _complete(self, part_bchw: F32, cells_hw: HW) -> F32:
        """The whole square's embedding (1, 256, S/16, S/16) from what was encoded of a photo cut to `cells_hw`."""
        upright = cells_hw[0] > cells_hw[1]
        part_bclw = part_bchw.swapaxes(2, 3) if upright else part_bchw
        blank_crw = self._blank(cells_hw).below(part_bclw[0, :, -1])
        whole = np.concatenate([part_bclw, blank_crw[None]], axis=2)
        return whole.swapaxes(2, 3) if upright else whole

    def _blank(self, cells_hw: HW) -> Blank:
        with self._lock:
            if cells_hw not in self._blanks:
                self._blanks[cells_hw] = self._found(cells_hw)
            return self._blanks[cells_hw]

    def _found(self, cells_hw: HW) -> Blank:
        """From the bundled file, the cache, or computed."""
        path = settings.cache_dir() / "padding" / f"{self._info.model_id}-{_name(cells_hw)}.npz"
        for source in (BUNDLED, path):
            if found := read(source, self._info.model_id, cells_hw):
                return found
        log.info("computing once what the padding of photos of this shape is to %s", self._info.model_id)
        blank = measure(self._encode, cells_hw, self._info.img_size)
        try:
            with atomic_path(path) as part:
                write(part, self._info.model_id, {cells_hw: blank})
        except (OSError, MobileSAMError) as error:  # a read-only home
            log.info("it isn't kept: %s", error)
        return blank


@dataclass(frozen=True, eq=False)
class Blank:
    """The blank part of an embedding, of photos that lie wide: a mean, and how it follows the photo's lower edge."""

    rows_cr: F32
    """(256, R + 1): the part of each row, from the last one that is encoded."""
    columns_cw: F32
    """(256, S/16): the part of each column, the same in all rows."""
    share_r: F32
    """(R,): how much of the last encoded row's deviation from its mean is still there."""

    def below(self, last_cw: F32) -> F32:
        """The R rows (256, R, S/16) below the last encoded one."""
        mean_crw = self.rows_cr[:, :, None] + self.columns_cw[:, None]
        return np.asarray(mean_crw[:, 1:] + self.share_r[:, None] * (last_cw - mean_crw[:, 0])[:, None], np.float32)


def measure(encode: Callable[[F32], F32], cells_hw: HW, img_size: int) -> Blank:
    """The blank part over synthetic photos that end a cell before the cut."""
    lying, short = cells_hw[0] < cells_hw[1], STRIDE * (min(cells_hw) - 1)
    letterbox = Letterbox((short, img_size) if lying else (img_size, short), img_size)
    true, last = [], []
    for seed in range(PHOTOS):
        image = _noise(seed, letterbox.image_hw)
        part, whole = (encode(to_tensor(image, letterbox, hw)) for hw in (_pixels(cells_hw), None))
        if not lying:
            part, whole = part.swapaxes(2, 3), whole.swapaxes(2, 3)
        last.append(part[0, :, -1:])
        true.append(whole[0, :, part.shape[2] :])
    seen_pcrw = np.concatenate([np.stack(last), np.stack(true)], axis=2)
    mean_crw = seen_pcrw.mean(0)
    columns_cw = mean_crw.mean(1)
    rows_cr = mean_crw.mean(2) - columns_cw.mean(1, keepdims=True)
    deviation = seen_pcrw - (rows_cr[:, :, None] + columns_cw[:, None])
    share_r = (deviation[:, :, 1:] * deviation[:, :, :1]).sum((0, 1, 3)) / np.square(deviation[:, :, 0]).sum()
    return Blank(*(np.asarray(value, np.float32) for value in (rows_cr, columns_cw, share_r)))


def write(path: Path, model_id: str, found: Mapping[HW, Blank]) -> None:
    """A file that `read` reads, in half precision."""
    arrays = {
        f"{_name(hw)}.{field.name}": getattr(blank, field.name).astype(np.float16)
        for hw, blank in found.items()
        for field in fields(Blank)
    }
    with path.open("wb") as file:
        np.savez_compressed(file, model_id=np.array(model_id), **arrays)


def read(path: Path, model_id: str, cells_hw: HW) -> Blank | None:
    """What `write` wrote; None where it isn't there, is damaged, or is another model's."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            if str(data["model_id"]) != model_id:
                return None
            return Blank(*(np.asarray(data[f"{_name(cells_hw)}.{field.name}"], np.float32) for field in fields(Blank)))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _pixels(cells_hw: HW) -> HW:
    return STRIDE * cells_hw[0], STRIDE * cells_hw[1]


def _name(cells_hw: HW) -> str:
    return f"{cells_hw[0]}x{cells_hw[1]}"


def _noise(seed: int, hw: HW) -> U8:
    """A synthetic photo: noise whose amplitude falls with frequency as that of photos does, three channels alike."""
    random = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(hw[0])[:, None], np.fft.rfftfreq(hw[1])[None]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1

    def pink() -> F32:
        spectrum = np.fft.rfft2(random.normal(size=hw)) / frequency
        return np.asarray(np.fft.irfft2(spectrum, s=hw), np.float32)

    common = pink()
    image = np.stack([0.8 * common + 0.4 * pink() for _ in range(3)], -1)
    image = (image - image.mean()) / image.std()
    brightness = 118 + random.normal(size=3) * 15
    return np.asarray(np.clip(brightness + 58 * image, 0, 255), np.uint8)
