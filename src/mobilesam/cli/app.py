"""`mobilesam app`: the browser app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

PORT = 7870
"""Always the same: the browser keeps unsaved work under an address with its port."""
EXAMPLES = """
Examples:

    mobilesam app

    mobilesam app photos/

    mobilesam app photos/ --port 0 --no-browser
"""


def run(
    folder: Annotated[
        Path | None, typer.Argument(help="Photos to annotate one after another.", show_default=False)
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = PORT,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    model: options.Model = "mobilesam",
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    padding: options.Padding = "auto",
    threads: options.Threads = None,
) -> None:
    """Cut out and annotate in the browser, on this machine alone."""
    import webbrowser

    from .._optional import require
    from .photos import load

    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require(module, "serve", "mobilesam app")
    from ..server.queue import Queue
    from ..server.run import address_of, listen
    from ..server.site import create_site

    queue = Queue(folder) if folder else None  # before the model is loaded: a mistyped name should cost nothing
    with listen("127.0.0.1", port) as listener:
        site = create_site(load(model, runtime, device, precision, padding, threads), queue)
        address = f"{address_of(listener)}/"
        typer.echo(f"mobilesam app: {address}  (Ctrl+C ends it)")
        if browser:
            webbrowser.open(address)  # it is answered as soon as the server runs: the socket listens already
        _serve(site, listener)


def _serve(site: FastAPI, listener: socket.socket) -> None:
    """Answer until Ctrl+C; what the page saves is written before its request ends, so nobody is waited for long."""
    from uvicorn import Server

    from ..server.run import configured

    config = configured(site)
    config.timeout_graceful_shutdown = 3
    Server(config).run(sockets=[listener])
