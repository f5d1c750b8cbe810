"""Small plots as inline SVG: lines with dots, and bars. Colours are Okabe and Ito's, as in plot.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ...plot import colour

WIDTH, HEIGHT = 380, 260
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 40
GRID = 'stroke="#e4e4e4"'


@dataclass(frozen=True)
class Line:
    """A named series of points (x, y); `weights` make dots larger."""

    name: str
    points: Sequence[tuple[float, float]]
    weights: Sequence[float] = ()


@dataclass(frozen=True)
class Axes:
    """What the plot's sides are and mean."""

    x_label: str
    y_label: str
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    x_ticks: Sequence[float] = (0, 0.2, 0.4, 0.6, 0.8, 1.0)
    y_ticks: Sequence[float] = (0, 0.2, 0.4, 0.6, 0.8, 1.0)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point in the picture's pixels."""
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        across = (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
        up = (y - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
        return LEFT + across, HEIGHT - BOTTOM - up


def paint(index: int) -> str:
    """A colour as CSS writes it."""
    return "rgb({},{},{})".format(*colour(index))


def lines(axes: Axes, series: Sequence[Line], *, diagonal: bool = False) -> str:
    """Lines with dots; with `diagonal` the line where both axes are equal."""
    parts = [_frame(axes)]
    if diagonal:
        (x1, y1), (x2, y2) = axes.at(0, 0), axes.at(1, 1)
        parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#888" stroke-dasharray="4 4"/>'
        )
    for number, line in enumerate(series):
        places = [axes.at(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{paint(number)}" stroke-width="2"/>')
        radii = [2.5 + 6 * w / max(line.weights) for w in line.weights] or [2.5] * len(places)
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{paint(number)}" fill-opacity="0.75"/>'
            for (x, y), r in zip(places, radii, strict=True)
        ]
    return _picture(parts) + legend([line.name for line in series])


def bars(axes: Axes, edges: Sequence[float], heights: Sequence[float]) -> str:
    """A histogram."""
    parts = [_frame(axes)]
    for left, right, height in zip(edges, edges[1:], heights, strict=False):
        (x1, y1), (x2, y2) = axes.at(left, height), axes.at(right, 0)
        box = f'x="{x1 + 0.5:.1f}" y="{y1:.1f}" width="{x2 - x1 - 1:.1f}" height="{y2 - y1:.1f}"'
        parts.append(f'<rect {box} fill="{paint(0)}"/>')
    return _picture(parts)


def legend(names: Sequence[str]) -> str:
    """Names beside their colours."""
    items = [f'<span><i style="background:{paint(i)}"></i>{escape(name)}</span>' for i, name in enumerate(names)]
    return f'<div class="legend">{"".join(items)}</div>'


def _picture(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">{"".join(parts)}</svg>'


def _frame(axes: Axes) -> str:
    """Axes, ticks, grid, names."""
    (left, bottom), (right, top) = axes.at(axes.x_range[0], axes.y_range[0]), axes.at(axes.x_range[1], axes.y_range[1])
    parts = []
    for value in axes.x_ticks:
        x, _ = axes.at(value, axes.y_range[0])
        parts.append(f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{top}" {GRID}/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{value:g}</text>')
    for value in axes.y_ticks:
        _, y = axes.at(axes.x_range[0], value)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" {GRID}/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    parts.append(f'<text x="{middle_x}" y="{HEIGHT - 6}" text-anchor="middle">{escape(axes.x_label)}</text>')
    turn = f'transform="rotate(-90 12 {middle_y})"'
    parts.append(f'<text x="12" y="{middle_y}" text-anchor="middle" {turn}>{escape(axes.y_label)}</text>')
    return "".join(parts)
