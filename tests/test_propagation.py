from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobilesam import SAM, InputError, PromptError
from mobilesam.masks import iou
from mobilesam.testing import FakeBackend
from mobilesam.video import frames
from videos import write_video

RED, BLUE, GREY = (250, 20, 20), (20, 20, 250), (128, 128, 128)
SIDE = 128


class Colours(FakeBackend):
    """Finds the cells of the colour that lies in a box's middle or under a click; it is sure of what isn't grey.

    Boxes may be a cell too small.

    The embedding is the picture itself, 4 x 4 cells of it in each place. `masked_iou` is what it says of prompts with a
    mask.
    """

    def __init__(self, masked_iou: float = 0.9) -> None:
        super().__init__()
        self.info = replace(self.info, img_size=SIDE)
        self.masked_iou = masked_iou
        self.calls: list[bool] = []

    def encode(self, image_bchw):
        cells = image_bchw[0, :, 2::4, 2::4]  # (3, 32, 32)
        features = np.zeros((1, 256, 8, 8), np.float32)
        features[0, :48] = cells.reshape(3, 8, 4, 8, 4).transpose(0, 2, 4, 1, 3).reshape(48, 8, 8)
        return features

    def decode(self, features_bchw, coords_bn2, labels_bn, mask_b1hw=None):
        self.calls.append(mask_b1hw is not None)
        cells = features_bchw[0, :48].reshape(3, 4, 4, 8, 8).transpose(0, 3, 1, 4, 2).reshape(3, 32, 32)
        found = [self._one(cells, *prompt) for prompt in zip(coords_bn2, labels_bn, strict=True)]
        scores = np.array([score if mask_b1hw is None or score < 0.5 else self.masked_iou for _, score in found])
        return np.repeat(np.stack([mask for mask, _ in found])[:, None], 4, axis=1), np.repeat(
            scores[:, None].astype(np.float32), 4, axis=1
        )

    def _one(self, cells, coords_n2, labels_n):
        x, y = np.clip(coords_n2[labels_n > 0].mean(axis=0) // 4, 0, 31).astype(int)
        seed = cells[:, y, x]
        same = np.abs(cells - seed[:, None, None]).max(axis=0) < 0.3
        if 2 in labels_n:
            (x1, y1), (x2, y2) = coords_n2[labels_n == 2][0] / 4, coords_n2[labels_n == 3][0] / 4
            rows, columns = np.mgrid[:32, :32] + 0.5
            same &= (columns > x1 - 1) & (columns < x2 + 1) & (rows > y1 - 1) & (rows < y2 + 1)
        return np.where(same, 4.0, -4.0).astype(np.float32), 0.95 if np.ptp(seed) > 1 else 0.1


def picture(*squares: tuple[tuple[int, int], tuple[int, int, int]]) -> np.ndarray:
    image = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    for (x, y), colour in squares:
        image[y : y + 32, x : x + 32] = colour
    return image


def box(x: int, y: int) -> list[int]:
    return [x, y, x + 32, y + 32]


def test_an_object_is_followed() -> None:
    images = [picture(((3 * i, 16 + 2 * i), RED)) for i in range(9)]
    track = SAM.from_backend(Colours()).track(images, bboxes=box(0, 16))
    for i, result in enumerate(track):
        truth = np.zeros((SIDE, SIDE), bool)
        truth[16 + 2 * i : 48 + 2 * i, 3 * i : 3 * i + 32] = True
        assert iou(result.masks[0], truth) > 0.8  # a cell is 4 pixels of 32
        assert result.name == f"image{i}"
    assert i == 8
    assert track.lost == {}


def test_each_frame_takes_one_try_unless_in_doubt() -> None:
    images = [picture(((8 + i, 16), RED)) for i in range(4)]
    sure = Colours()
    assert len(list(SAM.from_backend(sure).track(images, bboxes=box(8, 16)))) == 4
    assert sure.calls == [False, True, True, True]
    doubtful = Colours(masked_iou=0.6)
    results = list(SAM.from_backend(doubtful).track(images, bboxes=box(8, 16)))
    assert doubtful.calls == [False, *[True, False] * 3]  # the box alone and the click go together
    assert [round(float(result.iou[0]), 2) for result in results] == [0.95] * 4  # theirs was better


def test_it_says_where_it_lost_an_object_and_goes_on_with_the_others() -> None:
    images = [picture(((8, 8), RED), ((64, 64 + i), BLUE)) for i in range(3)]
    images += [picture(((64, 66 + i), BLUE)) for i in range(3)] + [picture()] * 3
    track = SAM.from_backend(Colours()).track(images, bboxes=[box(8, 8), box(64, 64)])
    found = [result.prompt_index.tolist() for result in track]
    assert found == [[0, 1]] * 3 + [[1]] * 3 + [[]]  # and no more: nothing is left to follow
    assert {which: (lost.frame, lost.name) for which, lost in track.lost.items()} == {
        0: (4, "image3"),
        1: (7, "image6"),
    }
    assert track.lost[0].iou < 0.5


def test_what_jumps_is_another_object() -> None:
    images = [picture(((0, 0), RED)), picture(((96, 96), RED)), picture(((96, 96), RED))]
    track = SAM.from_backend(Colours()).track(images, bboxes=box(0, 0))
    assert [len(result) for result in track] == [1, 0]
    assert track.lost[0].frame == 2


def test_a_click_starts_too(tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.avi", 3, hw=(SIDE, SIDE))
    track = SAM.from_backend(Colours()).track(video, points=[60, 60], every=2)
    assert [result.name for result in track] == ["walk_000001.jpg", "walk_000003.jpg"]


def test_wrong_use() -> None:
    sam = SAM.from_backend(Colours())
    with pytest.raises(InputError, match="no argument 'colour'; it has sure_iou"):
        sam.track([picture()], bboxes=box(0, 0), colour=1)
    with pytest.raises(InputError, match="shares within"):
        sam.track([picture()], bboxes=box(0, 0), least_iou=2)
    with pytest.raises(PromptError, match="No prompt"):
        list(sam.track([picture()]))


def test_the_command_writes_an_overlay_and_the_masks(tmp_path: Path, run_cli, monkeypatch) -> None:
    monkeypatch.setattr("mobilesam.model.SAM", lambda *a, **k: SAM.from_backend(Colours()))
    video = write_video(tmp_path / "walk.avi", 4, hw=(SIDE, SIDE))
    code, out, err = run_cli("predict", video, "--box", "16,16,64,48", "--propagate", "-o", tmp_path / "out.mp4")
    assert (code, err) == (0, "")
    assert "4 of 4 frames" in out
    document = json.loads((tmp_path / "out.json").read_text())
    assert [frame["frame"] for frame in document["frames"]] == [1, 2, 3, 4]
    assert (document["video"], document["lost"]) == ("walk.avi", {})
    assert all(mask["object"] == 0 for frame in document["frames"] for mask in frame["masks"])
    written = [frame for _, frame in frames(tmp_path / "out.mp4")]
    assert len(written) == 4
    x1, y1, x2, y2 = document["frames"][3]["masks"][0]["box"]
    middle = written[3][int(y1 + y2) // 2, int(x1 + x2) // 2].astype(int)
    assert np.abs(middle - written[3][120, 120]).max() > 20  # tinted, the corner isn't


def test_the_command_takes_one_video(tmp_path: Path, run_cli) -> None:
    for arguments in (
        ("a.png", "-o", "b.mp4"),
        ("a.mp4", "b.mp4", "-o", "c.mp4"),
        ("a.mp4",),
        ("a.mp4", "-o", "b.avi"),
        ("a.mp4", "-o", "b.mp4", "--resume"),
    ):
        code, _, err = run_cli("predict", *arguments, "--point", "1,1", "--propagate")
        assert code == 2
        assert "--propagate" in err
