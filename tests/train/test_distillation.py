"""Stages 1 and 2 on tiny students, towards embeddings that are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from embedded import make_embeddings, make_photos
from mobilesam import SAM, InputError
from mobilesam.backends import Checkpoint
from mobilesam.catalog import locate
from mobilesam.geometry import Letterbox
from mobilesam.train.config import Config, Distill, Loop, Optimiser, Prompts, Student, changed
from mobilesam.train.distillation import Distillation, distill, inside_of, low_resolution, resized
from mobilesam.train.embeddings import Embeddings
from mobilesam.train.photos import photos_of
from mobilesam.train.student import batch_norms, build, config_of, teacher_of
from students import NARROW, SIZE

SMALL = Config(
    student=Student(dims=NARROW.dims, depths=NARROW.depths, img_size=SIZE),
    prompts=Prompts(objects=3, rounds=2),
    optimiser=Optimiser(lr=2e-3, warmup=1),
    loop=Loop(steps=3, batch=2, log_every=1, save_every=2, picture_every=3, workers=1),
)
COUNT = 4


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_photos(tmp_path / "photos", COUNT)


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    return make_embeddings(tmp_path / "embeddings", COUNT)


def task_of(config: Config, photos: Path, embedded: Path) -> Distillation:
    _, teacher = teacher_of("mobilesam")
    return Distillation(config, list(photos_of(photos).values()), Embeddings(embedded), teacher, torch.device("cpu"))


def examples(task: Distillation, count: int = 2) -> list[Any]:
    return [task.load(i, np.random.default_rng(i)) for i in range(count)]


def test_a_run_leaves_a_model_that_sam_takes(photos: Path, embedded: Path, tmp_path: Path) -> None:
    said: list[str] = []
    config = changed(SMALL, {"distill.masks": 1.0})
    result = distill(photos, tmp_path / "run", config, embeddings=embedded, say=said.append)
    assert result.steps == 3
    assert {"loss", "mse", "focal", "dice", "iou"} <= result.losses.keys()
    assert said[0].startswith("4 photos with embeddings, 0 without; teacher mobile_sam-")
    about = Checkpoint(result.model).description.about
    assert about["teacher"] == Checkpoint(locate("mobilesam")).model_id
    assert json.loads(about["config"])["student"]["img_size"] == SIZE
    masks = SAM(result.model).predict(photos / "0.png", points=[30, 20])[0].masks
    assert masks.shape == (1, 40, 60)
    with Image.open(tmp_path / "run/pictures/step_000003.png") as sheet:
        assert sheet.size == (3 * 256, 512)


def test_embeddings_of_another_teacher_are_refused(photos: Path, embedded: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    data = bytearray(locate("mobilesam").read_bytes())
    data[-1] ^= 1
    other.write_bytes(data)
    with pytest.raises(InputError, match=r"were made by mobile_sam-\w+, the teacher is mobile_sam-"):
        distill(photos, tmp_path / "run", SMALL, embeddings=embedded, teacher=other)


def test_photos_and_embeddings_that_dont_fit(photos: Path, embedded: Path, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "others/x.png")
    with pytest.raises(InputError, match=r"None of 1 photos is in .*index.json"):
        distill(tmp_path / "others", tmp_path / "run", SMALL, embeddings=embedded)
    Image.new("RGB", (61, 40)).save(photos / "1.png")
    task = task_of(SMALL, photos, embedded)
    with pytest.raises(InputError, match="1.png has another size than when it was embedded"):
        task.load(1, np.random.default_rng(0))


def test_a_mirrored_photo_goes_with_its_own_embedding(photos: Path, embedded: Path) -> None:
    task = task_of(SMALL, photos, embedded)
    stored = Embeddings(embedded)
    plain = torch.from_numpy(stored.read("0.png"))
    seen = set()
    for seed in range(20):
        example = task.load(0, np.random.default_rng(seed))
        is_plain = torch.equal(example.teacher_chw, plain)
        assert is_plain or torch.equal(example.teacher_chw, torch.from_numpy(stored.read("0.png", flipped=True)))
        seen.add((is_plain, round(float(example.image_chw[0, 10, 10]), 4)))
    assert len(seen) == 2
    never = task_of(changed(SMALL, {"distill.flips": False}), photos, embedded)
    assert all(torch.equal(never.load(0, np.random.default_rng(seed)).teacher_chw, plain) for seed in range(9))


def test_padding_counts_as_it_is_told(photos: Path, embedded: Path) -> None:
    """A photo of 60 x 40 leaves the last rows of the map to padding."""
    losses = {}
    for padding in (0.0, 1.0):
        task = task_of(changed(SMALL, {"distill.padding": padding, "distill.flips": False}), photos, embedded)
        task.sam.eval()
        before = examples(task, 1)
        losses[padding] = [float(task.loss(before)["mse"].detach())]
        before[0].teacher_chw[:, 50:] += 5  # the embedding's padding
        losses[padding].append(float(task.loss(before)["mse"].detach()))
    assert losses[0.0][0] == losses[0.0][1]
    assert losses[1.0][1] > losses[1.0][0] + 1


def test_the_scale_of_channels(photos: Path, embedded: Path) -> None:
    task = task_of(changed(SMALL, {"distill.normalise": True}), photos, embedded)
    plain = task_of(SMALL, photos, embedded)
    some = examples(plain)
    for one in (task, plain):
        one.sam.eval()
    ratio = float(task.loss(some)["mse"].detach() / plain.loss(some)["mse"].detach())
    assert ratio == pytest.approx(100, rel=0.1)  # the embeddings' deviation is 0.1


def test_only_the_encoder_learns_and_masks_reach_it(photos: Path, embedded: Path) -> None:
    task = task_of(replace(SMALL, distill=Distill(mse=0.0, masks=1.0)), photos, embedded)
    task.train_mode()
    before = {name: value.clone() for name, value in task.sam.state_dict().items()}
    task.loss(examples(task))["loss"].backward()
    with_gradient = {name for name, p in task.sam.named_parameters() if p.grad is not None and p.grad.any()}
    assert "image_encoder.neck.2.weight" in with_gradient
    assert "image_encoder.patch_embed.seq.0.c.weight" in with_gradient
    assert all(name.startswith("image_encoder.") for name in with_gradient)
    decoder = [name for name in before if not name.startswith("image_encoder.")]
    _, teacher = teacher_of("mobilesam")
    assert all(torch.equal(before[name], teacher.state_dict()[name]) for name in decoder)


def test_masks_of_the_teachers_own_embedding_cost_nothing(photos: Path, embedded: Path) -> None:
    """A student of the teacher's size that gives the teacher's embedding gets the teacher's masks."""
    config = changed(SMALL, {"student.img_size": 1024, "prompts.rounds": 1})
    task = task_of(config, photos, embedded)
    example = examples(task, 1)[0]
    same = example.teacher_chw[None]
    losses = task._mask_losses(same, same, example)
    other = task._mask_losses(same + torch.randn_like(same), same, task.load(0, np.random.default_rng(0)))
    assert float(losses["iou"]) == pytest.approx(0, abs=1e-6)
    assert float(losses["dice"]) < float(other["dice"])


