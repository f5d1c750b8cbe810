"""The page's modules that need no browser, in Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mobilesam.masks import box_of, rle_encode

pytestmark = pytest.mark.browser
HERE = Path(__file__).parent


def case(mask: np.ndarray) -> dict[str, object]:
    box = box_of(mask).astype(int).tolist() if mask.any() else None
    return {"rle": rle_encode(mask), "mask": mask.T.astype(int).ravel().tolist(), "area": int(mask.sum()), "box": box}


def test_in_node(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node, "node is missing: apt-get install nodejs"
    random = np.random.default_rng(3)
    masks = [np.zeros((3, 4), bool), np.ones((5, 2), bool), np.ones((1, 1), bool), np.eye(40, 30, dtype=bool)]
    masks += [
        random.random(shape) < share for shape in ((7, 9), (1, 50), (50, 1), (200, 3)) for share in (0.1, 0.5, 0.9)
    ]
    masks.append(np.kron(random.random((4, 3)) < 0.5, np.ones((60, 70))).astype(bool))
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps([case(mask) for mask in masks]))
    page = HERE.parents[1] / "src/mobilesam/server/page"
    linked = tmp_path / "tests/app"
    linked.mkdir(parents=True)
    shutil.copytree(page, tmp_path / "src/mobilesam/server/page")
    (tmp_path / "package.json").write_text('{"type": "module"}')  # the page itself has none: browsers need no telling
    for test in HERE.glob("*.test.mjs"):
        shutil.copy(test, linked)
    files = [str(path) for path in sorted(linked.iterdir())]
    done = subprocess.run(
        [node, "--test", *files], capture_output=True, text=True, check=False, env={**os.environ, "CASES": str(cases)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 12" in done.stdout, done.stdout
