"""Fine-tuning on two tiny pictures with a narrow student: what changes, what falls, what is left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from conftest import ROOT
from mobilesam import SAM, ImageError, InputError, SourceNotFoundError
from mobilesam.train import lora, losses
from mobilesam.train.config import Config, Finetune, Loop, Optimiser, Prompts, Student, changed, load
from mobilesam.train.features import FOLDER
from mobilesam.train.finetuning import _losses, finetune, neck_of
from mobilesam.train.log import read
from students import make_student

SHAPES = ROOT / "tests/evaluate/data/shapes"
QUICK = Config(
    task="finetune",
    finetune=Finetune(flips=False),
    prompts=Prompts(objects=1, rounds=2),
    optimiser=Optimiser(lr=1e-3, warmup=1),
    loop=Loop(steps=2, batch=2, log_every=1, save_every=2, picture_every=2, workers=2),
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads of so small a network wait for each other more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tuned(
    student_file: Path, output: Path, config: Config = QUICK, data: Path = SHAPES, **more
) -> dict[str, np.ndarray]:
    result = finetune(data, output, config, model=student_file, device="cpu", **more)
    return {key: value for key, value in load_file(result.model).items() if not key.startswith("graph.")}


def parts_of(keys) -> set[str]:
    """Where keys of a state dict belong."""
    return {
        "neck" if ".neck." in key else "lora" if re.match(r"image_encoder.*\.(attn|mlp)\.", key) else key.split(".")[0]
        for key in keys
    }


@pytest.mark.parametrize(
    ("train", "changing"),
    [
        ("decoder", {"mask_decoder"}),
        ("decoder+neck", {"mask_decoder", "neck"}),
        ("lora", {"lora"}),
        ("all", {"mask_decoder", "neck", "lora", "image_encoder", "prompt_encoder"}),
    ],
)
def test_only_the_chosen_parts_change(student_file: Path, tmp_path: Path, train: str, changing: set[str]) -> None:
    config = changed(QUICK, {"finetune.train": train, "finetune.feedback": 1.0})
    before, after = load_file(student_file), tuned(student_file, tmp_path, config)
    differing = [key for key in after if not np.array_equal(after[key], before[key])]
    assert parts_of(differing) == changing
    assert not [key for key in differing if "running_" in key or ".head." in key or "norm_head" in key]
    if train == "lora":
        assert {key.rpartition(".")[2] for key in differing} == {"weight"}
    assert not (tmp_path / FOLDER).exists()
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["step_000002.png"]


def test_the_loss_falls(student_file: Path, tmp_path: Path) -> None:
    exact = {"prompts.boxes": 1.0, "prompts.noise": 0.0, "prompts.rounds": 1}
    config = changed(QUICK, {"loop.steps": 30, "loop.picture_every": 0, "loop.save_every": 30, **exact})
    tuned(student_file, tmp_path, config)
    found = [float(line["value"]) for line in read(tmp_path) if line["name"] == "loss"]
    assert np.mean(found[-5:]) < 0.6 * np.mean(found[:2])


class KilledError(Exception):
    pass


@pytest.mark.parametrize("train", ["decoder", "lora"])
def test_a_resumed_run_is_the_uninterrupted_one(student_file: Path, tmp_path: Path, train: str) -> None:
    config = changed(QUICK, {"finetune.train": train, "finetune.flips": True, "loop.steps": 4, "loop.picture_every": 0})

    def kill(step: int, *_) -> None:
        if step == 3:
            raise KilledError

    whole = tuned(student_file, tmp_path / "whole", config)
    with pytest.raises(KilledError):
        tuned(student_file, tmp_path / "killed", config, progress=kill)
    resumed = tuned(student_file, tmp_path / "killed", config, resume=True)
    for key, value in whole.items():
        np.testing.assert_array_equal(resumed[key], value, err_msg=key)
    numbers = [
        [(one["step"], one["name"], one["value"]) for one in read(tmp_path / run)] for run in ("whole", "killed")
    ]
    assert numbers[0] == numbers[1]


def test_lora_changes_nothing_before_the_first_step_and_merges_to_itself() -> None:
    sam, image = make_student(), torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    plain = make_student()
    assert lora.add(sam.image_encoder, rank=2, seed=0) == 4 * 4  # blocks of the attention stages
    with torch.no_grad():
        torch.testing.assert_close(sam.encode(image), plain.encode(image), rtol=0, atol=0)
        for name, parameter in sam.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(2))
        before = plain.encode(image)
        plain.load_state_dict(lora.merged(sam))
        torch.testing.assert_close(plain.encode(image), sam.encode(image))
        assert (plain.encode(image) - before).abs().max() > 0.01
    assert lora.merged(plain).keys() == plain.state_dict().keys()


def test_a_lone_click_trains_the_best_of_three_and_a_box_the_single_mask() -> None:
    """Masks 0 to 3 are right in 0, 1/2, all, 1/2 of the cells; the ious that the decoder predicted are all 1/2."""
    true, valid = torch.ones(2, 2, 2, dtype=torch.bool), torch.ones(2, 2, 2)
    signs = torch.tensor([[[-1.0, -1], [-1, -1]], [[1, 1], [-1, -1]], [[1, 1], [1, 1]], [[-1, -1], [1, 1]]])
    logits = (4 * signs).expand(2, 4, 2, 2)
    found = _losses(logits, torch.full((2, 4), 0.5), true, valid, torch.tensor([True, False]), QUICK)
    one = valid[:1]
    single, best = (losses.focal(logits[:1, i], one, one)[0] for i in (0, 2))
    torch.testing.assert_close(found["focal"], (single + best + single) / 2)
    # The single mask's IoU is 0; those of the three are 1/2, 1, 1/2.
    torch.testing.assert_close(found["iou"], torch.tensor((0.25 + 0.25 / 3 + 0.25) / 2))


def test_a_frozen_encoder_runs_once_a_photo(student_file: Path, tmp_path: Path, monkeypatch) -> None:
    from mobilesam.nn.sam import Sam

    calls: list[int] = []
    encode = Sam.encode
    monkeypatch.setattr(Sam, "encode", lambda self, image: (calls.append(len(image)), encode(self, image))[1])
    tuned(student_file, tmp_path, changed(QUICK, {"loop.steps": 6, "loop.picture_every": 0}))
    assert calls == [1, 1]


def coco(folder: Path) -> Path:
    """Discs and bars on the two pictures' backgrounds: COCO's JSON with two categories."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    (folder / "images").mkdir(parents=True)
    for number in range(4):
        picture = rng.integers(0, 40, (96, 96, 3), np.uint8)
        for category, (x, colour) in enumerate([(8, (250, 40, 40)), (56, (40, 40, 250))], start=3):
            y = 10 + 10 * number
            picture[y : y + 32, x : x + 32] = colour
            square = [x, y, x + 32, y, x + 32, y + 32, x, y + 32]
            annotations.append(
                {"id": len(annotations), "image_id": number, "category_id": category, "segmentation": [square],
                 "bbox": [x, y, 32, 32], "area": 1024, "iscrowd": 0}
            )  # fmt: skip
        Image.fromarray(picture).save(folder / f"images/{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": 96, "width": 96})
    categories = [{"id": 4, "name": "blue"}, {"id": 3, "name": "red"}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(data))
    return folder