def test_valid_cells_are_the_photos() -> None:
    box = Letterbox((40, 60), 64)  # 43 x 64 pixels in the square
    assert inside_of(box).sum(0)[0] == pytest.approx(43 / 16)
    assert inside_of(box)[2].tolist() == pytest.approx([43 / 16 - 2] * 4)
    assert low_resolution(box)[:, 0].tolist() == [1.0] * 11 + [0.0] * 5


def test_maps_of_other_sizes_keep_their_place() -> None:
    """A ramp stays a ramp: the means of 2 x 2 cells, and between cells where sizes don't divide."""
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    torch.testing.assert_close(resized(ramp, 32)[0, 0, 0], torch.arange(32) * 2 + 0.5)
    between = (torch.arange(48) + 0.5) * 64 / 48 - 0.5
    torch.testing.assert_close(resized(ramp, 48)[0, 0, 0, 2:-2], between[2:-2], atol=0.02, rtol=0)
    assert resized(ramp, 64) is ramp


def test_students_start_from_what_fits() -> None:
    _, teacher = teacher_of("mobilesam")
    whole, copied = build(Student(img_size=64, init="mobilesam"), teacher, 0)
    assert copied == sum(value.numel() for value in whole.image_encoder.state_dict().values())
    source = teacher.image_encoder.state_dict()
    assert all(torch.equal(v, source[k]) for k, v in whole.image_encoder.state_dict().items())
    narrow, some = build(Student(dims=(64, 128, 160, 96), img_size=64, init="mobilesam"), teacher, 0)
    assert 0 < some < copied
    assert narrow.image_encoder.neck[0].weight.shape[1] == 96
    frozen, _ = build(Student(img_size=64, init="mobilesam", freeze=4), teacher, 0)
    names = {name.split(".")[1] for name, p in frozen.image_encoder.named_parameters() if p.requires_grad}
    assert names == {"3", "0", "1", "2"}  # layers.3 and the neck's four
    with pytest.raises(InputError, match="Unknown student 'tiny'; choose one of: tiny_vit_5m"):
        config_of(Student(arch="tiny"))


def test_statistics_are_kept_where_weights_bring_them() -> None:
    from mobilesam.train.student import train_mode

    _, teacher = teacher_of("mobilesam")
    for student, live in (
        (Student(img_size=64, init="mobilesam"), False),
        (Student(img_size=64), True),
        (Student(img_size=64, batch_norm="frozen"), False),
        (Student(img_size=64, init="mobilesam", batch_norm="live"), True),
    ):
        sam, _ = build(student, teacher, 0)
        train_mode(sam, student)
        assert {norm.training for norm in batch_norms(sam)} == {live}
        assert sam.image_encoder.training
        assert not sam.mask_decoder.training


def test_random_weights_repeat_themselves_and_touch_no_global_state() -> None:
    _, teacher = teacher_of("mobilesam")
    before = torch.random.get_rng_state()
    one, _ = build(SMALL.student, teacher, 3)
    two, _ = build(SMALL.student, teacher, 3)
    three, _ = build(SMALL.student, teacher, 4)
    name = "image_encoder.neck.0.weight"
    assert torch.equal(one.state_dict()[name], two.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], three.state_dict()[name])
    assert torch.equal(before, torch.random.get_rng_state())
