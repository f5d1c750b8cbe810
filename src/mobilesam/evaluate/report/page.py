"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ..protocols import Figure
from . import svg

if TYPE_CHECKING:
    from . import Report

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#222;max-width:1240px;margin:24px auto;padding:0 20px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px;border-bottom:1px solid #ddd;padding-bottom:4px}
h3{font-size:15px;margin:18px 0 6px}p.info{color:#555;margin:2px 0}table{border-collapse:collapse;margin:4px 0 12px}
th,td{padding:3px 12px 3px 0;text-align:right;white-space:nowrap}th{font-weight:600;border-bottom:1px solid #bbb}
th:first-child,td:first-child,th.left,td.left{text-align:left}td small{color:#777}
tr:nth-child(even) td{background:#f7f7f7}
.plots{display:flex;flex-wrap:wrap;gap:24px}.plots figure{margin:0}figcaption{font-weight:600;margin-bottom:4px}
svg text{font:11px system-ui,sans-serif;fill:#444}
.legend span{margin-right:14px;font-size:12px}.legend i{display:inline-block;width:10px;height:10px;margin-right:4px}
img{max-width:100%;border:1px solid #ddd}ul.notes{color:#555;font-size:13px}
"""
SIZES = ("all", "S", "M", "L")
MOST_NOTES = 50


def html(report: Report) -> str:
    """The whole page."""
    parts = [f"<h1>mobilesam val</h1>{_info(report)}", _tables(report.figures, report.titles)]
    if report.differences:
        other = report.other or {}
        what = escape(f"{other.get('model_id')}, {other.get('runtime')} {other.get('precision')}")
        parts.append(f"<h2>Less the other: {what}</h2>" + _tables(report.differences, report.titles, signed=True))
    parts += [_plots(report), _honesty(report), _worst(report), _notes(report)]
    head = f'<meta charset="utf-8"><title>mobilesam val</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _info(report: Report) -> str:
    info = report.info
    model = f"{info['model_id']} on {info['runtime']} ({info['device']}), {info['precision']}"
    sets = ", ".join(f"{name} ({count} photos, {layout})" for name, layout, count in info["data"])
    limits = [f"{name} {info[name]}" for name in ("limit", "max_objects") if info[name] is not None]
    more = "; ".join([f"seed {info['seed']}", *limits])
    lines = (model, sets, more, "In brackets: 95 % bootstrap intervals, whole photos or videos drawn.")
    return "".join(f'<p class="info">{escape(line)}</p>' for line in lines)


def _tables(figures: Sequence[Figure], titles: dict[str, str], *, signed: bool = False) -> str:
    parts = []
    for data in dict.fromkeys(figure.data for figure in figures):
        parts.append(f"<h2>{escape(data)}</h2>")
        here = [figure for figure in figures if figure.data == data]
        for protocol in dict.fromkeys(figure.protocol for figure in here):
            parts.append(f"<h3>{escape(protocol)} – {escape(titles.get(protocol, ''))}</h3>")
            parts.append(_table([figure for figure in here if figure.protocol == protocol], signed))
    return "".join(parts)


def _table(figures: Sequence[Figure], signed: bool) -> str:
    cells = {(figure.score, figure.size): figure for figure in figures}
    sizes = [size for size in SIZES if any(figure.size == size for figure in figures)]
    lines = ["<tr><th></th>" + "".join(f"<th>{size}</th>" for size in sizes) + "<th>n</th></tr>"]
    for score in dict.fromkeys(figure.score for figure in figures):
        row = [_cell(cells.get((score, size)), signed) for size in sizes]
        count = cells[score, "all"].count if (score, "all") in cells else ""
        lines.append(f"<tr><td>{escape(score)}</td>{''.join(row)}<td>{count}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def _cell(figure: Figure | None, signed: bool) -> str:
    return "<td></td>" if figure is None else f"<td>{shown(figure, signed=signed, small=True)}</td>"


def shown(figure: Figure, *, signed: bool = False, small: bool = False) -> str:
    """A figure with its interval as text: three digits below 1, fewer above, none for numbers of failures.

    >>> shown(Figure("d", "box", "iou", "all", 0.9071, 0.8912, 0.9193, 50))
    '0.907 (0.891–0.919)'
    """
    digits = 3 if max(abs(figure.value), abs(figure.high)) <= 1 else 2
    if figure.score.startswith("failures") and not signed:
        digits = 0
    sign = "+" if signed else ""
    value, low, high = (f"{round(n, digits) + 0.0:{sign}.{digits}f}" for n in (figure.value, figure.low, figure.high))
    if low == high:
        return value
    interval = f"({low} to {high})" if signed else f"({low}–{high})"
    return f"{value} <small>{interval}</small>" if small else f"{value} {interval}"


def _plots(report: Report) -> str:
    plots = [*_histograms(report), *_curves(report), *_calibration(report)]
    figures = [f"<figure><figcaption>{escape(title)}</figcaption>{plot}</figure>" for title, plot in plots]
    return f'<h2>Plots</h2><div class="plots">{"".join(figures)}</div>' if figures else ""


def _histograms(report: Report) -> list[tuple[str, str]]:
    found = []
    for protocol, rows in report.rows.items():
        scored = [(next(iter(row.scores.items()))) for row in rows if row.scores]
        if not scored:
            continue
        counts, edges = np.histogram([value for _, value in scored], bins=20, range=(0, 1))
        top = max(1, int(counts.max()))
        axes = svg.Axes(scored[0][0], "objects", y_range=(0, top), y_ticks=sorted({0, top // 2, top}))
        found.append((protocol, svg.bars(axes, edges.tolist(), counts.tolist())))
    return found


def _curves(report: Report) -> list[tuple[str, str]]:
    """Mean IoU after each click; an object that reached its target keeps its last."""
    found = []
    for protocol, rows in report.rows.items():
        series = []
        for data in dict.fromkeys(row.data for row in rows):
            runs = [row.extra["ious"] for row in rows if row.data == data and row.extra.get("ious")]
            if runs:
                most = max(map(len, runs))
                means = np.mean([[*run, *[run[-1]] * (most - len(run))] for run in runs], axis=0)
                series.append(svg.Line(data, list(enumerate(means.tolist(), start=1))))
        if series:
            most = max(len(line.points) for line in series)
            ticks = range(1, most + 1, 1 if most <= 10 else 3)
            axes = svg.Axes("clicks", "mean IoU", x_range=(1, max(2, most)), x_ticks=list(ticks))
            found.append((f"{protocol}: click to IoU", svg.lines(axes, series)))
    return found


def _calibration(report: Report) -> list[tuple[str, str]]:
    found = []
    for protocol in dict.fromkeys(one.protocol for one in report.honesty):
        series = [
            svg.Line(one.data, [(guess, true) for guess, true, _ in one.bins], [count for _, _, count in one.bins])
            for one in report.honesty
            if one.protocol == protocol
        ]
        axes = svg.Axes("predicted IoU", "true IoU")
        found.append((f"{protocol}: is the score honest?", svg.lines(axes, series, diagonal=True)))
    return found


def _honesty(report: Report) -> str:
    if not report.honesty:
        return ""
    names = ("protocol", "data", "n", "mean predicted", "mean true", "mean |difference|", "correlation")
    head = "".join(f'<th class="left">{name}</th>' if i < 2 else f"<th>{name}</th>" for i, name in enumerate(names))
    lines = []
    for one in report.honesty:
        numbers = (one.predicted, one.true, one.mean_error, one.correlation)
        cells = "".join(f"<td>{value:.3f}</td>" for value in numbers)
        left = f'<td class="left">{escape(one.protocol)}</td><td class="left">{escape(one.data)}</td>'
        lines.append(f"<tr>{left}<td>{one.count}</td>{cells}</tr>")
    return f"<h2>Predicted IoU against true IoU</h2><table><tr>{head}</tr>{''.join(lines)}</table>"


def _worst(report: Report) -> str:
    if not report.worst:
        return ""
    data = base64.b64encode(report.worst).decode("ascii")
    caption = "White outline: truth. Blue: the mask. Dot or orange box: the prompt."
    return f'<h2>The worst</h2><p class="info">{caption}</p><img src="data:image/png;base64,{data}" alt="worst masks">'


def _notes(report: Report) -> str:
    if not report.notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in report.notes[:MOST_NOTES])
    more = f"<li>and {len(report.notes) - MOST_NOTES} more</li>" if len(report.notes) > MOST_NOTES else ""
    return f'<h2>Left out</h2><ul class="notes">{items}{more}</ul>'
