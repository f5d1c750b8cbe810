"""A run that starts from a loaded model: `SAM.train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._optional import require
from ..backends.checkpoint import Checkpoint
from ..errors import InputError
from .config import load

if TYPE_CHECKING:
    from .loop import Result

RECIPES = {"finetune": "finetune_small", "distill": "mobilesam_100k"}
"""Each task's own."""


def start(
    checkpoint: Checkpoint | None,
    data: Any,
    output: str | Path,
    *,
    task: str,
    recipe: str | Path | None = None,
    changes: Sequence[str] = (),
    **more: Any,
) -> Result:
    """Fine-tune the model of a checkpoint, or distil from it; `more` goes to `finetune` or `distill`.

    `recipe` is a TOML file or a name (`RECIPES` by default), with `changes` like "loop.steps=50".
    Raises InputError for an unknown task, another task's recipe, a model without a weights file, and as the tasks.
    """
    require("torch", "train", "Training")
    if checkpoint is None:
        raise InputError("train() starts from a weights file, and this SAM was made without one.")
    if task not in RECIPES:
        raise InputError(f"task must be one of {', '.join(RECIPES)}, got {task!r}.")
    config = load(recipe or RECIPES[task], changes)
    if config.task != task:
        raise InputError(f"The recipe {str(recipe)!r} is for task {config.task!r}, asked for is {task!r}.")
    if task == "finetune":
        from .finetuning import finetune  # noqa: PLC0415  # torch, which was asked for just now

        return finetune(data, output, config, model=checkpoint.path, **more)
    from .distillation import distill  # noqa: PLC0415  # as above

    return distill(data, output, config, teacher=checkpoint.path, **more)
