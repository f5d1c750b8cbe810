"""Anything that holds a picture -> RGB uint8 (H, W, 3), and that -> the encoder's tensor.

How other kinds of pixels become RGB:

| source | rule |
|---|---|
| EXIF orientation | the picture is turned upright |
| grey, palette, CMYK, YCbCr, Lab | converted by Pillow |
| alpha, transparent palette entries | composited over white |
| more than 8 bits, or floats beyond 0..1 | stretched linearly from their own min..max to 0..255 |
| floats within 0..1 | times 255, rounded |
| bool, one bit | 0 and 255 |
| several frames or pages | the first |
| arrays | RGB or RGBA order; OpenCV's BGR is never guessed: pass `bgr[..., ::-1]` |
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from . import settings
from .errors import ImageError, ImageTooLargeError, SourceNotFoundError
from .geometry import Letterbox
from .types import F32, HW, U8, AnyArray

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
DEEP_MODES = ("I", "F")
"""Pillow's modes of more than 8 bits, besides the I;16 family."""

ImageLike: TypeAlias = "str | Path | bytes | bytearray | memoryview | BinaryIO | Image.Image | AnyArray"


def to_rgb(source: ImageLike, *, max_pixels: int | None = None) -> U8:
    """The picture as a contiguous array (H, W, 3) uint8, RGB, by the rules in this module's docstring.

    An array that already is that is returned as it is; the caller's memory is never written to.
    The limits are MOBILESAM_MAX_PIXELS and MOBILESAM_MAX_BYTES unless `max_pixels` is given.
    Raises SourceNotFoundError, ImageError, ImageTooLargeError.

    >>> to_rgb(np.array([[0, 255]], np.uint8)).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    limit = settings.max_pixels() if max_pixels is None else max_pixels
    if isinstance(source, (str, Path)):
        return _from_file(Path(source), limit)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), "the bytes", limit)
    if isinstance(source, Image.Image):
        return _from_pillow(source, "the PIL image", limit)
    if hasattr(source, "read"):
        return _from_bytes(_read(source), "the file object", limit)
    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        return _from_array(np.asarray(source), limit)
    raise ImageError(
        f"Can't read a picture from {type(source).__name__}; pass a path, bytes, a binary file object, "
        "a PIL image or an array (H, W, 3)."
    )


@dataclass(frozen=True)
class Windows:
    """A picture that is read part by part, each by the rules of this module; ranges are the whole picture's."""

    hw: HW
    read: Callable[[tuple[int, int, int, int]], U8]
    """Pixels x1, y1, x2, y2 (the last two exclusive) -> RGB (h, w, 3) uint8."""
    overview: Callable[[int], U8]
    """Every k-th pixel each way, or the means of k x k, as RGB uint8."""


def open_windows(source: ImageLike) -> Windows:
    """The picture for reading part by part: no array of the whole is made. Limits and errors are `to_rgb`'s.

    >>> open_windows(np.zeros((40, 60), np.uint16)).read((0, 0, 20, 10)).shape
    (10, 20, 3)
    """
    limit = settings.max_pixels()
    if isinstance(source, (str, Path)):
        path = Path(source)
        with _file_errors(path):
            _check_bytes(path.stat().st_size, str(path))
            with _picture_errors(str(path)), path.open("rb") as file:
                return _windows_of_pillow(_opened(file), str(path), limit)  # decoded before the file is closed
    if isinstance(source, Image.Image):
        return _windows_of_pillow(source, "the PIL image", limit)
    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        array = np.asarray(source)
        _check_array(array)
        check_pixels(array.shape[0], array.shape[1], limit, "The array")
        return _windows_of_array(array)
    return _windows_of_array(to_rgb(source))


def _windows_of_pillow(image: Image.Image, what: str, limit: int) -> Windows:
    upright = _upright(image, what, limit)
    if _is_deep(upright):
        low, high = upright.getextrema()
        span = float(low), float(high)  # type: ignore[arg-type]  # one band, so numbers

        def convert(part: Image.Image) -> U8:
            return _rgb_of_array(np.asarray(part), span)

        return Windows(
            upright.size[::-1], lambda box: convert(upright.crop(box)), lambda k: convert(_thinned(upright, k))
        )
    return Windows(
        upright.size[::-1], lambda box: _rgb_of_pillow(upright.crop(box)), lambda k: _rgb_of_pillow(upright.reduce(k))
    )


def _upright(image: Image.Image, what: str, limit: int) -> Image.Image:
    """The picture, decoded, as its EXIF orientation wants it; the very same one where that is as it is."""
    check_pixels(image.height, image.width, limit, what)
    with _picture_errors(what):
        image.load()
    return image if image.getexif().get(ExifTags.Base.Orientation, 1) == 1 else ImageOps.exif_transpose(image)


def _is_deep(image: Image.Image) -> bool:
    """True for a picture of more than 8 bits."""
    return image.mode in DEEP_MODES or image.mode.startswith("I;16")


