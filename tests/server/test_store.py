"""The store against a plain model of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilesam import Embedding
from mobilesam.geometry import Letterbox
from mobilesam.server.problems import Problem
from mobilesam.server.store import OVERHEAD, EmbeddingStore


def embedding(cells: int = 256) -> Embedding:
    features = np.zeros((1, cells, 1, 1), np.float32)
    return Embedding(features, Letterbox((4, 6)), "m", np.zeros((4, 6, 3), np.uint8), "secret name")


def size(cells: int) -> int:
    return 4 * cells + OVERHEAD


def missing(store: EmbeddingStore, name: str, owner: str) -> bool:
    try:
        store.get(name, owner)
    except Problem as problem:
        return problem.status == 404
    return False


def test_the_photo_and_its_name_are_not_kept() -> None:
    store = EmbeddingStore(10**6, 60)
    kept = store.get(store.put(embedding(), "a"), "a")
    assert kept.image is None
    assert kept.name == "image0"


def test_the_longest_unused_goes_first() -> None:
    store = EmbeddingStore(3 * size(256), 60)
    first, second, third = (store.put(embedding(), "a") for _ in range(3))
    store.get(first, "a")
    fourth = store.put(embedding(), "a")
    assert missing(store, second, "a")
    assert not any(missing(store, name, "a") for name in (first, third, fourth))


def test_what_does_not_fit_at_all_is_413_and_costs_nobody_theirs() -> None:
    store = EmbeddingStore(size(256), 60)
    name = store.put(embedding(), "a")
    with pytest.raises(Problem) as caught:
        store.put(embedding(257), "b")
    assert caught.value.status == 413
    assert not missing(store, name, "a")


def test_unused_ones_expire() -> None:
    now = 0.0
    store = EmbeddingStore(10**6, 10, lambda: now)
    name, other = store.put(embedding(), "a"), store.put(embedding(), "a")
    now = 9
    store.get(name, "a")
    now = 18
    assert missing(store, other, "a")
    assert not missing(store, name, "a")
    now = 29
    assert missing(store, name, "a")
    assert store.bytes == len(store) == 0


OWNERS = st.sampled_from("ab")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), OWNERS, st.integers(1, 600)),
        st.tuples(st.just("get"), OWNERS, st.integers(0, 20)),
        st.tuples(st.just("delete"), OWNERS, st.integers(0, 20)),
        st.tuples(st.just("wait"), OWNERS, st.integers(1, 40)),
    ),
    max_size=60,
)
BUDGET, TTL = 9000, 100


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_it_is_a_least_recently_used_store(steps: list[tuple[str, str, int]]) -> None:
    now = 0.0
    store = EmbeddingStore(BUDGET, TTL, lambda: now)
    names: list[str] = []
    model: dict[str, list[Any]] = {}  # in the order of use: owner, size, when used
    for what, owner, number in steps:
        if what == "wait":
            now += number
        model = {name: entry for name, entry in model.items() if entry[2] >= now - TTL}
        if what == "put":
            name = store.put(embedding(number), owner)
            while sum(entry[1] for entry in model.values()) + size(number) > BUDGET:
                del model[next(iter(model))]
            model[name] = [owner, size(number), now]
            names.append(name)
        elif what in ("get", "delete") and number < len(names):
            name = names[number]
            known = name in model and model[name][0] == owner
            if what == "get":
                assert missing(store, name, owner) != known
                if known:
                    model[name] = [*model.pop(name)[:2], now]
            elif known:
                store.delete(name, owner)
                del model[name]
    for name in names:  # expires as it is asked
        assert missing(store, name, "nobody")
    assert store.bytes == sum(entry[1] for entry in model.values()) <= BUDGET
    assert len(store) == len(model)