def test_classes_come_back_from_the_file(student_file: Path, tmp_path: Path) -> None:
    data = coco(tmp_path / "data")
    config = changed(
        QUICK,
        {
            "finetune.classes": 1.0,
            "loop.steps": 25,
            "loop.picture_every": 0,
            "optimiser.lr": 3e-2,
            "prompts.objects": 2,
        },
    )
    result = finetune(data, tmp_path / "run", config, model=student_file, device="cpu")
    squares = {"bboxes": [[8, 10, 40, 42], [56, 10, 88, 42]]}
    models = [SAM(result.model, runtime=runtime, precision="fp32") for runtime in ("pytorch", "onnx")]
    embedding = models[1].embed(data / "images/0.png")
    # Of the true squares, whatever masks so few steps give.
    exact = np.full((2, 32, 32), -1.0, np.float32)
    exact[0, 4:13, 3:13], exact[1, 4:13, 19:29] = 1, 1
    assert models[1].predictor.head.classify(embedding.features_bchw, exact)[0].tolist() == [0, 1]
    found = [model.predict(data / "images/0.png", **squares)[0] for model in models]
    for results in found:
        assert results.names == ("red", "blue")
        assert results[1].classes.tolist() == [results.classes[1]]
        assert results.to_dicts()[0]["class"] == results.names[results.classes[0]]
        np.testing.assert_allclose(results.class_scores, found[0].class_scores, atol=1e-4)
    without = SAM(student_file, runtime="onnx").predict(data / "images/0.png", **squares)[0]
    assert (without.classes, without.class_scores, without.names) == (None, None, None)
    assert "class" not in without.to_dicts()[0]


