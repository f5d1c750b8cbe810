from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import COFFEE
from mobilesam import SAM, Embedding, InputError, OutputError, SourceNotFoundError
from mobilesam.testing import FakeBackend


def test_saved_and_loaded_it_answers_with_the_same_bytes(default_sam: SAM, tmp_path: Path) -> None:
    embedding = default_sam.embed(COFFEE)
    loaded = Embedding.load(embedding.save(tmp_path / "photo.npz"))
    first, second = (default_sam.predict(e, points=[300, 200])[0] for e in (embedding, loaded))
    np.testing.assert_array_equal(first.low_res, second.low_res)
    np.testing.assert_array_equal(loaded.image, embedding.image)
    np.testing.assert_array_equal(first.cutout(), second.cutout())
    assert (loaded.name, loaded.path, loaded.image_hw) == ("coffee.png", COFFEE, (400, 600))
    assert loaded.model_id == default_sam.info.model_id


def test_without_photo_and_path(tmp_path: Path, fake_sam: SAM) -> None:
    whole = fake_sam.embed(np.zeros((5, 7, 3), np.uint8))
    bare = Embedding(whole.features_bchw, whole.letterbox, whole.model_id)
    loaded = Embedding.load(bare.save(tmp_path / "e.npz"))
    assert loaded.image is None
    assert loaded.path is None
    with pytest.raises(InputError, match="no photo"):
        fake_sam.predict(loaded, points=[1, 1])[0].plot()


def test_it_can_not_be_changed(fake_sam: SAM) -> None:
    embedding = fake_sam.embed(np.zeros((5, 7, 3), np.uint8))
    with pytest.raises(AttributeError):
        embedding.model_id = "other"  # type: ignore[misc]


def test_another_models_embedding_is_refused(default_sam: SAM) -> None:
    embedding = SAM.from_backend(FakeBackend()).embed(COFFEE)
    with pytest.raises(InputError, match="made by fake-0, this model is mobile_sam-"):
        default_sam.predict(embedding, points=[1, 1])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text"])
def test_files_that_hold_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "e.npz").write_bytes(content)
    with pytest.raises(InputError, match="no saved embedding"):
        Embedding.load(tmp_path / "e.npz")


def test_foreign_and_newer_archives(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", other=np.zeros(3))
    with pytest.raises(InputError, match="no saved embedding"):
        Embedding.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", format=np.array(99))
    with pytest.raises(InputError, match="format 99"):
        Embedding.load(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", format=np.array([{"pickled": 1}], object))
    with pytest.raises(InputError, match="no saved embedding"):
        Embedding.load(tmp_path / "c.npz")


def test_names_and_places(tmp_path: Path, fake_sam: SAM) -> None:
    with pytest.raises(SourceNotFoundError, match="sam.embed"):
        Embedding.load(tmp_path / "none.npz")
    embedding = fake_sam.embed(np.zeros((5, 7, 3), np.uint8))
    with pytest.raises(InputError, match=r"\.npz"):
        embedding.save(tmp_path / "e.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        embedding.save(tmp_path / "file/e.npz")
