"""A report as a picture: a bar a candidate, how many times faster than the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..files import write_picture
from .candidates import PEERS
from .jobs import JOBS
from .report import Report, shown

WIDTH, MARGIN, LABEL, BAR, GAP = 1000, 24, 220, 20, 6
INK, FAINT, BASE, OURS = (30, 34, 40), (110, 116, 124), (176, 182, 190), (38, 120, 178)


def draw(report: Report, path: Path) -> Path:
    """Write the chart as PNG; raises OutputError where it can't be written."""
    names = report.candidates
    jobs = [job for job in report.values if JOBS[job].unit != "MB" and len(report.values[job]) > 1]
    block = 30 + len(names) * (BAR + GAP) + 14
    image = Image.new("RGB", (WIDTH, 2 * MARGIN + 50 + block * len(jobs)), "white")
    pen = ImageDraw.Draw(image)
    pen.text((MARGIN, MARGIN), f"Times faster than {names[0]}", INK, _font(22))
    pen.text((MARGIN, MARGIN + 28), report.machine.split(";")[0] + f", {report.started}", FAINT, _font(13))
    top = MARGIN + 60
    for job in jobs:
        _block(pen, report, job, top)
        top += block
    write_picture(path, np.asarray(image))
    return path


def _block(pen: ImageDraw.ImageDraw, report: Report, job: str, top: int) -> None:
    pen.text((MARGIN, top), job, INK, _font(16))
    ratios = {name: report.speed_up(job, name) for name in report.candidates}
    largest = max((r for r in ratios.values() if r), default=1.0)
    for i, (name, times) in enumerate(ratios.items()):
        y = top + 26 + i * (BAR + GAP)
        pen.text((MARGIN, y + 2), name, FAINT, _font(13))
        value = report.value(job, name)
        if times is None or value is None:
            pen.text((LABEL, y + 2), "–", FAINT, _font(13))
            continue
        length = max(2, round((WIDTH - LABEL - 200) * times / largest))
        pen.rectangle((LABEL, y, LABEL + length, y + BAR), BASE if i == 0 or name in PEERS else OURS)
        text = f"{times:.1f}x   {shown(value.median, JOBS[job].unit)}"
        pen.text((LABEL + length + 8, y + 2), text, INK, _font(13))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