def test_data_that_cannot_be_learnt_from(student_file: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        tuned(student_file, tmp_path / "run", data=tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no categories"):
        tuned(student_file, tmp_path / "run", changed(QUICK, {"finetune.classes": 1.0}))
    tiny = folders(tmp_path / "tiny", np.pad(np.full((2, 2), 255, np.uint8), 60))
    with pytest.raises(ImageError, match="no object of at least 8"):
        tuned(student_file, tmp_path / "run", data=tiny)
    assert not list(tmp_path.glob("run/*.safetensors"))


def folders(root: Path, mask: np.ndarray, image: bytes | None = None) -> Path:
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    if image is None:
        Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(root / "images/a.png")
    else:
        (root / "images/a.png").write_bytes(image)
    Image.fromarray(mask).save(root / "masks/a.png")
    return root


def test_bad_photos_are_left_out_and_listed(student_file: Path, tmp_path: Path) -> None:
    square = np.pad(np.full((40, 40), 255, np.uint8), 10)
    broken = folders(tmp_path / "broken", square, b"no picture")
    other_size = folders(tmp_path / "other_size", square)
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(other_size / "images/a.png")
    result = finetune([SHAPES, broken, other_size], tmp_path / "run", QUICK, model=student_file, device="cpu")
    assert result.skipped.keys() <= {"broken/a", "other_size/a"}
    assert result.skipped
    assert "(60, 60), the photo (50, 50)" in result.skipped.get("other_size/a", "(60, 60), the photo (50, 50)")
    assert json.loads((tmp_path / "run/skipped.json").read_text()) == result.skipped


def test_another_model_or_data_is_no_resuming(student_file: Path, tmp_path: Path) -> None:
    tuned(student_file, tmp_path / "run")
    with pytest.raises(InputError, match="earlier run"):
        tuned(student_file, tmp_path / "run")
    with pytest.raises(InputError, match="other photos"):
        tuned(
            student_file, tmp_path / "run", data=folders(tmp_path / "x", np.full((60, 60), 255, np.uint8)), resume=True
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": "decoder+head"}, "made of decoder, neck, lora, all"),
        ({"train": ""}, "made of"),
        ({"rank": 0}, "rank must be"),
        ({"feedback": 1.5}, "share from 0 to 1"),
    ],
)
def test_configurations_that_mean_nothing(change, message) -> None:
    with pytest.raises(InputError, match=message):
        Config(task="finetune", finetune=Finetune(**change))


def test_sections_of_the_other_task_are_errors() -> None:
    with pytest.raises(InputError, match="student and distill mean nothing"):
        Config(task="finetune", student=Student(img_size=512))
    with pytest.raises(InputError, match="finetune means nothing"):
        Config(task="distill", finetune=Finetune(rank=4))


def test_the_recipe() -> None:
    assert load("finetune_small").task == "finetune"


def test_a_vit_has_a_neck_and_layers_for_lora_too() -> None:
    from mobilesam.nn.sam import with_encoder
    from mobilesam.nn.vit import Vit, VitConfig

    sam = with_encoder(Vit(VitConfig(dim=32, depth=2, heads=2, global_blocks=(1,)), 128), 128)
    image = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(neck_of(sam)(sam.image_encoder.trunk(image)), sam.encode(image))
    assert lora.add(sam.image_encoder, rank=2, seed=0) == 2 * 4


def test_from_python_and_from_the_command_line(student_file: Path, tmp_path: Path, run_cli) -> None:
    few = ["loop.steps=1", "loop.batch=1", "prompts.objects=1", "loop.picture_every=0"]
    sam = SAM(student_file, runtime="onnx")
    result = sam.train(SHAPES, tmp_path / "a", changes=few, device="cpu")
    options = [argument for change in few for argument in ("--set", change)]
    code, out, err = run_cli(
        "train", "finetune", SHAPES, "-o", tmp_path / "b", "--model", student_file, "--device", "cpu", *options
    )
    assert code == 0, err
    assert f"wrote {tmp_path / 'b/last.safetensors'}" in out
    assert (tmp_path / "b/last.safetensors").read_bytes() == result.model.read_bytes()
    assert SAM(result.model, runtime="onnx").info.model_id != sam.info.model_id
    with pytest.raises(InputError, match="task must be"):
        sam.train(SHAPES, tmp_path / "c", task="guess")
    with pytest.raises(InputError, match="is for task 'distill'"):
        sam.train(SHAPES, tmp_path / "c", recipe="smoke")
    with pytest.raises(InputError, match="without one"):
        SAM.from_backend(sam.predictor.backend).train(SHAPES, tmp_path / "c")


def test_validation_decides_which_weights_are_best(student_file: Path, tmp_path: Path, run_cli) -> None:
    options = ["--set", "loop.steps=2", "--set", "validation.every=1", "--set", "loop.picture_every=0"]
    code, out, err = run_cli(
        "train",
        "finetune",
        SHAPES,
        "-o",
        tmp_path,
        "--model",
        student_file,
        "--val",
        SHAPES,
        "--device",
        "cpu",
        *options,
    )
    assert code == 0, err
    assert "best.safetensors" in out
    about = SAM(tmp_path / "best.safetensors", runtime="onnx").checkpoint.description.about
    assert 0 <= float(about["score"]) <= 1
