"""The names of exported networks' inputs and outputs, in the contract's order, for runtimes that go by name."""

from __future__ import annotations

INPUTS = {"encoder": ("image",), "decoder": ("features", "coords", "labels", "mask", "has_mask")}
OUTPUTS = {"encoder": ("features",), "decoder": ("logits", "iou")}
