"""`mobilesam serve` as a process with the real weights; scripts/serve ci|full runs this."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from conftest import COFFEE, ROOT
from mobilesam.client import Client, Prompt
from mobilesam.errors import ServiceError
from servers import Small, running

pytestmark = pytest.mark.serve
LOADS = {
    "ci": ["--clients", "10", "--seconds", "10", "--requests", "300", "--pause", "0.5"],
    "full": ["--clients", "50", "--seconds", "60", "--requests", "2000"],
}
TIER = os.environ.get("MOBILESAM_LOAD", "ci")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "negative_data_rejection,unsupported_method"
)
"""All but positive_data_acceptance: that a point lies inside a picture, and that bytes are one, no schema can say."""


class Nothing(Small):
    """A model that finds nothing, at once."""

    def decode(self, features_bchw: Any, coords_bn2: Any, labels_bn: Any, mask_b1hw: Any = None) -> Any:
        rows, columns = 4 * features_bchw.shape[2], 4 * features_bchw.shape[3]
        return np.full((len(coords_bn2), 4, rows, columns), -1, np.float32), np.zeros((len(coords_bn2), 4), np.float32)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serve_benchmark", ROOT / "benchmarks/serve.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server(benchmark: ModuleType) -> Iterator[Any]:
    with benchmark.Server("--timeout", "30") as made:
        made.wait_until_ready()
        yield made


def test_load() -> None:
    done = subprocess.run([sys.executable, ROOT / "benchmarks/serve.py", *LOADS[TIER]], check=False)
    assert done.returncode == 0


def test_the_description_against_what_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The whole server, but with a quick model: hundreds of requests for everything would take too long."""
    program = Path(sys.executable).parent / "schemathesis"
    count = {"ci": "25", "full": "200"}[TIER]
    with running(Nothing()) as server:
        command = [program, "run", f"{server.address}/openapi.json", "--checks", CHECKS, "--phases", "coverage,fuzzing",
                   "--max-examples", count, "--seed", "1", "--generation-database", "none"]  # fmt: skip
        done = subprocess.run(command, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_real_model_by_the_client(server: Any) -> None:
    with Client(server.address) as client:
        embedding = client.embed(COFFEE)
        found = client.predict(embedding, [Prompt([(300, 200)]), Prompt(box=(100, 50, 400, 350))])
        assert found.masks.shape == (2, 400, 600)
        assert found.iou.min() > 0.7
        seen: list[tuple[int, int]] = []
        everything = client.everything(embedding, points_per_side=16, progress=lambda *now: seen.append(now))
        assert len(everything) > 5
        assert seen[-1][1] == 256
        assert np.array_equal(client.logits(embedding, Prompt([(300, 200)])).masks[0], found.masks[0])


def test_a_killed_server_is_a_named_error(server: Any) -> None:
    with Client(server.address) as client:
        embedding = client.embed(COFFEE)
        server.stop(signal.SIGKILL)
        with pytest.raises(ServiceError, match="can't be reached"):
            client.predict(embedding, Prompt([(300, 200)]))


def test_the_dockerfile_is_clean() -> None:
    subprocess.run([Path(sys.executable).parent / "hadolint", ROOT / "Dockerfile"], check=True)


def test_the_container_builds_and_answers() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker daemon here")
    subprocess.run([docker, "build", "-t", "mobilesam-test", "."], cwd=ROOT, check=True)
    run = [docker, "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    code = "from mobilesam import SAM; print(len(SAM().predict('/dev/stdin', points=[300, 200])[0]))"
    said = subprocess.run(
        [*run, "-i", "--entrypoint", "python", "mobilesam-test", "-c", code],
        stdin=COFFEE.open("rb"), check=True, capture_output=True,
    )  # fmt: skip
    assert said.stdout.strip() == b"1"
