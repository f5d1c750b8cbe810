"""A folder as annotation queue: its photos, and the saved work on each, one JSON file a photo beside them."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from ..errors import OutputError, SourceNotFoundError
from ..files import write_text
from ..sources import IMAGE_SUFFIXES
from .annotations import Annotated, Object, Work
from .messages import RunLengths, parse
from .problems import Problem

SIDECAR = "mobilesam-annotations"
VERSION = 1


class Queue:
    """The photos of one folder by name. Nothing outside it is read or written, and links are not followed.

    Raises SourceNotFoundError where it isn't a folder, or has no photo.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        if not self.folder.is_dir():
            raise SourceNotFoundError(f"{folder} is no folder; give one with photos.")
        if not self.names():
            suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
            raise SourceNotFoundError(f"No photos in {folder}; known suffixes: {suffixes}.")
        self.id = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        """The browser keeps its own copy of the work under this name."""
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The photos that are there now, by name; neither hidden ones nor links."""
        with os.scandir(self.folder) as entries:
            return sorted(entry.name for entry in entries if _is_photo(entry))

    def photo(self, name: str) -> Path:
        """A photo's path. Raises Problem (404) for a name that isn't in the listing."""
        if name not in self.names():
            raise Problem(404, "NotFound", "No photo of this name is in the folder (any more).")
        return self.folder / name

    def listing(self) -> list[dict[str, Any]]:
        """What is known of each photo: name, number of objects, whether it is done."""
        listed = []
        for name in self.names():
            saved = self._saved(name, strict=False)
            listed.append({"name": name, "objects": len(saved["objects"]), "done": saved["done"]})
        return listed

    def read(self, name: str) -> dict[str, Any]:
        """The saved work on a photo; revision 0 and no objects where there is none. Raises Problem."""
        self.photo(name)
        return self._saved(name)

    def save(self, name: str, work: Work) -> int:
        """Save the work on a photo, whole or not at all; returns its revision.

        Raises Problem: 409 where another page has saved in the meantime, 507 where it can't be written; what was saved
        before then stays as it was. Raises PromptError for run lengths that are none.
        """
        self.photo(name)
        work.check()
        with self._lock:
            revision = int(self._saved(name)["revision"])
            if work.revision != revision:
                raise Problem(409, "Conflict", f"The work on {name} was changed elsewhere since this page read it.")
            document = {"version": VERSION, "photo": name, **work.model_dump(mode="json"), "revision": revision + 1}
            try:
                write_text(self._file(name), json.dumps(document))
            except OutputError as error:
                reason = getattr(error.__cause__, "strerror", None) or error
                raise Problem(507, "NotSaved", f"{SIDECAR}/{name}.json can't be written: {reason}.") from error
            return revision + 1

    def annotated(self) -> list[Annotated]:
        """The saved masks of all photos that were worked on. Raises Problem for a damaged file."""
        return [_annotated(name, saved) for name in self.names() if (saved := self._saved(name))["revision"]]

    def _file(self, name: str) -> Path:
        sidecar = self.folder / SIDECAR
        if sidecar.is_symlink():
            raise Problem(507, "NotSaved", f"{sidecar} is a link; work is saved in real folders only.")
        return sidecar / f"{name}.json"

    def _saved(self, name: str, *, strict: bool = True) -> dict[str, Any]:
        nothing: dict[str, Any] = {"revision": 0, "size": None, "objects": [], "done": False}
        path = self._file(name)
        if path.is_symlink():
            raise Problem(500, "Damaged", f"{path} is a link, which this doesn't follow; move it away.")
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            work = Work.model_validate_json(json.dumps({key: document[key] for key in Work.model_fields}))
        except (FileNotFoundError, NotADirectoryError):
            return nothing
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not strict:
                return nothing
            message = f"{path} can't be read ({type(error).__name__}); mend it or move it away, it isn't overwritten."
            raise Problem(500, "Damaged", message) from error
        return work.model_dump(mode="json")


def _is_photo(entry: os.DirEntry[str]) -> bool:
    try:
        entry.name.encode()
    except UnicodeEncodeError:  # a name that no address can say
        return False
    is_shown = not entry.name.startswith(".") and Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
    return is_shown and entry.is_file(follow_symlinks=False)


def _annotated(name: str, saved: dict[str, Any]) -> Annotated:
    objects = [parse(Object, json.dumps(one).encode()) for one in saved["objects"]]
    masks = [(one.name, one.rle) for one in objects if isinstance(one.rle, RunLengths)]
    height, width = saved["size"]
    return Annotated.of(name, (height, width), masks)
