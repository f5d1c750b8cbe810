"""Fine-tuning on a user's own masks by SAM's training procedure (Kirillov et al. 2023, appendix A).

A box with noise or a point, then points where the mask is wrong, in part of the rounds with the earlier mask; focal,
dice, and the squared error of the predicted IoU. A lone click also trains, of the three ambiguous masks, the best one.
Unlike SAM it trains the single mask too: among one's own objects a click is not ambiguous. BatchNorm keeps its
statistics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import plot
from ..catalog.models import DEFAULT
from ..errors import ImageError
from ..evaluate.datasets import Values
from ..geometry import MASK_STRIDE, Letterbox
from ..image import to_tensor
from ..nn.sam import Sam
from ..types import U8
from . import lora, losses
from .checkpoint import save_model
from .classes import add_head, under_masks
from .config import Config
from .distillation import low_resolution
from .features import Features
from .labelled import Labelled, Source, labelled
from .loop import Progress, Result, Say, train
from .sampling import PADDING, corrected, first_prompts
from .student import UNUSED, teacher_of
from .world import World, joined

PICTURES = 3
"""Photos in a picture of sample masks."""
Map: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Example:
    """Some objects of a photo."""

    input_chw: Tensor
    """Of the network's part that is trained: a photo, or features of the frozen part."""
    masks_nhw: Tensor
    """bool, low-resolution cells"""
    valid_nhw: Tensor
    """1 where a cell counts: photo, and not ignored."""
    classes_n: Tensor
    rng: np.random.Generator


