"""The command `mobilesam`: its sub-commands, its exit codes, its way of reporting errors.

Exit codes: 0 done, 2 wrong use, 1 failed. Errors are one line on stderr; `--debug` shows the traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import __version__
from ..errors import CheckpointError, ImageError, InputError, MobileSAMError
from . import app as browser_app
from . import batch, bench, everything, export, info, models, options, predict, serve, train, val

app = typer.Typer(
    name="mobilesam",
    help="Masks from clicks and boxes, offline. Try: mobilesam predict photo.jpg --point 300,200 -o cut.png",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("predict", epilog=predict.EXAMPLES)(predict.run)
app.command("everything", epilog=everything.EXAMPLES)(everything.run)
app.command("batch", epilog=batch.EXAMPLES)(batch.run)
app.command("export", epilog=export.EXAMPLES)(export.run)
app.command("val", epilog=val.EXAMPLES)(val.run)
app.add_typer(train.app)
app.command("bench", epilog=bench.EXAMPLES)(bench.run)
app.command("app", epilog=browser_app.EXAMPLES)(browser_app.run)
app.command("serve", epilog=serve.EXAMPLES)(serve.run)
app.command("models", epilog=models.EXAMPLES)(models.run)
app.command("info", epilog=info.EXAMPLES)(info.run)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mobilesam {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(given, prog_name="mobilesam")
    except MobileSAMError as error:
        if "--debug" in given:
            raise
        typer.echo(f"mobilesam: {options.one_line(error)}", err=True)
        sys.exit(exit_code(error))


def exit_code(error: MobileSAMError) -> int:
    """2 where the call was wrong, 1 where the work failed (a file that can't be read is work)."""
    is_wrong_use = isinstance(error, InputError) and not isinstance(error, (ImageError, CheckpointError))
    return 2 if is_wrong_use else 1
