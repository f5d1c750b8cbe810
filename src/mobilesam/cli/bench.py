"""`mobilesam bench`: how fast it is here, side by side with others, in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError

EXAMPLES = """
Examples:

    mobilesam bench

    mobilesam bench --peer eager --peer mobile_sam --rounds 9 -o bench/

    mobilesam bench --peer ultralytics --runtime openvino --everything 1

    mobilesam bench --paper
"""


def _list(wanted: bool) -> None:
    if not wanted:
        return
    from ..bench.candidates import PEERS
    from ..bench.jobs import JOBS

    typer.echo("peers:")
    for name, (_, about, _) in PEERS.items():
        typer.echo(f"  {name:14} {about}")
    typer.echo("jobs:")
    for job in JOBS.values():
        typer.echo(f"  {job.name:18} {job.about}")
    raise typer.Exit


def run(
    peer: Annotated[
        list[str] | None,
        typer.Option(
            "--peer",
            help="Another implementation, NAME or NAME=FOLDER, see --list; ratios are to the first one.",
        ),
    ] = None,
    runtime: Annotated[list[str] | None, typer.Option("--runtime", help="Of ours only these.")] = None,
    job: Annotated[list[str] | None, typer.Option("--job", help="Only these rows, see --list.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds, after one of warm-up.")] = 7,
    everything: Annotated[
        int, typer.Option("--everything", min=0, help="Rounds of everything mode, which takes others minutes.")
    ] = 0,
    photo: Annotated[Path | None, typer.Option(help="Another photo than the bundled one.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for report.md, report.json and chart.png.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier report.json, shown beside; no ratios between the two runs.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The tables of MobileSAM's README and Ultralytics' page, counted and timed.")
    ] = False,
    list_names: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="Name peers and jobs.")
    ] = False,
) -> None:
    """Measure speed side by side: every round asks each candidate for each job, in turn."""
    del list_names
    if paper:
        from ..bench.paper import tables

        typer.echo(tables(rounds=min(rounds, 3), say=_say))
        return
    from .. import bench
    from ..bench.chart import draw
    from ..bench.jobs import JOBS, PHOTO

    if unknown := set(job or []) - JOBS.keys():
        raise InputError(f"No job {sorted(unknown)[0]!r}; there are: {', '.join(JOBS)}.")
    wanted = job or [name for name, one in JOBS.items() if everything or not one.is_slow]
    report = bench.run(
        bench.chosen(peer or [], runtime or []),
        photo or PHOTO,
        rounds=rounds,
        slow_rounds=min(everything or rounds, rounds),
        jobs=wanted,
        say=_say,
    )
    typer.echo(report.markdown())
    if compare:
        typer.echo(
            f"\nAn earlier run, not interleaved with this one, so no ratios:\n\n{bench.Report.load(compare).markdown()}"
        )
    if output:
        from ..files import write_text

        report.save(output / "report.json")
        write_text(output / "report.md", report.markdown() + "\n")
        typer.echo(f"wrote {draw(report, output / 'chart.png').parent}")


def _say(text: str) -> None:
    typer.echo(text, err=True)
