"""Every format of the table: what it writes runs and gives the model's masks. A narrow model of random weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mobilesam import SAM, CheckpointError, ExportError, InputError, MissingDependencyError, OutputError
from mobilesam.backends.exported import READERS
from mobilesam.backends.manifest import Manifest
from mobilesam.export import bundle, export, parity
from mobilesam.export.formats import FORMATS, PRECISIONS, Format, find
from mobilesam.nn.sam import Sam, with_encoder
from mobilesam.nn.tiny_vit import TinyVit, TinyVitConfig

SIZE = 128
SOURCE = {"name": "narrow", "id": "narrow-0", "architecture": "mobile_sam", "sha256": "0" * 64, "licence": "none"}
CASES = [(name, precision) for name, item in FORMATS.items() for precision in item.precisions]
HERE = ("onnx", "openvino", "torchscript", "torch-export")
"""Formats whose converters the tests' environment has; scripts/exports tries the others."""


def _marks(name: str, precision: str) -> tuple[pytest.MarkDecorator, ...]:
    """By default the quick one and the most used; scripts/exports runs all."""
    return () if (name, precision) in (("onnx", "fp32"), ("torchscript", "fp32")) else (pytest.mark.exports,)


def _case(name: str, precision: str):
    return pytest.param(name, precision, marks=_marks(name, precision))


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(0)
    narrow = TinyVitConfig(dims=(16, 32, 32, 64), depths=(1, 1, 1, 1), heads=(1, 2, 2, 4))
    return with_encoder(TinyVit(narrow, SIZE), SIZE).requires_grad_(False)


@pytest.fixture(scope="module")
def exported(sam: Sam, tmp_path_factory: pytest.TempPathFactory):
    """A function: the folder of a format and precision, each made once."""
    made: dict[tuple[str, str], Path] = {}

    def folder(name: str, precision: str) -> Path:
        if (name, precision) not in made:
            target = tmp_path_factory.mktemp("export") / f"{name}-{precision}"
            bundle.write_format(sam, target, FORMATS[name], precision, SOURCE)
            made[name, precision] = target
        return made[name, precision]

    return folder


@pytest.mark.parametrize(("name", "precision"), [_case(*c) for c in CASES if c[0] in HERE and c[1] in ("fp32", "fp16")])
def test_an_export_runs_and_gives_the_models_masks(exported, sam: Sam, name: str, precision: str) -> None:
    folder = exported(name, precision)
    loaded = SAM(folder)
    assert (loaded.info.model_id, loaded.info.img_size, loaded.info.precision) == ("narrow-0", SIZE, precision)
    measured = parity.measure(loaded.predictor.backend, parity.cases(sam))
    assert measured.embedding_error < {"fp32": 1e-5, "fp16": 5e-3}[precision]
    assert measured.mean_iou > {"fp32": 0.999, "fp16": 0.97}[precision]


@pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name, "fp32")) for name in HERE])
def test_prompts_of_every_kind_pass_through(exported, sam: Sam, name: str) -> None:
    """Through `SAM`, against the source's decoder: batches, several points, boxes, an earlier mask alone."""
    backend = SAM(exported(name, "fp32")).predictor.backend
    features = np.random.default_rng(0).normal(size=(1, 256, 8, 8)).astype(np.float32)
    rng = np.random.default_rng(1)
    for count, labels, masked in ((1, [1], False), (2, [2, 3], False), (3, [1, 0, -1], True), (0, [], True)):
        coords = rng.uniform(0, SIZE, (3, count, 2)).astype(np.float32)
        labels_bn = np.tile(np.array(labels, np.float32), (3, 1))
        mask = rng.normal(size=(3, 1, 32, 32)).astype(np.float32) if masked else None
        logits, iou = backend.decode(features, coords, labels_bn, mask)
        arrays = [torch.from_numpy(a) for a in (features, coords, labels_bn, *([mask] if masked else []))]
        expected = sam.decode(*arrays)
        np.testing.assert_allclose(logits, expected[0].numpy(), atol=1e-3)
        np.testing.assert_allclose(iou, expected[1].numpy(), atol=1e-4)


def test_the_manifest_says_what_the_files_are(exported) -> None:
    folder = exported("onnx", "fp32")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["contract"]["decoder"]["inputs"][1]["shape"] == ["B", "N", 2]
    assert manifest["contract"]["encoder"]["outputs"][0]["shape"] == [1, 256, 8, 8]
    assert manifest["normalise"]["mean"] == [123.675, 116.28, 103.53]
    assert sorted(manifest["files"]) == sorted(p.name for p in folder.iterdir() if p.name != "manifest.json")
    assert manifest["parity"]["verified"] is True
    assert manifest["parity"]["prompts"] == 64
    assert manifest["versions"]["torch"] == torch.__version__
    assert not any(str(Path.home()) in text for text in [(folder / "manifest.json").read_text()])


def test_what_was_changed_since_is_refused(exported, tmp_path: Path) -> None:
    for name, change in {
        "longer": lambda f: (f / "encoder.onnx").write_bytes((f / "encoder.onnx").read_bytes() + b"\0"),
        "missing": lambda f: (f / "decoder.onnx").unlink(),
        "outside": lambda f: _edit(f, "files", {"../manifest.json": {"sha256": "0" * 64}}),
        "no size": lambda f: _edit(f, "img_size", -1),
        "no json": lambda f: (f / "manifest.json").write_text("{"),
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        for path in exported("onnx", "fp32").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        change(folder)
        with pytest.raises(CheckpointError, match="Export the model again"):
            SAM(folder)


def _edit(folder: Path, key: str, value: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, key: value}))


