"""On a real local Ray cluster of two workers; scripts/ray ci installs what that needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

import batches
from batches import OPTIONS, bytes_of, make_photos
from conftest import COFFEE, ROOT
from mobilesam import SAM, ImageError
from mobilesam.masks import rle_decode
from mobilesam.scale import batch

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray
PATHS = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A head that does no work, and two workers of one core each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        made.add_node(num_cpus=1)
    ray.init(address=made.address, runtime_env={"env_vars": {"PYTHONPATH": PATHS}}, log_to_driver=False)
    yield
    ray.shutdown()
    made.shutdown()


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_one_of_two_killed_in_the_middle_nothing_lost_nothing_twice(cluster, tmp_path: Path, kind: str) -> None:
    photos = make_photos(tmp_path / "photos", 24)
    (tmp_path / "deadly").touch()
    seen: list[int] = []
    options = {**OPTIONS, "kind": kind, "threads": 1}
    summary = batch(
        photos,
        tmp_path / "ray",
        processes=2,
        ray="auto",
        loader=batches.load_killed,
        progress=lambda done, _: seen.append(done),
        **options,
    )
    assert not (tmp_path / "deadly").exists()  # the actor that had the seventh photo was killed by -9
    assert (seen, summary.pictures, summary.errors) == (list(range(2, 25, 2)), 24, [])
    batch(photos, tmp_path / "local", processes=1, loader=batches.load_fake, **options)
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "local")
    if kind == "parquet":
        rows = [(row["image"], row["mask"]) for row in pq.read_table(tmp_path / "ray").to_pylist()]
        assert len(rows) == len(set(rows)) == summary.masks
        assert {image for image, _ in rows} == {f"{i:03d}.png" for i in range(24)}


def test_the_model_gives_the_same_bytes_on_ray(cluster, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text('{"image": "coffee.png", "boxes": [[150, 80, 480, 340]]}')
    options = {"task": "boxes", "prompts": boxes, "threads": 1, "processes": 1}
    assert batch(COFFEE, tmp_path / "ray", ray="auto", **options).masks == 1
    batch(COFFEE, tmp_path / "local", **options)
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "local")


def test_what_an_actor_raises_is_raised_here(cluster, tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 3)
    (photos / "001.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"001\.png"):
        batch(photos, tmp_path / "out", ray="auto", processes=1, threads=1, strict=True, loader=batches.load_fake)


def test_the_deployment_answers_a_click(cluster) -> None:
    import yaml
    from ray import serve

    from mobilesam.scale.ray_serve import build

    document = yaml.safe_load((ROOT / "examples/ray-serve.yaml").read_text())
    (application,) = document["applications"]
    assert application["import_path"] == "mobilesam.scale.ray_serve:build"
    serve.start(http_options={"host": "127.0.0.1", "port": 18437})
    serve.run(build({**application["args"], "cpus": 1, "replicas": [1, 2]}), name="mobilesam", route_prefix="/")
    try:
        answer = httpx.post(
            "http://127.0.0.1:18437/v1/masks",
            files={"image": COFFEE.read_bytes()},
            data={"request": '{"prompts": [{"points": [[300, 200]]}]}'},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        mask = rle_decode(answer.json()["masks"][0]["rle"])
        expected = SAM(threads=1).predict(COFFEE, points=[300, 200])[0].masks[0]
        np.testing.assert_array_equal(mask, expected)
    finally:
        serve.shutdown()
