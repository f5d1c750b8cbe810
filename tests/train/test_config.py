"""Recipes: each is loaded; unknown keys and wrong values are errors that say what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobilesam import InputError, SourceNotFoundError
from mobilesam.train.config import RECIPES, Config, changed, from_dict, load


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_loaded(name: str) -> None:
    config = load(name)
    assert config.task == ("finetune" if name.startswith("finetune") else "distill")
    assert from_dict(config.to_dict()) == config


def test_the_papers_recipe_is_the_papers() -> None:
    config = load("mobilesam_100k")
    assert (config.loop.batch, config.loop.steps) == (8, 100_000)
    assert (config.student.arch, config.student.img_size) == ("tiny_vit_5m", 1024)
    assert config.distill.masks == 0


def test_values_are_changed_by_name() -> None:
    config = load(
        "smoke", ["loop.batch=4", "student.dims=[32, 32, 32, 64]", "student.init=mobilesam", "optimiser.lr=1"]
    )
    assert config.loop.batch == 4
    assert config.student.dims == (32, 32, 32, 64)
    assert config.student.init == "mobilesam"  # a word that is no TOML is a string
    assert config.optimiser.lr == 1.0
    assert changed(config, {"loop.seed": 7}).loop.seed == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("loop.bach=4", r"unknown key 'loop.bach'; known: steps, batch, accumulate"),
        ("lop.batch=4", r"unknown key 'lop'; known: task, student, distill"),
        ("loop.batch=4.5", r"loop.batch must be int, got 4.5"),
        ("loop.batch=true", r"loop.batch must be int, got True"),
        ("loop.batch=0", r"must be 1 or more"),
        ("loop=4", r"loop is a section, got 4"),
        ("loop.batch", r"must be SECTION.KEY=VALUE"),
        ("task.kind=1", r"task is a value, not a section"),
        ("task=train", r"task must be 'distill' or 'finetune', got 'train'"),
        ("student.img_size=500", r"isn't 32 \* n"),
        ("student.dims=[32, 32]", r"four widths"),
        ("student.freeze=6", r"must be 0 to 5"),
        ("loop.accumulate=3", r"isn't a multiple of accumulate"),
        ("prompts.rounds=9", r"must be 1 to 8"),
        ("distill.mse=0", r"nothing would be learnt"),
        ("loop.ema=1.0", r"below 1"),
    ],
)
def test_wrong_values_are_refused(change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load("smoke", [change])


def test_a_file_is_a_recipe_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('task = "distill"\n[loop]\nsteps = 3\n')
    assert load(path).loop.steps == 3
    path.write_text("[loop\n")
    with pytest.raises(InputError, match="is no TOML"):
        load(path)
    with pytest.raises(SourceNotFoundError, match="mobilesam_100k, finetune_small, smoke"):
        load(tmp_path / "none.toml")


def test_the_defaults_go_together() -> None:
    assert Config().task == "distill"
