"""The real download code against a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mobilesam import SAM, DownloadError, ImageTooLargeError, catalog
from mobilesam.catalog import download, models, store

BODY = bytes(range(256)) * 8192  # 2 MiB: several chunks
DIGEST = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    requests: int = 0


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.requests += 1  # type: ignore[attr-defined]
            if self.path == "/missing":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[: len(BODY) // 2] if self.path == "/broken" else BODY)

        def log_message(self, *args: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def url(server: Server, path: str = "/weights") -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_download_arrives_whole_and_reports_progress(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    target = tmp_path / "deep/down/file.pt"
    download.download(url(server), target, size=len(BODY), sha256=DIGEST, progress=lambda *a: seen.append(a))
    assert target.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert sorted(d for d, _ in seen) == [d for d, _ in seen]


@pytest.mark.parametrize(
    ("path", "size", "digest", "message"),
    [
        ("/weights", len(BODY), "0" * 64, "other bytes than expected"),
        ("/weights", len(BODY) - 1, DIGEST, "more than the expected"),
        ("/broken", len(BODY), DIGEST, "other bytes|broke off"),
        ("/missing", len(BODY), DIGEST, "404"),
    ],
)
def test_a_failed_download_leaves_nothing(server, tmp_path, path, size, digest, message) -> None:
    with pytest.raises(DownloadError, match=message):
        download.download(url(server, path), tmp_path / "file.pt", size=size, sha256=digest)
    assert list(tmp_path.iterdir()) == []


def test_offline_means_no_request(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MOBILESAM_OFFLINE", "1")
    with pytest.raises(DownloadError, match="MOBILESAM_OFFLINE"):
        download.download(url(server), tmp_path / "f", size=1, sha256=DIGEST)
    assert server.requests == 0


def test_only_http_is_fetched() -> None:
    with pytest.raises(DownloadError, match="Only http"):
        download.read_url("file:///etc/passwd", 10)


def test_read_url_has_a_limit(server: Server) -> None:
    assert download.read_url(url(server), len(BODY)) == BODY
    with pytest.raises(ImageTooLargeError, match="MOBILESAM_MAX_BYTES"):
        download.read_url(url(server), len(BODY) - 1)


def test_read_url_says_when_it_broke_off(server: Server) -> None:
    with pytest.raises(DownloadError):
        download.read_url(url(server, "/missing"), 10)


@pytest.fixture
def spec(server: Server, monkeypatch: pytest.MonkeyPatch) -> models.ModelSpec:
    made = models.ModelSpec("far.pt", "far.pt", "mobile_sam", len(BODY), DIGEST, "x", "y", url(server))
    monkeypatch.setitem(models.MODELS, made.name, made)
    return made


def test_locate_downloads_once_and_then_finds_it(spec, server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path))
    assert not store.is_cached(spec)
    first = catalog.locate("far.pt")
    assert first.read_bytes() == BODY
    assert store.is_cached(spec)
    assert catalog.locate("far.pt") == first
    assert server.requests == 1


def test_a_cut_file_in_the_cache_is_fetched_again(spec, server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path))
    store.cached_path(spec).parent.mkdir(parents=True)
    store.cached_path(spec).write_bytes(BODY[:100])
    assert catalog.locate("far.pt").read_bytes() == BODY


def test_a_local_file_comes_before_cache_and_network(spec, server, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("far.pt").write_bytes(b"mine")
    assert catalog.locate("far.pt") == Path("far.pt")
    assert server.requests == 0


def test_without_network_the_error_names_the_bundled_default(monkeypatch) -> None:
    monkeypatch.setenv("MOBILESAM_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"SAM\('mobilesam'\).*needs no network") as caught:
        SAM("mobile_sam.pt")
    assert isinstance(caught.value, ConnectionError)
    assert "mobile_sam.pt" in str(caught.value)


def test_a_cache_that_cant_be_written(spec, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="MOBILESAM_CACHE"):
        catalog.locate("far.pt")


def test_the_bundled_files_are_what_the_table_says() -> None:
    for made in models.MODELS.values():
        if made.is_bundled:
            data = (models.FILES / made.file).read_bytes()
            assert len(data) == made.bytes
            assert hashlib.sha256(data).hexdigest() == made.sha256
            assert store.digest_of(models.FILES / made.file) == made.sha256


def test_other_files_are_hashed(tmp_path) -> None:
    (tmp_path / "w").write_bytes(BODY)
    assert store.digest_of(tmp_path / "w") == DIGEST
    assert store._sha(tmp_path / "w") == DIGEST


def test_a_damaged_installation_says_so(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(store, "FILES", tmp_path)
    with pytest.raises(FileNotFoundError, match="Reinstall"):
        catalog.locate("mobilesam")


def test_every_entry_is_complete() -> None:
    for name, made in models.MODELS.items():
        assert name == made.name
        assert models.find(name) is made
        assert made.arch in models.ARCHS
        assert len(made.sha256) == 64
        assert made.bytes > 0
        assert made.licence
        assert made.origin
    assert models.find("nothing") is None
    assert models.DEFAULT in models.MODELS
