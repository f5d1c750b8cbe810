"""Every public callable of Meta's and MobileSAM's packages has the same signature here."""

from __future__ import annotations

import ast
import importlib
import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import meta_names
import numpy as np
import pytest
import reference

from mobilesam import compat

PACKAGES = ("segment_anything", "mobile_sam")
WIDER = {("segment_anything", "modeling.sam", "Sam"): "image_encoder"}
"""Meta's Sam takes a ViT only, MobileSAM's and ours a TinyViT too."""


def callables(package: str) -> Iterator[tuple[str, str]]:
    """Module and dotted name of everything that can be called, methods included."""
    for module in compat.MODULES:
        if module == "modeling.tiny_vit_sam" and package == "segment_anything":
            continue
        for name, found in vars(reference.load(package, module)).items():
            if name.startswith("_") or getattr(found, "__module__", "") != f"{package}.{module}":
                continue
            if inspect.isclass(found):
                yield module, name
                yield from ((module, f"{name}.{part}") for part in methods(found))
            elif callable(found):
                yield module, name


def methods(found: type) -> list[str]:
    public = [name for name, value in vars(found).items() if not name.startswith("_")]
    return [name for name in public if callable(getattr(found, name)) or isinstance(vars(found)[name], property)]


def look_up(module: types.ModuleType, dotted: str) -> Any:
    found: Any = module
    for part in dotted.split("."):
        found = getattr(found, part)
    return found


CASES = [(package, *case) for package in PACKAGES for case in callables(package)]


@pytest.mark.parametrize(("package", "module", "name"), CASES, ids=[".".join(case) for case in CASES])
def test_the_signature_is_the_references(package: str, module: str, name: str) -> None:
    if name.split(".", maxsplit=1)[0] in meta_names.NOT_OFFERED.get(module, ()):
        assert not hasattr(
            importlib.import_module(f"mobilesam.compat.{package}.{module}"), name.split(".", maxsplit=1)[0]
        )
        return
    theirs = look_up(reference.load(package, module), name)
    ours = look_up(importlib.import_module(f"mobilesam.compat.{package}.{module}"), name)
    if isinstance(theirs, property):
        assert isinstance(ours, property)
        return
    expected, found = (inspect.signature(f, eval_str=True).parameters for f in (theirs, ours))
    assert list(found) == list(expected)
    for key, parameter in expected.items():
        assert found[key].kind == parameter.kind, key
        assert same(found[key].default, parameter.default), key
        is_wider = WIDER.get((package, module, name)) == key
        if parameter.annotation is not inspect.Parameter.empty and not is_wider:
            assert plain(found[key].annotation) == plain(parameter.annotation), key


def same(first: Any, second: Any) -> bool:
    return bool(first is second or first == second or getattr(first, "__name__", 1) == getattr(second, "__name__", 2))


def plain(annotation: Any) -> str:
    """An annotation without the ways of writing it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return "|".join(sorted(plain(a) for a in arguments))
    if origin is np.ndarray or annotation is np.ndarray:
        return "ndarray"
    if origin is not None:
        return f"{origin.__name__}[{','.join(plain(a) for a in arguments)}]"
    return str(getattr(annotation, "__name__", annotation)).split(".")[-1]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_names_of_the_top_are_there(package: str) -> None:
    theirs, ours = reference.load(package), importlib.import_module(f"mobilesam.compat.{package}")
    public = {n for n in vars(theirs) if not n.startswith("_") and not inspect.ismodule(getattr(theirs, n))}
    assert public == set(ours.__all__)
    assert list(theirs.sam_model_registry) == list(ours.sam_model_registry)
    builders = {key: value.__name__ for key, value in theirs.sam_model_registry.items()}
    assert {key: value.__name__ for key, value in ours.sam_model_registry.items()} == builders


@pytest.mark.parametrize("package", PACKAGES)
def test_attributes_that_clients_read(package: str) -> None:
    """Of every object that a predictor is made of, each public attribute that isn't a method."""
    theirs = reference.load(package, "predictor").SamPredictor(reference.tiny(package))
    ours_package = importlib.import_module(f"mobilesam.compat.{package}")
    ours = ours_package.SamPredictor(reference.tiny(f"mobilesam.compat.{package}"))
    for path in ("", "model", "model.prompt_encoder", "model.prompt_encoder.pe_layer", "model.mask_decoder",
                 "model.mask_decoder.transformer", "model.mask_decoder.transformer.layers.0.self_attn",
                 "model.image_encoder", "model.image_encoder.blocks.0.attn", "transform"):  # fmt: skip
        first, second = theirs, ours
        for part in path.split(".") if path else []:
            first, second = ((x[int(part)] if part.isdigit() else getattr(x, part)) for x in (first, second))
        names = {*vars(first), *vars(first).get("_modules", ()), *vars(first).get("_parameters", ())}
        for name in sorted(names):
            if not name.startswith("_"):
                assert hasattr(second, name), f"{path}.{name}"
                if isinstance(getattr(first, name), (int, float, str, tuple, type(None))):
                    assert getattr(second, name) == getattr(first, name), f"{path}.{name}"


def test_every_name_has_its_test() -> None:
    files = {path.name: ast.parse(path.read_text()) for path in Path(__file__).parent.glob("test_meta_*.py")}
    named = {meta_names.covered_by(f"{module}.{name}") for _, module, name in CASES}
    for test in named | set(meta_names.TESTS.values()):
        file, function = test.split("::")
        assert function in [node.name for node in files[file].body if isinstance(node, ast.FunctionDef)], test
