"""Distillation: a small encoder learns a teacher's embeddings, and then masks, the decoder staying as it is.

Stage 1, decoupled (MobileSAM, arXiv:2306.14289): squared error to the stored embeddings. Stage 2, prompts in the loop
(EdgeSAM, arXiv:2312.06660): teacher's and student's masks for the same prompts, and then for points where they differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import plot
from ..backends.checkpoint import Checkpoint
from ..catalog import locate
from ..catalog.models import DEFAULT
from ..errors import ImageError, InputError, SourceNotFoundError
from ..geometry import MASK_STRIDE, Letterbox
from ..image import MEAN, STD, to_tensor
from ..nn.sam import Sam
from ..types import U8
from . import losses
from .checkpoint import save_model
from .config import Config
from .embedder import embed
from .embeddings import INDEX, Embeddings
from .loop import Progress, Result, Say, train
from .photos import TrainPhoto, photos_of
from .sampling import OBJECT, PADDING, Prompted, corrected, first_prompts, pick, to_pixels
from .student import build, teacher_of, train_mode
from .world import World, joined

CELL = 16
"""Pixels of the model's square an embedding's cell spans."""
SMALLEST = 16
"""Masks of fewer low-resolution cells are no objects to learn from."""
MEASURED = 32
"""Embeddings from which a channel's standard deviation is taken."""


@dataclass(frozen=True)
class Example:
    """A photo as the student sees it, and what the teacher made of it."""

    image_chw: Tensor
    teacher_chw: Tensor
    letterbox: Letterbox
    rng: np.random.Generator
    """For its prompts."""


