"""The network that is trained: built, given the weights that fit, and put into the mode it is trained in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..backends.checkpoint import Checkpoint
from ..catalog import locate
from ..errors import InputError
from ..nn.checkpoint import load_sam
from ..nn.config import STUDENTS, TinyVitConfig
from ..nn.sam import Sam, build_student
from .config import PARTS, Student
from .optim import depth_below_top

UNUSED = ("norm_head.", "head.")
"""The encoder's parts that no forward pass reads."""


def config_of(student: Student) -> TinyVitConfig:
    """Widths and depths. Raises InputError for an unknown architecture."""
    if student.arch not in STUDENTS:
        raise InputError(f"Unknown student {student.arch!r}; choose one of: {', '.join(STUDENTS)}.")
    found = STUDENTS[student.arch]
    if student.dims:
        one, two, three, four = student.dims
        first, second, third, fourth = (max(1, dim // 32) for dim in student.dims)
        found = replace(found, dims=(one, two, three, four), heads=(first, second, third, fourth))
    if student.depths:
        one, two, three, four = student.depths
        found = replace(found, depths=(one, two, three, four))
    return found


def teacher_of(model: str) -> tuple[Checkpoint, Sam]:
    """A model's weights file and its network, frozen. Raises as `locate` and `Checkpoint`."""
    checkpoint = Checkpoint(locate(model))
    sam = load_sam(checkpoint.architecture, checkpoint.img_size, checkpoint.state())
    return checkpoint, sam.eval().requires_grad_(False)


def build(student: Student, teacher: Sam, seed: int) -> tuple[Sam, int]:
    """A student with the teacher's prompt encoder and decoder, and how many values of its encoder came from `init`.

    Only the encoder is to be trained. Raises InputError, and as `teacher_of` for `init`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sam = build_student(config_of(student), student.img_size)
    sam.prompt_encoder.load_state_dict(teacher.prompt_encoder.state_dict())
    sam.mask_decoder.load_state_dict(teacher.mask_decoder.state_dict())
    sam.requires_grad_(False)
    copied = 0
    if student.init:
        _, source = teacher_of(student.init)
        copied = copy_fitting(sam.image_encoder, source.image_encoder.state_dict())
        if not copied:
            raise InputError(f"Not one tensor of student.init {student.init!r} fits the student; leave it empty.")
    for name, parameter in sam.image_encoder.named_parameters():
        is_frozen_part = PARTS - depth_below_top(name) < student.freeze
        parameter.requires_grad_(not name.startswith(UNUSED) and not is_frozen_part)
    return sam, copied


@torch.no_grad()
def copy_fitting(model: nn.Module, state: dict[str, Tensor]) -> int:
    """Copy the tensors whose names and shapes agree; how many values that were."""
    copied = 0
    for name, mine in model.state_dict().items():
        if name in state and state[name].shape == mine.shape:
            mine.copy_(state[name])
            copied += mine.numel()
    return copied


def train_mode(sam: Sam, student: Student) -> None:
    """Training mode for what is trained; BatchNorm as `student.batch_norm` says.

    Weights from `init` bring the statistics they were trained with, or have them folded into their kernels (then mean 0
    and variance 1 are stored, which are no statistics at all); live ones of a few photos would throw the network off.
    Random weights have no statistics worth keeping.
    """
    sam.image_encoder.train()
    if is_frozen(student):
        for norm in batch_norms(sam):
            norm.eval()


def is_frozen(student: Student) -> bool:
    """True where BatchNorm's statistics are kept."""
    return student.batch_norm == "frozen" or (student.batch_norm == "auto" and bool(student.init))


def batch_norms(sam: nn.Module) -> Iterator[nn.Module]:
    """All BatchNorm layers."""
    return (module for module in sam.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))  # noqa: SLF001
