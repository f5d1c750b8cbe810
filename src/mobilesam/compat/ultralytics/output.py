"""Where results go besides back to the caller: files of a run, a window, a line on the screen."""

from __future__ import annotations

from pathlib import Path

from ...errors import OutputError
from ...files import PICTURES
from .arguments import Arguments
from .results import Results

RUNS = "runs/segment"


class Output:
    """One run's output; its folder is made where something is written."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.folder = _new_folder(arguments) if arguments.writes else None
        self._used: dict[str, int] = {}

    def add(self, result: Results, name: str) -> Results:
        """The result, written, shown and reported as the arguments say; `name` is the photo's."""
        arguments = self.arguments
        if self.folder is not None:
            result.save_dir = str(self.folder)
            self._write(result, self.folder, Path(name))
        if arguments.show:
            result.show(**arguments.drawn)
        if arguments.verbose:
            height, width = result.orig_shape
            print(f"{name}: {height}x{width} {result.verbose()}{result.speed['inference']:.1f}ms")
        return result

    def _write(self, result: Results, folder: Path, name: Path) -> None:
        """Two photos of one name in a run get a number each."""
        self._used[name.stem] = number = self._used.get(name.stem, 0) + 1
        stem = f"{name.stem}-{number}" if number > 1 else name.stem
        suffix = name.suffix if name.suffix.lower() in PICTURES else ".jpg"
        if self.arguments.save:
            result.save(folder / f"{stem}{suffix}", **self.arguments.drawn)
        if self.arguments.save_txt:
            result.save_txt(folder / "labels" / f"{stem}.txt", self.arguments.save_conf)
        if self.arguments.save_crop:
            result.save_crop(folder / "crops", f"{stem}{suffix}")


def _new_folder(arguments: Arguments) -> Path:
    """project/name, or name2, name3, ... where that is taken."""
    wanted = Path(arguments.project or RUNS) / (arguments.name or "predict")
    number = 1
    while True:
        folder = wanted.with_name(f"{wanted.name}{number if number > 1 else ''}")
        try:
            folder.mkdir(parents=True, exist_ok=arguments.exist_ok)
        except OSError as error:
            if arguments.exist_ok or not isinstance(error, FileExistsError):
                raise OutputError(
                    f"Can't make the folder {folder}: {error}. Choose another project or name."
                ) from error
            number += 1
        else:
            return folder
