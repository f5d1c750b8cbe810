from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from conftest import COFFEE
from mobilesam import ImageError, ImageTooLargeError, SourceNotFoundError
from mobilesam.geometry import Letterbox
from mobilesam.image import MEAN, STD, open_windows, to_rgb, to_tensor

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
def test_an_array_and_its_png_are_the_same_picture(array: np.ndarray) -> None:
    np.testing.assert_array_equal(to_rgb(encoded(Image.fromarray(array))), array)
    np.testing.assert_array_equal(to_rgb(array), array)


def test_all_containers_of_one_picture(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(RGB))
    (tmp_path / "p.png").write_bytes(data)
    for source in (
        tmp_path / "p.png",
        str(tmp_path / "p.png"),
        data,
        bytearray(data),
        memoryview(data),
        io.BytesIO(data),
        Image.fromarray(RGB),
        RGB,
        RGB.astype(np.int64) * 1,
    ):
        found = to_rgb(source)
        assert (found.dtype, found.flags.c_contiguous) == (np.uint8, True)
        if source is not RGB and not (isinstance(source, np.ndarray) and source.dtype != np.uint8):
            np.testing.assert_array_equal(found, RGB)


@pytest.mark.parametrize(("turn", "corner"), [(1, (0, 0)), (3, (5, 8)), (6, (5, 0)), (8, (0, 8)), (2, (0, 8))])
def test_exif_turns_the_picture_upright(turn: int, corner: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    found = to_rgb(encoded(Image.fromarray(RGB), exif=exif))
    assert found.shape == ((9, 6, 3) if turn in (6, 8) else RGB.shape)
    assert found[0, 0].tolist() == RGB[corner].tolist()


def test_alpha_goes_over_white_exactly() -> None:
    rgba = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 128]]], np.uint8)
    expected = [[200, 100, 0], [255, 255, 255], [227, 177, 127]]
    assert to_rgb(rgba)[0].tolist() == expected
    assert abs(to_rgb(Image.fromarray(rgba))[0].astype(int) - expected).max() <= 1
    assert to_rgb(rgba[..., 2:])[0].tolist() == [[0] * 3, [255] * 3, [127] * 3]  # grey and alpha
    grey = Image.merge("LA", [Image.new("L", (1, 1), 50), Image.new("L", (1, 1), 0)])
    assert to_rgb(grey)[0, 0].tolist() == [255, 255, 255]


