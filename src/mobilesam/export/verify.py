"""An exported encoder and decoder, run by ONNX Runtime on a photo and compared with the model they were made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from .._optional import require
from ..errors import ExportError
from ..geometry import MASK_STRIDE, Letterbox
from ..image import to_rgb, to_tensor
from ..masks import iou
from ..nn.sam import Sam
from ..types import F32

PHOTO = Path(__file__).with_name("coffee.jpg")
PROMPTS = (  # in the photo's pixels; labels 1 object, 0 not this, 2 and 3 a box's corners, -1 padding
    ([(300, 200), (0, 0)], [1, -1]),
    ([(300, 200), (60, 40), (0, 0)], [1, 0, -1]),
    ([(170, 15), (425, 310), (0, 0)], [2, 3, -1]),
)
LEAST_IOU = 0.99
"""Masks of the file and of the model may differ by rounding only."""


def compare(encoder: bytes, decoder: bytes, sam: Sam, *, takes_pixels: bool) -> float:
    """The lowest mask IoU between files and model over `PROMPTS`, each without and with an earlier mask.

    Raises ExportError where it is below `LEAST_IOU`, MissingDependencyError without onnxruntime.
    """
    ort = require("onnxruntime", "export", "Checking an export")
    encode, decode = (ort.InferenceSession(data, providers=["CPUExecutionProvider"]) for data in (encoder, decoder))
    photo = to_rgb(PHOTO)
    letterbox = Letterbox((photo.shape[0], photo.shape[1]), sam.prompt_encoder.img_size)
    tensor = to_tensor(photo, letterbox)
    image = letterbox.resize(photo).astype(np.float32) if takes_pixels else tensor
    (features,) = encode.run(None, {encode.get_inputs()[0].name: image})
    lowest = 1.0
    for inputs, expected_mhw in _cases(sam, letterbox, tensor):
        masks, _, _ = decode.run(None, {"image_embeddings": features, **inputs})
        lowest = min(lowest, _agreement(masks[0] > 0, expected_mhw > 0))
    if lowest < LEAST_IOU:
        raise ExportError(
            f"The exported files give other masks than the model: mask IoU {lowest:.3f} on the test photo, at least "
            f"{LEAST_IOU} is wanted. Nothing was written; try the versions of torch and onnx in constraints.txt."
        )
    return lowest


def _cases(sam: Sam, letterbox: Letterbox, tensor: F32) -> Iterator[tuple[dict[str, F32], F32]]:
    """Inputs of Meta's decoder without the embedding, and the model's four masks as logits over the photo."""
    low = sam.prompt_encoder.img_size // MASK_STRIDE
    with torch.inference_mode():
        features = sam.encode(torch.from_numpy(tensor))
        for points, labels in PROMPTS:
            coords = letterbox.to_model(np.array(points))[None]
            inputs = {
                "point_coords": coords,
                "point_labels": np.array([labels], np.float32),
                "mask_input": np.zeros((1, 1, low, low), np.float32),
                "has_mask_input": np.zeros(1, np.float32),
                "orig_im_size": np.array(letterbox.image_hw, np.float32),
            }
            prompt = torch.from_numpy(inputs["point_coords"]), torch.from_numpy(inputs["point_labels"])
            logits, _ = sam.decode(features, *prompt)
            yield inputs, _over_photo(letterbox, logits)
            earlier = logits[:, :1]
            again, _ = sam.decode(features, *prompt, earlier)
            inputs = {**inputs, "mask_input": earlier.numpy(), "has_mask_input": np.ones(1, np.float32)}
            yield inputs, _over_photo(letterbox, again)


def _over_photo(letterbox: Letterbox, logits_1mhw: torch.Tensor) -> F32:
    return np.stack([letterbox.upsample(low) for low in logits_1mhw[0].numpy()])


def _agreement(found_mhw: np.ndarray, expected_mhw: np.ndarray) -> float:
    """The lowest IoU of pairs of masks; a single one is held against that of the four which is nearest."""
    pairs = np.array([[iou(found, expected) for expected in expected_mhw] for found in found_mhw])
    return float(pairs.max()) if len(found_mhw) == 1 else float(pairs.diagonal().min())
