"""ONNX files in the layouts that other programs read: an encoder, a decoder, a manifest.

`LAYOUTS` says who reads what. All decoders have Meta's six inputs and three outputs (`MetaDecoder`). Files are
float32, opset 18, and whole: weights inside, no external data. Each pair is run by ONNX Runtime on a photo and
compared with the model before anything is written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import __version__
from ..catalog.models import DEFAULT
from ..errors import InputError
from ..files import write_bytes, write_text
from ..image import MEAN, STD
from ..nn.sam import Sam
from . import anylabeling, verify
from .onnx_file import onnx_file
from .source import load_source

OPSET, IR_VERSION = 18, 8
"""ONNX Runtime 1.14 (2023) and later read these; labelling programs ask for 1.15 and later."""
MOST_BYTES = 2**31
"""What a protobuf message holds."""
DECODER_INPUTS = (
    "image_embeddings",
    "point_coords",
    "point_labels",
    "mask_input",
    "has_mask_input",
    "orig_im_size",
)
DECODER_OUTPUTS = ("masks", "iou_predictions", "low_res_masks")


@dataclass(frozen=True)
class Layout:
    """What a program expects of the two files."""

    readers: str
    image_input: str
    """Name of the encoder's input."""
    takes_pixels: bool
    """True for RGB (H, W, 3), 0..255, H and W up to 1024; False for (1, 3, 1024, 1024), normalised and padded."""
    single_mask: bool
    """True for the one mask that Meta's rule chooses; False for all four."""


LAYOUTS = {
    "meta": Layout("programs written for Meta's export_onnx_model.py", "image", takes_pixels=False, single_mask=False),
    "anylabeling": Layout(
        "AnyLabeling, X-AnyLabeling, samexporter", "input_image", takes_pixels=True, single_mask=True
    ),
    "osam": Layout("osam, and labelme through it", "x", takes_pixels=False, single_mask=True),
}


class PlainEncoder(nn.Module):
    """Photo (1, 3, S, S), normalised and padded -> embedding (1, 256, S/16, S/16)."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_encoder = sam.image_encoder

    def forward(self, image_bchw: Tensor) -> Tensor:
        out: Tensor = self.image_encoder(image_bchw)
        return out


class PixelEncoder(PlainEncoder):
    """Pixels (H, W, 3) in 0..255 with H, W <= S, RGB -> embedding; normalises, then pads right and below."""

    def __init__(self, sam: Sam) -> None:
        super().__init__(sam)
        self.size = sam.prompt_encoder.img_size

    def forward(self, image_hwc: Tensor) -> Tensor:
        height, width, _ = image_hwc.shape
        normalised_chw = ((image_hwc - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)
        square = F.pad(normalised_chw, (0, self.size - width, 0, self.size - height))
        return super().forward(square.unsqueeze(0))


class MetaDecoder(nn.Module):
    """Meta's six inputs -> masks as logits over the photo, their predicted IoU, low-resolution logits.

    `has_mask_input` counts as yes above zero: osam sends -1 for no. `orig_im_size` is the photo's (height, width).
    """

    def __init__(self, sam: Sam, *, single_mask: bool) -> None:
        super().__init__()
        self.size = sam.prompt_encoder.img_size
        self.prompt_encoder = sam.prompt_encoder
        self.mask_decoder = sam.mask_decoder
        self.single_mask = single_mask

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        encoder = self.prompt_encoder
        has_mask = (has_mask_input > 0).to(image_embeddings.dtype)
        dense = has_mask * encoder.dense(mask_input) + (1 - has_mask) * encoder.no_mask()
        tokens = encoder.sparse(point_coords, point_labels)
        image_pe = encoder.pe_layer.grid(image_embeddings.shape[-2], image_embeddings.shape[-1])
        logits, iou = self.mask_decoder(image_embeddings + dense, image_pe, tokens)
        if self.single_mask:
            best = self._best(iou, point_coords.shape[1])
            logits, iou = logits.index_select(1, best), iou.index_select(1, best)
        return self._over_photo(logits, orig_im_size), iou, logits

    def _best(self, iou_1m: Tensor, tokens: int) -> Tensor:
        """Meta's rule: for one click (two tokens) the best of the masks 1 to 3, for more tokens mask 0."""
        is_single_mask = torch.tensor([1.0, 0.0, 0.0, 0.0])
        return (iou_1m + 1000 * (tokens - 2.5) * is_single_mask).argmax(dim=1)

    def _over_photo(self, logits_bmhw: Tensor, orig_im_size: Tensor) -> Tensor:
        """Bilinear to the model's square, without its padding, bilinear to the photo; sizes are values of the graph."""
        resized = torch.floor(orig_im_size * (self.size / orig_im_size.max()) + 0.5)
        rows, columns = (side.item() for side in resized.to(torch.int64))
        height, width = (side.item() for side in orig_im_size.to(torch.int64))
        promise: Any = torch._check  # noqa: SLF001  # documented for this use: what the exporter can't know of values
        for side in (rows, columns, height, width):
            promise(side >= 1)
        promise(rows <= self.size)
        promise(columns <= self.size)
        square = F.interpolate(logits_bmhw, (self.size, self.size), mode="bilinear", align_corners=False)
        return F.interpolate(square[:, :, :rows, :columns], (height, width), mode="bilinear", align_corners=False)


