"""The jobs' steps for each kind of candidate; runs in a worker's process only."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..types import F32, U8, AnyArray

SEED = 0


class Runner(Protocol):
    """A loaded implementation."""

    def encode(self, photo: U8) -> Any:
        """What clicks are answered from."""

    def click(self, state: Any, xy: tuple[float, float]) -> AnyArray:
        """Full-size masks of one point."""

    def boxes(self, state: Any, boxes_n4: F32) -> AnyArray:
        """Full-size masks of boxes in one call."""

    def everything(self, photo: U8, quality: str) -> int:
        """How many masks the automatic mode finds. Raises NotImplementedError where it has none of that quality."""


class Ours:
    """`mobilesam.SAM`."""

    def __init__(self, threads: int | None, **options: Any) -> None:
        from ..model import SAM

        self.sam = SAM(threads=threads, **options)

    def encode(self, photo: U8) -> Any:
        """See Runner."""
        return self.sam.embed(photo)

    def click(self, state: Any, xy: tuple[float, float]) -> AnyArray:
        """See Runner."""
        return self.sam.predict(state, points=xy)[0].masks

    def boxes(self, state: Any, boxes_n4: F32) -> AnyArray:
        """See Runner."""
        return self.sam.predict(state, bboxes=boxes_n4)[0].masks

    def everything(self, photo: U8, quality: str) -> int:
        """See Runner."""
        return len(self.sam.everything(photo, quality=quality))


class Metas:
    """A module with Meta's interface: upstream's own package, or our transcription of it."""

    def __init__(self, threads: int | None, module: str, place: str | None = None) -> None:
        self.torch, self.module = torch_with(threads), imported(module, place)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mobile_sam.pt"
            self.torch.save(bundled_state(), path)
            self.sam = self.module.sam_model_registry["vit_t"](checkpoint=str(path)).eval()
        self.predictor = self.module.SamPredictor(self.sam)

    def encode(self, photo: U8) -> Any:
        """See Runner; the predictor keeps the state."""
        self.predictor.set_image(photo)
        return self.predictor

    def click(self, state: Any, xy: tuple[float, float]) -> AnyArray:
        """See Runner; upstream's default, three masks."""
        masks, _, _ = state.predict(point_coords=np.array([xy]), point_labels=np.array([1]))
        return np.asarray(masks)

    def boxes(self, state: Any, boxes_n4: F32) -> AnyArray:
        """See Runner."""
        given = self.torch.as_tensor(np.asarray(boxes_n4))
        scaled = state.transform.apply_boxes_torch(given, state.original_size)
        masks, _, _ = state.predict_torch(point_coords=None, point_labels=None, boxes=scaled, multimask_output=False)
        return np.asarray(masks.cpu().numpy())

    def everything(self, photo: U8, quality: str) -> int:
        """See Runner."""
        if quality != "exact":
            raise NotImplementedError
        return len(self.module.SamAutomaticMaskGenerator(self.sam).generate(photo))


class Ultralytics:
    """Ultralytics' SAM, installed by whoever measures it, in this process of its own; AGPL, so never a dependency."""

    def __init__(self, threads: int | None, place: str | None = None) -> None:
        torch, module = torch_with(threads), imported("ultralytics", place)
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "mobile_sam.pt"
        torch.save(bundled_state(), path)
        self.sam = module.SAM(str(path))

    def encode(self, photo: U8) -> Any:
        """See Runner: through the predictor, which keeps the embedding."""
        if self.sam.predictor is None:
            self.sam(photo, points=[10, 10], labels=[1], verbose=False)
        self.sam.predictor.set_image(photo[..., ::-1])
        return self.sam.predictor

    def click(self, state: Any, xy: tuple[float, float]) -> AnyArray:
        """See Runner."""
        return self._masks(state(points=[list(xy)], labels=[1]))

    def boxes(self, state: Any, boxes_n4: F32) -> AnyArray:
        """See Runner."""
        return self._masks(state(bboxes=boxes_n4.tolist()))

    def everything(self, photo: U8, quality: str) -> int:
        """See Runner."""
        if quality != "exact":
            raise NotImplementedError
        return len(self._masks(self.sam(photo[..., ::-1], verbose=False)))

    @staticmethod
    def _masks(results: Any) -> AnyArray:
        return np.asarray(results[0].masks.data.cpu().numpy())


