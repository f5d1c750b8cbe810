"""`mobilesam app`: the browser app."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from . import options

if TYPE_CHECKING:
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
    threads: options.Threads = None,
) -> None:
    """Cut out and annotate in the browser, on this machine alone."""
    import webbrowser

    from .._optional import require
    from .photos import load

    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require(module, "serve", "mobilesam app")
    from ..server.queue import Queue
    from ..server.site import create_site

    queue = Queue(folder) if folder else None  # before the model is loaded: a mistyped name should cost nothing
    with _listening(port) as listener:
        site = create_site(load(model, runtime, device, precision, threads), queue)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        typer.echo(f"mobilesam app: {address}  (Ctrl+C ends it)")
        if browser:
            webbrowser.open(address)  # it is answered as soon as the server runs: the socket listens already
        _serve(site, listener)


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(f"Port {port} can't be used: {error}. Choose another by --port, 0 for a free one.") from error
    return listener


def _serve(site: FastAPI, listener: socket.socket) -> None:
    """Answer until Ctrl+C; what the page saves is written before its request ends, so nobody is waited for long."""
    import uvicorn

    config = uvicorn.Config(
        site, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
    )
    uvicorn.Server(config).run(sockets=[listener])