def test_folders_that_are_no_exports(exported, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="isn't a folder that `mobilesam export` has written"):
        SAM(tmp_path)
    (tmp_path / "manifest.json").write_text('{"kind": "mobilesam-onnx-1"}')
    with pytest.raises(InputError, match="for other programs"):
        SAM(tmp_path)
    with pytest.raises(InputError, match="leave out runtime='onnx'"):
        SAM(exported("onnx", "fp32"), runtime="onnx")


def test_a_failed_comparison_writes_nothing(sam: Sam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    narrow = TinyVitConfig(dims=(16, 32, 32, 64), depths=(1, 1, 1, 1), heads=(1, 2, 2, 4))
    other = with_encoder(TinyVit(narrow, SIZE), SIZE).requires_grad_(False)
    real = bundle.Networks.of
    monkeypatch.setattr(bundle.Networks, "of", lambda _, *rest: real(other, *rest))
    with pytest.raises(ExportError, match=r"mean mask IoU 0\.\d+ over 64 prompts"):
        bundle.write_format(sam, tmp_path / "out", FORMATS["torchscript"], "fp32", SOURCE)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_the_earlier_one(sam: Sam, tmp_path: Path, monkeypatch) -> None:
    target = tmp_path / "out"
    bundle.write_format(sam, target, FORMATS["torchscript"], "fp32", SOURCE)
    before = {path.name: path.read_bytes() for path in target.iterdir()}

    def interrupted(self: Format, networks: object, folder: Path, *, precision: str) -> None:
        (folder / "encoder.pt").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Format, "convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bundle.write_format(sam, target, FORMATS["torchscript"], "fp32", SOURCE)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_converters_own_error_is_named(sam: Sam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Format, *_: object, **__: object) -> None:
        raise TypeError("no such operator")

    monkeypatch.setattr(Format, "convert", fails)
    with pytest.raises(ExportError, match="converter to onnx failed: TypeError: no such operator"):
        bundle.write_format(sam, tmp_path / "out", FORMATS["onnx"], "fp32", SOURCE)


def test_a_folder_with_other_things_is_left_alone(sam: Sam, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds something else"):
        bundle.write_format(sam, tmp_path, FORMATS["torchscript"], "fp32", SOURCE)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_options_that_do_not_exist_or_fit(tmp_path: Path) -> None:
    for options, message in (
        ({"format": "tflite"}, "Unknown format 'tflite'; choose one of: onnx, openvino"),
        ({"format": "torchscript", "precision": "int8"}, "no precision 'int8'; it has: fp32"),
        ({"points": 0}, "points must be from 1 to 64, got 0"),
        ({"format": "openvino", "precision": "int8"}, "--photos"),
        ({"layout": "meta", "precision": "fp16"}, "leave out format, precision, points and photos"),
        ({"layout": "nothing"}, "Unknown layout 'nothing'"),
    ):
        with pytest.raises(InputError, match=message):
            export("mobilesam", tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_too_many_points_say_how_to_export_for_more(sam: Sam, exported) -> None:
    from mobilesam.backends.exported import ExportedBackend
    from mobilesam.errors import BackendError

    manifest = Manifest("onnx", "fp32", "x", SIZE, prompts=1, points=2, files={})
    calls: list[tuple[int, ...]] = []

    def decoder(inputs):
        calls.append(inputs[2].shape)
        return [np.zeros((1, 4, 32, 32), np.float32), inputs[2][:, :1].repeat(4, axis=1)]

    backend = ExportedBackend(Path("phone"), manifest, lambda _: [], decoder)
    labels = np.array([[1], [0], [2]], np.float32)
    _, iou = backend.decode(np.zeros((1, 256, 8, 8), np.float32), np.zeros((3, 1, 2), np.float32), labels)
    assert calls == [(1, 2)] * 3  # one prompt at a time, filled up
    assert iou[:, 0].tolist() == [1, 0, 2]  # in their order
    with pytest.raises(BackendError, match="exported for up to 2 points .* --points 3"):
        backend.decode(
            np.zeros((1, 256, 8, 8), np.float32), np.zeros((1, 3, 2), np.float32), np.ones((1, 3), np.float32)
        )


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_table_is_whole(name: str) -> None:
    item = FORMATS[name]
    assert importlib.util.find_spec(f"mobilesam.export.to.{name.replace('-', '_')}")
    assert set(item.precisions) <= set(PRECISIONS)
    assert find(name, item.precisions[0]) is item
    if name in READERS:
        assert importlib.util.find_spec(READERS[name].module)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in HERE])
def test_a_missing_converter_is_named_with_its_install_line(sam: Sam, name: str, tmp_path: Path) -> None:
    item = FORMATS[name]
    if all(importlib.util.find_spec(package) for package in item.needs):
        pytest.skip("its converter is installed here")
    with pytest.raises(MissingDependencyError, match=rf"pip install 'mobilesam\[{item.extra}\]'"):
        bundle.write_format(sam, tmp_path / "out", item, "fp32", SOURCE)
    assert list(tmp_path.iterdir()) == []


def test_the_command_lists_formats(run_cli) -> None:
    code, out, _ = run_cli("export", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(FORMATS)
