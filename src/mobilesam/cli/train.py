"""`mobilesam train`: teacher embeddings, distillation, fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from . import options

if TYPE_CHECKING:
    from ..train.loop import Result

app = typer.Typer(
    name="train",
    help="Train an encoder on your photos, or fine-tune on your masks. docs/training.md tells the whole way.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

EMBED_EXAMPLES = """
Examples:

    mobilesam train embed photos/ -o embeddings/ --flips

    mobilesam train embed sa_000000.tar sa_000001.tar -o embeddings/ --teacher sam_vit_h_4b8939.pth
"""

DISTILL_EXAMPLES = """
Examples:

    mobilesam train distill photos/ -o run/ --set student.img_size=512 --set student.init=mobilesam

    mobilesam train distill photos/ -o run/ --embeddings embeddings/ --recipe smoke --set loop.steps=50

    torchrun --nproc-per-node 8 -m mobilesam train distill SA-1B/ -o run/ --embeddings embeddings/ --resume
"""

FINETUNE_EXAMPLES = """
Examples:

    mobilesam train finetune cells/train -o run/ --val cells/val

    mobilesam train finetune instances.json -o run/ --set finetune.train=decoder+lora --set finetune.classes=1.0

    mobilesam val cells/val --protocol box,center --model run/best.safetensors --compare mobilesam
"""

Data: TypeAlias = Annotated[
    list[Path], typer.Argument(help="Folders of photos, WebDataset shards (.tar), photos.", show_default=False)
]
Teacher: TypeAlias = Annotated[str, typer.Option("--teacher", help="A model's name or weights file.")]
Recipe: TypeAlias = Annotated[
    str, typer.Option("--recipe", help="A TOML file, or mobilesam_100k, finetune_small, smoke.")
]
Changes: TypeAlias = Annotated[
    list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE in place of the recipe's.", show_default=False)
]
Output: TypeAlias = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.", show_default=False)]
Resume: TypeAlias = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run in --output.")]


@app.command("embed", epilog=EMBED_EXAMPLES)
def embed(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of embeddings.", show_default=False)],
    teacher: Teacher = "mobilesam",
    flips: Annotated[bool, typer.Option("--flips", help="Mirrored photos too: twice the time and disk.")] = False,
    shard_photos: Annotated[int, typer.Option(help="Photos a file; 2 MB each.")] = 128,
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
) -> None:
    """Store the teacher's embeddings; run again, it goes on where it was."""
    from typing import cast

    from ..train.embedder import embed as work
    from ..types import Precision
    from .progress import work_bar

    with work_bar("photos") as progress:
        index = work(
            data,
            output,
            teacher,
            flips=flips,
            shard_photos=shard_photos,
            runtime=runtime,
            device=device,
            precision=cast(Precision, precision),
            threads=threads,
            progress=progress,
            say=_say,
        )
    typer.echo(f"{len(index.keys)} photos of teacher {index.teacher} in {output}")
    _show_skipped(index.skipped)


@app.command("distill", epilog=DISTILL_EXAMPLES)
def distill(
    data: Data,
    output: Output,
    teacher: Teacher = "mobilesam",
    embeddings: Annotated[
        Path | None, typer.Option("--embeddings", help="Of `train embed`. Default: made in --output.")
    ] = None,
    recipe: Recipe = "mobilesam_100k",
    changes: Changes = None,
    resume: Resume = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Train a student towards a teacher's embeddings and masks."""
    from .._optional import require
    from .progress import training_bar

    require("torch", "train", "Training")
    from ..train.config import load
    from ..train.distillation import distill as work

    config = load(recipe, changes or ())
    with training_bar() as progress:
        result = work(
            data,
            output,
            config,
            teacher=teacher,
            embeddings=embeddings,
            resume=resume,
            device=device,
            progress=progress,
            say=_say,
        )
    show(result)


@app.command("finetune", epilog=FINETUNE_EXAMPLES)
def finetune(
    data: Annotated[
        list[Path],
        typer.Argument(help="Photos with masks, in any layout that `mobilesam val` reads.", show_default=False),
    ],
    output: Output,
    model: options.Model = "mobilesam",
    val: Annotated[
        list[Path] | None, typer.Option("--val", help="As DATA; decides which weights are best.", show_default=False)
    ] = None,
    layout: Annotated[str | None, typer.Option(help="Of the data; `mobilesam val --list` names them.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the photos of a JSON file.")] = None,
    background: Annotated[int, typer.Option(help="The value of a mask that is no object.")] = 0,
    ignore: Annotated[
        int | None, typer.Option(help="The value that counts neither way; -1: none.", show_default=False)
    ] = None,
    recipe: Recipe = "finetune_small",
    changes: Changes = None,
    resume: Resume = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Train a model, or a part of it, on your own masks."""
    from .._optional import require
    from ..evaluate.datasets import Values
    from .progress import training_bar

    require("torch", "train", "Training")
    from ..train.config import changed, load
    from ..train.finetuning import finetune as work

    config = load(recipe, changes or ())
    if val:
        config = changed(config, {"validation.data": tuple(map(str, val))})
    with training_bar() as progress:
        result = work(
            data,
            output,
            config,
            model=model,
            layout=layout,
            values=Values(background, ignore, images),
            resume=resume,
            device=device,
            progress=progress,
            say=_say,
        )
    show(result)


def show(result: Result) -> None:
    """What a run left."""
    score = "" if result.score is None else f", validation {result.score:.4f}"
    typer.echo(f"wrote {result.model}  after {result.steps} steps{score}")
    _show_skipped(result.skipped)


def _show_skipped(skipped: dict[str, str]) -> None:
    if skipped:
        typer.echo(f"{len(skipped)} photos couldn't be read and were left out:", err=True)
    for key, why in skipped.items():
        typer.echo(f"  {key}: {why}", err=True)


def _say(line: str) -> None:
    typer.echo(line, err=True)
