from __future__ import annotations

import numpy as np
import pytest
import torch

from mobilesam import MissingDependencyError
from mobilesam.compat.ultralytics import tensors
from mobilesam.compat.ultralytics.tensors import Array, alike, array_of, find_torch, plain, tensor_of


@pytest.fixture
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "find_torch", lambda: None)


def test_with_torch_it_is_a_tensor_over_the_same_memory() -> None:
    array = np.array([1.0, 2.0], np.float32)
    tensor = tensor_of(array)
    assert isinstance(tensor, torch.Tensor)
    tensor[0] = 5
    assert array[0] == 5
    assert tensor_of(np.arange(6).reshape(2, 3)[:, ::-1]).tolist() == [[2, 1, 0], [5, 4, 3]]


@pytest.mark.usefixtures("_without_torch")
def test_without_torch_it_is_an_array_with_a_tensors_methods() -> None:
    array = tensor_of(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    assert isinstance(array, Array)
    for same in (array.cpu(), array.detach(), array.to("cpu"), array.detach().cpu()):
        assert isinstance(same, Array)
        assert same.tolist() == [[1, 2], [3, 4]]
    assert type(array.numpy()) is np.ndarray
    assert array[0, 1].cpu().numpy() == 2
    assert array[0, 1].item() == 2.0
    assert array[array[:, 0] > 1].tolist() == [[3, 4]]
    for move in (array.cuda, lambda: array.to("cuda:0")):
        with pytest.raises(MissingDependencyError, match=r"mobilesam\[torch\]"):
            move()


def test_there_and_back() -> None:
    array = np.array([1, 2])
    for values in (array, torch.from_numpy(array), array.view(Array), torch.ones(2, requires_grad=True) * 2, [1, 2]):
        assert type(array_of(values)) is np.ndarray
    assert isinstance(alike(array, torch.zeros(1)), torch.Tensor)
    assert isinstance(alike(array, array.view(Array)), Array)
    assert type(alike(array, array)) is np.ndarray


def test_prompts_lose_their_tensors() -> None:
    found = plain([[torch.tensor(1), 2.0], (np.int64(3), torch.tensor([4, 5]))])
    assert found[0][0] == 1
    assert found[0][1] == 2.0
    assert found[1][0] == 3
    assert found[1][1].tolist() == [4, 5]


def test_a_broken_torch_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise OSError("libtorch.so: cannot open shared object file")

    monkeypatch.setattr("importlib.import_module", broken)
    find_torch.cache_clear()
    try:
        assert find_torch() is None
    finally:
        find_torch.cache_clear()
