"""Uploaded bytes -> RGB pixels, trusting nothing."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from ..errors import ImageError, ImageTooLargeError
from ..image import to_rgb
from ..types import U8

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM")
"""Pillow reads many more, some by starting other programs (EPS); these are what people send."""

DAMAGED = "The picture is damaged or truncated; get it again."


def decode(data: bytes, max_pixels: int) -> U8:
    """RGB (H, W, 3) uint8; the size is checked in the header, before a pixel is decoded.

    Raises ImageError, ImageTooLargeError.
    """
    if not data:
        raise ImageError("The picture is empty (0 bytes).")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(f"The upload is no picture that is read here ({', '.join(FORMATS)}).") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError(f"The picture has more pixels than the limit of {max_pixels}.") from error
    except Exception as error:  # decoders of hostile bytes raise what they like
        raise ImageError(DAMAGED) from error
    with image:
        if image.width * image.height > max_pixels:
            size = f"{image.width} x {image.height}"
            raise ImageTooLargeError(f"The picture has {size} pixels, more than the limit of {max_pixels}.")
        return _pixels(image, max_pixels)


def _pixels(image: Image.Image, max_pixels: int) -> U8:
    try:
        return to_rgb(image, max_pixels=max_pixels)
    except ImageError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise ImageError(DAMAGED) from error
