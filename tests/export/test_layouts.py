"""The files that other programs read. A small model of random weights; the bundled one in scripts/exports."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F

from conftest import ROOT, load_sam
from mobilesam import ExportError, InputError
from mobilesam.export import verify
from mobilesam.export.layouts import DECODER_INPUTS, DECODER_OUTPUTS, LAYOUTS, encoder_model, write_layout
from mobilesam.geometry import Letterbox
from mobilesam.image import to_tensor
from mobilesam.nn.sam import Sam, build_sam

SIZE, FULL = 256, 1024
ATOL = 1e-3
"""Of logits of about 20, after rounding in other kernels."""
SOURCE = {"name": "small", "sha256": "0" * 64, "licence": "none"}


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(0)
    made = build_sam(img_size=SIZE)
    for key, value in made.state_dict().items():  # so that a normalisation left out would be seen
        if key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return made


@pytest.fixture(scope="module")
def folder(sam: Sam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("onnx") / "new"
    write_layout(sam, made, layout="anylabeling", source=SOURCE)
    return made


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bundled")
    load_sam("onnx").export(made, layout="meta")
    return made


@pytest.fixture(scope="module")
def full_sam() -> Sam:
    return load_sam("pytorch").predictor.backend.sam


@pytest.fixture(scope="module")
def four(bundled: Path) -> ort.InferenceSession:
    """The bundled model's decoder with all four masks."""
    return session(bundled / "mobilesam.decoder.onnx")


def session(model: bytes | Path) -> ort.InferenceSession:
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"])


