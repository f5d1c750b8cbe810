"""ncnn for phones and small boards, converted by pnnx: one prompt of a fixed number of points."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ExportError
from ..networks import Networks


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write encoder and decoder as .ncnn.param (the graph) and .ncnn.bin (weights); blobs are in0.. and out0...

    "fp16" stores weights in half precision. There is no int8: ncnn's needs calibration, and rounds activations too.
    Raises ExportError where pnnx leaves an operator that ncnn doesn't have.
    """
    for part, inputs in (("encoder", networks.encoder_inputs()), ("decoder", networks.decoder_inputs())):
        with tempfile.TemporaryDirectory() as scratch:  # pnnx writes nine files, two of them ncnn's
            traced = Path(scratch) / f"{part}.pt"
            _trace(getattr(networks, part), inputs).save(str(traced))
            _run_pnnx(traced, inputs, half=precision == "fp16")
            param, weights = (traced.with_name(f"{part}.ncnn.{suffix}") for suffix in ("param", "bin"))
            check_layers(param.read_text(encoding="utf-8"), part)
            for path in (param, weights):
                shutil.copyfile(path, folder / path.name)


def _trace(network: nn.Module, inputs: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about values taken for fixed, which sizes are here; that it is deprecated
        trace: Any = torch.jit.trace
        traced: torch.jit.ScriptModule = trace(network, inputs, check_trace=False)
    return traced


def _run_pnnx(traced: Path, inputs: Sequence[Tensor], *, half: bool) -> None:
    """The program itself: the package's `export` also imports the Python file that pnnx writes."""
    import pnnx

    shapes = ",".join(f"[{','.join(map(str, tensor.shape))}]f32" for tensor in inputs)
    command = [pnnx.EXEC_PATH, str(traced), f"inputshape={shapes}", f"fp16={int(half)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=traced.parent)  # noqa: S603  # no shell
    if done.returncode != 0 or not traced.with_suffix(".ncnn.bin").is_file():
        last = "; ".join((done.stderr or done.stdout).splitlines()[-3:])
        raise ExportError(f"pnnx failed with code {done.returncode} ({last}). Try the versions in docs/export.md.")


def check_layers(param: str, part: str) -> None:
    """Raises ExportError for operators that pnnx only passed on: it writes them as PyTorch calls them, with a dot."""
    layers = {line.split()[0] for line in param.splitlines()[2:]}
    if unknown := sorted(layer for layer in layers if "." in layer or ":" in layer):
        raise ExportError(
            f"ncnn has no {', '.join(unknown)}, which pnnx left in the {part}. Export to onnx or litert instead."
        )
