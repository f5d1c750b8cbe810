"""What is written of each picture: a file of its own, or rows of the chunk's parquet file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .._optional import require
from ..errors import InputError
from ..files import atomic_path
from ..results import Results
from ..scene import Scene

PARQUET = "parquet"
SUFFIXES = {
    "everything": {
        "json": ".json", "coco": ".json", "coco-polygons": ".json", "labelme": ".json", "geojson": ".geojson",
        "yolo": ".txt", "labels": ".png", "overlay": ".png", PARQUET: ".parquet",
    },
    "boxes": {"json": ".json", "mask": ".png", "overlay": ".png", "cutout": ".png", PARQUET: ".parquet"},
}  # fmt: skip
"""What each task can be written as, and the files' suffixes."""


def suffix_of(task: str, kind: str) -> str:
    """The suffix of a task's files. Raises InputError for a task or kind that doesn't exist."""
    if task not in SUFFIXES:
        raise InputError(f"Unknown task {task!r}; choose one of: {', '.join(SUFFIXES)}.")
    if kind not in SUFFIXES[task]:
        raise InputError(f"Task {task!r} can't be written as {kind!r}; choose one of: {', '.join(SUFFIXES[task])}.")
    return SUFFIXES[task][kind]


def rows_of(result: Scene | Results) -> list[dict[str, Any]]:
    """A row a mask, for parquet."""
    height, width = result.image_hw if isinstance(result, Scene) else result.orig_shape
    same = {"image": result.name, "height": height, "width": width}
    boxes = result.boxes.tolist()
    if isinstance(result, Scene):
        return [
            {
                **same, "mask": i, "prompt": None, "box": boxes[i], "area": record["area"],
                "predicted_iou": record["predicted_iou"], "stability_score": record["stability_score"],
                "counts": record["segmentation"]["counts"],
            }
            for i, record in enumerate(result.record(i, "coco_rle") for i in range(len(result)))
        ]  # fmt: skip
    return [
        {
            **same, "mask": i, "prompt": record["prompt"], "box": boxes[i], "area": record["area"],
            "predicted_iou": record["iou"], "stability_score": None, "counts": record["rle"]["counts"],
        }
        for i, record in enumerate(result.to_dicts())
    ]  # fmt: skip


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """A parquet file with one row group; the same rows give the same bytes. Raises OutputError."""
    arrow: Any = require("pyarrow", "scale", "Writing parquet")
    parquet: Any = require("pyarrow.parquet", "scale", "Writing parquet")
    whole, text, real = arrow.int64(), arrow.string(), arrow.float64()
    schema = arrow.schema(
        [
            ("image", text), ("height", whole), ("width", whole), ("mask", whole), ("prompt", whole),
            ("box", arrow.list_(arrow.float32(), 4)), ("area", whole), ("predicted_iou", real),
            ("stability_score", real), ("counts", text),
        ]
    )  # fmt: skip
    table = arrow.Table.from_pylist(list(rows), schema=schema)
    with atomic_path(path) as part:
        parquet.write_table(table, part, row_group_size=max(1, table.num_rows), compression="zstd")