def prompt(labels: list[int], hw: tuple[int, int], seed: int = 0, size: int = FULL) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    values = (
        random.normal(0, 0.2, size=(1, 256, size // 16, size // 16)),
        random.uniform(0, size, (1, len(labels), 2)),
        [labels],
        random.normal(0, 5, (1, 1, size // 4, size // 4)),
        [0],
        hw,
    )
    return {name: np.asarray(value, np.float32) for name, value in zip(DECODER_INPUTS, values, strict=True)}


def of_the_model(sam: Sam, given: dict[str, np.ndarray], *, with_mask: bool = False) -> tuple[np.ndarray, np.ndarray]:
    parts = [given[name] for name in ("image_embeddings", "point_coords", "point_labels")]
    parts += [given["mask_input"]] if with_mask else []
    with torch.inference_mode():
        logits, iou = sam.decode(*map(torch.from_numpy, parts))
    return logits.numpy(), iou.numpy()


def over_photo(low: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Meta's postprocess_masks, as it stands in the paper's code."""
    rows, columns = Letterbox(hw).resized_hw
    square = F.interpolate(torch.from_numpy(low), (FULL, FULL), mode="bilinear", align_corners=False)
    return F.interpolate(square[..., :rows, :columns], hw, mode="bilinear", align_corners=False).numpy()


@pytest.mark.exports
@pytest.mark.parametrize("hw", [(150, 225), (225, 150), (300, 300), (33, 1000), (1200, 1800)])
def test_masks_come_at_the_size_of_any_photo(full_sam: Sam, four: ort.InferenceSession, hw: tuple[int, int]) -> None:
    given = prompt([1, 0, -1], hw)
    masks, iou, low = four.run(list(DECODER_OUTPUTS), given)
    logits, expected_iou = of_the_model(full_sam, given)
    np.testing.assert_allclose(low, logits, atol=ATOL)
    np.testing.assert_allclose(iou, expected_iou, atol=1e-4)
    np.testing.assert_allclose(masks, over_photo(logits, hw), atol=ATOL)


@pytest.mark.exports
@pytest.mark.parametrize("labels", [[1, -1], [2, 3], [2, 3, -1], [1, 0, 1, 0, -1]])
def test_points_and_corners_of_any_number(full_sam: Sam, four: ort.InferenceSession, labels: list[int]) -> None:
    given = prompt(labels, (100, 150), seed=len(labels))
    np.testing.assert_allclose(four.run(None, given)[2], of_the_model(full_sam, given)[0], atol=ATOL)


@pytest.mark.exports
@pytest.mark.parametrize(("value", "with_mask"), [(1, True), (0, False), (-1, False)])
def test_an_earlier_mask_counts_only_above_zero(full_sam, four, value, with_mask) -> None:
    given = {**prompt([1, -1], (100, 150)), "has_mask_input": np.array([value], np.float32)}
    expected, other = (
        of_the_model(full_sam, given, with_mask=given_too)[0] for given_too in (with_mask, not with_mask)
    )
    np.testing.assert_allclose(four.run(None, given)[2], expected, atol=ATOL)
    assert abs(expected - other).max() > 100 * ATOL


def test_a_single_mask_is_chosen_by_metas_rule(sam: Sam, folder: Path) -> None:
    decoder = session(folder / "small.decoder.onnx")
    chosen = set()
    for seed in range(12):
        given = prompt([1, -1], (100, 150), seed, SIZE)
        logits, iou = of_the_model(sam, given)
        best = 1 + int(iou[0, 1:].argmax())
        chosen.add(best)
        masks, found_iou, low = decoder.run(None, given)
        assert masks.shape == (1, 1, 100, 150)
        np.testing.assert_allclose(low, logits[:, [best]], atol=1e-5)
        np.testing.assert_allclose(found_iou, iou[:, [best]], atol=1e-5)
    for labels in ([2, 3, -1], [1, 1, -1]):
        given = prompt(labels, (100, 150), size=SIZE)
        np.testing.assert_allclose(decoder.run(None, given)[2], of_the_model(sam, given)[0][:, :1], atol=1e-5)
    assert chosen <= {1, 2, 3}


@pytest.mark.parametrize("hw", [(170, 256), (256, 170), (256, 256), (1, 9)])
def test_the_pixel_encoder_normalises_and_pads(sam: Sam, folder: Path, hw: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*hw, 3), np.uint8)
    encoder = session(folder / "small.encoder.onnx")
    assert [(i.name, i.type, i.shape) for i in encoder.get_inputs()] == [
        ("input_image", "tensor(float)", ["height", "width", 3])
    ]
    tensor = np.zeros((1, 3, SIZE, SIZE), np.float32)
    normalised = (image - np.array([123.675, 116.28, 103.53])) / np.array([58.395, 57.12, 57.375])
    tensor[0, :, : hw[0], : hw[1]] = normalised.transpose(2, 0, 1)
    if max(hw) == SIZE:
        np.testing.assert_allclose(tensor, to_tensor(image, Letterbox(hw, SIZE)), atol=1e-5)
    with torch.inference_mode():
        expected = sam.encode(torch.from_numpy(tensor)).numpy()
    (features,) = encoder.run(None, {"input_image": image.astype(np.float32)})
    np.testing.assert_allclose(features, expected, atol=1e-4)


@pytest.mark.exports
def test_osams_encoder_has_its_name_and_fixed_numbers(sam: Sam) -> None:
    encoder = session(encoder_model(sam, LAYOUTS["osam"]))
    assert [(i.name, i.shape) for i in encoder.get_inputs()] == [("x", [1, 3, SIZE, SIZE])]
    image = np.random.default_rng(2).normal(size=(1, 3, SIZE, SIZE)).astype(np.float32)
    with torch.inference_mode():
        expected = sam.encode(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(encoder.run(None, {"x": image})[0], expected, atol=1e-4)


def test_old_programs_can_load_the_files(folder: Path) -> None:
    for part in ("encoder", "decoder"):
        model = onnx.load(folder / f"small.{part}.onnx", load_external_data=False)
        assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (8, [("", 18)])
        assert not [t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
        assert str(Path(__file__).parents[2]).encode() not in model.SerializeToString()


def test_the_manifest_tells_the_contract_and_the_hashes(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["layout"] == "anylabeling"
    assert manifest["model"] == SOURCE
    assert 0.99 <= manifest["lowest_mask_iou_against_model"] <= 1
    for name, facts in manifest["files"].items():
        data = (folder / name).read_bytes()
        assert (facts["bytes"], facts["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        made = session(data)
        for side, values in (("input", made.get_inputs()), ("output", made.get_outputs())):
            assert {v.name: v.shape for v in values} == {n: v["shape"] for n, v in facts[side].items()}
            assert {v.type for v in values} == {"tensor(float)"}
    decoder = manifest["files"]["small.decoder.onnx"]
    assert (tuple(decoder["input"]), tuple(decoder["output"])) == (DECODER_INPUTS, DECODER_OUTPUTS)
    assert decoder["output"]["masks"]["shape"] == [1, 1, "height", "width"]


def test_the_zip_has_one_folder_with_the_same_files(folder: Path) -> None:
    with zipfile.ZipFile(folder / "small.zip") as archive:
        names = {"config.yaml", "small.encoder.onnx", "small.decoder.onnx"}
        assert set(archive.namelist()) == {f"small/{name}" for name in names}
        for name in names:
            assert archive.read(f"small/{name}") == (folder / name).read_bytes()


def test_a_file_that_gives_other_masks_is_not_written(folder: Path, tmp_path: Path, monkeypatch) -> None:
    encoder, decoder = ((folder / f"small.{part}.onnx").read_bytes() for part in ("encoder", "decoder"))
    torch.manual_seed(1)
    other = build_sam(img_size=SIZE)
    with pytest.raises(ExportError, match=r"mask IoU 0\.\d+ .* 0\.99 is wanted"):
        verify.compare(encoder, decoder, other, takes_pixels=True)
    monkeypatch.setattr("mobilesam.export.layouts.encoder_model", lambda *_: encoder)
    monkeypatch.setattr("mobilesam.export.layouts.decoder_model", lambda *_, **__: decoder)
    with pytest.raises(ExportError):
        write_layout(other, tmp_path / "out", layout="anylabeling", source=SOURCE)
    assert not (tmp_path / "out").exists()


def test_the_notice_has_the_photos_hash() -> None:
    assert hashlib.sha256(verify.PHOTO.read_bytes()).hexdigest() in (ROOT / "NOTICE").read_text(encoding="utf-8")


def test_an_unknown_layout_is_named_with_the_known_ones(sam: Sam, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'nothing'; choose one of: meta, anylabeling, osam"):
        write_layout(sam, tmp_path, layout="nothing", source=SOURCE)


def test_a_model_too_large_for_one_file_is_refused_at_once(tmp_path: Path) -> None:
    with torch.device("meta"):
        large = build_sam("sam_vit_h")
    with pytest.raises(InputError, match=r"small has 2\.6 GB of weights"):
        write_layout(large, tmp_path, layout="meta", source=SOURCE)


def test_the_command_offers_every_layout() -> None:
    from mobilesam.cli.export import LayoutChoice

    assert [choice.value for choice in LayoutChoice] == list(LAYOUTS)


@pytest.mark.exports
def test_the_bundled_model(bundled: Path) -> None:
    names = ["manifest.json", "mobilesam.decoder.onnx", "mobilesam.encoder.onnx"]
    assert sorted(p.name for p in bundled.iterdir()) == names
    manifest = json.loads((bundled / "manifest.json").read_text())
    assert manifest["lowest_mask_iou_against_model"] > 0.999
    assert manifest["model"]["name"] == "mobilesam"
    assert "Apache-2.0" in manifest["model"]["licence"]


def test_the_command_passes_its_arguments_on(run_cli, monkeypatch, tmp_path: Path) -> None:
    asked = []
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"lowest_mask_iou_against_model": 0.99876}')

    def export(*arguments: object, **options: object) -> list[Path]:
        asked.append((arguments, options))
        return [manifest]

    monkeypatch.setattr("mobilesam.export.layouts.export_layout", export)
    code, out, _ = run_cli("export", "my.pt", "--layout", "osam", "-o", tmp_path)
    assert (code, asked) == (0, [(("my.pt", tmp_path), {"layout": "osam"})])
    assert out == f"wrote {manifest}  0.0 MB\nlowest mask IoU to the model on the test photo: 0.9988\n"
    assert run_cli("export", "--layout", "meta")[0] == 2  # without -o
    assert run_cli("export", "--format", "anylabeling", "-o", tmp_path)[0] == 0
    assert asked[-1] == (("mobilesam", tmp_path), {"layout": "anylabeling"})