def export_layout(
    model: str | Path = DEFAULT, folder: str | Path = "onnx", *, layout: str = "meta", single_mask: bool | None = None
) -> list[Path]:
    """Write a model's encoder and decoder in a layout of `LAYOUTS` into `folder`; returns the files' paths.

    `model` is a name of the catalog or a weights file. `single_mask` overrides the layout's own choice. A manifest
    beside them has the names, types and shapes of inputs and outputs, sizes and hashes, version and licence;
    "anylabeling" adds the programs' configurations and AnyLabeling's zip.
    Raises InputError for an unknown layout, WeightsNotFoundError, CheckpointError, ExportError where the files
    give other masks than the model, OutputError where they can't be written.
    """
    _layout(layout)
    sam, source = load_source(model)
    size = sam.prompt_encoder.img_size
    if size != 1024 and layout != "meta":
        raise InputError(
            f"The programs of layout {layout!r} make their photos 1024 pixels wide, and {source['name']} takes {size}. "
            "Export it with layout='meta', whose manifest names the size."
        )
    return write_layout(sam, Path(folder), layout=layout, source=source, single_mask=single_mask)


def write_layout(
    sam: Sam, folder: Path, *, layout: str, source: dict[str, str], single_mask: bool | None = None
) -> list[Path]:
    """As `export_layout`, for a model in memory; `source` has its "name" and what else to say in the manifest."""
    chosen = _layout(layout)
    weights = sum(parameter.numel() * 4 for parameter in sam.parameters())
    if weights >= MOST_BYTES:
        raise InputError(
            f"{source['name']} has {weights / 1e9:.1f} GB of weights, and these programs read single files, which "
            f"ONNX limits to {MOST_BYTES / 1e9:.1f} GB. Export a smaller model."
        )
    single = chosen.single_mask if single_mask is None else single_mask
    encoder, decoder = encoder_model(sam, chosen), decoder_model(sam, single_mask=single)
    lowest = verify.compare(encoder, decoder, sam, takes_pixels=chosen.takes_pixels)
    files = {f"{source['name']}.encoder.onnx": encoder, f"{source['name']}.decoder.onnx": decoder}
    manifest = {
        "kind": "mobilesam-onnx-1",
        "layout": layout,
        "read_by": chosen.readers,
        "made_by": f"mobilesam {__version__}",
        "model": source,
        "opset": OPSET,
        "files": {name: _described(data) for name, data in files.items()},
        "lowest_mask_iou_against_model": round(lowest, 6),
    }
    if layout == "anylabeling":
        files |= anylabeling.companions(source["name"], sam.prompt_encoder.img_size, files)
    for name, data in files.items():
        write_bytes(folder / name, data)
    # Last: where there is a manifest, the files are whole.
    write_text(folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    return [folder / name for name in (*files, "manifest.json")]


def encoder_model(sam: Sam, layout: Layout) -> bytes:
    """The encoder as an ONNX file."""
    size = sam.prompt_encoder.img_size
    outputs = {"image_embeddings": [1, 256, size // 16, size // 16]}
    if not layout.takes_pixels:
        photo = {"image_bchw": torch.zeros(1, 3, size, size)}
        return onnx_file(
            PlainEncoder(sam), photo, None, [layout.image_input], outputs, opset=OPSET, ir_version=IR_VERSION
        )
    height, width = (torch.export.Dim(name, min=1, max=size) for name in ("height", "width"))
    # Two sizes that differ, and neither is the square's: else the exporter would take them for fixed.
    pixels = {"image_hwc": torch.zeros(size - 34, size - 2, 3)}
    return onnx_file(
        PixelEncoder(sam),
        pixels,
        {"image_hwc": {0: height, 1: width}},
        [layout.image_input],
        outputs,
        opset=OPSET,
        ir_version=IR_VERSION,
    )


def decoder_model(sam: Sam, *, single_mask: bool) -> bytes:
    """The decoder as an ONNX file, for any number of points and any size of photo."""
    size = sam.prompt_encoder.img_size
    examples = (
        torch.zeros(1, 256, size // 16, size // 16),
        torch.zeros(1, 5, 2),
        torch.ones(1, 5),
        torch.zeros(1, 1, size // 4, size // 4),
        torch.zeros(1),
        torch.tensor([float(size - 100), size + 50.0]),
    )
    points = {1: torch.export.Dim("num_points")}
    dynamic = {name: points if name.startswith("point_") else None for name in DECODER_INPUTS}
    inputs = dict(zip(DECODER_INPUTS, examples, strict=True))
    masks = 1 if single_mask else 4
    shapes: list[list[int | str]] = [[1, masks, "height", "width"], [1, masks], [1, masks, size // 4, size // 4]]
    outputs = dict(zip(DECODER_OUTPUTS, shapes, strict=True))
    return onnx_file(
        MetaDecoder(sam, single_mask=single_mask),
        inputs,
        dynamic,
        list(DECODER_INPUTS),
        outputs,
        opset=OPSET,
        ir_version=IR_VERSION,
    )


def _layout(name: str) -> Layout:
    if name not in LAYOUTS:
        raise InputError(f"Unknown layout {name!r}; choose one of: {', '.join(LAYOUTS)}.")
    return LAYOUTS[name]


def _described(data: bytes) -> dict[str, Any]:
    """Size, hash, and the contract: each input and output with its type and shape (names for free axes)."""
    graph = onnx.load_from_string(data).graph
    values = {
        side: {value.name: {"type": "float32", "shape": _shape(value)} for value in getattr(graph, side)}
        for side in ("input", "output")
    }
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **values}


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
