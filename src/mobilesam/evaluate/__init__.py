"""Evaluation: how good the masks are, on photos with true masks, by the field's own protocols.

| room | holds |
|---|---|
| datasets | photos and true masks, one file a layout |
| protocols | how is measured, one file a protocol with its source |
| metrics, clicker, detection | IoU and its relatives; the simulated user; AP by pycocotools |
| run, journal, cache | the loop over photos, what it has done, embeddings on disk |
| bootstrap, compare | intervals; two models on the same prompts |
| report | tables, CSV, JSON, the HTML page, the worst masks |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..embedding import Embedding
from ..errors import MobileSAMError
from ..predictor import Predictor
from . import datasets, protocols
from .cache import EmbeddingCache
from .compare import differences
from .datasets import LAYOUTS, Dataset, Instance, Values
from .journal import Journal
from .protocols import PROTOCOLS, Figure, Options, Row
from .protocols.agreement import asked, stored
from .report import Report
from .report.sheet import contact_sheet, worst_of
from .run import Job, Progress, embed, measure

__all__ = ["LAYOUTS", "PROTOCOLS", "Dataset", "Figure", "Report", "evaluate"]


def evaluate(
    predictor: Predictor,
    data: str | Path | Dataset | Sequence[str | Path | Dataset],
    protocol: str | Sequence[str] = "box",
    *,
    other: Predictor | None = None,
    reference: Predictor | str | Path | None = None,
    boxes: str | Path | None = None,
    layout: str | None = None,
    values: Values | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    limit: int | None = None,
    max_objects: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    cached: bool = True,
) -> Report:
    """Measure a model on data sets by protocols; see SAM.val for the arguments.

    `cached` False keeps no embeddings: weights in training give each of theirs only once.
    """
    sources = [data] if isinstance(data, (str, Path, Dataset)) else list(data)
    sets = [one if isinstance(one, Dataset) else datasets.load(one, layout, values) for one in sources]
    names = protocol.split(",") if isinstance(protocol, str) else list(protocol)
    answers = asked(EmbeddingCache(reference)) if isinstance(reference, Predictor) else None
    if isinstance(reference, (str, Path)):
        answers = stored(Path(reference))
    chosen = protocols.chosen(names, Options(Path(boxes) if boxes else None, answers))
    about = {"boxes": str(boxes) if boxes else None}
    if isinstance(reference, Predictor):
        about["reference"] = reference.backend.info.model_id
    elif reference is not None:
        about["reference"] = str(reference)
    job = Job(sets, chosen, seed, limit, max_objects, about, cached)
    folder = Path(output) if output else None
    report = _report(predictor, job, folder, resume, progress)
    if other is not None:
        second = _report(other, job, folder / "other" if folder else None, resume, progress)
        report = _compared(report, second)
    if folder is not None:
        report.save(folder)
    return report


def _report(predictor: Predictor, job: Job, folder: Path | None, resume: bool, progress: Progress | None) -> Report:
    journal, notes = measure(predictor, job, output=folder, resume=resume, progress=progress)
    rows = {protocol.name: _rows(journal, job, protocol.name) for protocol in job.protocols}
    figures: list[Figure] = []
    for dataset in job.datasets:
        for protocol in job.protocols:
            mine = [row for row in rows[protocol.name] if row.data == dataset.name]
            figures += protocol.figures(mine, dataset) if mine else []
    return Report(
        info=job.header(predictor),
        titles={protocol.name: protocol.title for protocol in job.protocols},
        figures=figures,
        rows=rows,
        notes=notes,
        worst=_worst(predictor, job, rows) if folder else None,
    )


def _rows(journal: Journal, job: Job, protocol: str) -> list[Row]:
    """In the photos' order, whatever the order in which they were measured."""
    places = [(dataset.name, photo.key, protocol) for dataset, photo in job.photos()]
    return [row for place in places for row in journal.done.get(place, ())]


def _compared(mine: Report, theirs: Report) -> Report:
    return replace(mine, differences=differences(mine.rows, theirs.rows), other=theirs.info)


def _worst(predictor: Predictor, job: Job, rows: dict[str, list[Row]]) -> bytes | None:
    """The contact sheet of the first protocol whose prompts can be given again."""
    cache = EmbeddingCache(predictor)
    photos = {(dataset.name, photo.key): photo for dataset, photo in job.photos()}

    def find(row: Row) -> tuple[Embedding, Instance] | None:
        photo = photos[row.data, row.photo]
        try:
            instances = {instance.key: instance for instance in photo.read()}
            return embed(cache, photo), instances[row.object]
        except (MobileSAMError, KeyError):
            return None

    for some in rows.values():
        if worst := worst_of(some):
            return contact_sheet(predictor, worst, find)
    return None
