"""Predictor: a source or a set image, and prompts -> Results; everything mode without prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np

from ... import results as native
from ...catalog.models import DEFAULT
from ...embedding import Embedding
from ...errors import InputError
from ...geometry import Letterbox
from ...image import to_rgb
from ...model import SAM
from ...prompts import Prompt, build
from ...scene import Scene
from ...sources import Picture, is_endless, iter_pictures
from ...types import F32, HW, U8, AnyArray, Bool
from .arguments import IMG_SIZE, Arguments, read
from .output import Output
from .results import Results
from .tensors import array_of, plain, tensor_of
from .weights import Weights

Prompts: TypeAlias = dict[str, Any]
"""Those of bboxes, points, labels and masks that were given."""
STAGES = ("preprocess", "inference", "postprocess")


class Predictor:
    """Ultralytics' SAMPredictor: `set_image` once, then prompts; or a source with each call.

    `overrides` (and `cfg`) are arguments for every call, and `model`: a weights file, a name, or a
    `mobilesam.SAM`. NumPy pictures are BGR (H, W, 3).

    Raises InputError for an unknown argument, PromptError, SourceNotFoundError, ImageError.

    >>> predictor = Predictor(overrides={"model": "mobilesam"})
    >>> predictor.set_image("examples/coffee.png")
    >>> len(predictor(points=[[300, 200], [450, 120]])[0])
    2
    """

    def __init__(self, cfg: Mapping[str, Any] | None = None, overrides: Mapping[str, Any] | None = None) -> None:
        given = {**(cfg or {}), **(overrides or {})}
        model = given.pop("model", None) or DEFAULT
        self._weights = model if isinstance(model, Weights) else Weights(model)
        self._embedding: Embedding | None = None
        self.args: Arguments = read(given)
        """For every call; each may be set."""
        self.features: Any = None
        """The set image's embedding (1, 256, 64, 64); it may be replaced by another of the same image size."""
        self.im: U8 | None = None
        """The set image, BGR."""
        self.prompts: Prompts = {}
        self.dataset: Any = None
        """The source of the last call."""
        self.batch: tuple[list[str], list[U8], list[str]] | None = None
        """Paths, pictures and log lines of the last photo."""
        self.results: list[Results] | None = None
        """What the last call without stream gave."""

    def set_image(self, image: Any) -> None:
        """Embed one picture: a path, a BGR array, or what `predict` takes."""
        pictures = list(islice(iter_pictures(rgb(image), allow_urls=self.args.allow_urls), 2))
        if len(pictures) != 1:
            raise InputError("set_image takes one picture; pass folders, videos and lists as source.")
        self._embedding = _embed(self._weights.on(self.args.device), pictures[0], pictures[0].load())
        self.features = tensor_of(self._embedding.features_bchw)
        self.im = _bgr(self._embedding)

    def reset_image(self) -> None:
        """Forget the set image."""
        self._embedding = self.features = self.im = None

    def set_prompts(self, prompts: Mapping[str, Any]) -> None:
        """Prompts for the next call, where it has none of its own of that kind."""
        self.prompts = dict(prompts)

    def __call__(
        self,
        source: Any = None,
        stream: bool = False,
        *,
        bboxes: Any = None,
        points: Any = None,
        labels: Any = None,
        masks: Any = None,
        **arguments: Any,
    ) -> Any:
        """A list of Results, with `stream` an iterator; without `source` of the set image."""
        chosen = read(arguments, self.args)
        given = _given(
            {**self.prompts, **_given({"bboxes": bboxes, "points": points, "labels": labels, "masks": masks})}
        )
        self.prompts, self.dataset = {}, source
        found = self._of_set_image(given, chosen) if source is None else self._of_source(source, given, chosen)
        if stream:
            return found
        if is_endless(rgb(source)):
            raise InputError("A camera never ends, so there is no list of its frames; pass stream=True.")
        self.results = list(found)
        return self.results

    def generate(self, im: Any = None, **arguments: Any) -> tuple[Any, Any, Any]:
        """Everything mode on a picture, or the set image: masks (N, H, W), scores (N,), boxes (N, 4)."""
        (result,) = self(im, **arguments)
        nothing = np.zeros((0, *result.orig_shape), bool)
        masks = tensor_of(nothing) if result.masks is None else result.masks.data
        return masks, result.boxes.conf, result.boxes.xyxy

    def inference_features(
        self,
        features: Any,
        src_shape: HW,
        dst_shape: HW | None = None,
        bboxes: Any = None,
        points: Any = None,
        labels: Any = None,
        masks: Any = None,
        multimask_output: bool = False,
    ) -> tuple[Any, Any]:
        """Masks (N, H, W) bool and boxes (N, 6) from an embedding (1, 256, 64, 64) of a picture of `src_shape`.

        Prompts are in the picture's pixels. Without a mask it is (None, boxes (0, 6)). No score drops a mask.
        """
        if dst_shape is not None and tuple(dst_shape) != (IMG_SIZE, IMG_SIZE):
            raise InputError(f"dst_shape is {(IMG_SIZE, IMG_SIZE)} for every SAM model, got {dst_shape!r}.")
        sam = self._weights.on(self.args.device)
        height, width = src_shape
        letterbox = Letterbox((int(height), int(width)), sam.info.img_size)
        embedding = Embedding(np.asarray(array_of(features), np.float32), letterbox, sam.info.model_id)
        given = _given({"bboxes": bboxes, "points": points, "labels": labels, "masks": masks})
        chosen = replace(self.args, multimask_output=multimask_output, conf=None, classes=None, max_det=None)
        found, boxes, _ = _rows(_found(sam, embedding, _built(letterbox, given), chosen), chosen)
        return (tensor_of(found) if len(found) else None), tensor_of(boxes)

    def _of_source(self, source: Any, given: Prompts, arguments: Arguments) -> Iterator[Results]:
        sam, output = self._weights.on(arguments.device), Output(arguments)
        for picture in iter_pictures(rgb(source), allow_urls=arguments.allow_urls, every=arguments.vid_stride):
            times = [perf_counter()]
            image = picture.load()
            # Before the encoder runs: a mistaken prompt should cost nothing.
            built = _built(sam.predictor.letterbox(image), given)
            times.append(perf_counter())
            embedding = _embed(sam, picture, image)
            yield self._finished(sam, embedding, built, arguments, times, output)

    def _of_set_image(self, given: Prompts, arguments: Arguments) -> Iterator[Results]:
        if self._embedding is None or self.features is None:
            raise InputError("There is no image: call set_image(picture) first, or pass source=.")
        features = np.asarray(array_of(self.features), np.float32)
        embedding = replace(self._embedding, features_bchw=features)
        sam, times = self._weights.on(arguments.device), [perf_counter()]
        built = _built(embedding.letterbox, given)
        times.append(perf_counter())
        yield self._finished(sam, embedding, built, arguments, times, Output(arguments))

    def _finished(
        self,
        sam: SAM,
        embedding: Embedding,
        built: tuple[Prompt, ...] | None,
        arguments: Arguments,
        times: list[float],
        output: Output,
    ) -> Results:
        found = _found(sam, embedding, built, arguments)
        times.append(perf_counter())
        masks, boxes, names = _rows(found, arguments)
        times.append(perf_counter())
        name = embedding.name if Path(embedding.name).suffix else f"{embedding.name}.jpg"
        speed = dict(zip(STAGES, (1000 * np.diff(times)).tolist(), strict=True))
        tensors = tensor_of(boxes), tensor_of(masks) if len(masks) else None
        result = Results(_bgr(embedding), str(embedding.path or name), names, *tensors, speed=speed)
        self.batch = [result.path], [result.orig_img], [result.verbose()]
        return output.add(result, name)


