"""The rules inside protocols: where corrections are drawn, which mask a rule takes, how boxes are moved."""

from __future__ import annotations

import numpy as np
import pytest

from mobilesam.errors import InputError
from mobilesam.evaluate import PROTOCOLS
from mobilesam.evaluate.datasets.base import Instance, instance
from mobilesam.evaluate.protocols import Options, chosen
from mobilesam.evaluate.protocols.agreement import DISTANCES, questions_of
from mobilesam.evaluate.protocols.base import record, replay
from mobilesam.evaluate.protocols.choice import rules
from mobilesam.evaluate.protocols.corrected import correction, sampled
from mobilesam.evaluate.protocols.noise import noisy
from mobilesam.geometry import Letterbox

HW = (150, 200)
LETTERBOX = Letterbox(HW)


def drawn(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros(HW, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def logits(mask: np.ndarray) -> np.ndarray:
    low = np.full((256, 256), -1.0, np.float32)
    cells = sampled(mask, LETTERBOX)
    low[: cells.shape[0], : cells.shape[1]][cells] = 1
    return low


def corrections(true: Instance, found: np.ndarray) -> list[tuple[float, float, int]]:
    rng = np.random.default_rng(0)
    return [click for _ in range(200) for click in correction(true, logits(found), LETTERBOX, rng)]


def test_masks_at_the_cells() -> None:
    assert sampled(drawn(0, 0, 200, 150), LETTERBOX).shape == (192, 256)
    half = sampled(drawn(0, 0, 100, 150), LETTERBOX)
    assert half[:, :128].all()
    assert not half[:, 128:].any()


def test_corrections_are_drawn_where_object_is_missing_or_too_much_is_there() -> None:
    true = instance("a", drawn(20, 20, 100, 100))
    missing = corrections(true, drawn(20, 20, 60, 100))
    assert {label for *_, label in missing} == {1}
    assert all(59 <= x < 100 and 19 <= y < 100 for x, y, _ in missing)
    assert len({x for x, _, _ in missing}) > 30
    both = corrections(true, drawn(60, 20, 140, 100))
    assert {label for *_, label in both} == {0, 1}
    assert all((x < 60.5) == (label == 1) for x, _, label in both)


def test_no_correction_where_masks_hardly_differ_or_only_where_nothing_counts() -> None:
    true = instance("a", drawn(20, 20, 100, 100))
    assert corrections(true, drawn(20, 20, 100, 100)) == []
    assert corrections(instance("a", true.mask, ignore=drawn(60, 0, 200, 150)), drawn(20, 20, 60, 100)) == []


def test_rules_by_hand() -> None:
    square = np.full((4, 256, 256), -5.0, np.float32)
    for index, side in enumerate((50, 20, 60, 90)):
        square[index, :side, :side] = 5
    square[2, :60, 40:60] = 0.5  # a third of it is gone at the higher threshold
    found = rules(square, np.array([0.99, 0.8, 0.9, 0.7], np.float32))
    assert found == {"single": 0, "predicted": 2, "largest": 3, "smallest": 1, "stability": 1, "any": 0}


def test_points_of_agreement_lie_on_and_off_the_object_at_their_distance() -> None:
    true = Instance("a", drawn(80, 50, 120, 100), np.zeros(4, np.float32), 2000.0)
    questions = questions_of(true, np.random.default_rng(0))
    assert questions[0].name == "point"
    for question in questions:
        (x, y, label), *others = question.clicks
        assert true.mask[int(y), int(x)]
        assert label == 1
        for far_x, far_y, far_label in others:
            assert not true.mask[int(far_y), int(far_x)]
            assert far_label == 0
            assert np.hypot(far_x - x, far_y - y) == pytest.approx(int(question.name.split("@")[1]), abs=1)
    assert {q.name for q in questions} <= {"point", *(f"pair@{d}" for d in DISTANCES)}
    assert "pair@500" not in {q.name for q in questions}  # there is no room


def test_noise_moves_each_edge_by_its_share() -> None:
    box = np.array([10, 20, 30, 60], np.float32)
    assert noisy(box, np.zeros(4, np.float32)).tolist() == box.tolist()
    assert noisy(box, np.array([-0.5, 0.25, 0.5, 0.1], np.float32)).tolist() == [0, 30, 40, 64]


def test_a_record_gives_its_first_prompt_again() -> None:
    first, of_three = replay(record([(3, 4, 1), (5, 6, 0)], of_three=True))
    assert (first.points_n2.tolist(), first.labels_n.tolist(), of_three) == ([[3, 4]], [1], True)
    boxed, _ = replay(record([(3, 4, 1)], box=np.array([1, 2, 3, 4])))
    assert boxed.box is not None
    assert (boxed.box.tolist(), len(boxed.points_n2)) == ([1, 2, 3, 4], 0)
    with pytest.raises(InputError, match="no prompt"):
        replay(record())


def test_every_protocol_has_its_own_name_and_says_what_it_is() -> None:
    made = chosen(list(PROTOCOLS), Options())
    assert [protocol.name for protocol in made] == list(PROTOCOLS)
    assert len({protocol.title for protocol in made}) == len(made)
    assert chosen(["box", "box"], Options()) == [made[0]]
