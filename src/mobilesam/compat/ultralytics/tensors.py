"""Results are PyTorch tensors where torch is installed, else NumPy arrays with a tensor's few methods."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from ...errors import MissingDependencyError
from ...types import AnyArray


class Array(np.ndarray[Any, Any]):
    """An array that can be asked for what users ask tensors for: .cpu(), .numpy(), .to("cpu"), .detach().

    >>> tensor_of(np.array([1, 2])).cpu().numpy().tolist()
    [1, 2]
    """

    def __getitem__(self, index: Any) -> Any:
        """An element is an Array without axes, as a tensor's is a tensor."""
        return np.asarray(super().__getitem__(index)).view(Array)

    def cpu(self) -> Array:
        """Itself."""
        return self

    def detach(self) -> Array:
        """Itself."""
        return self

    def numpy(self) -> AnyArray:
        """The plain array, of the same memory."""
        return self.view(np.ndarray)

    def to(self, device: Any = "cpu", **_: Any) -> Array:
        """Itself for the CPU. Raises MissingDependencyError for other devices."""
        if str(device) != "cpu":
            raise MissingDependencyError(f"Moving results to {device!r} needs PyTorch: pip install 'mobilesam[torch]'")
        return self

    def cuda(self) -> Array:
        """Raises MissingDependencyError."""
        return self.to("cuda")


def tensor_of(array: AnyArray) -> Any:
    """A tensor over the array's memory, or without torch an Array."""
    torch = find_torch()
    return torch.from_numpy(np.ascontiguousarray(array)) if torch else array.view(Array)


def array_of(values: Any) -> AnyArray:
    """The NumPy array of a tensor, an Array or an array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return values.numpy() if hasattr(values, "numpy") else np.asarray(values)


def alike(array: AnyArray, values: Any) -> Any:
    """The array as what `values` is: a tensor on its device, an Array, or a plain array."""
    if isinstance(values, Array):
        return array.view(Array)
    return array if isinstance(values, np.ndarray) else tensor_of(array).to(values.device)


def plain(values: Any) -> Any:
    """Prompts without tensors, however they are nested.

    >>> plain([[1, np.float32(2)]])
    [[1, 2.0]]
    """
    if isinstance(values, (list, tuple)):
        return [plain(value) for value in values]
    if hasattr(values, "detach"):
        return array_of(values)
    return values.item() if isinstance(values, np.generic) else values


@cache
def find_torch() -> ModuleType | None:
    """The torch module, or None where it can't be imported."""
    try:
        return importlib.import_module("torch")
    except (ImportError, OSError):  # OSError: a shared library of a broken installation
        return None
