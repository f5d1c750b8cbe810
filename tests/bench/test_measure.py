from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mobilesam import SAM, MobileSAMError, settings
from mobilesam.bench import Candidate, chosen, machine, measure, run
from mobilesam.bench.candidates import PEERS, peer
from mobilesam.bench.jobs import BOXES, IMAGES, JOBS, PHOTO
from mobilesam.bench.runners import RUNNERS
from mobilesam.bench.worker import Jobs
from mobilesam.errors import InputError
from mobilesam.testing import FakeBackend

ANSWERING = """
import json, sys
spec = json.loads(sys.argv[1])
log = open(spec["options"]["log"], "a")
def note(text):
    print(spec["options"]["name"], text, file=log, flush=True)
if spec["cold"]:
    note("cold")
    sys.exit()
print("ready", flush=True)
for line in sys.stdin:
    note(line.strip())
    if line.strip() == spec["options"].get("fails"):
        sys.exit("out of memory")
    print("null" if line.startswith("everything") else spec["options"]["seconds"], flush=True)
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that only answer, and no matrix products."""

    def command(candidate: Candidate, photo: Path, threads: int | None, *, cold: bool = False) -> list[str]:
        made = original(candidate, photo, threads, cold=cold)
        return [sys.executable, "-c", ANSWERING, made[-1]]

    original = measure._command
    monkeypatch.setattr(measure, "_command", command)
    monkeypatch.setattr(machine, "matmul_rate", lambda: 100.0)
    monkeypatch.setattr(measure, "PAUSE", 0)


def candidate(name: str, log: Path, seconds: float = 1.0, **options: object) -> Candidate:
    return Candidate(name, "ours", {"name": name, "log": str(log), "seconds": seconds, **options})


def test_every_round_asks_each_candidate_for_each_job_in_turn(tmp_path: Path) -> None:
    both = [candidate("a", tmp_path / "log", 2.0), candidate("b", tmp_path / "log", 0.5)]
    report = run(both, PHOTO, rounds=2, slow_rounds=1, jobs=("click", "encode 1:1"))
    asked = (tmp_path / "log").read_text().splitlines()
    assert asked == ["a click", "b click", "a encode 1:1", "b encode 1:1"] * 3  # one round of warm-up
    assert report.values["click"] == {"a": [2.0, 2.0], "b": [0.5, 0.5]}
    assert report.speed_up("click", "b") == 4


def test_slow_jobs_have_rounds_of_their_own_and_may_be_missing(tmp_path: Path) -> None:
    report = run([candidate("a", tmp_path / "log")], PHOTO, rounds=3, slow_rounds=1, jobs=("everything exact", "click"))
    assert (tmp_path / "log").read_text().count("everything") == 1
    assert report.values["everything exact"] == {}
    assert "everything" not in report.markdown().split("|", 1)[1]


def test_two_workers_work_at_the_same_time(tmp_path: Path) -> None:
    jobs = ("images, 1 worker", "images, 2 workers", "cold start")
    report = run([candidate("a", tmp_path / "log", 2.0)], PHOTO, rounds=1, slow_rounds=1, jobs=jobs)
    assert report.values["images, 1 worker"]["a"] == [IMAGES / 2.0]
    assert report.values["images, 2 workers"]["a"][0] > 0
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["a cold"] * 2 + ["a images"] * 6


def test_a_candidate_that_stops_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(MobileSAMError, match="broken stopped: out of memory"):
        run([candidate("broken", tmp_path / "log", fails="click")], PHOTO, rounds=1, slow_rounds=1, jobs=("click",))


def test_peers_come_first_and_are_asked_for_by_name() -> None:
    found = chosen(["eager"], ["openvino"])
    assert [c.name for c in found] == ["eager", "openvino auto", "openvino fp32"]
    with pytest.raises(InputError, match="Unknown peer 'fastsam'; known: eager"):
        peer("fastsam")
    with pytest.raises(InputError, match="samexporter=ENCODER.onnx,DECODER.onnx"):
        peer("samexporter=one.onnx")
    with pytest.raises(InputError, match="needs the package ultralytics"):
        peer("ultralytics")
    with pytest.raises(InputError, match="No installed runtime 'tflite'"):
        chosen([], ["tflite"])
    assert peer("mobile_sam=/somewhere").options == {"place": "/somewhere"}
    assert {runner for runner, _, _ in PEERS.values()} | {"ours"} == RUNNERS.keys()


class Recording:
    def __init__(self) -> None:
        self.sam = SAM.from_backend(FakeBackend())
        self.calls: list[tuple[str, object]] = []

    def encode(self, photo: np.ndarray) -> object:
        self.calls.append(("encode", photo.shape[:2]))
        return self.sam.embed(photo)

    def click(self, state, xy) -> np.ndarray:
        self.calls.append(("click", state.image_hw))
        return self.sam.predict(state, points=xy)[0].masks

    def boxes(self, state, boxes_n4) -> np.ndarray:
        self.calls.append(("boxes", len(boxes_n4)))
        return self.sam.predict(state, bboxes=boxes_n4)[0].masks

    def everything(self, photo, quality: str) -> int:
        self.calls.append(("everything", quality))
        return 1


def test_the_jobs_do_what_they_are_called() -> None:
    runner = Recording()
    jobs = Jobs(runner, PHOTO)
    jobs.prepare()
    assert ("encode", (1200, 1200)) in runner.calls
    assert ("encode", (1080, 1920)) in runner.calls
    runner.calls.clear()
    for name in set(JOBS) - {"cold start", "images, 1 worker", "images, 2 workers", "peak memory"}:
        assert jobs.run(name) > 0
    assert runner.calls.count(("boxes", BOXES)) == 1
    assert runner.calls.count(("boxes", 1)) == BOXES
    assert ("click", (1200, 1800)) in runner.calls
    assert {("everything", "exact"), ("everything", "fast")} <= set(runner.calls)


def test_the_machine_is_described() -> None:
    text = machine.describe()
    assert f"{settings.cores()} cores" in text
    assert "openvino 20" in text
