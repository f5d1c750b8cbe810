"""SAM: the front door."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from . import backends, prompts
from .backends.checkpoint import Checkpoint
from .backends.exported import load_folder
from .catalog import locate
from .catalog.models import DEFAULT
from .embedding import Embedding
from .errors import InputError
from .everything import EverythingConfig, Progress, found, segment, segment_tiles
from .export import export
from .image import open_windows
from .padding import skipping
from .predictor import Predictor
from .propagation import Limits, Track
from .results import Results
from .scene import OUTPUT_MODES, OutputMode, Scene
from .sources import Picture, is_endless, is_many, iter_decoded, iter_items, iter_pictures
from .types import Multimask, PaddingMode, Precision

if TYPE_CHECKING:
    from .catalog.download import Progress as DownloadProgress
    from .evaluate import Report
    from .train.loop import Result


class SAM:
    """Segment anything in a photo: masks from points, boxes or earlier masks.

    `model` is a name of the catalog (`mobilesam models` lists them), a weights file (.safetensors, or .pt and .pth
    where torch is installed), or a folder that `export` has written, which fixes runtime, device and precision.
    `runtime` is "auto", "openvino", "onnx" or "pytorch"; `device` "auto", "cpu", "cuda", "cuda:1", "mps" or OpenVINO's
    "gpu" and "npu"; `precision` "auto", "fp32", "bf16" or "int8" (docs/performance.md says what each costs);
    `threads` the CPU threads of the runtime. `padding` is "full" to encode the whole square as upstream does, "skip" to
    leave out the blank rest of photos that aren't square, which is up to 1.6 times faster and gives nearly the same
    masks (docs/decisions/0004-skipping-the-padding.md), or "auto": "skip" where the model can, unless precision="fp32"
    asks for upstream's numbers.

    One object may be used by several threads at once.

    Raises WeightsNotFoundError, DownloadError, CheckpointError, MissingDependencyError, BackendError,
    InputError.

    >>> sam = SAM()
    >>> result = sam.predict("examples/coffee.png", points=[300, 200])[0]
    >>> result.masks.shape
    (1, 400, 600)
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        runtime: str = "auto",
        device: str = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        padding: PaddingMode = "auto",
        progress: DownloadProgress | None = None,
    ) -> None:
        self.checkpoint: Checkpoint | None = None
        """The weights file; None for an exported folder and with `from_backend`."""
        if Path(model).is_dir():
            _check_unset(runtime=runtime, device=device, precision=precision, padding=padding)
            self.predictor = Predictor(load_folder(Path(model), threads=threads))
            return
        self.checkpoint = Checkpoint(locate(model, progress=progress))
        backend = backends.load(self.checkpoint, runtime=runtime, device=device, precision=precision, threads=threads)
        self.predictor = Predictor(backend, self.checkpoint.class_head(), skipping(padding, precision, backend))

    @classmethod
    def from_backend(cls, backend: backends.Backend) -> SAM:
        """A SAM on any object with the two calls of `backends.Backend`, such as `testing.FakeBackend`."""
        sam = cls.__new__(cls)
        sam.checkpoint = None
        sam.predictor = Predictor(backend)
        return sam

    @property
    def info(self) -> backends.BackendInfo:
        """Runtime, device, precision and weights in use."""
        return self.predictor.backend.info

    def export(
        self,
        folder: str | Path,
        *,
        format: str = "onnx",  # noqa: A002  # what everyone calls it
        layout: str | None = None,
        precision: str = "fp32",
        points: int | None = None,
        photos: str | Path | None = None,
    ) -> list[Path]:
        """Write the model as files for a runtime or a program; returns their paths, the manifest last.

        `format` is one of those of docs/export.md, which also says what they need; `precision` "fp32", "fp16", "int8"
        or "int8-weights", as the format has them, or several with commas, which are compared in a report; `points` how
        many tokens a decoder of fixed shape takes; `photos` a folder to measure ranges on for 8 bits. `layout` is
        "meta" (Meta's six-input decoder), "anylabeling" or "osam", for programs that read ONNX in a way of their own:
        see docs/clients.md. The files are run on a photo and compared with the model before they are in their place.
        `SAM(folder)` runs them (but not a layout).

        Raises InputError (what doesn't exist or go together, a SAM without a weights file), ExportError, OutputError,
        MissingDependencyError.
        """
        if self.checkpoint is None:
            raise InputError("export() reads the weights file, and this SAM was made without one.")
        return export(
            self.checkpoint.path,
            folder,
            format=format,
            layout=layout,
            precision=precision,
            points=points,
            photos=photos,
        )

    def embed(self, source: Any, *, allow_urls: bool = False) -> Any:
        """The embedding of a photo, to answer any number of prompts from; a list of them for many photos.

        `source` is a path, bytes, a binary file object, a PIL image, an array (H, W[, 1, 3 or 4]) in RGB order or
        a PyTorch tensor (C, H, W); or a folder, a glob, a video or a list. http(s) addresses are fetched only with
        `allow_urls`. Raises SourceNotFoundError, ImageError, InputError (a camera).
        """
        _check_end(source)
        embeddings = [self._embed(picture) for picture in iter_decoded(source, allow_urls=allow_urls)]
        return embeddings if is_many(source) else embeddings[0]

    @overload
    def predict(
        self,
        source: Any,
        *,
        points: Any = ...,
        labels: Any = ...,
        bboxes: Any = ...,
        masks: Any = ...,
        multimask: Multimask = ...,
        stream: Literal[False] = ...,
        allow_urls: bool = ...,
    ) -> list[Results]: ...

    @overload
    def predict(
        self,
        source: Any,
        *,
        points: Any = ...,
        labels: Any = ...,
        bboxes: Any = ...,
        masks: Any = ...,
        multimask: Multimask = ...,
        stream: Literal[True],
        allow_urls: bool = ...,
    ) -> Iterator[Results]: ...

    def predict(
        self,
        source: Any,
        *,
        points: Any = None,
        labels: Any = None,
        bboxes: Any = None,
        masks: Any = None,
        multimask: Multimask = False,
        stream: bool = False,
        allow_urls: bool = False,
    ) -> list[Results] | Iterator[Results]:
        """Masks for prompts in original pixels: one Results for each photo.

        `source` is what `embed` takes, or an Embedding, or a list of these; the same prompts go to each.
        `points` is `[x, y]` or `[[x, y], ...]` for one object a point, `[[[x, y], ...], ...]` for several
        points an object; `labels` 1 (object, the default) or 0 (not this); `bboxes` xyxy, one or many;
        `masks` earlier `low_res` logits or binary masks (H, W). `multimask` False gives one mask a
        prompt, True three with scores, "best" for a lone click the one of the three with the highest predicted
        IoU times stability, and for all else the single-mask output (docs/decisions/0003-which-mask.md).
        `stream` gives an iterator in place of a list, so that of a video or a folder only the picture at work and the
        next one, which a thread decodes meanwhile, are held; a camera (`source` its number) needs it.

        Raises PromptError, SourceNotFoundError, ImageError, InputError (an embedding of another model).
        """
        given = {"points": points, "labels": labels, "bboxes": bboxes, "masks": masks}
        found = (self._predict(item, given, multimask) for item in iter_items(source, allow_urls=allow_urls))
        if stream:
            return found
        _check_end(source)
        return list(found)

    def everything(
        self,
        source: Any,
        *,
        output_mode: OutputMode = "binary_mask",
        progress: Progress | None = None,
        allow_urls: bool = False,
        **config: Any,
    ) -> Any:
        """All objects of a photo: a Scene, whose items are Meta's records; a list of them for many photos.

        `source` is what `predict` takes. `output_mode` is what a record's segmentation is: "binary_mask",
        "coco_rle" or "uncompressed_rle". `progress` is called with the clicks (or tiles) done and in all.
        Further arguments are those of `EverythingConfig`: Meta's (points_per_side, pred_iou_thresh,
        stability_score_thresh, crop_n_layers, ...), and quality ("fast", or "exact" for the result of
        Meta's automatic mask generator up to ties), overlap, max_masks, tiles.

        Raises InputError for an argument that doesn't exist or fit, SourceNotFoundError, ImageError.

        >>> sam = SAM()
        >>> scene = sam.everything("examples/coffee.png", points_per_side=8)
        >>> scene[0]["segmentation"].shape
        (400, 600)
        """
        chosen = EverythingConfig.of(config)
        if output_mode not in OUTPUT_MODES:
            raise InputError(f"output_mode must be one of {', '.join(OUTPUT_MODES)}, got {output_mode!r}.")
        _check_end(source)
        decoded = chosen.tiles is None  # tiles read a picture part by part
        items = iter_items(source, allow_urls=allow_urls, decoded=decoded)
        scenes = [self._everything(item, chosen, output_mode, progress) for item in items]
        return scenes if is_many(source) else scenes[0]

    def iter_everything(
        self, source: Any, *, output_mode: OutputMode = "binary_mask", **config: Any
    ) -> Iterator[dict[str, Any]]:
        """`everything` on one photo while it works: each mask's record as soon as it is found.

        No two of them are near-duplicates, but which of two stays is decided by which came first; `everything`
        knows them all and keeps the better one. overlap, max_masks, tiles and cleaning need all masks too.

        Raises InputError for these, and as `everything`.

        >>> sam = SAM()
        >>> first = next(sam.iter_everything("examples/coffee.png", points_per_side=8))
        >>> first["predicted_iou"] > 0.88
        True
        """
        chosen = EverythingConfig.of(config)
        at_the_end = ("overlap", "max_masks", "tiles", "min_mask_region_area")
        if late := [name for name in at_the_end if getattr(chosen, name) != getattr(EverythingConfig, name)]:
            raise InputError(f"{late[0]} needs all masks at once; use everything().")
        items = list(islice(iter_items(source, allow_urls=False, decoded=False), 2))
        if len(items) != 1:
            raise InputError("iter_everything() takes one photo; call it for each, or use everything().")
        (item,) = items
        embedding = item if isinstance(item, Embedding) else self._embed(item)
        for candidate in found(self.predictor, embedding, chosen):
            yield Scene([candidate], embedding.image_hw, output_mode=output_mode)[0]

    def track(
        self,
        source: Any,
        *,
        points: Any = None,
        labels: Any = None,
        bboxes: Any = None,
        masks: Any = None,
        every: int = 1,
        **limits: float,
    ) -> Track:
        """Objects of a video's first frame carried along it: iterate for one Results a frame; `lost` says who was lost.

        Prompts are `predict`'s, for the first frame. `source` is a video, or the frames as a folder, glob or list; of
        a video every `every`-th frame is taken. Each mask is the next frame's prompt, which isn't what SAM 2 does:
        docs/video.md. `limits` are those of `propagation.Limits`, below which a mask is doubted or an object lost.

        Raises InputError; while it runs PromptError, SourceNotFoundError, ImageError.
        """
        given = {"points": points, "labels": labels, "bboxes": bboxes, "masks": masks}
        return Track(self.predictor, iter_pictures(source, every=every), Limits.of(limits), **given)

    def val(
        self,
        data: Any,
        protocol: str | Sequence[str] = "box",
        *,
        compare: SAM | None = None,
        reference: SAM | str | Path | None = None,
        boxes: str | Path | None = None,
        layout: str | None = None,
        images: str | Path | None = None,
        background: int = 0,
        ignore: int | None = None,
        output: str | Path | None = None,
        resume: bool = False,
        limit: int | None = None,
        max_objects: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Report:
        """How good the masks are on photos with true masks: a Report with figures and 95 % intervals.

        `data` is a folder or JSON file, or a list of them: COCO or LVIS instances, SA-1B, photos beside masks or label
        maps; `layout` one of `evaluate.LAYOUTS` where it isn't recognised, `images` the folder of a JSON's photos,
        `background` and `ignore` what these values of a mask mean (-1: none is ignored). `protocol` is one or
        several of `evaluate.PROTOCOLS`; `boxes` a detector's COCO results, for the AP protocols; `reference` another
        model, or an earlier run's output folder, for "agreement". `compare` is another model that gets the same
        prompts. `output` is a folder for tables, pictures and page, where `resume` goes on with an interrupted run.
        `limit` photos of each set and `max_objects` objects of each photo are measured. `progress` is called with
        photos done and in all. Embeddings are kept on disk for the next run (`evaluate/cache.py`).

        Raises InputError, SourceNotFoundError, OutputError; a photo that can't be measured is noted in the report.

        >>> report = SAM().val("tests/evaluate/data/shapes", "box")
        >>> report.figure("box", "iou").value > 0.9
        True
        """
        from .evaluate import evaluate  # pycocotools' evaluation and what it brings: not for a click
        from .evaluate.datasets import Values

        return evaluate(
            self.predictor,
            data,
            protocol,
            other=compare.predictor if compare else None,
            reference=reference.predictor if isinstance(reference, SAM) else reference,
            boxes=boxes,
            layout=layout,
            values=Values(background, ignore, Path(images) if images else None),
            output=output,
            resume=resume,
            limit=limit,
            max_objects=max_objects,
            seed=seed,
            progress=progress,
        )

    def train(
        self, data: Any, output: str | Path, *, task: Literal["finetune", "distill"] = "finetune", **more: Any
    ) -> Result:
        """Fine-tune this model on photos with masks, or distil a small encoder from it; needs the train extra.

        `data` is what `val` reads, or for task "distill" folders or tar shards of photos; `output` is the run's folder.
        `more` are a `recipe` with `changes` like "loop.steps=50", `resume`, `device`, `progress` (`train.start`), and
        further arguments of `train.finetune` or `train.distill`. This object stays as it is: `SAM(result.model)` is the
        trained one. docs/training.md tells the whole way.

        Raises InputError, SourceNotFoundError, TrainingError, OutputError, MissingDependencyError.
        """
        from .train.start import start

        return start(self.checkpoint, data, output, task=task, **more)

    def _everything(
        self,
        item: Embedding | Picture,
        config: EverythingConfig,
        mode: OutputMode,
        progress: Progress | None,
    ) -> Scene:
        if config.tiles is not None:
            return self._tiled(item, config, mode, progress)
        embedding = item if isinstance(item, Embedding) else self._embed(item)
        masks = segment(self.predictor, embedding, config, progress)
        name, path = embedding.name, embedding.path
        return Scene(masks, embedding.image_hw, embedding.image, name, path, mode, config.overlap)

    def _tiled(
        self, item: Embedding | Picture, config: EverythingConfig, mode: OutputMode, progress: Progress | None
    ) -> Scene:
        """The scene doesn't keep the photo: as one array it may be larger than all the rest."""
        if isinstance(item, Embedding):
            if item.image is None:
                raise InputError("tiles needs the photo, and this embedding was made without; pass the photo.")
            windows = open_windows(item.image)
        else:
            windows = item.windows()
        masks = segment_tiles(self.predictor, windows, config, progress)
        return Scene(masks, windows.hw, None, item.name, item.path, mode, config.overlap)

    def _embed(self, picture: Picture) -> Embedding:
        return self.predictor.embed(picture.load(), name=picture.name, path=picture.path)

    def _predict(self, item: Embedding | Picture, given: dict[str, Any], multimask: Multimask) -> Results:
        if isinstance(item, Embedding):
            return self.predictor.predict(item, prompts.build(item.letterbox, **given), multimask)
        image = item.load()
        # Before the encoder runs: a mistaken prompt should cost nothing.
        built = prompts.build(self.predictor.letterbox(image), **given)
        embedding = self.predictor.embed(image, name=item.name, path=item.path)
        return self.predictor.predict(embedding, built, multimask)


def _check_unset(**options: str) -> None:
    for name, value in options.items():
        if value != "auto":
            raise InputError(f"An exported folder runs on the CPU as it was exported; leave out {name}={value!r}.")


def _check_end(source: Any) -> None:
    if is_endless(source):
        raise InputError("A camera never ends, so there is no list of its frames; use predict(source, stream=True).")
