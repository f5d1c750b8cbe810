"""TorchScript, traced: any number of prompts and points."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from ..networks import Networks


def convert(networks: Networks, folder: Path, *, precision: str) -> None:  # noqa: ARG001  # one exists
    """Write encoder.pt and decoder.pt. Only "fp32" exists: what stores half precision computes in it too."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is announced as deprecated; LibTorch's users still need it
        for part, inputs in (
            ("encoder", networks.encoder_inputs()),
            ("decoder", networks.decoder_inputs(prompts=2, points=3)),
        ):
            traced = torch.jit.trace(getattr(networks, part), inputs, check_trace=False)  # type: ignore[no-untyped-call]
            torch.jit.save(torch.jit.freeze(traced.eval()), folder / f"{part}.pt")
