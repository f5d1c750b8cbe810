"""`mobilesam serve`: the REST service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options

EXAMPLES = """
Examples:

    mobilesam serve

    curl -F image=@photo.jpg http://127.0.0.1:8000/v1/embeddings

    MOBILESAM_SERVE_TOKENS=... mobilesam serve --host 0.0.0.0 --port 8080

Every option without a default here can also be set as MOBILESAM_SERVE_<OPTION>; docs/server.md has them all.
"""


def run(
    host: Annotated[str | None, typer.Option(help="Address to listen on: 127.0.0.1, this machine alone.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port, 8000; 0 for a free one.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Bearer tokens that clients must send, one a line.", show_default=False)
    ] = None,
    allow_anyone: Annotated[bool, typer.Option(help="Let the network in without a token.")] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Origin of web pages that may call the service; several times for several.")
    ] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Bytes of one upload, 32 MiB.")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Pixels of one picture, 50 million.")] = None,
    max_prompts: Annotated[int | None, typer.Option(help="Prompts of one request, 64.")] = None,
    queue: Annotated[int | None, typer.Option(help="Requests under way or waiting, 128; more get 503.")] = None,
    per_client: Annotated[int | None, typer.Option(help="The same of one client, 64; more get 429.")] = None,
    scenes: Annotated[int | None, typer.Option(help="The same for everything, 8; more get 503.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds until a request gets 504, 60.")] = None,
    store_bytes: Annotated[int | None, typer.Option(help="Bytes of all embeddings kept, 512 MiB.")] = None,
    ttl: Annotated[float | None, typer.Option(help="Seconds that an unused embedding is kept, 3600.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that answer clicks; as many as cores.")] = None,
    model: options.Model = "mobilesam",
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    padding: options.Padding = "auto",
    threads: options.Threads = None,
) -> None:
    """Answer clicks over HTTP, on this machine alone unless told otherwise. GET /docs lists the endpoints."""
    given = dict(locals())
    from dataclasses import fields, replace

    from ..server import ServerConfig, create_app
    from ..server.run import LOCAL, address_of, check_access, is_loopback, listen, listening, serve
    from .photos import load

    limits = {field.name: given[field.name] for field in fields(ServerConfig) if field.name in given}
    config = ServerConfig.of(**limits, origins=tuple(cors_origin) if cors_origin else None, tokens=_tokens(token_file))
    host, port = listening(host, port)
    check_access(host, config, allow_anyone=allow_anyone)
    if is_loopback(host) and not config.hosts:
        config = replace(config, hosts=LOCAL)
    app = create_app(load(model, runtime, device, precision, padding, threads), config)
    with listen(host, port) as listener:
        typer.echo(f"mobilesam listens on {address_of(listener)}  (endpoints: /docs)", err=True)
        serve(app, listener)


def _tokens(path: Path | None) -> tuple[str, ...] | None:
    from ..errors import InputError

    if path is None:
        return None
    try:
        tokens = tuple(path.read_text(encoding="utf-8").split())
    except (OSError, ValueError) as error:
        raise InputError(f"--token-file {path} can't be read: {error}.") from error
    if not tokens:
        raise InputError(f"--token-file {path} is empty; write one token a line.")
    return tokens
