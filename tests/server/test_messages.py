"""Run lengths from strangers: what pycocotools writes is read, and nothing else counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mobilesam import PromptError
from mobilesam.masks import rle_encode
from mobilesam.server.messages import RunLengths
from mobilesam.server.work import counts_of, mask_of


@settings(max_examples=50)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_every_mask_comes_back(mask: np.ndarray) -> None:
    lengths = rle_encode(mask)
    assert np.array_equal(mask_of(RunLengths(size=list(mask.shape), counts=lengths["counts"]), mask.shape), mask)


def test_a_large_mask_comes_back() -> None:
    mask = np.zeros((3000, 2000), bool)
    mask[1000:, 7:1500] = True
    lengths = rle_encode(mask)
    assert np.array_equal(mask_of(RunLengths(size=[3000, 2000], counts=lengths["counts"]), (3000, 2000)), mask)


@settings(max_examples=100)
@given(st.text(max_size=60), st.integers(1, 30), st.integers(1, 30))
def test_any_text_gives_a_mask_of_the_size_or_an_error(text: str, height: int, width: int) -> None:
    try:
        mask = mask_of(RunLengths(size=[height, width], counts=text), (height, width))
    except PromptError:
        return
    assert mask.shape == (height, width)


@settings(max_examples=300)
@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=40))
def test_any_run_lengths_are_a_mask_only_where_they_fill_it(text: str) -> None:
    counts = counts_of(text)
    good = bool(counts) and min(counts) >= 0 and sum(counts) == 12
    if good:
        assert mask_of(RunLengths(size=[3, 4], counts=text), (3, 4)).sum() == sum(counts[1::2])
    else:
        with pytest.raises(PromptError):
            mask_of(RunLengths(size=[3, 4], counts=text), (3, 4))
