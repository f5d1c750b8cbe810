from __future__ import annotations

from pathlib import Path

import pytest

from mobilesam import InputError, settings


def test_the_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE", "~/mine")
    assert settings.cache_dir() == Path.home() / "mine"
    monkeypatch.delenv("MOBILESAM_CACHE")
    for platform, variable, expected in (
        ("linux", "XDG_CACHE_HOME", Path("/x/mobilesam")),
        ("win32", "LOCALAPPDATA", Path("/x/mobilesam")),
    ):
        monkeypatch.setattr("sys.platform", platform)
        monkeypatch.setenv(variable, "/x")
        assert settings.cache_dir() == expected
        monkeypatch.delenv(variable)
    assert settings.cache_dir() == Path.home() / "AppData/Local/mobilesam"
    monkeypatch.setattr("sys.platform", "linux")
    assert settings.cache_dir() == Path.home() / ".cache/mobilesam"
    monkeypatch.setattr("sys.platform", "darwin")
    assert settings.cache_dir() == Path.home() / "Library/Caches/mobilesam"


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_offline(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("MOBILESAM_OFFLINE", value)
    assert settings.is_offline() is expected


def test_limits_have_defaults_and_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.max_pixels() == 178_956_970
    assert settings.max_bytes() == 1_000_000_000
    monkeypatch.setenv("MOBILESAM_MAX_PIXELS", "100")
    assert settings.max_pixels() == 100


@pytest.mark.parametrize("value", ["-1", "0", "many", "1.5"])
def test_a_limit_that_is_no_number(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MOBILESAM_MAX_BYTES", value)
    with pytest.raises(InputError, match="MOBILESAM_MAX_BYTES"):
        settings.max_bytes()


def test_preferred_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.preferred_runtime() is None
    monkeypatch.setenv("MOBILESAM_RUNTIME", "onnx")
    assert settings.preferred_runtime() == "onnx"


@pytest.mark.parametrize(
    ("platform", "variable", "found"),
    [("linux", None, False), ("linux", "DISPLAY", True), ("linux", "WAYLAND_DISPLAY", True), ("darwin", None, True)],
)
def test_displays(platform: str, variable: str | None, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, ":0")
    assert settings.has_display() is found
