"""Too much at once, too slow, hung up, broken, shut down: the right status, and all is well afterwards."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.responses import Response

from mobilesam import BackendError
from servers import GatedBackend, Server, click, connect, embed, picture, problem, running, until


def post_raw(server: Server, path: str, kind: str, body: bytes) -> socket.socket:
    """A request whose connection the test holds."""
    host, port = server.address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_the_event_loop_answers_while_the_model_is_busy(gated: GatedBackend) -> None:
    with running(gated) as server, connect(server) as http:
        name = embed(http)
        gated.gates["encode"].clear()
        held = post_raw(server, "/v1/embeddings", "image/png", picture())
        until(lambda: server.service.pool.encodes.open == 1)
        assert http.get("/healthz").status_code == 200
        assert http.post("/v1/masks", json=click(name)).status_code == 200  # clicks don't wait for encodes
        held.close()


def test_one_client_too_many_is_429_and_recovers(gated: GatedBackend) -> None:
    with running(gated, per_client=2) as server, connect(server) as http:
        name = embed(http)
        gated.gates["decode"].clear()
        body = json.dumps(click(name)).encode()
        held = [post_raw(server, "/v1/masks", "application/json", body) for _ in range(2)]
        until(lambda: server.service.gate.open == 2)
        answer = http.post("/v1/masks", json=click(name))
        assert problem(answer) == (429, "TooManyRequests")
        assert answer.headers["retry-after"] == "1"
        assert http.get("/healthz").status_code == 200
        gated.open()
        for connection in held:
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.close()
        until(lambda: server.service.gate.open == 0)
        assert http.post("/v1/masks", json=click(name)).status_code == 200


def test_all_clients_too_many_is_503_and_recovers(gated: GatedBackend) -> None:
    tokens = tuple(f"token-number-{i:010d}" for i in range(3))
    with running(gated, queue=2, per_client=2, tokens=tokens) as server:
        clients = [connect(server, authorization=f"Bearer {token}") for token in tokens]
        name = embed(clients[2])
        gated.gates["encode"].clear()
        with ThreadPoolExecutor(2) as threads:
            running_ = [threads.submit(embed, http) for http in clients[:2]]
            until(lambda: server.service.gate.open == 2)
            assert problem(clients[2].post("/v1/masks", json=click(name))) == (503, "Busy")
            gated.open()
            assert all(future.result() for future in running_)
        assert clients[2].post("/v1/masks", json=click(name)).status_code == 200
        for http in clients:
            http.close()


def test_too_slow_is_504_and_frees_what_waits(gated: GatedBackend) -> None:
    with running(gated, timeout=1, workers=1) as server, connect(server) as http:
        name = embed(http)
        gated.gates["decode"].clear()
        calls = gated.calls["decode"]
        with ThreadPoolExecutor(3) as threads, connect(server) as other:
            answers = list(threads.map(lambda _: other.post("/v1/masks", json=click(name)), range(3)))
        assert [problem(answer) for answer in answers] == 3 * [(504, "TimedOut")]
        gated.open()
        until(lambda: server.service.pool.clicks.open == 0)
        assert gated.calls["decode"] == calls + 1  # those that waited were never begun
        assert http.post("/v1/masks", json=click(name)).status_code == 200


def test_a_slow_body_is_408() -> None:
    with running(timeout=1) as server:
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            head = (
                b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\nx"
            )
            slow.sendall(head)
            assert slow.recv(12) == b"HTTP/1.1 408"
        until(lambda: server.service.gate.open == 0 == server.service.gate.bytes)


@pytest.mark.parametrize("call", ["encode", "decode"])
def test_a_client_that_hangs_up_frees_its_place(gated: GatedBackend, call: str) -> None:
    with running(gated, workers=1) as server, connect(server) as http:
        name = embed(http)
        gated.gates[call].clear()
        calls = gated.calls[call]
        path, kind, body = {
            "encode": ("/v1/embeddings", "image/png", picture()),
            "decode": ("/v1/masks", "application/json", json.dumps(click(name)).encode()),
        }[call]
        held = [post_raw(server, path, kind, body) for _ in range(5)]
        until(lambda: server.service.gate.open == 5 and gated.calls[call] == calls + 1)
        for connection in held:
            connection.close()
        until(lambda: server.service.gate.open == 0)
        gated.open()
        lanes = server.service.pool.lanes
        until(lambda: not any(lane.open for lane in lanes))
        assert gated.calls[call] == calls + 1
        assert len(server.service.store) == 1  # nothing kept for nobody
        assert http.post("/v1/masks", json=click(name)).status_code == 200


def test_a_client_that_hangs_up_while_it_sends(server: Server) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(
        b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\nx"
    )
    until(lambda: server.service.gate.bytes == 1)
    connection.close()
    until(lambda: server.service.gate.open == 0 == server.service.gate.bytes)


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), BackendError("secret"), MemoryError("secret"), KeyError("x")]
)
def test_a_worker_that_fails_is_503_and_the_next_one_works(
    gated: GatedBackend, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running(gated) as server, connect(server) as http:
        name = embed(http)
        with monkeypatch.context() as patch:

            def fail(*_: Any) -> Any:
                raise error

            patch.setattr(gated, "decode", fail)
            patch.setattr(gated, "encode", fail)
            for answer in (
                http.post("/v1/masks", json=click(name)),
                http.post("/v1/embeddings", files={"image": ("a", picture())}),
                http.post("/v1/everything", json={"embedding": name}),
            ):
                assert problem(answer) == (503, "WorkerFailed")
                assert "secret" not in answer.text
        assert http.post("/v1/masks", json=click(name)).status_code == 200
        assert embed(http)
    assert "secret" not in caplog.text
    failed = [record for record in caplog.records if record.message.endswith(" failed")]
    assert {record.fields["error"] for record in failed} == {type(error).__name__}  # type: ignore[attr-defined]


def test_an_unforeseen_error_is_a_500_that_tells_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(server.service.store, "get", fail)
    with connect(server) as http:
        answer = http.post("/v1/masks", json=click("x"))
    assert problem(answer) == (500, "Internal")
    assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
    assert "secret" not in answer.text + caplog.text


def test_a_model_that_does_not_answer_is_not_ready(gated: GatedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise BackendError("no such device")

    monkeypatch.setattr(gated, "encode", fail)
    with running(gated) as server, connect(server) as http:
        until(lambda: server.service.pool.encodes.open == 0)
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == 503


def test_ready_once_the_model_has_answered(gated: GatedBackend) -> None:
    gated.gates["decode"].clear()
    with running(gated) as server, connect(server) as http:
        assert gated.there["decode"].acquire(timeout=30)
        assert http.get("/readyz").status_code == 503
        gated.open()
        until(lambda: http.get("/readyz").status_code == 200)


def test_a_thread_that_hangs_is_unhealthy(gated: GatedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(gated, timeout=1) as server, connect(server) as http:
        name = embed(http)
        gated.gates["decode"].clear()
        assert problem(http.post("/v1/masks", json=click(name))) == (504, "TimedOut")
        assert http.get("/healthz").status_code == 200
        began = server.service.pool.clicks._began
        for stop in began:
            began[stop] -= 1000
        assert http.get("/healthz").status_code == 503
        gated.open()
        until(lambda: http.get("/healthz").status_code == 200)


def test_a_shutdown_finishes_what_runs(gated: GatedBackend) -> None:
    before = set(threading.enumerate())
    with running(gated) as server, connect(server) as http, ThreadPoolExecutor(1, "test") as threads:
        name = embed(http)
        gated.gates["decode"].clear()
        calls = gated.calls["decode"]
        answer = threads.submit(http.post, "/v1/masks", json=click(name))
        until(lambda: gated.calls["decode"] == calls + 1)
        server.should_exit = True
        until(lambda: server.listener.fileno() == -1)
        gated.open()
        assert answer.result().status_code == 200
        server.thread.join(30)
        assert not server.thread.is_alive()
        assert len(server.service.store) == 0
        left = {thread.name for thread in set(threading.enumerate()) - before}
        assert not [name for name in left if name.startswith("mobilesam")]


def test_closed_lanes_take_nothing(server: Server) -> None:
    with running() as other:
        pass
    with pytest.raises(Exception, match="shutting down") as caught:
        other.service.pool.clicks.submit(lambda stop: None)
    assert caught.value.status == 503
    assert other.service.pool.clicks.open == 0


def test_what_the_log_says_and_what_not(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mobilesam.server"), connect(server, authorization="Bearer hush") as http:
        name = embed(http)
        http.post("/v1/masks", json=click(name))
        http.delete(f"/v1/embeddings/{name}")
        http.get("/secret-path?secret=1")
        until(lambda: len([r for r in caplog.records if r.message == "request"]) == 4)
    lines = [record.fields for record in caplog.records if record.message == "request"]  # type: ignore[attr-defined]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("POST", "/v1/embeddings", 201),
        ("POST", "/v1/masks", 200),
        ("DELETE", "/v1/embeddings/{name}", 204),
        ("GET", "other", 404),
    ]
    assert all(set(line) == {"method", "route", "status", "ms", "bytes_in", "bytes_out", "request"} for line in lines)
    assert lines[0]["bytes_in"] > len(picture())
    text = json.dumps(lines)
    assert not [word for word in (name, "photo.png", "hush", "secret", "127.0.0.1") if word in text]


def test_metrics_count_and_have_few_labels(server: Server) -> None:
    with connect(server) as http:
        name = embed(http)
        for i in range(3):
            http.get(f"/unknown/{i}")
            http.request(f"METHOD{i}", "/healthz")
        text = http.get("/metrics").text
        assert f"mobilesam_embeddings {len(server.service.store)}.0" in text
        assert 'mobilesam_requests_total{method="other",route="/healthz",status="405"} 3.0' in text
        assert "mobilesam_jobs" in text
        assert "unknown" not in text
        assert "METHOD" not in text
        assert name not in text


def test_keep_alive_survives_refusals(http: httpx.Client) -> None:
    """A refused click doesn't cost the connection."""
    assert http.post("/v1/masks", json=click("x")).status_code == 404
    assert "connection" not in http.post("/v1/masks", json={}).headers


def test_a_client_that_does_not_read_loses_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with running(timeout=1) as server, connect(server) as http, caplog.at_level(logging.INFO, "mobilesam.server"):
        server.app.router.add_route("/v1/large", lambda _: Response(bytes(50_000_000)), methods=["POST"])
        deaf = post_raw(server, "/v1/large", "text/plain", b"")
        until(lambda: "request" in [record.message for record in caplog.records])
        deaf.close()
        (line,) = [record for record in caplog.records if record.message == "request"]
        assert line.fields["status"] == 499  # type: ignore[attr-defined]
        assert server.service.gate.open == 0
        assert len(http.post("/v1/large").content) == 50_000_000


def test_a_long_answer_comes_whole() -> None:
    with running(max_prompts=500) as server, connect(server) as http:
        body = {**click(embed(http)), "prompts": 300 * click("")["prompts"]}
        answer = http.post("/v1/masks", json=body, headers={"accept": "application/x-npy"})
        assert np.load(io.BytesIO(answer.content)).shape == (300, 64, 64)
