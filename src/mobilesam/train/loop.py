"""The loop: batches in an order that is a function of seed and step, AdamW, validation, states to go on from.

`train` is read from top to bottom; what is learnt is a `Task`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..ahead import ahead
from ..errors import ImageError, InputError, MobileSAMError, SourceNotFoundError, TrainingError
from ..nn.sam import Sam
from ..types import U8, Int
from . import state
from .config import Config
from .log import Log
from .optim import Average, groups, learning_rate
from .validate import validate
from .world import World

LAST, BEST = "last.safetensors", "best.safetensors"
Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and a word on how it goes."""


Say = Callable[[str], None]
"""Called with lines for people."""


class Task(Protocol):
    """What is learnt: photos, a loss, and what of the network may change (`requires_grad`)."""

    sam: Sam

    @property
    def data_hash(self) -> str:
        """Of photos and targets: a run goes on only with the same."""

    def __len__(self) -> int:
        """Photos."""

    def key(self, index: int) -> str:
        """A photo's name, for people."""

    def load(self, index: int, rng: np.random.Generator) -> Any:
        """A photo and its targets, on the CPU; called by threads. Raises ImageError: the next photo is taken."""

    def train_mode(self) -> None:
        """Put `sam` into the mode it is trained in."""

    def loss(self, examples: Sequence[Any]) -> dict[str, Tensor]:
        """Means over the examples; "loss" is made small, the others are logged."""

    def pictures(self) -> list[U8]:
        """Sample masks of the network as it is."""

    def save(self, path: Path, about: dict[str, str]) -> None:
        """Write the network as it is, for `SAM(path)`."""


@dataclass
class Progressed:
    """How far a run is: what a state remembers beside tensors."""

    step: int = 0
    best: float = -math.inf
    best_step: int = 0
    worse: int = 0
    """Validations since the best one."""


@dataclass
class Result:
    """What a run leaves."""

    model: Path
    """The best weights by validation, else the last."""
    steps: int
    losses: dict[str, float]
    """Of the last step."""
    score: float | None
    """The best validation's."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Photos that couldn't be read, and why."""


