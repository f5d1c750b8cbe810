"""The README's promises: its Python runs, its commands are the real ones."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import COFFEE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))}
DOCS["README.md"] = README


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


EXAMPLES = [(name, i, code) for name, text in DOCS.items() for i, code in enumerate(blocks(text, "python"))]


@pytest.mark.parametrize(("name", "i", "code"), EXAMPLES, ids=[f"{n}-{i}" for n, i, _ in EXAMPLES])
def test_python_examples_run(name: str, i: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "photo.jpg").write_bytes(COFFEE.read_bytes())
    exec(compile(code, f"{name} example {i}", "exec"), {})


def test_the_first_command_is_the_cli(run_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = [x for x in README.splitlines() if x.startswith("pip install . && mobilesam predict")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    words = shlex.split(line.split("&&")[1].split("#")[0])
    assert words.pop(0) == "mobilesam"
    code, out, _ = run_cli(*words)
    assert code == 0
    assert "wrote cup.png" in out
    assert (tmp_path / "cup.png").is_file()


def test_links_and_pictures_exist() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
            if not link.startswith("http"):
                assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_table_of_interfaces_is_what_its_script_makes() -> None:
    command = [sys.executable, ROOT / "scripts/interface_table.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_tables_of_exports_are_what_their_script_makes() -> None:
    command = [sys.executable, ROOT / "scripts/export_table.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ci_takes_its_command_from_here() -> None:
    assert "pip install -e '.[test]' -c constraints.txt && pytest" in README
    assert "README.md" in (ROOT / ".ci/run").read_text()


def test_no_path_of_the_machine_that_made_this() -> None:
    marked = ("/work" + "/main", "/root" + "/", "/opt" + "/dev")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not [m for m in marked if m in text], path
