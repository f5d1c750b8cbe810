"""`mobilesam train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from embedded import make_embeddings, make_photos
from mobilesam import backends
from mobilesam.testing import FakeBackend
from mobilesam.train import distillation
from mobilesam.train.loop import Result

Run = Callable[..., tuple[int, str, str]]


def test_embed(run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "load", lambda *_, **__: FakeBackend())
    photos = make_photos(tmp_path / "photos", 2)
    (photos / "bad.png").write_bytes(b"no picture")
    code, out, err = run_cli("train", "embed", photos, "-o", tmp_path / "e", "--flips")
    assert code == 0
    assert out == f"2 photos of teacher fake-0 in {tmp_path / 'e'}\n"
    assert "3 photos x 2 = 0.01 GB" in err
    assert "1 photos couldn't be read and were left out:" in err
    assert "bad.png: " in err


def test_distill_takes_the_recipe_and_its_changes(
    run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def train(task: object, config: object, output: Path, world: object, **more: object) -> Result:
        seen.update(config=config, output=output, **more)
        return Result(output / "best.safetensors", 3, {}, 0.75, {"x.png": "is damaged"})

    monkeypatch.setattr(distillation, "train", train)
    photos, embeddings = make_photos(tmp_path / "photos", 2), make_embeddings(tmp_path / "e", 2)
    command = ("train", "distill", photos, "-o", tmp_path / "run", "--embeddings", embeddings, "--recipe", "smoke")
    code, out, err = run_cli(*command, "--set", "loop.steps=3", "--set", "student.img_size=64", "--device", "cpu")
    assert code == 0
    assert out == f"wrote {tmp_path / 'run/best.safetensors'}  after 3 steps, validation 0.7500\n"
    assert "x.png: is damaged" in err
    assert (seen["config"].loop.steps, seen["config"].student.img_size, seen["resume"]) == (3, 64, False)
    code, _, err = run_cli(*command, "--set", "loop.stps=3")
    assert code == 2
    assert "unknown key 'loop.stps'" in err
