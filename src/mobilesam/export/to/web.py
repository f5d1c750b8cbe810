"""A folder for any static web server: the ONNX pair, onnxruntime-web, and a page that segments without a server.

Nothing is fetched from elsewhere when the page runs. onnxruntime-web comes from npm when the first page is made and is
kept in the cache; each file's hash is checked.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ... import settings
from ...errors import DownloadError
from ...files import write_bytes
from ..networks import Networks
from ..verify import PHOTO
from . import onnx

PAGE = Path(__file__).parents[1] / "web"
RUNTIME = "onnxruntime-web@1.30.0"
HASHES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write the pair, the page with an example photo, and the runtime under ort/."""
    runtime = runtime_files()
    onnx.convert(networks, folder, precision=precision)
    for path in sorted(PAGE.iterdir()):
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(PHOTO, folder / "example.jpg")
    (folder / "ort").mkdir()
    (folder / "ort/README.txt").write_text(f"{RUNTIME}, (c) Microsoft Corporation, MIT licence.\n", encoding="utf-8")
    for path in runtime:
        shutil.copyfile(path, folder / "ort" / path.name)


def runtime_files() -> list[Path]:
    """The runtime's files, from the cache or from npm. Raises DownloadError."""
    cached = [settings.cache_dir() / RUNTIME / name for name in HASHES]
    if not all(path.is_file() and _fits(path.name, path.read_bytes()) for path in cached):
        for name, data in _from_npm().items():
            write_bytes(settings.cache_dir() / RUNTIME / name, data)
    return cached


def _from_npm() -> dict[str, bytes]:
    by_hand = (
        f"Put {', '.join(HASHES)} of {RUNTIME} (its folder dist) into {settings.cache_dir() / RUNTIME}, or install npm "
        "and unset MOBILESAM_OFFLINE."
    )
    npm = shutil.which("npm")
    if npm is None or settings.is_offline():
        raise DownloadError(f"A web page needs {RUNTIME}, which npm brings, and npm can't be used here. {by_hand}")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", RUNTIME, "--silent", "--pack-destination", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)  # noqa: S603  # no shell, a fixed list
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            raise DownloadError(f"npm can't bring {RUNTIME}: {done.stderr.strip()[-500:]} {by_hand}")
        with tarfile.open(archives[0]) as archive:
            members = {name: archive.extractfile(f"package/dist/{name}") for name in HASHES}
            data = {name: member.read() for name, member in members.items() if member is not None}
    if wrong := [name for name in HASHES if not _fits(name, data.get(name, b""))]:
        raise DownloadError(f"npm brought another {', '.join(wrong)} than that of {RUNTIME}. {by_hand}")
    return data


def _fits(name: str, data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == HASHES[name]