def _thinned(image: Image.Image, k: int) -> Image.Image:
    """Every k-th pixel: Pillow takes no means of its modes with more than 8 bits."""
    return image.resize((-(-image.width // k), -(-image.height // k)), Image.Resampling.NEAREST)


def _windows_of_array(array: AnyArray) -> Windows:
    span = _span(array)
    return Windows(
        (array.shape[0], array.shape[1]),
        lambda box: _rgb_of_array(array[box[1] : box[3], box[0] : box[2]], span),
        lambda k: _rgb_of_array(array[::k, ::k], span),
    )


def to_tensor(image_rgb: U8, letterbox: Letterbox, hw: HW | None = None) -> F32:
    """The encoder's input (1, 3, S, S): resized, normalised, then padded with zeros right and below.

    `hw` is another size than the square's, at least the resized photo's.

    >>> to_tensor(np.zeros((512, 1024, 3), np.uint8), Letterbox((512, 1024))).shape
    (1, 3, 1024, 1024)
    """
    resized = letterbox.resize(image_rgb)
    height, width = resized.shape[:2]
    tensor = np.zeros((1, 3, *(hw or (letterbox.size, letterbox.size))), np.float32)
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        target = tensor[0, channel, :height, :width]
        np.subtract(resized[..., channel], np.float32(mean), out=target)
        target /= np.float32(std)
    return tensor


def _from_file(path: Path, limit: int) -> U8:
    with _file_errors(path):
        size = path.stat().st_size
        _check_bytes(size, str(path))
        return _from_bytes(path.read_bytes(), str(path), limit)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """What can go wrong with a path, as our errors."""
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; pass a picture in it, or use predict, which takes folders.")
        yield
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"No file {str(path)!r}. Check the path.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{path} can't be read: {error}.") from error


def _read(source: Any) -> bytes:
    try:
        data = source.read(settings.max_bytes() + 1)
    except (OSError, ValueError) as error:
        raise ImageError(f"The file object can't be read: {error}.") from error
    if not isinstance(data, bytes):
        raise ImageError(f"The file object gives {type(data).__name__}; open the file in binary mode ('rb').")
    return data


def _check_bytes(size: int, what: str) -> None:
    if size > settings.max_bytes():
        raise ImageTooLargeError(
            f"{what} has more than {settings.max_bytes()} bytes. Raise MOBILESAM_MAX_BYTES to allow it."
        )


def check_pixels(height: int, width: int, limit: int, what: str) -> None:
    """Raises ImageTooLargeError for a picture of more than `limit` pixels."""
    if height * width > limit:
        raise ImageTooLargeError(
            f"{what} has {width} x {height} pixels, more than the limit of {limit}. "
            "Raise MOBILESAM_MAX_PIXELS if you trust it."
        )


def _from_bytes(data: bytes, what: str, limit: int) -> U8:
    _check_bytes(len(data), what)
    if not data:
        raise ImageError(f"{what} is empty (0 bytes); pass a picture.")
    with _picture_errors(what), _opened(io.BytesIO(data)) as image:
        return _from_pillow(image, what, limit)


@contextmanager
def _picture_errors(what: str) -> Iterator[None]:
    """What can go wrong with a picture's bytes, as our errors."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageError(f"{what} isn't a picture of a known format (JPEG, PNG, WebP, TIFF, ...).") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"{what} has too many pixels for Pillow: {error} Raise PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        if isinstance(error, (ImageError, FileNotFoundError)):
            raise
        raise ImageError(f"{what} is a damaged or truncated picture ({error}). Get it again.") from error


def _opened(file: BinaryIO) -> Image.Image:
    """Pillow's image, not yet decoded.

    Pillow warns above a limit of its own, which is global, and refuses above twice that; ours is checked
    before decoding. A warning that a program turned into an error is raised as the refusal it would be.
    """
    try:
        return Image.open(file)
    except Image.DecompressionBombWarning as warning:
        raise Image.DecompressionBombError(str(warning)) from warning


def _from_pillow(image: Image.Image, what: str, limit: int) -> U8:
    upright = _upright(image, what, limit)
    return _from_array(np.asarray(upright), limit) if _is_deep(upright) else _rgb_of_pillow(upright)


def _rgb_of_pillow(upright: Image.Image) -> U8:
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"))


def _from_array(array: AnyArray, limit: int) -> U8:
    _check_array(array)
    height, width = array.shape[:2]
    check_pixels(height, width, limit, "The array")
    return _rgb_of_array(array, _span(array))


def _rgb_of_array(array: AnyArray, span: tuple[float, float]) -> U8:
    pixels = _to_8_bits(array if array.ndim == 3 else array[..., None], *span)
    channels = pixels.shape[2]
    if channels in (2, 4):
        pixels = _over_white(pixels)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)


def _check_array(array: AnyArray) -> None:
    wanted = "pass (H, W), (H, W, 3) or (H, W, 4) in RGB order"
    if array.dtype.kind not in "buif":
        raise ImageError(f"An image array must be of numbers, got dtype {array.dtype}; {wanted}.")
    if array.size == 0:
        raise ImageError(f"The image array is empty, its shape is {array.shape}; {wanted}.")
    if array.ndim not in (2, 3):
        raise ImageError(f"An image array has 2 or 3 axes, got the shape {array.shape}; {wanted}.")
    if array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4):
        hint = " It looks like (C, H, W): use array.transpose(1, 2, 0)." if array.shape[0] in (1, 3, 4) else ""
        raise ImageError(f"An image array has 1 to 4 channels last, got the shape {array.shape}; {wanted}.{hint}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ImageError("The image array holds NaN or infinite values; replace them first.")


def _span(array: AnyArray) -> tuple[float, float]:
    """The values that become 0 and 255."""
    if array.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(array.min()), float(array.max())
    return (0.0, 1.0) if array.dtype.kind in "bf" and low >= 0 and high <= 1 else (low, high)


def _to_8_bits(array: AnyArray, low: float, high: float) -> U8:
    if array.dtype == np.uint8:
        return array
    scale = 255 / (high - low) if high > low else 0.0
    return np.asarray(np.round((array.astype(np.float64) - low) * scale), np.uint8)


def _over_white(pixels: U8) -> U8:
    """Grey or RGB with alpha, over white."""
    alpha = pixels[..., -1:].astype(np.float32) / 255
    over = pixels[..., :-1] * alpha + 255 * (1 - alpha)
    return np.asarray(np.round(over), np.uint8)