class Finetuning:
    """The task of the loop; see `loop.Task`."""

    def __init__(self, config: Config, data: Labelled, sam: Sam, model_digest: str, folder: Path, world: World) -> None:
        self.config, self.data, self.sam, self.device = config, data, sam, world.device
        choose_trained(sam, config)
        self.head = add_head(sam, len(data.names), config.loop.seed) if data.names else None
        facts = f"{model_digest}\n{data.digest()}"
        self.data_hash = hashlib.sha256(facts.encode()).hexdigest()
        parts = config.finetune.parts
        frozen, self._rest = split(sam, parts)
        self.features: Features | None = None
        if frozen is not None:
            made_by = f"{self.data_hash} {'neck' in parts}"
            self.features = Features(lambda photo: frozen(photo.to(self.device)), folder, made_by)

    def __len__(self) -> int:
        """Photos."""
        return len(self.data)

    def key(self, index: int) -> str:
        """A photo's key."""
        return self.data.key(index)

    def load(self, index: int, rng: np.random.Generator) -> Example:
        """A photo, mirrored or not, with some of its objects. Raises ImageError, OutputError."""
        return self._example(index, rng, flipped=self.config.finetune.flips and bool(rng.random() < 0.5))

    def _example(self, index: int, rng: np.random.Generator, *, flipped: bool) -> Example:
        found = self.data.objects(index, flipped=flipped)
        chosen = rng.permutation(len(found.classes))[: self.config.prompts.objects]
        masks, ignored = found.masks(chosen, self.data.size // MASK_STRIDE)
        letterbox = Letterbox(found.image_hw, self.data.size)
        valid = low_resolution(letterbox) * (1 - torch.from_numpy(ignored).float())

        def image() -> Tensor:
            return torch.from_numpy(to_tensor(self.data.image(index, flipped=flipped), letterbox)[0])

        key = f"{self.key(index)} {flipped}"
        given = image() if self.features is None else self.features.of(key, image)
        return Example(given, torch.from_numpy(masks), valid, torch.from_numpy(found.classes[chosen]), rng)

    def train_mode(self) -> None:
        """Evaluation mode throughout: nothing drops out, and BatchNorm keeps its statistics."""
        self.sam.eval()

    def loss(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """ "loss" and its parts, means over the photos."""
        given = torch.stack([example.input_chw for example in examples]).to(self.device)
        features = self._rest(given)
        found = [self._photo(f[None], example) for f, example in zip(features, examples, strict=True)]
        parts = {name: torch.stack([one[name] for one in found]).mean() for name in found[0]}
        total = self.config.prompts.weigh(parts)
        if self.head is not None:
            total = total + self.config.finetune.classes * parts["class"]
        return {"loss": total, **parts}

    def _photo(self, features_1chw: Tensor, example: Example) -> dict[str, Tensor]:
        """The losses of a photo's objects, means over objects and rounds."""
        true, valid = example.masks_nhw.to(self.device), example.valid_nhw.to(self.device)
        size, config, rng = self.data.size, self.config, example.rng
        given = first_prompts(true, size, config.prompts, rng)
        rounds = []
        for number in range(config.prompts.rounds):
            lone_n = (given.labels_bn[:, 1] == PADDING) & (number == 0)
            logits, iou = self.sam.decode(features_1chw, given.coords_bn2, given.labels_bn, given.mask_b1hw)
            rounds.append(_losses(logits, iou, true, valid, lone_n, config))
            if number + 1 < config.prompts.rounds:
                shown = torch.where(lone_n, 1 + iou[:, 1:].argmax(1), 0)
                answer = logits.detach()[torch.arange(len(shown)), shown]
                found = (answer > 0) & (valid > 0)
                feedback = answer[:, None] if rng.random() < config.finetune.feedback else None
                given = corrected(given, found, true & (valid > 0), size, rng, feedback)
        parts = {name: torch.stack([one[name] for one in rounds]).mean() for name in rounds[0]}
        if self.head is not None:
            parts["class"] = self._class_loss(features_1chw, true, example.classes_n.to(self.device))
        return parts

    def _class_loss(self, features_1chw: Tensor, true_nhw: Tensor, classes_n: Tensor) -> Tensor:
        """Cross-entropy over objects that have a class."""
        assert self.head is not None
        scores = self.head(under_masks(features_1chw, true_nhw))
        return F.cross_entropy(scores, classes_n, ignore_index=-1, reduction="sum") / (classes_n >= 0).sum().clamp(
            min=1
        )

    @torch.no_grad()
    def pictures(self) -> list[U8]:
        """Of some photos: some true masks, and under them what the network makes of their boxes."""
        found: list[U8] = []
        for index in range(len(self)):
            if len(found) == PICTURES:
                break
            try:
                example = self._example(index, np.random.default_rng(index), flipped=False)
            except ImageError:
                continue
            true = example.masks_nhw.to(self.device)
            exact = replace(self.config.prompts, boxes=1.0, noise=0.0)
            given = first_prompts(true, self.data.size, exact, example.rng)
            features = self._rest(example.input_chw[None].to(self.device))
            logits, _ = self.sam.decode(features, given.coords_bn2, given.labels_bn)
            found.append(self._drawn(index, [true, logits[:, 0] > 0]))
        return found

    def _drawn(self, index: int, sets: Sequence[Tensor]) -> U8:
        """Masks over a photo, at their own resolution, one set under the other."""
        image = self.data.image(index, flipped=False)
        small = Letterbox((image.shape[0], image.shape[1]), self.data.size // MASK_STRIDE).resize(image)
        height, width = small.shape[:2]
        drawn = [plot.draw(small, masks[:, :height, :width].cpu().numpy(), line=1) for masks in sets]
        return np.concatenate(drawn)

    def save(self, path: Path, about: dict[str, str]) -> None:
        """Write the network, with the names of its classes."""
        save_model(path, self.sam, about, names=list(self.data.names) or None)


def _losses(
    logits_n4hw: Tensor, iou_n4: Tensor, true_nhw: Tensor, valid_nhw: Tensor, lone_n: Tensor, config: Config
) -> dict[str, Tensor]:
    """Of the single mask, and after a lone click also of the best of the three others; means over objects."""
    true = true_nhw[:, None].float().expand_as(logits_n4hw)
    valid = valid_nhw[:, None].expand_as(logits_n4hw)
    each = {
        "focal": losses.focal(logits_n4hw, true, valid),
        "dice": losses.dice(logits_n4hw, true, valid),
        "iou": losses.iou_error(iou_n4, logits_n4hw, true, valid),
    }
    weights = config.prompts
    best_n = 1 + (weights.focal * each["focal"] + weights.dice * each["dice"])[:, 1:].argmin(1)
    rows = torch.arange(len(best_n), device=best_n.device)
    of_three = {name: values[rows, best_n] for name, values in each.items()}
    of_three["iou"] = each["iou"][:, 1:].mean(1)  # each of the three learns how good it is
    return {name: (values[:, 0] + lone_n * of_three[name]).mean() for name, values in each.items()}


def choose_trained(sam: Sam, config: Config) -> None:
    """Let only those parameters change that `finetune.train` names."""
    parts = config.finetune.parts
    sam.requires_grad_("all" in parts)
    if "decoder" in parts:
        sam.mask_decoder.requires_grad_(True)
    if "neck" in parts:
        neck_of(sam).requires_grad_(True)
    if "lora" in parts:
        lora.add(sam.image_encoder, config.finetune.rank, config.loop.seed)
    for name, parameter in sam.image_encoder.named_parameters():
        if name.startswith(UNUSED):
            parameter.requires_grad_(False)


def neck_of(sam: Sam) -> nn.Module:
    """The encoder's last layers: TinyViT's and ViT's are the same."""
    encoder: Any = sam.image_encoder
    neck: nn.Module = encoder.neck
    return neck


def split(sam: Sam, parts: Sequence[str]) -> tuple[Map | None, Map]:
    """What of the encoder stays as it is, or None, and what comes after it."""
    if {"lora", "all"} & set(parts):
        return None, sam.encode
    encoder: Any = sam.image_encoder
    return (encoder.trunk, neck_of(sam)) if "neck" in parts else (sam.encode, nn.Identity())


def finetune(
    data: Source | Sequence[Source],
    output: str | Path,
    config: Config,
    *,
    model: str | Path = DEFAULT,
    layout: str | None = None,
    values: Values | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    say: Say | None = None,
) -> Result:
    """Train a model on labelled photos, in any layout that `val` reads; `config.finetune` says which part of it.

    `layout` and `values` are those of `SAM.val`. `say` gets lines for people. Under torchrun all processes call it.

    Raises InputError (no such layout, no objects, no categories for classes, an earlier run without `resume`),
    SourceNotFoundError, TrainingError, OutputError, MissingDependencyError.
    """
    say = say or (lambda _: None)
    with joined(device) as world:
        checkpoint, sam = teacher_of(str(model))
        found = labelled(data, checkpoint.img_size, layout=layout, values=values, classes=config.finetune.classes > 0)
        task = Finetuning(config, found, sam, checkpoint.digest, Path(output), world)
        if world.is_first:
            trained = sum(p.numel() for p in sam.parameters() if p.requires_grad)
            say(
                f"{len(found)} photos; {trained:,} values of {checkpoint.model_id} are trained: {config.finetune.train}"
            )
            if checkpoint.description.names and not found.names:
                say(f"the classes of {checkpoint.path} are left out: set finetune.classes to train some")
        result = train(task, config, output, world, resume=resume, progress=progress)
        if task.features and world.is_first:
            task.features.remove()
        return result
