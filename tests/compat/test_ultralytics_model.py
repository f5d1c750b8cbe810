"""SAM("mobile_sam.pt") as on Ultralytics' page, names of weights and devices, what is not in this version."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mobilesam
from conftest import COFFEE, ROOT
from mobilesam import InputError, MobileSAMError, NotSupportedError, WeightsNotFoundError
from mobilesam.backends.checkpoint import Checkpoint
from mobilesam.catalog import locate
from mobilesam.compat import ultralytics
from mobilesam.compat.ultralytics import SAM, Predictor
from mobilesam.compat.ultralytics.arguments import device_of
from mobilesam.compat.ultralytics.weights import name_of
from mobilesam.masks import iou
from mobilesam.testing import FakeBackend


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled weights as a PyTorch file with the name of Ultralytics' page."""
    path = tmp_path_factory.mktemp("weights") / "mobile_sam.pt"
    state = Checkpoint(locate("mobilesam")).state()
    torch.save({key: torch.from_numpy(value) for key, value in state.items()}, path)
    return path


def test_the_examples_of_ultralytics_page(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_sam: mobilesam.SAM
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mobile_sam.pt").symlink_to(weights)
    Path("cup.png").symlink_to(COFFEE)
    model = SAM("mobile_sam.pt")
    by_point = model.predict("cup.png", points=[300, 200], labels=[1])
    by_box = model.predict("cup.png", bboxes=[150, 80, 480, 380])
    for results, prompts in ((by_point, {"points": [300, 200]}), (by_box, {"bboxes": [150, 80, 480, 380]})):
        (result,) = results
        (wanted,) = default_sam.predict(COFFEE, **prompts)
        assert result.path == "cup.png"
        assert result.masks.data.shape == (1, 400, 600)
        assert iou(result.masks.data[0].numpy(), wanted.masks[0]) > 0.95  # bf16 where the processor has it
    assert isinstance(model.predictor, Predictor)
    assert model.task_map == {"segment": {"predictor": Predictor}}


def test_without_torch_results_are_arrays(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None  # to Python: there is no such package
from mobilesam.compat.ultralytics import SAM, SAMPredictor
model = SAM()
r = model.predict({str(COFFEE)!r}, points=[300, 200], labels=[1])[0]
assert r.masks.data.cpu().numpy().shape == (1, 400, 600) and r.masks.data.numpy().any()
assert r.boxes.xyxy.tolist() == r.boxes.xyxy.cpu().tolist() and len(r.boxes.xywhn.numpy()) == 1
again = model(r.orig_img, masks=r.masks.data, bboxes=r.boxes.xyxy)[0]
assert len(again[0]) == 1 and again.summary()[0]["name"] == "0"
p = SAMPredictor(overrides=dict(model="mobilesam"))
p.set_image({str(COFFEE)!r})
masks, boxes = p.inference_features(p.features, (400, 600), points=[300, 200])
assert (masks == r.masks.data).all()
assert not [m for m in sys.modules if m.startswith("torch.")]
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def test_importing_it_takes_no_runtime() -> None:
    code = "import sys, mobilesam.compat.ultralytics; print(*sorted(m.split('.')[0] for m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "openvino", "onnxruntime", "supervision", "ultralytics"} & set(loaded)


def test_ultralytics_names_of_metas_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {name: name_of(name) for name in ("sam_b.pt", "sam_l.pt", "sam_h.pt")} == {
        "sam_b.pt": "sam_vit_b_01ec64.pth",
        "sam_l.pt": "sam_vit_l_0b3195.pth",
        "sam_h.pt": "sam_vit_h_4b8939.pth",
    }
    assert [name_of(name) for name in ("mobile_sam.pt", "mobilesam", "other/sam_b.pt")] == [
        "mobile_sam.pt",
        "mobilesam",
        "other/sam_b.pt",
    ]
    Path("sam_b.pt").touch()
    assert name_of("sam_b.pt") == "sam_b.pt"


def test_unknown_weights_fail_at_once() -> None:
    with pytest.raises(WeightsNotFoundError, match=r"yolo11n\.pt"):
        SAM("yolo11n.pt")


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("", "auto"), (None, "auto"), ("cpu", "cpu"), ("CPU", "cpu"), (0, "cuda:0"), ("1", "cuda:1"), ([0], "cuda:0"),
        ("cuda", "cuda"), ("cuda:0", "cuda:0"), (torch.device("cpu"), "cpu"), ("mps", "mps"), (-1, "cuda"),
        ("intel:gpu", "gpu"),
    ],
)  # fmt: skip
def test_devices(given: object, ours: str) -> None:
    assert device_of(given) == ours


