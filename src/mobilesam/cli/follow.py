"""`mobilesam predict VIDEO --propagate`: objects carried along a video."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import InputError
from .progress import work_bar

if TYPE_CHECKING:
    from ..model import SAM
    from ..propagation import Track
    from ..results import Results


def check(sources: list[str], output: Path | None, *, alone: bool) -> tuple[Path, Path]:
    """The video, and the file to write. Raises InputError."""
    from ..video import is_video

    if len(sources) != 1 or not is_video(sources[0]):
        raise InputError(f"--propagate takes one video, got {' '.join(sources)}.")
    if output is None or output.suffix.lower() not in (".mp4", ".json"):
        raise InputError(
            "--propagate writes an overlay and the masks with -o NAME.mp4, or the masks alone: -o NAME.json."
        )
    if not alone:
        raise InputError("--propagate goes without --kind, --json and --resume: it writes a video and its masks.")
    return Path(sources[0]), output


def follow(sam: SAM, video: Path, output: Path, given: dict[str, Any]) -> None:
    """Write the overlay video, unless the masks alone are asked for, and beside it the masks as JSON."""
    from .. import clips
    from ..files import atomic_path, write_text

    clock = clips.clock_of(video)
    track = sam.track(video, **given)
    masks = output.with_suffix(".json")
    with ExitStack() as stack:
        film = None
        if output.suffix.lower() == ".mp4":
            part = stack.enter_context(atomic_path(output))
            film = stack.enter_context(clips.Writer(part, clock))
        frames = list(_written(track, clock.times, film))
    lost = {which: asdict(one) for which, one in track.lost.items()}
    write_text(masks, json.dumps({"video": video.name, "frames": frames, "lost": lost}))
    for which, one in track.lost.items():
        typer.echo(f"object {which} lost at frame {one.frame}  IoU {one.iou:.3f}  overlap {one.overlap:.3f}")
    written = masks if film is None else f"{output} and {masks}"
    typer.echo(f"{len(frames)} of {len(clock.times)} frames  wrote {written}")


def _written(track: Track, times: list[int], film: Any) -> Iterator[dict[str, Any]]:
    """Each frame's record, its overlay written."""
    from .. import plot

    with work_bar("frames") as progress:
        for number, (result, time) in enumerate(zip(track, times, strict=False), start=1):
            if film is not None:
                assert result.image is not None
                colours = result.prompt_index.tolist()
                film.write(plot.draw(result.image, result.masks, colours=colours), time)
            progress(number, len(times))
            yield {
                "frame": number,
                "height": result.orig_shape[0],
                "width": result.orig_shape[1],
                "masks": _masks(result),
            }


def _masks(result: Results) -> list[dict[str, Any]]:
    """As `Results.to_dicts`, with the object's number for the prompt's."""
    return [{"object": one.pop("prompt"), **one} for one in result.to_dicts()]
