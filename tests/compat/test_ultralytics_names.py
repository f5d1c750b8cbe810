"""The table of names is whole, and its tests exist."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import numpy as np

import mobilesam
from mobilesam.compat import ultralytics
from mobilesam.compat.ultralytics.arguments import IGNORED, Arguments
from mobilesam.testing import FakeBackend

HERE = Path(__file__).parent


def table() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("ultralytics_names", HERE / "ultralytics_names.py")
    assert spec
    assert spec.loader
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names: dict[str, str] = module.NAMES
    return names


def test_every_public_name_is_in_the_table() -> None:
    sam = ultralytics.SAM(mobilesam.SAM.from_backend(FakeBackend()))
    (result,) = sam(np.zeros((40, 60, 3), np.uint8), points=[3, 3])
    objects = {"SAM": sam, "Predictor": sam.predictor, "Results": result, "Boxes": result.boxes, "Masks": result.masks}
    public = set(ultralytics.__all__)
    for name, instance in objects.items():
        public |= {f"{name}.{attribute}" for attribute in dir(instance) if not attribute.startswith("_")}
    public |= {f"predict({field.name}=)" for field in fields(Arguments)} | {f"predict({name}=)" for name in IGNORED}
    assert public - table().keys() == set()


def test_every_name_has_its_test() -> None:
    for name, test in table().items():
        file, function = test.split("::")
        defined = [node.name for node in ast.parse((HERE / file).read_text()).body if isinstance(node, ast.FunctionDef)]
        assert function in defined, name