def test_several_devices_are_refused() -> None:
    for device in ([0, 1], "0,1", (0, "cpu")):
        with pytest.raises(InputError, match="one device"):
            device_of(device)


def test_a_model_moves() -> None:
    model = SAM()
    assert model.to("cpu") is model
    assert model.overrides == {"device": "cpu"}
    assert model(np.zeros((40, 60, 3), np.uint8), points=[30, 20])[0].masks.shape == (1, 40, 60)
    with pytest.raises(MobileSAMError):
        model.to("quantum")


def test_info_counts_what_the_checkpoint_holds(capsys: pytest.CaptureFixture[str]) -> None:
    info = SAM().info()
    state = Checkpoint(locate("mobilesam")).arch.shapes
    # 439 tensors with 10,140,231 values, of which BatchNorm's statistics and one random matrix aren't learnt.
    buffers = [k for k in state if "running_" in k or "num_batches" in k or "gaussian" in k]
    assert info.parameters == 10_140_231 - sum(int(np.prod(state[k])) for k in buffers) == 10_130_092
    assert (info.layers, info.gradients, info.gflops) == (
        len({k.rpartition(".")[0] for k in state if k not in buffers}),
        0,
        0,
    )
    assert capsys.readouterr().out == f"mobile_sam summary: {info.layers} layers, 10,130,092 parameters, openvino\n"
    assert SAM().info(verbose=False) == info
    assert capsys.readouterr().out == ""
    SAM().info(detailed=True)
    assert "mask_decoder.iou_token.weight (1, 256)" in capsys.readouterr().out
    with pytest.raises(InputError, match="backend without"):
        SAM(mobilesam.SAM.from_backend(FakeBackend())).info()


def test_training_says_who_does_it() -> None:
    with pytest.raises(NotSupportedError, match=r"Use mobilesam\.SAM\(\)\.train\(photos, folder\)") as error:
        SAM(mobilesam.SAM.from_backend(FakeBackend())).train(data="coco8.yaml")
    assert isinstance(error.value, NotImplementedError)


def test_val_is_the_native_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path))
    shapes, native = ROOT / "tests/evaluate/data/shapes", mobilesam.SAM.from_backend(FakeBackend())
    figure = SAM(native).val(data=shapes, protocol="box").figure("box", "iou")
    assert figure == native.val(shapes, "box").figure("box", "iou")
    with pytest.raises(InputError, match="val needs data="):
        SAM(native).val()


def test_export_says_where_its_files_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files themselves are tested in tests/export: here, where they go and which formats there are."""
    asked = []
    monkeypatch.setattr(mobilesam.SAM, "export", lambda self, folder, **given: asked.append((str(folder), given)))
    assert SAM().export() == "mobilesam_onnx"
    assert SAM().export(format="onnx", folder="files", layout="osam") == "files"
    assert SAM().export(format="tflite", half=True) == "mobilesam_tflite"
    assert asked == [
        ("mobilesam_onnx", {"layout": "meta"}),
        ("files", {"layout": "osam"}),
        ("mobilesam_tflite", {"format": "litert", "precision": "fp16", "layout": None}),
    ]
    with pytest.raises(NotSupportedError, match="export.. writes onnx, openvino, .* got format='paddle'"):
        SAM().export(format="paddle")


def test_ultralytics_formats_are_ours() -> None:
    from mobilesam.compat.ultralytics import model
    from mobilesam.export.formats import FORMATS

    assert set(model.FORMATS.values()) <= set(FORMATS)


def test_the_package_has_what_its_users_import() -> None:
    assert ultralytics.SAMPredictor is ultralytics.Predictor
    assert all(getattr(ultralytics, name) for name in ultralytics.__all__)
    assert "ultralytics" not in {m.split(".")[0] for m in sys.modules}
    assert not [
        p for p in (ROOT / "src").rglob("*.py") if "import ultralytics\n" in p.read_text().replace("as ultralytics", "")
    ]
