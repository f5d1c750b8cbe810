"""What AnyLabeling and X-AnyLabeling want beside the two ONNX files: configurations, and AnyLabeling's zip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

CANVAS_HEIGHT = 682
"""Of the canvas that the programs' own configurations name; both programs use their own 684 x 1024 instead."""


def companions(name: str, img_size: int, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Further files, by name: `config.yaml`, `x_anylabeling.yaml`, and the zip that AnyLabeling loads.

    `files` are the encoder and the decoder, in this order.
    """
    encoder, decoder = files
    shared: dict[str, str | int] = {
        "type": "segment_anything",
        "name": name,
        "display_name": f"MobileSAM ({name})",
        "encoder_model_path": encoder,
        "decoder_model_path": decoder,
        "input_size": img_size,
        "max_width": img_size,
        "max_height": CANVAS_HEIGHT,
    }
    config = _yaml(shared)
    return {
        "config.yaml": config,
        "x_anylabeling.yaml": _yaml({**shared, "provider": "mobilesam"}),
        f"{name}.zip": _zip({f"{name}/{file}": data for file, data in {"config.yaml": config, **files}.items()}),
    }


def _yaml(values: Mapping[str, str | int]) -> bytes:
    """One level of names and numbers needs no YAML library; quoted, a name can't turn into a number or a date."""
    return "".join(
        f"{key}: {value}\n" if isinstance(value, int) else f'{key}: "{value}"\n' for key, value in values.items()
    ).encode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    """The same bytes for the same files: every entry has the earliest date that a zip can hold."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
