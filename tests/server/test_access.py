"""Who may ask: tokens, whose embeddings, web pages, host names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from servers import Server, click, connect, embed, problem, running

ONE, TWO = "first-token-0123456789", "other-token-0123456789"
CLOSED = [
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/masks"),
    ("POST", "/v1/everything"),
    ("DELETE", "/v1/embeddings/x"),
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
]


@pytest.fixture(scope="module")
def closed() -> Iterator[Server]:
    with running(tokens=(ONE, TWO)) as server:
        yield server


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {ONE}", ONE, f"Bearer {ONE}x", "Bearer \xff"]
)
def test_without_the_token_nothing_is_answered(closed: Server, method: str, path: str, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    with connect(closed) as http:
        answer = http.request(method, path, headers=headers)  # type: ignore[arg-type]
    assert problem(answer) == (401, "Unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json"])
def test_health_and_description_need_no_token(closed: Server, path: str) -> None:
    with connect(closed) as http:
        assert http.get(path).status_code == 200


def test_a_token_sees_its_own_embeddings_alone(closed: Server) -> None:
    with (
        connect(closed, authorization=f"Bearer {ONE}") as first,
        connect(closed, authorization=f"bearer {TWO}") as other,
    ):
        name = embed(first)
        assert first.post("/v1/masks", json=click(name)).status_code == 200
        wrong, unknown = (other.post("/v1/masks", json=click(n)) for n in (name, name[::-1]))
        assert problem(wrong) == problem(unknown) == (404, "NotFound")
        assert wrong.json() == unknown.json()  # not even that it exists
        assert problem(other.post("/v1/everything", json={"embedding": name})) == (404, "NotFound")
        assert problem(other.delete(f"/v1/embeddings/{name}")) == (404, "NotFound")
        assert first.delete(f"/v1/embeddings/{name}").status_code == 204
        assert problem(first.post("/v1/masks", json=click(name))) == (404, "NotFound")


def test_no_endpoint_lists_embeddings(server: Server, http: httpx.Client) -> None:
    name = embed(http)
    for path in ("/v1/embeddings", "/v1/embeddings/", f"/v1/embeddings/{name}", "/v1/models", "/metrics", "/docs"):
        assert name not in http.get(path).text.replace(f"embeddings/{name}", "")


def test_other_origins_are_told_nothing_unless_asked_for(http: httpx.Client) -> None:
    there = {"origin": "https://example.org", "access-control-request-method": "POST"}
    for answer in (http.options("/v1/masks", headers=there), http.get("/healthz", headers=there)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_allowed_origin_hears_errors_too() -> None:
    with running(origins=("https://example.org",), tokens=(ONE,)) as server, connect(server) as http:
        there = {"origin": "https://example.org", "access-control-request-method": "POST"}
        asked = http.options("/v1/masks", headers={**there, "access-control-request-headers": "authorization"})
        assert asked.status_code == 200
        answer = http.post("/v1/masks", headers=there)
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://example.org"
        elsewhere = http.post("/v1/masks", headers={"origin": "https://example.net"})
        assert "access-control-allow-origin" not in elsewhere.headers


@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST", "[::1]:8", "[::1"])
def test_its_own_names(host: str, local: Server) -> None:
    with connect(local) as http:
        assert http.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["x.org", "localhost.x.org", "", "["])
def test_names_that_point_here_from_elsewhere(host: str, local: Server) -> None:
    with connect(local) as http:
        assert problem(http.get("/healthz", headers={"host": host})) == (400, "BadRequest")


@pytest.fixture(scope="module")
def local() -> Iterator[Server]:
    with running(hosts=("localhost", "::1")) as server:
        yield server


def test_ids_are_256_random_bits(http: httpx.Client) -> None:
    names = {embed(http) for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", name) for name in names)


def test_unknown_paths_and_methods(http: httpx.Client) -> None:
    for path in ("/", "/v1", "/v1/", "/v2/masks", "/..", "//", "/%2e%2e/%2e%2e/etc/passwd", "/static/x"):
        assert problem(http.get(path)) == (404, "NotFound")
    for method, path in (("GET", "/v1/masks"), ("PUT", "/v1/embeddings"), ("BREW", "/healthz"), ("POST", "/metrics")):
        assert problem(http.request(method, path)) == (405, "MethodNotAllowed")


def test_the_description_is_whole_and_loads_nothing(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    text = json.dumps(document)
    for reference in re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', text):
        assert reference in document["components"]["schemas"]
    assert set(document["paths"]) == {"/v1/embeddings", "/v1/embeddings/{name}", "/v1/masks", "/v1/everything",
                                      "/v1/models", "/healthz", "/readyz", "/metrics"}  # fmt: skip
    page = http.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "/v1/embeddings" in page.text


def test_models(http: httpx.Client) -> None:
    expected = {"name": "fake-0", "runtime": "fake", "device": "cpu", "precision": "fp32", "img_size": 256}
    assert http.get("/v1/models").json() == {"models": [expected]}


def test_security_headers_are_on_every_answer(http: httpx.Client) -> None:
    for answer in (http.get("/healthz"), http.get("/nope"), http.post("/v1/masks"), http.post("/v1/embeddings")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
        assert len(answer.headers["x-request-id"]) == 16
