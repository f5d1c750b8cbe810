"""SAM with Ultralytics' calls, over `mobilesam.SAM`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ... import model as native
from ...catalog.models import DEFAULT
from ...errors import InputError, NotSupportedError
from .predictor import Predictor
from .weights import Weights

BUFFERS = ("running_mean", "running_var", "num_batches_tracked", "positional_encoding_gaussian_matrix")


class ModelInfo(NamedTuple):
    """What `SAM.info` returns, in Ultralytics' order."""

    layers: int
    """Modules that hold weights."""
    parameters: int
    gradients: int
    """Parameters that are being trained: none."""
    gflops: float
    """0.0: not counted."""


FORMATS = {
    "onnx": "onnx",
    "openvino": "openvino",
    "torchscript": "torchscript",
    "coreml": "coreml",
    "engine": "tensorrt",
    "tflite": "litert",
    "litert": "litert",
    "ncnn": "ncnn",
    "mnn": "mnn",
    "executorch": "executorch",
}
"""Ultralytics' names of formats -> ours."""


class SAM:
    """Ultralytics' SAM: `SAM("mobile_sam.pt")(source, points=, labels=, bboxes=, masks=)` -> list of Results.

    `model` is a weights file, a name of the catalog, Ultralytics' sam_b.pt, sam_l.pt or sam_h.pt, or a
    `mobilesam.SAM` with its runtime and device chosen. docs/migrating.md says what differs from Ultralytics.

    Raises as `mobilesam.SAM`.

    >>> result = SAM()("examples/coffee.png", points=[300, 200], labels=[1])[0]
    >>> result.masks.data.shape
    torch.Size([1, 400, 600])
    """

    def __init__(self, model: str | Path | native.SAM = DEFAULT) -> None:
        self._weights = Weights(model)
        self._weights.on("")
        self.overrides: dict[str, Any] = {}
        """Arguments for every call."""
        self.predictor: Predictor | None = None
        """What answered the last call."""

    @property
    def task_map(self) -> dict[str, dict[str, type[Predictor]]]:
        """What does which task."""
        return {"segment": {"predictor": Predictor}}

    def predict(
        self,
        source: Any = None,
        stream: bool = False,
        bboxes: Any = None,
        points: Any = None,
        labels: Any = None,
        masks: Any = None,
        **arguments: Any,
    ) -> Any:
        """A list of Results, one a photo; with `stream` an iterator of them.

        `source` is a path, folder, glob, PIL image, BGR array, RGB tensor ([N, ]3, H, W) of uint8 or 0..1, video,
        number of a camera, a list of these, or with allow_urls=True an address. `points` is [x, y] or
        [[x, y], ...] for an object a point, [[[x, y], ...], ...] for several points an object; `labels` 1 or 0 for
        each; `bboxes` xyxy, one or many; `masks` (H, W) or (N, H, W). Without prompts all objects are found.
        Further arguments are those of `arguments.Arguments`.

        Raises InputError for an unknown argument, PromptError, SourceNotFoundError, ImageError, OutputError.
        """
        if source is None:
            raise InputError("predict needs a source: a picture's path, a folder, an array, ...")
        predictor = Predictor(overrides={**self.overrides, "model": self._weights})
        self.predictor = predictor
        return predictor(source, stream, bboxes=bboxes, points=points, labels=labels, masks=masks, **arguments)

    __call__ = predict

    def to(self, device: Any) -> SAM:
        """Itself, with `device` for every call."""
        self._weights.on(device)
        self.overrides["device"] = device
        return self

    def info(self, detailed: bool = False, verbose: bool = True) -> ModelInfo:
        """Layers and parameters, from the shapes of the checkpoint; `verbose` prints them, `detailed` each tensor's.

        Raises InputError for a SAM without a weights file.
        """
        sam = self._weights.on(self.overrides.get("device"))
        if sam.checkpoint is None:
            raise InputError("info() reads the weights file, and this SAM was made from a backend without one.")
        shapes = {key: shape for key, shape in sam.checkpoint.shapes.items() if not key.endswith(BUFFERS)}
        layers = len({key.rpartition(".")[0] for key in shapes})
        info = ModelInfo(layers, sum(int(np.prod(shape)) for shape in shapes.values()), 0, 0.0)
        if detailed:
            print("\n".join(f"{key} {tuple(shape)}" for key, shape in shapes.items()))
        if verbose:
            print(
                f"{sam.checkpoint.name} summary: {info.layers} layers, {info.parameters:,} parameters, "
                f"{sam.info.runtime}"
            )
        return info

    def train(self, *_: Any, **__: Any) -> Any:
        """Raises NotSupportedError: the native interface trains."""
        raise NotSupportedError(
            "Ultralytics' arguments of train() say nothing of masks. Use mobilesam.SAM().train(photos, folder), see "
            "docs/training-finetune.md, and pass the file that it makes to SAM(path)."
        )

    def val(self, data: Any = None, **arguments: Any) -> Any:
        """The Report of `mobilesam.SAM.val`, with its arguments. Raises InputError without `data`, and as that does."""
        if data is None:
            raise InputError("val needs data=: photos with true masks, in a layout of docs/evaluation.md.")
        return self._weights.on(self.overrides.get("device")).val(data, **arguments)

    def export(
        self,
        format: str = "onnx",  # noqa: A002  # Ultralytics' name
        *,
        folder: str | Path | None = None,
        layout: str | None = None,
        half: bool = False,
        int8: bool = False,
    ) -> str:
        """Write the model as `mobilesam.SAM.export` does, into `folder` or <name>_<format>; returns the folder.

        `format` is a name of Ultralytics' ("engine" is TensorRT, "tflite" LiteRT); `half` and `int8` are the precisions
        "fp16" and "int8". ONNX has Meta's layout unless another is asked for.
        Raises NotSupportedError for a format that there isn't.
        """
        name = FORMATS.get(format)
        if name is None:
            raise NotSupportedError(f"export() writes {', '.join(FORMATS)}, got format={format!r}.")
        sam = self._weights.on(self.overrides.get("device"))
        stem = sam.checkpoint.path.stem if sam.checkpoint else ""
        target = Path(folder or f"{stem}_{format}")
        precision = "int8" if int8 else "fp16" if half else "fp32"
        if name == "onnx" and precision == "fp32":
            sam.export(target, layout=layout or "meta")
        else:
            sam.export(target, format=name, precision=precision, layout=layout)
        return str(target)