def train(
    task: Task,
    config: Config,
    output: str | Path,
    world: World,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Train until the steps are done or validation no longer improves; OUT has the weights, log and state.

    Raises InputError (an earlier run in `output` without `resume`, another configuration or data with it),
    TrainingError (a loss that is no number, too little memory), OutputError.
    """
    run = _Run(task, config, Path(output), world, resume)
    losses: dict[str, float] = {}
    try:
        for batch in run.batches():
            with _memory_hint(config):
                losses = run.step(batch)
            if progress and world.is_first:
                progress(run.done.step, config.loop.steps, f"loss {losses['loss']:.4g}")
            if run.looked_after(losses):
                break
    finally:
        run.close()
    has_best = bool(config.validation.data) and run.done.best > -math.inf
    skipped = run.log.skipped if run.log else {}
    score = run.done.best if has_best else None
    return Result(run.folder / (BEST if has_best else LAST), run.done.step, losses, score, skipped)


Batch = list[tuple[str, Any]]
"""Photos' keys and examples of this process."""


class _Run:
    """The parts of a run, and one step of it."""

    def __init__(self, task: Task, config: Config, folder: Path, world: World, resume: bool) -> None:
        self.task, self.config, self.folder, self.world = task, config, folder, world
        if len(task) == 0:
            raise InputError("There are no photos to train on.")
        self.part = world.share(config.loop.batch, config.loop.accumulate)
        task.train_mode()
        world.prepare(task.sam)
        self.trained = [p for p in task.sam.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(groups(task.sam, config.optimiser), lr=config.optimiser.lr)
        self.average = Average(task.sam, config.loop.ema)
        self.done = Progressed()
        self._begin(resume)
        self.log = Log(folder, self.done.step) if world.is_first else None

    def _begin(self, resume: bool) -> None:
        path = self.folder / state.FILE
        if path.exists() and not resume:
            raise InputError(
                f"{self.folder} has an earlier run; go on with resume (--resume), or choose another folder."
            )
        if not path.exists():
            return
        about = state.read(path, self.task.sam, self.optimizer, self.average)
        if about["data"] != self.task.data_hash:
            raise InputError(f"{self.folder} was trained on other photos or embeddings; choose another folder.")
        if other := _differences(about["config"], json.loads(json.dumps(self.config.to_dict()))):
            raise InputError(
                f"{self.folder} was begun with another {other[0]}; go on as it was, or choose another folder."
            )
        self.done = Progressed(**about["done"])

    def batches(self) -> Iterator[Batch]:
        """This process's photos of each step that is left, read ahead by threads."""
        loop = self.config.loop
        mine = self.part * loop.accumulate
        first = self.world.rank * mine
        steps = range(0) if self.is_out_of_patience else range(self.done.step, loop.steps)
        positions = (step * loop.batch + first + i for step in steps for i in range(mine))
        examples = ahead(self._example, positions, loop.workers, most=2 * mine + loop.workers)
        while batch := list(islice(examples, mine)):
            yield batch

    def _example(self, position: int) -> tuple[str, Any]:
        """The photo at a position of the endless order; where it can't be read, the one after it."""
        count, seed = len(self.task), self.config.loop.seed
        index = int(_order(seed, position // count, count)[position % count])
        first: MobileSAMError | None = None
        for other in range(count):
            chosen = (index + other) % count
            try:
                return self.task.key(chosen), self.task.load(chosen, np.random.default_rng([seed, position]))
            except (ImageError, SourceNotFoundError) as error:
                first = first or error
                if self.log:
                    self.log.skip(self.task.key(chosen), str(error))
        raise first or InputError("There are no photos to train on.")

    def step(self, batch: Batch) -> dict[str, float]:
        """One optimiser step on a batch; the losses over all processes."""
        step, loop = self.done.step, self.config.loop
        rate = learning_rate(step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.optimizer.zero_grad(set_to_none=True)
        sums = [self._backward(batch[i : i + self.part]) for i in range(0, len(batch), self.part)]
        losses = {name: torch.stack([part[name] for part in sums]).mean() for name in sums[0]}
        self.world.average([*losses.values(), *self._gradients()])
        values = {name: float(value) for name, value in losses.items()}
        norm = float(torch.nn.utils.clip_grad_norm_(self.trained, self.config.optimiser.clip or math.inf))
        self._check({**values, "gradient": norm}, batch)
        self.optimizer.step()
        self.done.step = step + 1
        self.average.update(self.task.sam, self.done.step)
        return {**values, "gradient": norm, "lr": rate, "epoch": self.done.step * loop.batch / len(self.task)}

    def _backward(self, part: Batch) -> dict[str, Tensor]:
        device = self.world.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.config.loop.bf16):
            losses = self.task.loss([example for _, example in part])
        (losses["loss"] / self.config.loop.accumulate).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach().float() for name, value in losses.items()}

    def _gradients(self) -> list[Tensor]:
        """A gradient of every trained parameter: in all processes the same ones."""
        for parameter in self.trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [parameter.grad for parameter in self.trained if parameter.grad is not None]

    def _check(self, values: dict[str, float], batch: Batch) -> None:
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            kept = self.folder / state.FILE
            last = f"{kept} is good" if kept.exists() else "No state was saved yet"
            raise TrainingError(
                f"{bad[0]} is {values[bad[0]]} at step {self.done.step + 1}, on the photos "
                f"{', '.join(key for key, _ in batch)}. {last}; "
                "look at these photos, or begin anew in another folder with a smaller optimiser.lr."
            )

    def looked_after(self, losses: dict[str, float]) -> bool:
        """Logs, pictures, validation and states when they are due after a step; True where the run should stop."""
        step, loop = self.done.step, self.config.loop
        is_last = step == loop.steps
        if self.log and (step % loop.log_every == 0 or step == 1 or is_last):
            self.log.values(step, losses)
        wants_picture = loop.picture_every and (step % loop.picture_every == 0 or is_last)
        if self.log and wants_picture:
            with self._shown():
                self.log.pictures(step, self.task.pictures())
        if self.config.validation.data and (step % self.config.validation.every == 0 or is_last):
            self._validate()
        if step % loop.save_every == 0 or is_last or self.is_out_of_patience:
            self._save()
        return self.is_out_of_patience

    @property
    def is_out_of_patience(self) -> bool:
        """True where validation hasn't improved for long enough."""
        patience = self.config.validation.patience
        return bool(patience) and self.done.worse >= patience

    def _validate(self) -> None:
        score = 0.0
        if self.log:
            with self._shown():
                figures = validate(self.task.sam, self.config.validation, self.done.step)
                self.log.values(self.done.step, figures)
                score = float(np.mean(list(figures.values())))
                if score > self.done.best:
                    self.task.save(self.folder / BEST, self._about(score))
        score = self.world.same(score)
        better = score > self.done.best
        self.done.worse = 0 if better else self.done.worse + 1
        if better:
            self.done.best, self.done.best_step = score, self.done.step

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """Averaged weights in evaluation mode while the block runs."""
        with self.average.applied(self.task.sam):
            self.task.sam.eval()
            try:
                yield
            finally:
                self.task.train_mode()

    def _save(self) -> None:
        if not self.log:
            return
        about = {"done": vars(self.done), "config": self.config.to_dict(), "data": self.task.data_hash}
        with self._shown():
            self.task.save(self.folder / LAST, self._about(None))
        state.write(self.folder / state.FILE, self.task.sam, self.optimizer, self.average, about)

    def _about(self, score: float | None) -> dict[str, str]:
        """What a model's file remembers of how it was made."""
        return {
            "step": str(self.done.step),
            "score": "" if score is None else repr(score),
            "config": json.dumps(self.config.to_dict()),
            "data": self.task.data_hash,
            "mobilesam": __version__,
            "torch": torch.__version__,
        }

    def close(self) -> None:
        """Files are whole already; TensorBoard's are flushed."""
        if self.log:
            self.log.close()


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> Int:
    """The photos of an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


FREE = ("loop.workers", "loop.accumulate", "loop.log_every", "loop.save_every", "loop.picture_every")
"""What may change in a run that goes on: none of it changes what is learnt."""


def _differences(first: dict[str, Any], second: dict[str, Any], name: str = "") -> list[str]:
    """Keys with different values."""
    found = []
    for key in sorted(first.keys() | second.keys()):
        mine, theirs = first.get(key), second.get(key)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            found += _differences(mine, theirs, f"{name}{key}.")
        elif mine != theirs and name + key not in FREE:
            found.append(name + key)
    return found


@contextmanager
def _memory_hint(config: Config) -> Iterator[None]:
    """Too little memory as a TrainingError that says what helps."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.cuda.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        loop = config.loop
        raise TrainingError(
            f"Too little memory for {loop.batch // loop.accumulate} photos at once ({str(error).splitlines()[0]}). Set "
            f"loop.accumulate = {loop.accumulate * 2} for the same result in more parts"
            f"{'' if loop.bf16 else ', loop.bf16 = true'}, or a smaller loop.batch."
        ) from error