class Pair:
    """samexporter's layout, run as its own runner does: the encoder resizes and normalises, masks come at full size."""

    def __init__(self, threads: int | None, place: str) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        encoder, decoder = place.split(",")
        self._encoder, self._decoder = (
            ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in (encoder, decoder)
        )

    def encode(self, photo: U8) -> Any:
        """See Runner."""
        import cv2

        scale = min(1024 / photo.shape[1], 684 / photo.shape[0])  # its runner's own input size
        matrix = np.array([[scale, 0, 0], [0, scale, 0]])
        warped = cv2.warpAffine(photo, matrix, (1024, 684), flags=cv2.INTER_LINEAR)
        name = self._encoder.get_inputs()[0].name
        (features,) = self._encoder.run(None, {name: warped.astype(np.float32)})
        return features, scale, photo.shape[:2]

    def click(self, state: Any, xy: tuple[float, float]) -> AnyArray:
        """See Runner."""
        return self._decode(state, np.array([[xy, (0, 0)]]), np.array([[1, -1]]))

    def boxes(self, state: Any, boxes_n4: F32) -> AnyArray:
        """See Runner: its decoder takes one object a call."""
        each = [self._decode(state, box.reshape(1, 2, 2), np.array([[2, 3]])) for box in boxes_n4]
        return np.concatenate(each)

    def everything(self, photo: U8, quality: str) -> int:
        """See Runner: it has no automatic mode."""
        raise NotImplementedError

    def _decode(self, state: Any, coords_bn2: AnyArray, labels_bn: AnyArray) -> AnyArray:
        import cv2

        features, scale, hw = state
        masks, _, _ = self._decoder.run(
            None,
            {
                "image_embeddings": features,
                "point_coords": np.asarray(coords_bn2 * scale, np.float32),
                "point_labels": labels_bn.astype(np.float32),
                "mask_input": np.zeros((1, 1, 256, 256), np.float32),
                "has_mask_input": np.zeros(1, np.float32),
                "orig_im_size": np.array((684, 1024), np.float32),
            },
        )
        inverse = np.array([[1 / scale, 0, 0], [0, 1 / scale, 0]])
        full = [cv2.warpAffine(mask, inverse, hw[::-1], flags=cv2.INTER_LINEAR) for mask in masks[0]]
        return np.stack(full) > 0


class Transformers:
    """transformers' SamModel at ViT-B's size; random weights, which change nothing about the time."""

    def __init__(self, threads: int | None, place: str | None = None) -> None:
        self.torch, transformers = torch_with(threads), imported("transformers", place)
        self.torch.manual_seed(SEED)
        self.model = transformers.SamModel(transformers.SamConfig()).eval()

    def encode(self, photo: U8) -> Any:
        """See Runner; resized and normalised as ours."""
        from ..geometry import Letterbox
        from ..image import to_tensor

        letterbox = Letterbox(photo.shape[:2])
        with self.torch.inference_mode():
            return self.model.get_image_embeddings(self.torch.from_numpy(to_tensor(photo, letterbox))), letterbox

    def click(self, state: Any, xy: tuple[float, float]) -> AnyArray:
        """See Runner."""
        features, letterbox = state
        points = self.torch.from_numpy(letterbox.to_model(np.array([[[xy]]])))
        return self._masks(letterbox, image_embeddings=features, input_points=points)

    def boxes(self, state: Any, boxes_n4: F32) -> AnyArray:
        """See Runner."""
        features, letterbox = state
        boxes = self.torch.from_numpy(letterbox.to_model(boxes_n4.reshape(-1, 2, 2)).reshape(1, -1, 4))
        return self._masks(letterbox, image_embeddings=features, input_boxes=boxes, multimask_output=False)

    def everything(self, photo: U8, quality: str) -> int:
        """See Runner: its pipeline needs torchvision."""
        raise NotImplementedError

    def _masks(self, letterbox: Any, **given: Any) -> AnyArray:
        with self.torch.inference_mode():
            low_res = self.model(**given).pred_masks[0].flatten(0, 1)
            square = self.torch.nn.functional.interpolate(low_res[None], (1024, 1024), mode="bilinear")
            height, width = letterbox.resized_hw
            full = self.torch.nn.functional.interpolate(
                square[..., :height, :width], letterbox.image_hw, mode="bilinear"
            )
        return np.asarray((full[0] > 0).numpy())


def torch_with(threads: int | None) -> Any:
    """PyTorch with so many threads; its own number without."""
    torch = importlib.import_module("torch")
    if threads:
        torch.set_num_threads(threads)
    return torch


def imported(module: str, place: str | None) -> Any:
    """A package by its name, from the folder `place` where one is given."""
    if place:
        sys.path.insert(0, place)
    return importlib.import_module(module)


def bundled_state() -> Any:
    """The bundled weights as a state dict of PyTorch."""
    import torch

    from ..backends import Checkpoint
    from ..catalog import locate

    checkpoint = Checkpoint(locate("mobilesam"))
    state = {key: torch.from_numpy(np.asarray(value, np.float32)) for key, value in checkpoint.state().items()}
    # Upstream's file also has an ImageNet head that nothing reads, and its loaders ask for it.
    return {key: torch.zeros(shape) for key, shape in checkpoint.shapes.items()} | state


RUNNERS: dict[str, Callable[..., Runner]] = {
    "ours": Ours,
    "compat": lambda threads: Metas(threads, "mobilesam.compat.mobile_sam"),
    "upstream": lambda threads, place=None: Metas(threads, "mobile_sam", place),
    "ultralytics": Ultralytics,
    "pair": Pair,
    "transformers": Transformers,
}
"""Kind of candidate -> what makes a Runner of its threads and options."""
