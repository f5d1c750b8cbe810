"""A photo once, then masks for prompts; it remembers the photo, as Meta's does."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ImageError
from ...image import to_rgb
from ...types import AnyArray
from .modeling import Sam
from .utils.transforms import ResizeLongestSide

NOT_SET = "An image must be set with .set_image(...) before mask prediction."


class SamPredictor:
    """Masks for points, boxes and earlier masks on one photo at a time.

    Public attributes may be read and set, as many programs do to keep embeddings: features (1, 256, 64, 64),
    original_size and input_size (H, W), is_image_set, model, transform. Subclasses may leave out
    `super().__init__()` if they set model and transform. `set_image` goes through `transform.apply_image` and
    `set_torch_image`, `predict` through `predict_torch`.

    >>> from PIL import Image
    >>> from mobilesam.compat.mobile_sam import sam_model_registry
    >>> predictor = SamPredictor(sam_model_registry["vit_t"]("mobilesam"))
    >>> predictor.set_image(np.array(Image.open("examples/coffee.png")))
    >>> masks, iou, low_res = predictor.predict(np.array([[300, 200]]), np.array([1]))
    >>> masks.shape, iou.shape, low_res.shape
    ((3, 400, 600), (3,), (3, 256, 256))
    """

    def __init__(self, sam_model: Sam) -> None:
        super().__init__()
        if sam_model.training:
            warnings.warn(
                "The model is in training mode: BatchNorm will follow each photo. Call .eval() first.", stacklevel=2
            )
        self.features: Any
        self.model = sam_model
        self.transform = ResizeLongestSide(sam_model.image_encoder.img_size)
        self.reset_image()

    def set_image(self, image: AnyArray, image_format: str = "RGB") -> None:
        """Embed a photo (H, W, 3) uint8 in "RGB" or "BGR" order; a PIL image is understood too.

        Raises ImageError for other arrays: Meta's code fails on them later, or misreads them.
        """
        assert image_format in ("RGB", "BGR"), f"image_format must be in ['RGB', 'BGR'], is {image_format}."
        image = _checked(image)
        if image_format != self.model.image_format:
            image = image[..., ::-1]
        resized = torch.as_tensor(self.transform.apply_image(image), device=self.device)
        self.set_torch_image(resized.permute(2, 0, 1).contiguous()[None], image.shape[:2])

    @torch.no_grad()
    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, ...]) -> None:
        """Embed pixels (1, 3, h, w), 0..255, RGB, whose longest side already is the model's."""
        side = self.model.image_encoder.img_size
        shape = transformed_image.shape
        assert len(shape) == 4 and shape[1] == 3 and max(shape[2:]) == side, (  # one condition, one message
            f"set_torch_image input must be BCHW with long side {side}."
        )
        self.reset_image()
        self.original_size = original_image_size
        self.input_size = tuple(shape[-2:])
        features: Any = self.model.image_encoder(self.model.preprocess(transformed_image))
        # Grounded-SAM's TinyViT returns (features, None).
        self.features = features[0] if isinstance(features, tuple) else features
        self.is_image_set = True

    def predict(
        self,
        point_coords: AnyArray | None = None,
        point_labels: AnyArray | None = None,
        box: AnyArray | None = None,
        mask_input: AnyArray | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Masks of one object: (C, H, W) bool or logits, predicted IoU (C,), low-res logits (C, 256, 256).

        Points (N, 2) with labels (N,) and a box (4,) are in the photo's pixels; `mask_input` (1, 256, 256) are
        earlier low-res logits. C is 3, or 1 without `multimask_output`. Raises RuntimeError before `set_image`.
        """
        if not self.is_image_set:
            raise RuntimeError(NOT_SET)
        coords = labels = boxes = masks = None
        if point_coords is not None:
            assert point_labels is not None, "point_labels must be supplied if point_coords is supplied."
            coords = self._batch(self.transform.apply_coords(point_coords, self.original_size), torch.float)
            labels = self._batch(point_labels, torch.int)
        if box is not None:
            boxes = self._batch(self.transform.apply_boxes(box, self.original_size), torch.float)
        if mask_input is not None:
            masks = self._batch(mask_input, torch.float)
        found = self.predict_torch(coords, labels, boxes, masks, multimask_output, return_logits=return_logits)
        full, iou, low_res = (tensor[0].detach().cpu().numpy() for tensor in found)
        return full, iou, low_res

    @torch.no_grad()
    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks of B objects: (B, C, H, W) bool or logits, predicted IoU (B, C), low-res logits (B, C, 256, 256).

        Points (B, N, 2) with labels (B, N), boxes (B, 4) are in the model's pixels (see ResizeLongestSide);
        `mask_input` is (B, 1, 256, 256). Raises RuntimeError before `set_image`.
        """
        if not self.is_image_set:
            raise RuntimeError(NOT_SET)
        points = None if point_coords is None else (point_coords, point_labels)
        sparse, dense = self.model.prompt_encoder(points=points, boxes=boxes, masks=mask_input)
        low_res, iou = self.model.mask_decoder(
            image_embeddings=self.features,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )
        masks = self.model.postprocess_masks(low_res, self.input_size, self.original_size)
        return masks if return_logits else masks > self.model.mask_threshold, iou, low_res

    def get_image_embedding(self) -> Tensor:
        """The embedding (1, 256, 64, 64). Raises RuntimeError before `set_image`."""
        if not self.is_image_set:
            raise RuntimeError("An image must be set with .set_image(...) to generate an embedding.")
        assert self.features is not None, "Features must exist if an image has been set."
        features: Tensor = self.features
        return features

    @property
    def device(self) -> torch.device:
        """Where the model is now."""
        device: torch.device = self.model.device
        return device

    def reset_image(self) -> None:
        """Forget the photo; the sizes stay, as Meta's do: programs restore the features alone."""
        self.is_image_set = False
        self.features = None
        self.orig_h = None
        self.orig_w = None
        self.input_h = None
        self.input_w = None

    def _batch(self, values: Any, dtype: torch.dtype) -> Tensor:
        """A batch of one."""
        return torch.as_tensor(values, dtype=dtype, device=self.device)[None]


def _checked(image: Any) -> AnyArray:
    if not isinstance(image, np.ndarray):
        return to_rgb(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError(
            f"An image is an array (H, W, 3) of uint8, got {image.shape} of {image.dtype}; "
            "convert it first, or pass a PIL image."
        )
    return image
