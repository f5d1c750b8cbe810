"""Results: the masks of one photo, with the names that Ultralytics gives them."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageShow

from ... import plot, settings
from ...errors import InputError, MissingDependencyError, OutputError
from ...files import write_picture, write_text
from ...types import HW, U8, AnyArray
from .boxes import Boxes, Masks
from .tensors import array_of

PLOT_IGNORED = ("font", "font_size", "im_gpu", "kpt_line", "kpt_radius", "probs", "txt_color")
"""Arguments of Ultralytics' plot for what SAM doesn't give, or of its lettering."""


class Results:
    """The masks of one photo: `boxes` and `masks` with a row each; `masks` is None where there is none.

    `orig_img` is BGR (H, W, 3) uint8, as Ultralytics has it; `speed` milliseconds of preprocess (reading the
    photo), inference (encoder and decoder) and postprocess (masks at full size).

    >>> import mobilesam.compat.ultralytics as ultralytics
    >>> result = ultralytics.SAM()("examples/coffee.png", bboxes=[150, 80, 480, 380])[0]
    >>> result.masks.data.shape, result.boxes.cls.tolist(), result.names
    (torch.Size([1, 400, 600]), [0.0], {0: '0'})
    """

    obb = probs = keypoints = None
    """What other models of Ultralytics give, and SAM doesn't."""

    def __init__(
        self,
        orig_img: U8,
        path: str,
        names: dict[int, str],
        boxes: Any = None,
        masks: Any = None,
        speed: dict[str, float] | None = None,
    ) -> None:
        """`boxes` (N, 6) and `masks` (N, H, W) are tensors or arrays, or None."""
        self.orig_img, self.path, self.names = orig_img, path, names
        self.orig_shape: HW = (orig_img.shape[0], orig_img.shape[1])
        self.boxes = None if boxes is None else Boxes(boxes, self.orig_shape)
        self.masks = None if masks is None else Masks(masks, self.orig_shape)
        self.speed = speed or {}
        self.save_dir: str | None = None

    def __len__(self) -> int:
        return 0 if self.boxes is None else len(self.boxes)

    def __getitem__(self, index: Any) -> Results:
        """Results of one row, a slice, or an index array or boolean mask."""
        return self._each(lambda rows: rows[index])

    def __repr__(self) -> str:
        return f"Results({self.path!r}, {self.verbose().rstrip(', ')}, {self.orig_shape[0]}x{self.orig_shape[1]})"

    def cpu(self) -> Results:
        """The same in main memory."""
        return self._each(lambda rows: rows.cpu())

    def numpy(self) -> Results:
        """The same with NumPy arrays."""
        return self._each(lambda rows: rows.numpy())

    def cuda(self) -> Results:
        """The same on the GPU."""
        return self._each(lambda rows: rows.cuda())

    def to(self, *args: Any, **kwargs: Any) -> Results:
        """The same on another device or of another type, as `torch.Tensor.to`."""
        return self._each(lambda rows: rows.to(*args, **kwargs))

    def _each(self, change: Any) -> Results:
        boxes, masks = (None if rows is None else change(rows).data for rows in (self.boxes, self.masks))
        changed = Results(self.orig_img, self.path, self.names, boxes, masks, self.speed)
        changed.save_dir = self.save_dir
        return changed

    def verbose(self) -> str:
        """What was found, for a log: "2 masks, "."""
        return f"{len(self)} mask{'s' * (len(self) != 1)}, " if len(self) else "(no masks), "

    def plot(
        self,
        conf: bool = True,
        line_width: int | None = None,
        *,
        img: U8 | None = None,
        labels: bool = True,
        boxes: bool = True,
        masks: bool = True,
        color_mode: str = "class",
        pil: bool = False,
        show: bool = False,
        save: bool = False,
        filename: str | Path | None = None,
        **ignored: Any,
    ) -> Any:
        """The photo (or `img`, BGR) with masks, boxes and labels over it: BGR (H, W, 3), or with `pil` a PIL image.

        `color_mode` "class" gives the masks of a prompt one colour, "instance" each its own. `show` and `save` (as
        `filename`) it too. `PLOT_IGNORED` change nothing. Raises InputError for another argument, OutputError.
        """
        if unknown := [name for name in ignored if name not in PLOT_IGNORED]:
            raise InputError(f"plot() has no argument {unknown[0]!r}.")
        rows = np.zeros((0, 6), np.float32) if self.boxes is None else array_of(self.boxes.data)
        drawn = plot.draw(
            (self.orig_img if img is None else img)[..., ::-1],
            array_of(self.masks.data) if masks and self.masks is not None else np.zeros((0, *self.orig_shape), bool),
            boxes=rows[:, :4] + np.array([0, 0, 1, 1], np.float32) if boxes else None,
            labels=[self.names[int(row[5])] + (f" {row[4]:.2f}" if conf else "") for row in rows] if labels else (),
            colours=rows[:, 5].astype(int).tolist() if color_mode == "class" else range(len(rows)),
            line=line_width,
        )
        if save:
            write_picture(filename or self._default_name, drawn)
        if show:
            _show(drawn)
        return Image.fromarray(drawn) if pil else np.ascontiguousarray(drawn[..., ::-1])

    @property
    def _default_name(self) -> str:
        return f"results_{Path(self.path).with_suffix('.jpg').name}"

    def show(self, **options: Any) -> None:
        """Show `plot(**options)` in a window or notebook. Raises OutputError where there is no display."""
        self.plot(show=True, **options)

    def save(self, filename: str | Path | None = None, **options: Any) -> str:
        """Write `plot(**options)`; the name is results_<photo> by default. Raises OutputError."""
        target = str(filename or self._default_name)
        self.plot(save=True, filename=target, **options)
        return target

    def save_txt(self, txt_file: str | Path, save_conf: bool = False) -> str:
        """Write YOLO's segmentation labels: a line a mask, its cls, then x and y in 0..1, then perhaps conf.

        A file that is there is replaced. Raises OutputError.
        """
        lines = []
        outlines = [] if self.masks is None else self.masks.xyn
        for outline, box in zip(outlines, array_of(self.boxes.data) if self.boxes else (), strict=True):
            ends = [f"{box[4]:.6f}"] if save_conf else []
            if len(outline):
                lines.append(" ".join([f"{int(box[5])}", *(f"{v:.6f}" for v in outline.reshape(-1)), *ends]))
        write_text(txt_file, "".join(f"{line}\n" for line in lines))
        return str(txt_file)

    def save_crop(self, save_dir: str | Path, file_name: str | Path = "im.jpg") -> None:
        """Write what lies in each box as <save_dir>/<name of its cls>/<file_name>, numbered from the second on.

        Raises OutputError.
        """
        name = Path(file_name)
        used: dict[str, int] = {}
        for box in array_of(self.boxes.data) if self.boxes else ():
            x1, y1, x2, y2 = box[:4].astype(int)
            folder = self.names[int(box[5])]
            used[folder] = number = used.get(folder, 0) + 1
            target = Path(save_dir) / folder / f"{name.stem}{number if number > 1 else ''}{name.suffix or '.jpg'}"
            write_picture(target, self.orig_img[y1 : y2 + 1, x1 : x2 + 1, ::-1])

    def summary(self, normalize: bool = False, decimals: int = 5) -> list[dict[str, Any]]:
        """One plain dict a mask: name, class, confidence, box and segments; with `normalize` in 0..1."""
        if self.boxes is None:
            return []
        corners = array_of(self.boxes.xyxyn if normalize else self.boxes.xyxy)
        outlines: list[AnyArray] = [] if self.masks is None else list(self.masks.xyn if normalize else self.masks.xy)
        rows = []
        for i, (conf, number) in enumerate(array_of(self.boxes.data)[:, 4:].tolist()):
            row = {"name": self.names[int(number)], "class": int(number), "confidence": round(conf, decimals)}
            row["box"] = dict(zip(("x1", "y1", "x2", "y2"), _rounded(corners[i], decimals), strict=True))
            if outlines:
                row["segments"] = {axis: _rounded(outlines[i][:, k], decimals) for k, axis in enumerate("xy")}
            rows.append(row)
        return rows

    def to_json(self, normalize: bool = False, decimals: int = 5) -> str:
        """`summary` as JSON."""
        return json.dumps(self.summary(normalize, decimals), indent=2)

    def to_csv(self, normalize: bool = False, decimals: int = 5) -> str:
        """`summary` as CSV with a header; box and segments as JSON."""
        text = io.StringIO()
        writer = csv.DictWriter(text, ("name", "class", "confidence", "box", "segments"))
        writer.writeheader()
        for row in self.summary(normalize, decimals):
            writer.writerow({key: json.dumps(v) if isinstance(v, dict) else v for key, v in row.items()})
        return text.getvalue()

    def to_df(self, normalize: bool = False, decimals: int = 5) -> Any:
        """`summary` as a data frame of polars, or of pandas. Raises MissingDependencyError where neither is there."""
        for module in ("polars", "pandas"):
            if importlib.util.find_spec(module):
                return importlib.import_module(module).DataFrame(self.summary(normalize, decimals))
        raise MissingDependencyError("to_df() needs pip install polars (or pandas); summary() gives plain dicts.")


def _show(picture_rgb: U8) -> None:
    if not (settings.has_display() or "ipykernel" in sys.modules):
        raise OutputError("There is no display to show a picture on; use save() or plot().")
    if not ImageShow.show(Image.fromarray(picture_rgb)):
        raise OutputError("No program to show pictures was found; use save() or plot().")


def _rounded(values: AnyArray, decimals: int) -> list[float]:
    return [round(float(value), decimals) for value in values]
