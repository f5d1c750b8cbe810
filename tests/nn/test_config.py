from __future__ import annotations

import pytest

from mobilesam.backends.checkpoint import student_shapes
from mobilesam.catalog.models import ARCHS
from mobilesam.export.graphs import weightless
from mobilesam.nn.config import STUDENTS, name_of
from students import NARROW


@pytest.mark.parametrize("config", [*STUDENTS.values(), NARROW], ids=[*STUDENTS, "narrow"])
def test_the_table_of_tensors_is_that_of_the_network(config) -> None:
    expected = {key: tuple(value.shape) for key, value in weightless(config, 128).state_dict().items()}
    assert student_shapes(config) == expected


def test_the_smallest_student_is_mobilesam() -> None:
    assert student_shapes(STUDENTS["tiny_vit_5m"]) == ARCHS["mobile_sam"].shapes


def test_parameters_are_those_of_the_papers() -> None:
    """TinyViT-5M/11M/21M have 5.4, 11 and 21 million parameters with their ImageNet head (Wu et al. 2022, table 1)."""
    counts = {}
    for name, config in STUDENTS.items():
        encoder = weightless(config, 128).image_encoder
        counts[name] = sum(p.numel() for key, p in encoder.named_parameters() if not key.startswith("neck."))
    assert {name: round(count / 1e6, 1) for name, count in counts.items()} == {
        "tiny_vit_5m": 5.4,
        "tiny_vit_11m": 11.0,
        "tiny_vit_21m": 21.2,
    }


def test_other_widths_have_no_name_of_their_own() -> None:
    assert [name_of(config) for config in (*STUDENTS.values(), NARROW)] == [*STUDENTS, "tiny_vit"]
