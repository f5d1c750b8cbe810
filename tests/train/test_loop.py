"""The loop on a line of three numbers: steps, resuming, parts of a batch, averages, bad numbers, early stop."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mobilesam import ImageError, InputError, OutputError, TrainingError
from mobilesam.train import log, loop
from mobilesam.train.config import Config, Loop, Optimiser, Validation, changed
from mobilesam.train.loop import Result, train
from mobilesam.train.optim import Average, groups, learning_rate
from mobilesam.train.world import World

COUNT = 7
SHORT = Config(
    optimiser=Optimiser(lr=0.5, warmup=2, clip=10.0),
    loop=Loop(steps=9, batch=4, log_every=1, save_every=4, picture_every=3, workers=2, ema=0.9),
)


class Line:
    """Learns y = x . (1, 2, 3) from seven x."""

    data_hash = "line"

    def __init__(self) -> None:
        self.sam: Any = nn.Linear(3, 1)
        self.sam.register_buffer("count", torch.zeros((), dtype=torch.int64))  # as BatchNorm counts its batches
        with torch.no_grad():
            self.sam.weight.zero_()
            self.sam.bias.zero_()
        self.bad: set[int] = set()
        self.seen: list[tuple[int, float]] = []
        self.saved: list[tuple[str, dict[str, str]]] = []

    def __len__(self) -> int:
        return COUNT

    def key(self, index: int) -> str:
        return f"photo{index}"

    def load(self, index: int, rng: np.random.Generator) -> tuple[int, float, torch.Tensor]:
        if index in self.bad:
            raise ImageError(f"{index} is damaged")
        return index, float(rng.random()), torch.from_numpy(np.random.default_rng(index).normal(size=3)).float()

    def train_mode(self) -> None:
        self.sam.train()

    def loss(self, examples: Sequence[tuple[int, float, torch.Tensor]]) -> dict[str, torch.Tensor]:
        self.seen += [(index, draw) for index, draw, _ in examples]
        self.sam.count += 1
        x = torch.stack([x for _, _, x in examples])
        loss = (self.sam(x)[:, 0] - x @ torch.tensor([1.0, 2.0, 3.0])).pow(2).mean()
        return {"loss": loss, "half": loss / 2}

    def pictures(self) -> list[np.ndarray]:
        assert not self.sam.training
        return [np.zeros((4, 5, 3), np.uint8), np.zeros((2, 5, 3), np.uint8)]

    def save(self, path: Path, about: dict[str, str]) -> None:
        self.saved.append((path.name, about))
        path.write_text(json.dumps([self.sam.weight.tolist(), int(self.sam.count)]))


def run(out: Path, config: Config = SHORT, task: Line | None = None, **more: Any) -> tuple[Line, Result]:
    task = Line() if task is None else task
    return task, train(task, config, out, World(torch.device("cpu")), **more)


def values(out: Path, name: str = "loss") -> dict[int, str]:
    return {int(line["step"]): line["value"] for line in log.read(out) if line["name"] == name}


def test_a_run_leaves_weights_log_pictures_and_state(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    task, result = run(tmp_path / "r", progress=lambda *now: seen.append(now))
    assert (result.steps, result.score, result.model) == (9, None, tmp_path / "r/last.safetensors")
    losses = [float(value) for value in values(tmp_path / "r").values()]
    assert list(values(tmp_path / "r")) == list(range(1, 10))
    assert losses[-1] < losses[0] / 2
    assert float(values(tmp_path / "r", "half")[9]) == pytest.approx(losses[-1] / 2)
    assert [step for step, total, _ in seen if total == 9] == list(range(1, 10))
    assert sorted(p.name for p in (tmp_path / "r/pictures").iterdir()) == [f"step_00000{n}.png" for n in (3, 6, 9)]
    assert list((tmp_path / "r/tensorboard").iterdir())
    name, about = task.saved[-1]
    assert (name, about["step"], about["data"]) == ("last.safetensors", "9", "line")
    assert json.loads(about["config"])["loop"]["batch"] == 4
    assert {"mobilesam", "torch"} <= about.keys()


def test_each_photo_comes_once_an_epoch_in_an_order_of_the_seed(tmp_path: Path) -> None:
    whole = changed(SHORT, {"loop.batch": COUNT, "loop.steps": 3})
    task, _ = run(tmp_path / "a", whole)
    orders = [[index for index, _ in task.seen[i : i + COUNT]] for i in (0, COUNT, 2 * COUNT)]
    assert all(sorted(order) == list(range(COUNT)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert len({draw for _, draw in task.seen}) == 3 * COUNT
    same, _ = run(tmp_path / "b", whole)
    assert same.seen == task.seen
    other, _ = run(tmp_path / "c", changed(whole, {"loop.seed": 1}))
    assert other.seen != task.seen


def test_going_on_is_exact(tmp_path: Path) -> None:
    """To the last bit: lines of the log, weights, averages."""
    _, whole = run(tmp_path / "whole")

    class Dies(Line):
        def loss(self, examples: Sequence[Any]) -> dict[str, torch.Tensor]:
            if len(self.seen) >= 4 * 6:
                raise KeyboardInterrupt
            return super().loss(examples)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", task=Dies())
    assert max(values(tmp_path / "cut")) == 6  # the state is of step 4
    task, result = run(tmp_path / "cut", resume=True)
    assert len(task.seen) == 4 * 5
    assert result.losses == whole.losses
    for name in ("loss", "gradient", "lr"):
        assert values(tmp_path / "cut", name) == values(tmp_path / "whole", name)
    for name in ("state.safetensors", "last.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    run(tmp_path / "r")
    with pytest.raises(InputError, match="has an earlier run; go on with"):
        run(tmp_path / "r")
    with pytest.raises(InputError, match=r"begun with another optimiser.lr"):
        run(tmp_path / "r", changed(SHORT, {"optimiser.lr": 1.0}), resume=True)
    other = Line()
    other.data_hash = "circle"
    with pytest.raises(InputError, match="trained on other photos"):
        run(tmp_path / "r", task=other, resume=True)
    wider = Line()
    wider.sam.weight = nn.Parameter(torch.zeros(2, 3))
    with pytest.raises(InputError, match="another network"):
        run(tmp_path / "r", task=wider, resume=True)
    (tmp_path / "r/state.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="is no state of a training run"):
        run(tmp_path / "r", resume=True)


def test_what_changes_nothing_may_change(tmp_path: Path) -> None:
    run(tmp_path / "r")
    _, result = run(tmp_path / "r", changed(SHORT, {"loop.workers": 1, "loop.log_every": 2}), resume=True)
    assert result.steps == 9


def test_parts_of_a_batch_give_the_same_losses(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two", changed(SHORT, {"loop.accumulate": 2}))
    one, two = (np.array(list(values(tmp_path / name).values()), float) for name in ("one", "two"))
    np.testing.assert_allclose(one, two, rtol=1e-5)
    with pytest.raises(InputError, match="isn't a multiple of 3 processes x accumulate 2"):
        World(torch.device("cpu"), size=3).share(8, 2)


def test_photos_that_cant_be_read_are_left_out_and_listed(tmp_path: Path) -> None:
    task = Line()
    task.bad = {2, 3}
    _, result = run(tmp_path / "r", task=task)
    assert result.skipped == {"photo2": "2 is damaged", "photo3": "3 is damaged"}
    assert json.loads((tmp_path / "r/skipped.json").read_text()) == result.skipped
    assert {index for index, _ in task.seen} == {0, 1, 4, 5, 6}
    task.bad = set(range(COUNT))
    with pytest.raises(ImageError, match="is damaged"):
        run(tmp_path / "none", task=task)


def test_a_loss_that_is_no_number_stops_and_says_where(tmp_path: Path) -> None:
    class Bursts(Line):
        def loss(self, examples: Sequence[Any]) -> dict[str, torch.Tensor]:
            found = super().loss(examples)
            return {**found, "loss": found["loss"] * (math.nan if len(self.seen) > 4 * 5 else 1)}

    task = Bursts()
    with pytest.raises(
        TrainingError, match=r"loss is nan at step 6, on the photos photo\d, photo\d, photo\d, photo\d\."
    ):
        run(tmp_path / "r", task=task)
    assert torch.isfinite(task.sam.weight).all()
    _, result = run(tmp_path / "r", resume=True)  # the state before it is good
    assert result.steps == 9
    assert math.isfinite(result.losses["loss"])


def test_too_little_memory_says_what_helps(tmp_path: Path) -> None:
    class Large(Line):
        def loss(self, examples: Sequence[Any]) -> dict[str, torch.Tensor]:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    with pytest.raises(TrainingError, match=r"for 4 photos at once .*loop.accumulate = 2 .*loop.bf16 = true"):
        run(tmp_path / "r", task=Large())

    class Wrong(Line):
        def loss(self, examples: Sequence[Any]) -> dict[str, torch.Tensor]:
            raise RuntimeError("shapes don't fit")

    with pytest.raises(RuntimeError, match="shapes don't fit"):
        run(tmp_path / "other", task=Wrong())


def test_the_best_weights_are_kept_and_patience_ends_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {2: 0.5, 4: 0.7, 6: 0.6, 8: 0.7}
    monkeypatch.setattr(loop, "validate", lambda sam, config, step: {"set box iou": scores[step]})
    config = changed(SHORT, {"loop.steps": 100})
    config = Config(**{**vars(config), "validation": Validation(data=("set",), every=2, patience=2)})
    task, result = run(tmp_path / "r", config)
    assert (result.steps, result.score, result.model.name) == (8, 0.7, "best.safetensors")
    assert [(name, about["step"]) for name, about in task.saved if name.startswith("best")] == [
        ("best.safetensors", "2"),
        ("best.safetensors", "4"),
    ]
    assert values(tmp_path / "r", "set box iou") == {step: repr(score) for step, score in scores.items()}
    assert result.model.read_text() != (tmp_path / "r/last.safetensors").read_text()
    again, ended = run(tmp_path / "r", config, resume=True)
    assert (ended.steps, ended.score, again.seen) == (8, 0.7, [])


def test_a_folder_that_cant_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError):
        run(tmp_path / "file")


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    class Empty(Line):
        def __len__(self) -> int:
            return 0

    with pytest.raises(InputError, match="no photos to train on"):
        run(tmp_path / "r", task=Empty())


def test_averages_follow_and_step_aside() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(8.0)
    average.update(model, 1000)
    with average.applied(model):
        assert model.weight.item() == 4
    assert model.weight.item() == 8
    off = Average(model, 0.0)
    off.update(model, 1)
    with off.applied(model):
        assert model.weight.item() == 8


def test_groups_and_rates() -> None:
    from mobilesam.nn.sam import build_student
    from mobilesam.train.optim import depth_below_top
    from students import NARROW

    sam = build_student(NARROW, 64)
    sam.requires_grad_(False)
    sam.image_encoder.requires_grad_(True)
    found = groups(sam, Optimiser(layer_decay=0.5, weight_decay=0.1))
    assert {group["share"] for group in found} == {1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125}
    counted = sum(parameter.numel() for group in found for parameter in group["params"])
    assert counted == sum(p.numel() for p in sam.image_encoder.parameters())
    biases = {id(p) for name, p in sam.named_parameters() if name.endswith((".bias", "attention_biases"))}
    for group in found:
        assert group["weight_decay"] == 0.0 or not biases & {id(p) for p in group["params"]}
    assert depth_below_top("image_encoder.neck.0.weight") == depth_below_top("mask_decoder.transformer.layers.1.x") == 0
    config = Config(optimiser=Optimiser(lr=1.0, lr_end=0.1, warmup=10), loop=Loop(steps=100))
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert 0.1 < rates[99] < 0.11
