from __future__ import annotations

from threading import Barrier, Thread

from mobilesam.backends.recent import Recent


def test_the_last_asked_for_stay() -> None:
    kept: Recent[str] = Recent(2)
    made: list[str] = []

    def get(key: str) -> str:
        return kept.get(key, lambda: made.append(key) or key)

    assert [get(key) for key in "abacab"] == list("abacab")
    assert made == list("abcb")  # c came after b was last asked for, and a had been asked for since


def test_threads_that_ask_at_once_get_one_value() -> None:
    kept: Recent[object] = Recent(1)
    barrier, found = Barrier(8), []

    def ask() -> None:
        barrier.wait()
        found.append(kept.get("a", object))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