class Distillation:
    """The task of the loop; see `loop.Task`."""

    def __init__(
        self, config: Config, photos: Sequence[TrainPhoto], embeddings: Embeddings, teacher: Sam, device: torch.device
    ) -> None:
        self.config, self.photos, self.embeddings, self.device = config, photos, embeddings, device
        self.sam, self.copied = build(config.student, teacher, config.loop.seed)
        teacher.image_encoder = nn.Identity()
        self.teacher = teacher.to(device)
        keys = "\n".join(photo.key for photo in photos)
        self.data_hash = hashlib.sha256(f"{embeddings.digest()}\n{keys}".encode()).hexdigest()
        self._scale_c = self._deviations().to(device) if config.distill.normalise else None

    def __len__(self) -> int:
        """Photos."""
        return len(self.photos)

    def key(self, index: int) -> str:
        """A photo's key."""
        return self.photos[index].key

    def load(self, index: int, rng: np.random.Generator) -> Example:
        """A photo, mirrored or not, with the embedding of just that. Raises InputError where the photo has changed."""
        photo = self.photos[index]
        image = photo.load()
        if image.shape[:2] != self.embeddings.size(photo.key):
            raise InputError(f"{photo.key} has another size than when it was embedded; embed the photos again.")
        flipped = self.config.distill.flips and self.embeddings.index.flips and bool(rng.random() < 0.5)
        letterbox = Letterbox((image.shape[0], image.shape[1]), self.config.student.img_size)
        pixels = to_tensor(np.ascontiguousarray(image[:, ::-1]) if flipped else image, letterbox)[0]
        teacher = self.embeddings.read(photo.key, flipped=flipped)
        return Example(torch.from_numpy(pixels), torch.from_numpy(teacher), letterbox, rng)

    def train_mode(self) -> None:
        """Only the encoder is in training mode."""
        train_mode(self.sam, self.config.student)

    def loss(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """ "loss" and its parts, means over the photos."""
        weights = self.config.distill
        student = self.sam.encode(torch.stack([e.image_chw for e in examples]).to(self.device))
        teacher = torch.stack([e.teacher_chw for e in examples]).to(self.device)
        parts = {"mse": self._embedding_error(student, teacher, examples)}
        total = weights.mse * parts["mse"]
        if weights.masks:
            found = [self._mask_losses(s[None], t[None], e) for s, t, e in zip(student, teacher, examples, strict=True)]
            parts |= {name: torch.stack([one[name] for one in found]).mean() for name in found[0]}
            total = total + weights.masks * self.config.prompts.weigh(parts)
        return {"loss": total, **parts}

    def _embedding_error(self, student: Tensor, teacher: Tensor, examples: Sequence[Example]) -> Tensor:
        side = student.shape[-1]
        inside = torch.stack([inside_of(e.letterbox) for e in examples]).to(self.device)
        weight = inside + self.config.distill.padding * (1 - inside)
        return losses.embedding_error(student, resized(teacher, side), weight, self._scale_c).mean()

    def _mask_losses(self, student: Tensor, teacher: Tensor, example: Example) -> dict[str, Tensor]:
        """Masks of both for the same prompts, round by round."""
        size, prompts, rng = self.embeddings.index.img_size, self.config.prompts, example.rng
        valid = low_resolution(Letterbox(example.letterbox.image_hw, size)).to(self.device)
        true = self._objects(teacher, valid, rng)
        sums = {name: student.sum() * 0 for name in ("focal", "dice", "iou")}
        if not len(true):
            return sums
        given = first_prompts(true, size, prompts, rng)
        for round_number in range(prompts.rounds):
            with torch.no_grad():
                true_logits, true_iou = self.teacher.decode(teacher, given.coords_bn2, given.labels_bn)
            logits, iou = self._decode(student, given, size, true_logits.shape[-1])
            masks = (true_logits > 0).float()
            sums["focal"] = sums["focal"] + losses.focal(logits, masks, valid).mean() / prompts.rounds
            sums["dice"] = sums["dice"] + losses.dice(logits, masks, valid).mean() / prompts.rounds
            sums["iou"] = sums["iou"] + (iou.float() - true_iou).pow(2).mean() / prompts.rounds
            if round_number + 1 < prompts.rounds:
                found = (logits[:, 0].detach() > 0) & (valid > 0)
                given = corrected(given, found, (masks[:, 0] > 0) & (valid > 0), size, rng)
        return sums

    def _decode(self, student: Tensor, given: Prompted, size: int, cells: int) -> tuple[Tensor, Tensor]:
        """The student's masks (N, 4, cells, cells) for prompts in the teacher's pixels."""
        coords = given.coords_bn2 * (self.config.student.img_size / size)  # as a letterbox of its size gives them
        logits, iou = self.sam.decode(student, coords, given.labels_bn)
        return F.interpolate(logits.float(), size=(cells, cells), mode="bilinear"), iou

    @torch.no_grad()
    def _objects(self, teacher: Tensor, valid: Tensor, rng: np.random.Generator) -> Tensor:
        """What the teacher sees at random points: masks (N, H, W), of three the one it is surest of."""
        size, count = self.embeddings.index.img_size, self.config.prompts.objects
        cells, _ = pick((valid > 0.5).expand(count, -1, -1), rng)
        clicks = to_pixels(cells, valid.shape[-1], size).unsqueeze(1)
        coords = torch.cat([clicks, torch.zeros_like(clicks)], dim=1)
        labels = torch.tensor([OBJECT, PADDING], device=coords.device).expand(count, -1)
        logits, iou = self.teacher.decode(teacher, coords, labels)
        best = logits[torch.arange(count), 1 + iou[:, 1:].argmax(1)]
        masks = (best > 0) & (valid > 0)
        return masks[masks.sum((1, 2)) >= SMALLEST]

    def _deviations(self) -> Tensor:
        """The teacher's standard deviation in each channel."""
        some = self.photos[:: max(1, len(self.photos) // MEASURED)][:MEASURED]
        return torch.from_numpy(np.stack([self.embeddings.read(photo.key) for photo in some])).std(dim=(0, 2, 3))

    @torch.no_grad()
    def pictures(self) -> list[U8]:
        """Of three photos: what the teacher sees at three points, and under it what the student does."""
        size = self.embeddings.index.img_size
        found = []
        for index in range(min(3, len(self))):
            try:
                example = self.load(index, np.random.default_rng(index))
            except (ImageError, SourceNotFoundError):  # left out here as in the steps
                continue
            teacher = example.teacher_chw[None].to(self.device)
            valid = low_resolution(Letterbox(example.letterbox.image_hw, size)).to(self.device)
            true = self._objects(teacher, valid, example.rng)[:3]
            if not len(true):
                continue
            given = first_prompts(true, size, self.config.prompts, example.rng)
            student = self.sam.encode(example.image_chw[None].to(self.device))
            mine = self._decode(student, given, size, true.shape[-1])[0][:, 0] > 0
            theirs = self.teacher.decode(teacher, given.coords_bn2, given.labels_bn)[0][:, 0] > 0
            found.append(np.concatenate([_drawn(example, masks) for masks in (theirs, mine)]))
        return found

    def save(self, path: Path, about: dict[str, str]) -> None:
        """Write the student with the teacher's decoder."""
        save_model(path, self.sam, {**about, "teacher": self.embeddings.index.teacher})


def resized(teacher_bchw: Tensor, side: int) -> Tensor:
    """Embeddings as maps of another side: means of whole cells where that comes out even."""
    cells = teacher_bchw.shape[-1]
    if cells == side:
        return teacher_bchw
    if cells % side == 0:
        return F.avg_pool2d(teacher_bchw, cells // side)
    return F.interpolate(teacher_bchw, size=(side, side), mode="bilinear", antialias=True)


def inside_of(letterbox: Letterbox) -> Tensor:
    """How much of each of an embedding's cells is photo, not padding: (S/16, S/16), 0 to 1."""
    return _covered(letterbox, CELL)


def low_resolution(letterbox: Letterbox) -> Tensor:
    """The same for the cells of low-resolution masks, as 0 or 1: (S/4, S/4)."""
    return (_covered(letterbox, MASK_STRIDE) > 0.5).float()


def _covered(letterbox: Letterbox, stride: int) -> Tensor:
    cells = torch.arange(letterbox.size // stride)
    rows, columns = ((side / stride - cells).clamp(0, 1) for side in letterbox.resized_hw)
    return rows[:, None] * columns


def _drawn(example: Example, masks_nhw: Tensor) -> U8:
    """Masks over the photo, at their own resolution."""
    side = masks_nhw.shape[-1]
    image = F.interpolate(example.image_chw[None], size=(side, side), mode="area")[0]
    pixels = image * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    rgb = pixels.clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return plot.draw(rgb, masks_nhw.cpu().numpy(), line=1)


def distill(
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    config: Config,
    *,
    teacher: str | Path = DEFAULT,
    embeddings: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    say: Say | None = None,
) -> Result:
    """Train a student on the photos of `data` (see `photos_of`) towards the stored embeddings of `teacher`.

    Without `embeddings` they are made first, in `output`/embeddings. `say` is told what is done. Under torchrun all
    processes call it alike.

    Raises InputError (embeddings of another teacher, an earlier run without `resume`), SourceNotFoundError,
    TrainingError, OutputError, MissingDependencyError.
    """
    say = say or (lambda _: None)
    with joined(device) as world:
        folder = Path(embeddings) if embeddings is not None else Path(output) / "embeddings"
        if embeddings is None and world.is_first:
            embed(data, folder, teacher, flips=config.distill.flips, say=say)
        world.same(0.0)  # the others wait here for the embeddings
        task = _task(photos_of(data), folder, Checkpoint(locate(teacher)), config, world, say)
        return train(task, config, output, world, resume=resume, progress=progress)


def _task(
    photos: dict[str, TrainPhoto], folder: Path, checkpoint: Checkpoint, config: Config, world: World, say: Say
) -> Distillation:
    stored = Embeddings(folder, checkpoint.model_id)
    chosen = [photo for key, photo in photos.items() if key in stored]
    if not chosen:
        raise InputError(
            f"None of {len(photos)} photos is in {folder / INDEX}; embed these photos, or pass their folder."
        )
    _, teacher = teacher_of(str(checkpoint.path))
    task = Distillation(config, chosen, stored, teacher, world.device)
    if world.is_first:
        total = sum(value.numel() for value in task.sam.image_encoder.state_dict().values())
        say(f"{len(chosen)} photos with embeddings, {len(photos) - len(chosen)} without; teacher {checkpoint.model_id}")
        say(f"{task.copied} of {total} values of the encoder start from {config.student.init or 'nothing'}")
    return task
