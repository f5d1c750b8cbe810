from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from conftest import COFFEE
from mobilesam import SAM, CheckpointError, WeightsNotFoundError
from mobilesam.backends import Checkpoint
from mobilesam.catalog import locate
from mobilesam.catalog.models import ARCHS
from mobilesam.nn.checkpoint import load_sam, read_pickled
from mobilesam.nn.sam import build_sam


@pytest.fixture(scope="module")
def seeded() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build_sam().state_dict()


@pytest.fixture(scope="module")
def bundled_pt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled weights as a PyTorch file with all 439 keys."""
    sam = load_sam("mobile_sam", 1024, load_file(locate("mobilesam")))
    path = tmp_path_factory.mktemp("weights") / "any_name.bin"
    torch.save(sam.state_dict(), path)
    return path


def test_the_state_dict_has_upstreams_439_keys(seeded: dict[str, torch.Tensor]) -> None:
    assert len(seeded) == 439
    assert sum(v.numel() for v in seeded.values()) == 10_140_231


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {"model_state": s, "epoch": 3}])
def test_wrapped_state_dicts_are_unwrapped(seeded, tmp_path, wrap) -> None:
    torch.save(wrap(seeded), tmp_path / "w.pt")
    read = read_pickled(tmp_path / "w.pt")
    assert read.keys() == seeded.keys()
    assert Checkpoint(tmp_path / "w.pt").arch.name == "mobile_sam"


@pytest.mark.parametrize("save", [torch.save, save_torch], ids=["pickle", "safetensors"])
def test_prefixed_keys_are_stripped(seeded, tmp_path, save) -> None:
    save({f"sam.{k}": v for k, v in seeded.items()}, tmp_path / "w")
    checkpoint = Checkpoint(tmp_path / "w")
    state = checkpoint.state()
    assert state.keys() == seeded.keys()
    some = checkpoint.state(["mask_decoder.iou_token.weight"])
    np.testing.assert_array_equal(some.pop("mask_decoder.iou_token.weight"), seeded["mask_decoder.iou_token.weight"])
    assert not some


@pytest.mark.parametrize("runtime", ["openvino", "onnx", "pytorch"])
def test_a_pytorch_file_gives_the_masks_of_the_bundled_one(bundled_pt: Path, runtime: str) -> None:
    ours = SAM(bundled_pt, runtime=runtime, precision="fp32").predict(COFFEE, points=[300, 200])[0]
    bundled = SAM(runtime=runtime, precision="fp32").predict(COFFEE, points=[300, 200])[0]
    np.testing.assert_allclose(ours.low_res, bundled.low_res, atol=1e-4)


def test_batchnorm_statistics_count_in_every_runtime(seeded, tmp_path) -> None:
    """The bundled BatchNorms are neutral, upstream's are not: a graph that skipped them would go unnoticed."""
    generator = torch.Generator().manual_seed(1)
    state = dict(seeded)
    for key, value in seeded.items():
        if ".bn." in key and value.is_floating_point():
            state[key] = torch.rand(value.shape, generator=generator) * 0.5 + 0.75
    save_file({k: v.numpy() for k, v in state.items()}, tmp_path / "w.safetensors")
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    found = [
        SAM(tmp_path / "w.safetensors", runtime=r, precision="fp32").embed(image).features_bchw
        for r in ("pytorch", "onnx", "openvino")
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    np.testing.assert_allclose(found[2], found[0], atol=1e-4)


def test_a_wrong_file_names_missing_and_surplus_keys(seeded, tmp_path) -> None:
    state = {k: v.numpy() for k, v in seeded.items() if "no_mask_embed" not in k}
    state["extra.weight"] = np.zeros(3, np.float32)
    state["mask_decoder.iou_token.weight"] = np.zeros((2, 256), np.float32)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError) as caught:
        SAM(tmp_path / "w.safetensors")
    message = str(caught.value)
    assert "1 missing: prompt_encoder.no_mask_embed.weight" in message
    assert "1 surplus: extra.weight" in message
    assert "(2, 256) not (1, 256)" in message


def test_keys_that_nothing_reads_may_be_absent(seeded, tmp_path) -> None:
    state = {k: v.numpy() for k, v in seeded.items() if not ARCHS["mobile_sam"].is_optional(k)}
    assert len(state) == 439 - 27 - 4
    save_file(state, tmp_path / "w.safetensors")
    assert Checkpoint(tmp_path / "w.safetensors").arch.name == "mobile_sam"


class Evil:
    def __reduce__(self):
        return (print, ("code was run",))


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x08\0\0\0\0\0\0\0{broken"])
def test_files_that_are_no_checkpoints(tmp_path, content) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"w\.pt"):
        SAM(tmp_path / "w.pt")


def test_a_truncated_safetensors_file(tmp_path) -> None:
    data = locate("mobilesam").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        SAM(tmp_path / "w.safetensors").embed(COFFEE)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # torch's own, of Python's default protocol
def test_code_in_a_pickle_is_never_run(tmp_path, capsys) -> None:
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"model": Evil()}))
    with pytest.raises(CheckpointError, match="plain tensors"):
        SAM(tmp_path / "w.pt")
    torch.save({"a": [1, 2, 3]}, tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="no state dict"):
        SAM(tmp_path / "list.pt")
    assert "code was run" not in capsys.readouterr().out


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsNotFoundError, match=r"mobilesam, mobile_sam\.pt"):
        SAM("no_such_model")
