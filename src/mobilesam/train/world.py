"""The processes that train together: one, or as many as torchrun started, on one machine or several.

Gradients are averaged by one all_reduce after the last part of a batch rather than by DistributedDataParallel: a loss
here is more than one module's forward, and DDP, with gradient accumulation, silently leaves a parameter out of the
average that only an earlier part of the batch used (the mask prompts' layers in fine-tuning). For 5 to 21 million
parameters the overlap that DDP would bring is worth milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import InputError

PATIENCE = timedelta(hours=6)
"""Others wait so long while the first process validates."""


@dataclass(frozen=True)
class World:
    """This process among all."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """True for the one process that writes files."""
        return self.rank == 0

    def share(self, batch: int, parts: int) -> int:
        """Photos of this process in each part of a batch. Raises InputError where it doesn't come out even."""
        if batch % (self.size * parts):
            raise InputError(f"loop.batch {batch} isn't a multiple of {self.size} processes x accumulate {parts}.")
        return batch // (self.size * parts)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by their means over all processes."""
        if self.size == 1:
            return
        listed = list(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in listed])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for tensor in listed:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def same(self, value: float) -> float:
        """The first process's value."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return float(tensor)

    def prepare(self, model: nn.Module) -> None:
        """Move a model to this device, and let processes share BatchNorm's statistics where they are live.

        Raises InputError for live statistics in several processes on CPUs, for which PyTorch has no SyncBatchNorm.
        """
        model.to(self.device)
        norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]  # noqa: SLF001
        if self.size == 1 or not norms:
            return
        if self.device.type != "cuda":
            raise InputError(
                "BatchNorm with live statistics needs one process or GPUs: set student.batch_norm = 'frozen', or train "
                "in one process."
            )
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]


@contextmanager
def joined(device: str = "auto") -> Iterator[World]:
    """This process's place among those that torchrun started; alone without torchrun.

    `device` is "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1" or "mps".
    """
    is_launched = dist.is_available() and dist.is_torchelastic_launched()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not is_launched:
        yield World(torch.device(device))
        return
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    try:
        place = torch.device(device, dist.get_node_local_rank()) if device == "cuda" else torch.device(device)
        if place.type == "cuda":
            torch.cuda.set_device(place)
        yield World(place, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
