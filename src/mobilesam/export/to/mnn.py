"""MNN for phones, converted from ONNX: one prompt of a fixed number of points."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from ...errors import ExportError
from ..contract import CONTRACT, sizes
from ..networks import Networks
from ..onnx_file import onnx_file

OPTIONS = {"fp32": (), "fp16": ("--fp16",), "int8": ("--weightQuantBits", "8")}
CONVERTER = "import sys, _tools; _tools.mnnconvert(sys.argv)"
"""The package's compiled converter, in a process of its own since it may end it. Not the command `mnnconvert` or the
module MNN.tools.mnnconvert: when they are imported they install a package with pip, and report to a server."""


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write encoder.mnn and decoder.mnn; inputs and outputs have the contract's names.

    "fp16" stores weights in half precision, "int8" in 8 bits with a scale for each output channel; arithmetic is
    the reader's choice. Raises ExportError where MNN refuses.
    """
    for part, inputs in (("encoder", networks.encoder_inputs()), ("decoder", networks.decoder_inputs())):
        names = [tensor.name for tensor in CONTRACT[part].inputs]
        shapes = sizes(networks.img_size, 1, networks.points)
        outputs = {tensor.name: tensor.shape(shapes) for tensor in CONTRACT[part].outputs}
        example = dict(zip(names, inputs, strict=True))
        data = onnx_file(getattr(networks, part), example, None, names, outputs, opset=20, ir_version=10)
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / f"{part}.onnx"
            source.write_bytes(data)
            _run_converter(source, folder / f"{part}.mnn", OPTIONS[precision])


def _run_converter(source: Path, target: Path, options: tuple[str, ...]) -> None:
    files = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "mobilesam"]
    command = [sys.executable, "-c", CONVERTER, *files, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # no shell
    if done.returncode != 0 or not target.is_file():
        last = "; ".join((done.stderr or done.stdout).splitlines()[-3:])
        raise ExportError(f"MNN's converter failed with code {done.returncode} ({last}). Export to onnx instead.")
