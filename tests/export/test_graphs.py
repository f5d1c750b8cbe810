from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

from mobilesam.backends.graph import named_in, with_initializers
from mobilesam.catalog.models import ARCHS, CUTS, FILES
from mobilesam.export.graphs import PARTS, graph, weightless, write_architecture
from mobilesam.nn.sam import Sam, build_sam

# The exporter's own: it still touches deprecated parts of torch and copyreg.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
SIZE = 256
QUICK = ("mobile_sam",)
SLOW = tuple(arch for arch in ARCHS if arch not in QUICK)


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(0)
    made = build_sam(img_size=SIZE)
    for key, value in made.state_dict().items():  # statistics that a graph could not skip unnoticed
        if key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return made


@pytest.fixture(scope="module")
def graphs() -> dict[str, bytes]:
    """Made without weights, as all that are kept in files."""
    model = weightless("mobile_sam", SIZE)
    return {part: graph(model, part) for part in PARTS}


def run(graphs: dict[str, bytes], part: str, sam: Sam, **inputs: np.ndarray) -> list[np.ndarray]:
    state = {key: value.numpy() for key, value in sam.state_dict().items()}
    weights = {key: state[key] for key in named_in(graphs[part], state)}
    options = ort.SessionOptions()
    options.add_external_initializers(list(weights), [ort.OrtValue.ortvalue_from_numpy(v) for v in weights.values()])
    session = ort.InferenceSession(
        with_initializers(graphs[part], weights), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


def test_the_encoder_at_another_size(sam: Sam, graphs: dict[str, bytes]) -> None:
    image = np.random.default_rng(0).normal(size=(1, 3, SIZE, SIZE)).astype(np.float32)
    (features,) = run(graphs, "encoder", sam, image=image)
    with torch.inference_mode():
        expected = sam.encode(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(features, expected, atol=1e-4)


@pytest.mark.parametrize(("prompts", "tokens"), [(1, 1), (1, 2), (3, 5), (2, 0)])
@pytest.mark.parametrize("part", ["decoder", "decoder_masked"])
def test_the_decoders_for_any_number_of_prompts(sam, graphs, part, prompts, tokens) -> None:
    random = np.random.default_rng(1)
    arrays = [
        random.normal(size=(1, 256, SIZE // 16, SIZE // 16)),
        random.uniform(0, SIZE, (prompts, tokens, 2)),
        random.integers(-1, 4, (prompts, tokens)),
    ]
    if part == "decoder_masked":
        arrays.append(random.normal(0, 5, (prompts, 1, SIZE // 4, SIZE // 4)))
    features, coords, labels, *mask = (array.astype(np.float32) for array in arrays)
    found = decode(graphs, part, sam, features, coords, labels, *mask)
    with torch.inference_mode():
        expected = sam.decode(*(torch.from_numpy(a) for a in (features, coords, labels, *mask)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-4)


@pytest.mark.parametrize("hw", [(8, 8), (5, 8), (8, 3)])
def test_the_decoder_on_a_smaller_map(sam: Sam, graphs: dict[str, bytes], hw: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    features = random.normal(size=(1, 256, *hw)).astype(np.float32)
    coords, labels = np.full((3, 1, 2), 40, np.float32), np.ones((3, 1), np.float32)
    found = decode(graphs, "decoder", sam, features, coords, labels)
    with torch.inference_mode():
        expected = sam.decode(*(torch.from_numpy(a) for a in (features, coords, labels)))
    assert found[0].shape == (3, 4, 4 * hw[0], 4 * hw[1])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-4)


def decode(graphs, part, sam, features, coords, labels, *mask) -> list[np.ndarray]:
    (tokens,) = run(graphs, "prompts", sam, coords=coords, labels=labels)
    return run(graphs, part, sam, features=features, tokens=tokens, **({"mask": mask[0]} if mask else {}))


@pytest.mark.slow  # a minute; that the shipped graphs give the networks' values is tests/contracts' work
@pytest.mark.parametrize("arch", [*QUICK, *SLOW])
def test_the_shipped_files_are_those_of_the_networks_as_they_are(arch: str, tmp_path: Path) -> None:
    """Whoever changes nn/ runs scripts/build_weights.py again; byte for byte with the versions in constraints.txt."""
    write_architecture(arch, tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {f"{arch}.keys.json", f"{arch}_encoder.onnx.graph"} <= made.keys()
    for name, content in made.items():
        assert content == (FILES / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("rows", CUTS)
def test_the_shipped_encoders_of_a_part_too(rows: int) -> None:
    assert graph(weightless("mobile_sam"), f"encoder_{rows}") == ARCHS["mobile_sam"].graph(f"encoder_{rows}")


def test_the_decoder_without_a_mask_is_the_same_for_every_input_size(graphs: dict[str, bytes]) -> None:
    """What a student of another size relies on."""
    assert graphs["decoder"] == ARCHS["mobile_sam"].graph("decoder")


def test_equal_constants_are_kept_once() -> None:
    from mobilesam.export.graphs import share_equal_tensors

    tensors = [helper.make_tensor(name, TensorProto.FLOAT, [2], values) for name, values in
               (("a", [1, 2]), ("b", [1, 2]), ("c", [1, 3]))]  # fmt: skip
    nodes = [helper.make_node("Add", ["a", "b"], ["x"]), helper.make_node("Add", ["x", "c"], ["y"])]
    graph = helper.make_graph(nodes, "g", [], [], tensors)
    share_equal_tensors(graph)
    assert [t.name for t in graph.initializer] == ["a", "c"]
    assert [list(n.input) for n in graph.node] == [["a", "a"], ["x", "c"]]
