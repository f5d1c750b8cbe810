"""Limits from flags and environment, and who is let in."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from mobilesam import InputError, settings
from mobilesam.server import ServerConfig
from mobilesam.server.logs import JsonLines
from mobilesam.server.run import LOCAL, check_access, listening

TOKEN = "a-token-of-some-length"
Started = tuple[ServerConfig, str]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Started]:
    """What `mobilesam serve` would have started."""
    found: list[Started] = []

    def note(app: Any, listener: socket.socket) -> None:
        app.state.service.pool.close()
        found.append((app.state.service.config, listener.getsockname()[0]))

    monkeypatch.setattr("mobilesam.server.run.serve", note)
    return found


def test_flags_come_before_the_environment_and_that_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILESAM_SERVE_QUEUE", "7")
    monkeypatch.setenv("MOBILESAM_SERVE_TIMEOUT", "2.5")
    monkeypatch.setenv("MOBILESAM_SERVE_TOKENS", f"{TOKEN}, {TOKEN}2,")
    monkeypatch.setenv("MOBILESAM_SERVE_SCENES", "")
    config = ServerConfig.of(queue=9, ttl=None)
    assert config == ServerConfig(queue=9, timeout=2.5, tokens=(TOKEN, f"{TOKEN}2"))


@pytest.mark.parametrize("field", [f.name for f in fields(ServerConfig)])
def test_every_limit_is_documented_and_has_a_variable(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"MOBILESAM_SERVE_{field.upper()}" in (ROOT / "docs/server.md").read_text(encoding="utf-8")
    default = getattr(ServerConfig(), field)
    raw, expected = (f"{TOKEN},{TOKEN}x", (TOKEN, f"{TOKEN}x")) if isinstance(default, tuple) else ("3", 3)
    monkeypatch.setenv(f"MOBILESAM_SERVE_{field.upper()}", raw)
    assert getattr(ServerConfig.of(), field) == expected


@pytest.mark.parametrize("value", ["many", "0", "-1", "nan", "1e3"])
def test_a_limit_that_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILESAM_SERVE_QUEUE", value)
    with pytest.raises(InputError, match="queue|QUEUE"):
        ServerConfig.of()
    with pytest.raises(InputError, match="timeout"):
        ServerConfig(timeout=float("nan"))


@pytest.mark.parametrize("token", ["", "short", " " * 20, "ä" * 20])
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(InputError, match="16 or more"):
        ServerConfig(tokens=(token,))


def test_the_packages_pixel_limit_holds_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILESAM_MAX_PIXELS", "100")
    assert ServerConfig().pixels == 100
    assert ServerConfig(max_pixels=50).pixels == 50


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_the_network_is_not_let_in_by_accident(host: str) -> None:
    with pytest.raises(InputError, match="--allow-anyone"):
        check_access(host, ServerConfig(), allow_anyone=False)
    check_access(host, ServerConfig(), allow_anyone=True)
    check_access(host, ServerConfig(tokens=(TOKEN,)), allow_anyone=False)


def test_where_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listening(None, None) == ("127.0.0.1", 8000)
    monkeypatch.setenv("MOBILESAM_SERVE_HOST", "::1")
    monkeypatch.setenv("MOBILESAM_SERVE_PORT", "81")
    assert listening(None, None) == ("::1", 81)
    assert listening("127.0.0.2", 0) == ("127.0.0.2", 0)
    monkeypatch.setenv("MOBILESAM_SERVE_PORT", "http")
    with pytest.raises(InputError, match="MOBILESAM_SERVE_PORT"):
        listening(None, None)


def test_the_command(run_cli: Callable[..., tuple[int, str, str]], started: list[Started], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n{TOKEN}2\n")
    arguments = ("--port", "0", "--queue", "5", "--ttl", "9", "--cors-origin", "https://a.org")
    code, _, said = run_cli("serve", *arguments)
    config = ServerConfig(queue=5, ttl=9, origins=("https://a.org",), hosts=LOCAL)
    assert (code, started.pop()) == (0, (config, "127.0.0.1"))
    assert "listens on http://127.0.0.1:" in said
    code, _, said = run_cli("serve", "--host", "0.0.0.0", "--token-file", tokens, "--port", "0")
    assert (code, started.pop()) == (0, (ServerConfig(tokens=(TOKEN, f"{TOKEN}2")), "0.0.0.0"))
    assert TOKEN not in said


def test_a_port_that_is_taken(run_cli: Callable[..., tuple[int, str, str]], started: list[Started]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, said = run_cli("serve", "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert "Can't listen" in said
    assert not started


@pytest.mark.parametrize(
    "arguments", [["--host", "0.0.0.0"], ["--queue", "0"], ["--token-file", "/nowhere"], ["--token-file", "empty"]]
)
def test_the_command_used_wrongly(
    run_cli: Callable[..., tuple[int, str, str]], started: list[Started], arguments: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    code, _, said = run_cli("serve", *arguments)
    assert code == 2
    assert said.startswith("mobilesam: ")
    assert not started


def test_a_missing_package_is_named(
    run_cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    code, _, said = run_cli("serve")
    assert code == 1
    assert "pip install 'mobilesam[serve]'" in said


def test_log_lines_are_json_and_hold_no_messages_of_errors() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.Logger("x")  # noqa: LOG001  # one that nobody else has
    log.addHandler(handler)
    log.info("request", extra={"fields": {"status": 200}})
    try:
        raise ValueError("secret")
    except ValueError:
        log.exception("broken\nline")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first | {"time": ""} == {"time": "", "level": "info", "logger": "x", "event": "request", "status": 200}
    assert first["time"].endswith("+00:00")
    assert second["error"] == "ValueError"
    assert "secret" not in stream.getvalue()


def test_no_variable_is_left_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.serve("nothing") is None
    monkeypatch.setenv("MOBILESAM_SERVE_NOTHING", "1")
    assert settings.serve("nothing") == "1"
