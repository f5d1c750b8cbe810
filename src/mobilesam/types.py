"""Array aliases and literals used across the package."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

HW: TypeAlias = tuple[int, int]
"""A size as (height, width) in pixels."""

U8: TypeAlias = npt.NDArray[np.uint8]
F32: TypeAlias = npt.NDArray[np.float32]
Bool: TypeAlias = npt.NDArray[np.bool_]
Int: TypeAlias = npt.NDArray[np.int64]
Labels: TypeAlias = npt.NDArray[np.int32]
AnyArray: TypeAlias = npt.NDArray[Any]

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "int8"]
PaddingMode: TypeAlias = Literal["auto", "full", "skip"]
Multimask: TypeAlias = bool | Literal["best"]
"""False: the single-mask output; True: three masks a prompt; "best": one mask, see Predictor.predict."""