def rgb(source: Any) -> Any:
    """The source with its BGR arrays as pictures, and a camera's number that is written as text as a number."""
    if isinstance(source, np.ndarray):
        if source.ndim == 4:
            return [rgb(picture) for picture in source]
        return Picture("", None, partial(_from_bgr, source))
    if isinstance(source, (list, tuple)):
        return [rgb(item) for item in source]
    return int(source) if isinstance(source, str) and source.isdecimal() and not Path(source).exists() else source


def _from_bgr(picture: AnyArray) -> U8:
    """Grey, BGR or BGRA as RGB."""
    if picture.ndim == 3 and picture.shape[2] in (3, 4):
        picture = np.concatenate([picture[..., 2::-1], picture[..., 3:]], axis=2)
    return to_rgb(picture)


def _bgr(embedding: Embedding) -> U8:
    if embedding.image is None:  # an image was set, so it is there
        raise InputError("The set image has no pixels; call set_image() again.")
    return np.ascontiguousarray(embedding.image[..., ::-1])


def _given(prompts: Prompts) -> Prompts:
    return {name: plain(value) for name, value in prompts.items() if value is not None}


def _built(letterbox: Letterbox, given: Prompts) -> tuple[Prompt, ...] | None:
    """The prompts; None where there are none, and an empty tuple where a detector found no box."""
    if not given:
        return None
    nothing_found = list(given) == ["bboxes"] and np.size(given["bboxes"]) == 0
    return () if nothing_found else build(letterbox, **given)


def _embed(sam: SAM, picture: Picture, image_rgb: U8) -> Embedding:
    return sam.predictor.embed(image_rgb, name=picture.name, path=picture.path)


def _found(
    sam: SAM, embedding: Embedding, built: tuple[Prompt, ...] | None, arguments: Arguments
) -> native.Results | Scene:
    if built is None:
        scene: Scene = sam.everything(embedding, **arguments.everything)
        return scene
    return sam.predictor.predict(embedding, built, multimask=arguments.multimask_output)


def _rows(found: native.Results | Scene, arguments: Arguments) -> tuple[Bool, F32, dict[int, str]]:
    """Masks (N, H, W) and boxes (N, 6) of what the arguments want of it, and the names of all there was."""
    if isinstance(found, Scene):
        scores = np.array([candidate.predicted_iou for candidate in found.candidates], np.float32)
        numbers = np.arange(len(found))
    else:
        scores, numbers = found.iou, found.prompt_index
    rows = arguments.chosen(scores, numbers)
    part = replace(found, candidates=[found.candidates[i] for i in rows]) if isinstance(found, Scene) else found[rows]
    ends = part.boxes - np.array([0, 0, 1, 1], np.float32)  # Ultralytics' are inclusive
    boxes = np.column_stack([np.maximum(ends, 0), scores[rows], numbers[rows]]).astype(np.float32)
    return part.masks, boxes, {int(number): str(number) for number in np.unique(numbers)}
