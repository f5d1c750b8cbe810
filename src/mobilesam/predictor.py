"""Predictor: from pixels to an embedding, from prompts to masks; the only orchestrator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .backends.base import Backend
from .embedding import Embedding
from .errors import InputError
from .geometry import MASK_STRIDE, Letterbox
from .image import to_tensor
from .prompts import Prompt
from .results import Results
from .types import F32, U8, Int, Multimask

BATCH = 16
"""Prompts decoded at once: larger batches are no faster on a CPU and leave its cache."""
MULTIMASK = (False, True, "best")


class Predictor:
    """A backend and nothing else: no state changes between calls, so threads may share it."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def letterbox(self, image_rgb: U8) -> Letterbox:
        """How this image lies in the model's square."""
        height, width = image_rgb.shape[:2]
        return Letterbox((height, width), self.backend.info.img_size)

    def embed(self, image_rgb: U8, *, name: str = "image0", path: Path | None = None) -> Embedding:
        """The embedding of an RGB image (H, W, 3) uint8."""
        letterbox = self.letterbox(image_rgb)
        features = self.backend.encode(to_tensor(image_rgb, letterbox))
        return Embedding(features, letterbox, self.backend.info.model_id, image_rgb, name, path)

    def predict(self, embedding: Embedding, prompts: Sequence[Prompt], multimask: Multimask = False) -> Results:
        """The masks of all prompts, in their order.

        `multimask` False returns the single-mask output; True three masks a prompt, prompt by prompt;
        "best" of these three the one with the highest predicted IoU.
        Raises InputError for an embedding of another model.
        """
        if multimask not in MULTIMASK:
            raise InputError(f"multimask must be False, True or 'best', got {multimask!r}.")
        if embedding.model_id != self.backend.info.model_id:
            raise InputError(
                f"The embedding was made by {embedding.model_id}, this model is {self.backend.info.model_id}; "
                "embed the image again."
            )
        low = self.backend.info.img_size // MASK_STRIDE
        per_prompt = 3 if multimask is True else 1
        low_res = np.empty((len(prompts), per_prompt, low, low), np.float32)
        iou = np.empty((len(prompts), per_prompt), np.float32)
        for index, (logits_bmhw, iou_bm) in self.decoded(embedding, prompts):
            rows, chosen = np.arange(len(index))[:, None], _choose(iou_bm, multimask)
            low_res[index], iou[index] = logits_bmhw[rows, chosen], iou_bm[rows, chosen]
        return Results(
            low_res=low_res.reshape(-1, low, low),
            iou=iou.reshape(-1),
            prompt_index=np.repeat(np.arange(len(prompts)), per_prompt),
            letterbox=embedding.letterbox,
            image=embedding.image,
            path=embedding.path,
            name=embedding.name,
        )

    def decoded(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Iterator[tuple[Int, tuple[F32, F32]]]:
        """Indices of some prompts, and the decoder's answer to them: logits (b, 4, ...) and predicted IoU (b, 4).

        Prompts of equal length go together: padding them to one length would change their masks.
        """
        for index in _groups(prompts, embedding.letterbox):
            tokens = [prompts[i].tokens(embedding.letterbox) for i in index]
            coords_bn2, labels_bn = np.stack([t[0] for t in tokens]), np.stack([t[1] for t in tokens])
            masks = [mask for i in index if (mask := prompts[i].mask_hw) is not None]
            mask_b1hw = np.stack(masks)[:, None] if masks else None
            yield index, self.backend.decode(embedding.features_bchw, coords_bn2, labels_bn, mask_b1hw)


def _groups(prompts: Sequence[Prompt], letterbox: Letterbox) -> Iterator[Int]:
    """Indices of prompts with equally many tokens and alike in having a mask, at most `BATCH` at a time."""
    alike: dict[tuple[int, bool], list[int]] = {}
    for i, prompt in enumerate(prompts):
        key = (len(prompt.tokens(letterbox)[1]), prompt.mask_hw is not None)
        alike.setdefault(key, []).append(i)
    for members in alike.values():
        for start in range(0, len(members), BATCH):
            yield np.array(members[start : start + BATCH])


def _choose(iou_bm: F32, multimask: Multimask) -> Int:
    """Which of the four masks are returned: (B, 1) or (B, 3)."""
    count = len(iou_bm)
    if multimask == "best":
        return np.asarray(1 + iou_bm[:, 1:].argmax(axis=1)[:, None])
    wanted = [1, 2, 3] if multimask else [0]
    return np.tile(np.array(wanted), (count, 1))