def test_a_transparent_palette_entry_becomes_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert to_rgb(encoded(image))[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    assert to_rgb(encoded(image, transparency=1))[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_other_colour_modes() -> None:
    assert to_rgb(Image.new("CMYK", (1, 1), (0, 255, 255, 0)))[0, 0].tolist() == [255, 0, 0]
    assert to_rgb(Image.new("L", (1, 1), 77))[0, 0].tolist() == [77] * 3
    assert to_rgb(Image.new("1", (1, 1), 1))[0, 0].tolist() == [255] * 3


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bits_are_stretched(format_: str) -> None:
    deep = np.array([[1000, 2000, 3000]], np.uint16)
    for source in (
        encoded(Image.fromarray(deep), format_),
        deep,
        deep.astype(np.int32),
        deep.astype(np.float32),
    ):
        assert to_rgb(source)[0, :, 0].tolist() == [0, 128, 255]


def test_floats() -> None:
    assert to_rgb(np.array([[0.0, 0.5, 0.2]]))[0, :, 0].tolist() == [0, 128, 51]
    assert to_rgb(np.array([[-1.0, 0.0, 1.0]]))[0, :, 0].tolist() == [0, 128, 255]
    assert to_rgb(Image.fromarray(np.array([[0.0, 4.0]], np.float32)))[0, :, 0].tolist() == [0, 255]
    assert to_rgb(np.full((2, 2), 7.0))[0, 0, 0] == 0  # one value: no division by zero


def test_booleans() -> None:
    assert to_rgb(np.array([[True, False]]))[0, :, 0].tolist() == [255, 0]


def test_views_with_negative_strides_are_read_right() -> None:
    np.testing.assert_array_equal(to_rgb(RGB[::-1, ::-2, ::-1]), np.ascontiguousarray(RGB[::-1, ::-2, ::-1]))


def test_the_callers_array_is_not_written_to() -> None:
    for array in (RGB.copy(), RGB.astype(np.uint16) * 256, RGB / 255, np.dstack([RGB, RGB[..., :1]])):
        before = array.copy()
        to_tensor(to_rgb(array), Letterbox(array.shape[:2]))
        np.testing.assert_array_equal(array, before)


def test_a_read_only_array_is_fine() -> None:
    frozen = RGB.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(to_rgb(frozen), RGB)


def bomb(side: int) -> bytes:
    """A PNG header that claims side x side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


BAD = {
    "nothing": (b"", ImageError, "is empty"),
    "text": (b"hello, this is no picture", ImageError, "isn't a picture"),
    "truncated PNG": (COFFEE.read_bytes()[:20_000], ImageError, "truncated"),
    "truncated JPEG": (encoded(Image.open(COFFEE), "JPEG")[:9000], ImageError, "truncated"),
    "bomb": (bomb(60_000), ImageTooLargeError, "pixels"),
    "zero size": (np.zeros((0, 5, 3), np.uint8), ImageError, "empty"),
    "one axis": (np.zeros(5, np.uint8), ImageError, "2 or 3 axes"),
    "four axes": (np.zeros((1, 2, 2, 3), np.uint8), ImageError, "2 or 3 axes"),
    "five channels": (np.zeros((4, 4, 5), np.uint8), ImageError, "1 to 4 channels"),
    "channels first": (np.zeros((3, 40, 50), np.uint8), ImageError, "transpose"),
    "complex": (np.zeros((4, 4), complex), ImageError, "dtype complex128"),
    "objects": (np.array([[None]]), ImageError, "dtype object"),
    "strings": (np.array([["a"]]), ImageError, "dtype <U1"),
    "NaN": (np.array([[np.nan, 0]]), ImageError, "NaN"),
    "infinite": (np.array([[np.inf, 0]]), ImageError, "NaN or infinite"),
    "a number": (5, ImageError, "from int"),
    "none": (None, ImageError, "from NoneType"),
    "text file": (io.StringIO("text"), ImageError, "binary mode"),
}


@pytest.mark.parametrize(("source", "error", "message"), BAD.values(), ids=BAD.keys())
def test_what_cant_be_read_has_a_named_error(source: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        to_rgb(source)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)


def test_paths_that_cant_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"none\.png"):
        to_rgb(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is a folder"):
        to_rgb(tmp_path)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"empty\.png is empty"):
        to_rgb(tmp_path / "empty.png")
    with pytest.raises(ImageError, match="can't be read"):
        to_rgb("a\0b.png")


def test_a_closed_file_object() -> None:
    closed = io.BytesIO(b"")
    closed.close()
    with pytest.raises(ImageError, match="file object can't be read"):
        to_rgb(closed)


def test_the_limits_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(RGB))
    (tmp_path / "p.png").write_bytes(data)
    monkeypatch.setenv("MOBILESAM_MAX_PIXELS", "53")
    for source in (data, RGB, Image.fromarray(RGB)):
        with pytest.raises(ImageTooLargeError, match="9 x 6 pixels, more than the limit of 53"):
            to_rgb(source)
    assert to_rgb(RGB, max_pixels=54).shape == RGB.shape
    monkeypatch.delenv("MOBILESAM_MAX_PIXELS")
    monkeypatch.setenv("MOBILESAM_MAX_BYTES", str(len(data) - 1))
    for source in (data, io.BytesIO(data), tmp_path / "p.png"):
        with pytest.raises(ImageTooLargeError, match="MOBILESAM_MAX_BYTES"):
            to_rgb(source)


@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
def test_a_large_picture_below_the_limit_is_read() -> None:
    """Pillow warns above 89 million pixels, and refuses only above twice that."""
    data = encoded(Image.new("1", (10_000, 9_100)))
    with pytest.warns(Image.DecompressionBombWarning):
        assert to_rgb(data).shape == (9_100, 10_000, 3)


@pytest.mark.parametrize("hw", [(400, 600), (37, 53), (900, 300)])
def test_the_tensor_is_resized_normalised_and_then_padded(hw: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*hw, 3), np.uint8)
    letterbox = Letterbox(hw)
    tensor = to_tensor(image, letterbox)
    resized = letterbox.resize(image)
    height, width = letterbox.resized_hw
    expected = ((resized - np.array(MEAN)) / np.array(STD)).transpose(2, 0, 1)
    np.testing.assert_allclose(tensor[0, :, :height, :width], expected, atol=2e-6)
    assert not tensor[0, :, height:].any()
    assert not tensor[0, :, :, width:].any()
    assert (tensor.shape, tensor.dtype) == ((1, 3, 1024, 1024), np.float32)


WINDOWS = {
    "rgb": (np.random.default_rng(3).integers(0, 255, (40, 60, 3)).astype(np.uint8), "png"),
    "alpha": (np.random.default_rng(3).integers(0, 255, (40, 60, 4)).astype(np.uint8), "png"),
    "grey 16": (np.random.default_rng(3).integers(100, 4000, (40, 60)).astype(np.uint16), "tiff"),
    "float": (np.random.default_rng(3).random((40, 60)).astype(np.float32) * 7 - 2, "tiff"),
}


@pytest.mark.parametrize(("array", "suffix"), WINDOWS.values(), ids=WINDOWS.keys())
def test_windows_are_parts_of_the_whole_picture(tmp_path: Path, array: np.ndarray, suffix: str) -> None:
    """Also where values are stretched: by the whole picture's range, not by the window's."""
    path = tmp_path / f"p.{suffix}"
    Image.fromarray(array).save(path)
    for source in (path, str(path), array, Image.fromarray(array), path.read_bytes()):
        windows = open_windows(source)
        whole = to_rgb(source)
        assert windows.hw == (40, 60)
        np.testing.assert_array_equal(windows.read((0, 0, 60, 40)), whole)
        np.testing.assert_array_equal(windows.read((7, 3, 31, 40)), whole[3:40, 7:31])
        assert windows.overview(1).shape == (40, 60, 3)
        assert windows.overview(7).shape == (6, 9, 3)
        assert abs(windows.overview(7).mean() - whole.mean()) < 25


def test_windows_turn_with_the_camera(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(WINDOWS["rgb"][0]).save(tmp_path / "p.png", exif=exif)
    windows = open_windows(tmp_path / "p.png")
    assert windows.hw == (60, 40)
    np.testing.assert_array_equal(windows.read((5, 1, 40, 50)), to_rgb(tmp_path / "p.png")[1:50, 5:40])


def test_windows_of_what_cant_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    Image.new("RGB", (50, 40)).save(tmp_path / "ok.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "ok.png").read_bytes()[:60])
    for source, error in (
        (tmp_path / "note.txt", ImageError),
        (tmp_path / "cut.png", ImageError),
        (tmp_path / "none.png", SourceNotFoundError),
        (tmp_path, ImageError),
        (np.zeros((2, 2, 9)), ImageError),
        (object(), ImageError),
    ):
        with pytest.raises(error):
            open_windows(source)
    monkeypatch.setenv("MOBILESAM_MAX_PIXELS", "100")
    for source in (tmp_path / "ok.png", Image.new("RGB", (50, 40)), np.zeros((40, 50), np.uint8)):
        with pytest.raises(ImageTooLargeError):
            open_windows(source)
