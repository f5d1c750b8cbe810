"""torch.export's programs: any number of prompts and points."""

from __future__ import annotations

from pathlib import Path

import torch

from ..networks import Networks


def convert(networks: Networks, folder: Path, *, precision: str) -> None:  # noqa: ARG001  # one exists
    """Write encoder.pt2 and decoder.pt2."""
    _save(torch.export.export(networks.encoder, networks.encoder_inputs()), folder / "encoder.pt2")
    prompts, points = torch.export.Dim("prompts"), torch.export.Dim("points")
    free = (None, {0: prompts, 1: points}, {0: prompts, 1: points}, {0: prompts}, None)
    inputs = networks.decoder_inputs(prompts=2, points=3)
    _save(torch.export.export(networks.decoder, inputs, dynamic_shapes=free, strict=False), folder / "decoder.pt2")


def _save(program: torch.export.ExportedProgram, path: Path) -> None:
    program.example_inputs = None  # a photo of zeros would be a third of the file
    torch.export.save(program, path)
