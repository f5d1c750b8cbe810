"""What training leaves runs everywhere, without another step."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from conftest import COFFEE
from mobilesam import SAM, CheckpointError, InputError, OutputError
from mobilesam.backends import Checkpoint
from mobilesam.catalog import locate
from mobilesam.nn.checkpoint import load_sam
from mobilesam.train.checkpoint import save_model
from students import NARROW, SIZE, make_student

RUNTIMES = ("pytorch", "onnx", "openvino")
PROMPTS = ({"points": [[300, 200]], "multimask": True}, {"bboxes": [[170, 15, 425, 310]]})


def header_of(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])


def rewritten(path: Path, target: Path, *, drop: tuple[str, ...] = (), tensors=None, facts=None) -> Path:
    """The file with other tensors or another description."""
    described = json.loads(header_of(path)["__metadata__"]["mobilesam"])
    described.update(facts or {})
    kept = {key: value for key, value in load_file(path).items() if key not in drop}
    save_file(kept | (tensors or {}), target, {"mobilesam": json.dumps(described)})
    return target


def test_every_runtime_gives_the_masks_of_the_trained_model(student_file: Path) -> None:
    """The network as it was trained, and the runtimes, which fold its BatchNorm into the convolutions."""
    models = [SAM(student_file, runtime=runtime, precision="fp32") for runtime in RUNTIMES]
    embeddings = [sam.embed(COFFEE) for sam in models]
    trained = make_student()
    np.testing.assert_allclose(
        embeddings[0].features_bchw,
        models[0].predictor.backend.sam.encode(torch.from_numpy(_tensor(models[0]))).numpy(),
        atol=1e-5,
    )
    assert all(torch.equal(v, models[0].predictor.backend.sam.state_dict()[k]) for k, v in trained.state_dict().items())
    for sam, embedding in zip(models[1:], embeddings[1:], strict=True):
        np.testing.assert_allclose(embedding.features_bchw, embeddings[0].features_bchw, atol=1e-4)
        for prompt in PROMPTS:
            ours, theirs = sam.predict(embedding, **prompt)[0], models[0].predict(embeddings[0], **prompt)[0]
            assert ours.low_res.shape[1:] == (SIZE // 4, SIZE // 4)
            np.testing.assert_allclose(ours.low_res, theirs.low_res, atol=1e-4)
            np.testing.assert_allclose(ours.iou, theirs.iou, atol=1e-4)
        again = {"masks": ours.low_res[:1], "points": [[300, 200]]}
        ours, theirs = sam.predict(embedding, **again)[0], models[0].predict(embeddings[0], **again)[0]
        np.testing.assert_allclose(ours.low_res, theirs.low_res, atol=1e-4)


def _tensor(sam: SAM) -> np.ndarray:
    from mobilesam.image import to_rgb, to_tensor

    rgb = to_rgb(COFFEE)
    return to_tensor(rgb, sam.predictor.letterbox(rgb))


def test_everything_runs_on_a_student(student_file: Path) -> None:
    open_to_all = {"pred_iou_thresh": -9, "stability_score_thresh": 0, "points_per_side": 4}
    found, expected = (
        SAM(student_file, runtime=runtime, precision="fp32").everything(COFFEE, **open_to_all)
        for runtime in ("onnx", "pytorch")
    )
    assert len(expected) > 0
    assert [record["area"] for record in found] == pytest.approx([r["area"] for r in expected], rel=0.01)


def test_the_file_says_what_it_is(student_file: Path, run_cli) -> None:
    checkpoint = Checkpoint(student_file)
    assert (checkpoint.name, checkpoint.img_size, checkpoint.config) == ("tiny_vit_128", SIZE, NARROW)
    assert checkpoint.description.about == {"made by": "a test"}
    assert not [key for key in checkpoint.state() if key.startswith("graph.")]
    code, out, _ = run_cli("info", student_file, "--json")
    assert code == 0
    assert json.loads(out) | {"sha256": "", "path": "", "values": 0} == {
        "path": "",
        "architecture": "tiny_vit_128",
        "img_size": SIZE,
        "values": 0,
        "sha256": "",
        "made by": "a test",
    }


def test_the_same_model_gives_the_same_bytes(student_file: Path, tmp_path: Path) -> None:
    again = save_model(tmp_path / "again.safetensors", make_student(), {"made by": "a test"})
    assert again.read_bytes() == student_file.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_others_may_read_the_file_as_any_new_one(student_file: Path, tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    assert student_file.stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_model_of_the_catalog_needs_no_graphs(tmp_path: Path) -> None:
    sam = load_sam("mobile_sam", 1024, load_file(locate("mobilesam")))
    path = save_model(tmp_path / "tuned.safetensors", sam, {"data": "cells"})
    assert not [key for key in load_file(path) if key.startswith("graph.")]
    assert Checkpoint(path).name == "mobile_sam"
    assert Checkpoint(path).description.about == {"data": "cells"}
    for key, value in Checkpoint(path).state().items():
        np.testing.assert_array_equal(value, sam.state_dict()[key].numpy())


def test_saving_leaves_the_model_in_training(tmp_path: Path) -> None:
    sam = make_student().train()
    save_model(tmp_path / "s.safetensors", sam)
    assert all(module.training for module in sam.modules())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_description_of_other_widths(student_file: Path, tmp_path: Path, runtime: str) -> None:
    config = {"dims": [16, 32, 64, 64], "depths": [1, 1, 2, 1], "heads": [1, 2, 2, 4], "windows": [7, 7, 14, 7]}
    path = rewritten(student_file, tmp_path / "s.safetensors", facts={"config": config})
    with pytest.raises(CheckpointError, match=r"isn't the student .* of another shape: image_encoder\.layers\.1\."):
        SAM(path, runtime=runtime)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"format": 2}, "format is 2"),
        ({"img_size": 100}, "img_size 100"),
        ({"img_size": 10**9}, "img_size 1000000000"),
        ({"img_size": "128"}, "img_size '128'"),
        ({"config": {"dims": [16, 32]}}, "dims|depths"),
        (
            {"config": {"dims": [1, 1, 1, 1], "depths": [1, 1, 10**9, 1], "heads": [1] * 4, "windows": [7] * 4}},
            "depths",
        ),
        ({"config": {"dims": [16] * 4, "depths": [1] * 4, "heads": [3] * 4, "windows": [7] * 4}}, "heads"),
        ({"config": 7}, "damaged description"),
        ({"about": {"a": 1}}, "must be texts"),
        ({"graphs": 3}, "damaged description"),
        ({"names": [1, 2]}, "must be texts"),
    ],
)
def test_a_damaged_description(student_file: Path, tmp_path: Path, facts, message) -> None:
    with pytest.raises(CheckpointError, match=message):
        SAM(rewritten(student_file, tmp_path / "s.safetensors", facts=facts))


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 100_000])
def test_a_description_that_is_no_json_object(student_file: Path, tmp_path: Path, text: str) -> None:
    save_file(load_file(student_file), tmp_path / "s.safetensors", {"mobilesam": text})
    with pytest.raises(CheckpointError, match="damaged description"):
        SAM(tmp_path / "s.safetensors")


def test_a_student_written_by_another_program(student_file: Path, tmp_path: Path) -> None:
    save_file(load_file(student_file), tmp_path / "s.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="no description"):
        SAM(tmp_path / "s.safetensors")


def test_missing_and_surplus_tensors(student_file: Path, tmp_path: Path) -> None:
    key = "image_encoder.neck.0.weight"
    path = rewritten(student_file, tmp_path / "s.safetensors", drop=(key,), tensors={"x": np.zeros(1, np.float32)})
    with pytest.raises(CheckpointError, match=rf"1 missing: {key}; 1 surplus: x"):
        SAM(path)


@pytest.mark.parametrize("data", [np.zeros(0, np.uint8), np.arange(40, dtype=np.uint8)])
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_damaged_graph(student_file: Path, tmp_path: Path, runtime: str, data: np.ndarray) -> None:
    path = rewritten(student_file, tmp_path / "s.safetensors", tensors={"graph.encoder": data})
    with pytest.raises(CheckpointError, match="graph.encoder isn't the graph"):
        SAM(path, runtime=runtime).embed(COFFEE)


def test_a_graph_that_is_too_large_is_not_read(student_file: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("mobilesam.backends.checkpoint.MOST_GRAPH", 1000)
    with pytest.raises(CheckpointError, match="larger than 1000 bytes"):
        Checkpoint(student_file).graph("encoder")


def test_metas_interface_refuses_a_student(student_file: Path) -> None:
    from mobilesam.compat.segment_anything import sam_model_registry

    with pytest.raises(CheckpointError, match="only mobilesam.SAM runs"):
        sam_model_registry["vit_t"](checkpoint=student_file)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    sam = make_student()
    with pytest.raises(InputError, match="saved as .safetensors"):
        save_model(tmp_path / "s.pt", sam)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_model(tmp_path / "file/s.safetensors", sam)
    sam.image_encoder.extra = torch.nn.Linear(2, 2)
    with pytest.raises(CheckpointError, match=r"isn't a plain student: 2 surplus: image_encoder\.extra"):
        save_model(tmp_path / "s.safetensors", sam)
    with pytest.raises(InputError, match="multiple of 32"):
        save_model(tmp_path / "s.safetensors", make_student(size=48))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_student_as_onnx_files(student_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1024 pixels wide"):
        SAM(student_file, runtime="onnx").export(tmp_path, layout="osam")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_student_in_metas_layout(student_file: Path, tmp_path: Path) -> None:
    """Its masks are compared with the model's before anything is written; a random model's are near zero."""
    SAM(student_file, runtime="onnx").export(tmp_path, layout="meta")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["model"]["architecture"] == "tiny_vit_128"
    assert manifest["files"]["student.encoder.onnx"]["input"]["image"]["shape"] == [1, 3, SIZE, SIZE]
