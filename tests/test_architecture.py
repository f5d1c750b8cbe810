"""What importing the package may and may not do, each in a fresh process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

SRC = ROOT / "src/mobilesam"
HEAVY = ("torch", "openvino", "onnxruntime", "onnx", "torchvision", "timm", "requests", "httpx")

GLOBALS = """
import json, logging, os, sys, threading, warnings
import numpy as np
import cv2

def state():
    return {
        "environment": dict(os.environ),
        "warnings": [str(f) for f in warnings.filters],
        "handlers": [str(h) for h in logging.getLogger().handlers],
        "level": logging.getLogger().level,
        "threads": [t.name for t in threading.enumerate()],
        "numpy": np.get_printoptions(),
        "errstate": np.geterr(),
        "cv2 threads": cv2.getNumThreads(),
        "cwd": os.getcwd(),
        "path": list(sys.path),
    }
"""


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_core_runs_a_prediction_where_every_runtime_is_refused() -> None:
    code = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ImportError("refused: " + name)
sys.meta_path.insert(0, Refuse())
import numpy as np
from mobilesam import SAM, Embedding, Results
from mobilesam.testing import FakeBackend
result = SAM.from_backend(FakeBackend()).predict(np.zeros((40, 60, 3), np.uint8), points=[30, 20])[0]
assert isinstance(result, Results) and result.masks.any() and result.plot().shape == (40, 60, 3)
import mobilesam.catalog, mobilesam.cli.main, mobilesam.backends
print("done")
"""
    assert fresh(code) == "done\n"


def test_importing_everything_of_core_changes_no_global_state() -> None:
    code = (
        GLOBALS
        + """
before = state()
import mobilesam, mobilesam.model, mobilesam.results, mobilesam.plot, mobilesam.backends, mobilesam.cli.main
import mobilesam.compat.ultralytics
after = state()
print(json.dumps([k for k in before if before[k] != after[k]]))
"""
    )
    assert json.loads(fresh(code)) == []


@pytest.mark.parametrize("runtime", ["openvino", "onnx", "pytorch"])
def test_predicting_changes_no_global_state(runtime: str) -> None:
    code = (
        GLOBALS
        + f"""
before = state()
import importlib
importlib.import_module({{"openvino": "openvino", "onnx": "onnxruntime", "pytorch": "torch"}}[{runtime!r}])
runtimes_own = state()
from mobilesam import SAM
torch = sys.modules.get("torch")
threads = torch and torch.get_num_threads()
SAM(runtime={runtime!r}, threads=1).predict(np.zeros((40, 60, 3), np.uint8), points=[30, 20])
after = state()
assert (torch and torch.get_num_threads()) == threads
ignored = ("threads",)
print(json.dumps([k for k in before if after[k] not in (before[k], runtimes_own[k]) and k not in ignored]))
"""
    )
    assert json.loads(fresh(code)) == []


def test_import_is_lazy() -> None:
    loaded = fresh("import sys, mobilesam; print(*sorted(m.split('.')[0] for m in sys.modules))").split()
    assert not {"numpy", "cv2", "PIL", "torch", "openvino", "typer", "rich"} & set(loaded)


def test_the_public_names_are_there_once() -> None:
    import mobilesam

    assert len(mobilesam.__all__) == len(set(mobilesam.__all__))
    for name in mobilesam.__all__:
        assert getattr(mobilesam, name) is not None
    assert set(dir(mobilesam)) == set(mobilesam.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mobilesam.nothing


def test_every_error_is_a_builtin_too() -> None:
    from mobilesam import errors

    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.MobileSAMError)]
    for made in classes:
        if made is not errors.MobileSAMError:
            assert any(b.__module__ == "builtins" and b not in (Exception, object) for b in made.__mro__), made


def python_files() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(SRC)))
def test_files_are_short_and_functions_too(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 400
    lengths = [
        node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno
    ]
    assert all(length <= 80 for length in lengths), max(lengths)


def test_settings_is_the_only_reader_of_the_environment() -> None:
    readers = [p.name for p in python_files() if "os.environ" in p.read_text() or "getenv" in p.read_text()]
    assert readers == ["settings.py"]


def test_torch_load_stands_in_one_file_and_reads_plain_tensors_only() -> None:
    users = {p.name: p.read_text() for p in python_files() if "torch.load(" in p.read_text()}
    assert list(users) == ["checkpoint.py"]
    assert "weights_only=True" in users["checkpoint.py"]
    assert not [p for p in python_files() if "import pickle" in p.read_text() and p.name != "checkpoint.py"]
