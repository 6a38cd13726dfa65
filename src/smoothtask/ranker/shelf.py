"""The models of this installation: a folder each, a link `current` to the one in use, and what must not be used again.

models/20261124T204512-77ba631606ec/   manifest.json, model.onnx, model.json
models/current                         → the one in use; replaced as one
models/loading                         the id that a daemon has begun to use, in which boot, for which time in a row;
                                       found at a start in the same boot, it died of it
models/proven.json                     [id, …]: of those that have gone well here
models/refused.json                    {id: why}: until it is installed again
"""

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple

from smoothtask.config.bundle import CURRENT, MANIFEST, ONNX, TREES
from smoothtask.config.paths import make_folder
from smoothtask.model.text import sanitise
from smoothtask.ranker.checks import Contents, ModelRefusedError
from smoothtask.ranker.reading import check_folder, read_bundle

LOADING, PROVEN, REFUSED = "loading", "proven.json", "refused.json"
KEPT = 3
FOLDER_MODE = 0o700
Signature = tuple[object, ...]


class Begun(NamedTuple):
    """A model that a daemon has begun to use, without having come far enough to say that it went well."""

    model: str
    times: int
    """In a row."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder of models."""

    folder: Path
    boot_id: str = "-"
    """Which boot this is, for those who begin to use models."""

    def current(self) -> str | None:
        """The name of the folder in use; `None` when none is. Raises ModelRefusedError for a link to elsewhere."""
        try:
            name = os.readlink(self.folder / CURRENT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ModelRefusedError(f"{CURRENT}: expected a link to a folder beside it ({error.strerror})") from error
        if "/" in name or name in {"", ".", ".."}:
            raise ModelRefusedError(f"{CURRENT}: leads to {sanitise(name, 100)}, expected a folder beside it")
        return name

    def signature(self) -> Signature:
        """What changes whenever the model in use, or anything in it, does."""
        try:
            name = os.readlink(self.folder / CURRENT)
        except OSError as error:
            return (error.errno,)
        files = (self.folder / name / part for part in ("", MANIFEST, ONNX, TREES))
        return (name, *map(_seen, files), _seen(self.folder / REFUSED))

    def read_current(self) -> Contents | None:
        """The files in use; `None` when none are. Raises ModelRefusedError."""
        name = self.current()
        if name is None:
            return None
        check_folder(self.folder)
        return read_bundle(self.folder / name)

    def names(self) -> list[str]:
        """The folders, the newest first."""
        found = [p for p in self.folder.iterdir() if not p.name.startswith(".") and (p / MANIFEST).is_file()]
        return [p.name for p in sorted(found, key=_made_at, reverse=True) if not p.is_symlink()]

    def install(self, contents: Contents) -> str:
        """Keep a copy of *contents*, which were tried out, and make it the one in use; its name. Raises OSError."""
        make_folder(self.folder, FOLDER_MODE)
        name = wanted = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{contents.model}"
        again = count(2)
        while (self.folder / name).exists():  # of the same second; what is in it may have been changed since
            name = f"{wanted}-{next(again)}"
        draft = self.folder / f".{name}-{os.getpid()}"
        draft.mkdir(0o755)
        try:
            for part, data in ((ONNX, contents.onnx), (TREES, contents.trees), (MANIFEST, contents.manifest)):
                _write(draft / part, data)
            _sync(draft)
            draft.rename(self.folder / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self.forgive(contents.model)
        self._use(name)
        self._prune(name)
        return name

    def roll_back(self) -> str:
        """Use the model that was kept before the one in use; its name. Raises ModelRefusedError, OSError."""
        names, now = self.names(), self.current()
        older = names[names.index(now) + 1 :] if now in names else names
        if not older:
            raise ModelRefusedError("there is no older model to go back to")
        self._use(older[0])
        return older[0]

    def refused(self, model: str) -> str | None:
        """Why the model with that id must not be used again; `None` when it may."""
        return self._refusals().get(model)

    def refuse(self, model: str, why: str) -> None:
        """Never use it again, until it is installed again. Raises OSError."""
        refusals = {**self._refusals(), model: why}
        self._keep(REFUSED, dict(list(refusals.items())[-4 * KEPT :]))

    def forgive(self, model: str) -> None:
        """It may be used again. Raises OSError."""
        refusals = self._refusals()
        if refusals.pop(model, None) is not None:
            self._keep(REFUSED, refusals)

    def loading(self) -> Begun | None:
        """What a daemon of this boot had begun to use, and not ended well with: a power cut is no model's fault."""
        try:
            model, boot, times = (self.folder / LOADING).read_text("ascii")[:256].split()
            return Begun(model, int(times)) if boot == self.boot_id else None
        except (OSError, ValueError):
            return None

    def begin(self, model: str) -> None:
        """Note, on the disk, that it is about to be used. Raises OSError."""
        before = self.loading()
        times = before.times + 1 if before is not None and before.model == model else 1
        _write(self.folder / LOADING, f"{model} {self.boot_id} {times}\n".encode())
        _sync(self.folder)

    def end(self) -> None:
        """It is not used any more, or went well. Raises OSError."""
        (self.folder / LOADING).unlink(missing_ok=True)

    def is_proven(self, model: str) -> bool:
        """Whether it has gone well here before."""
        return model in self._proven()

    def prove(self, model: str) -> None:
        """It went well. Raises OSError."""
        self.end()
        proven = self._proven()
        if model not in proven:
            self._keep(PROVEN, [*proven, model][-4 * KEPT :])

    def _use(self, name: str) -> None:
        link = self.folder / f".{CURRENT}-{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.replace(self.folder / CURRENT)
        _sync(self.folder)

    def _prune(self, used: str) -> None:
        for name in [n for n in self.names() if n != used][KEPT - 1 :]:
            shutil.rmtree(self.folder / name)

    def _refusals(self) -> dict[str, str]:
        found = self._said(REFUSED)
        return {str(k): sanitise(str(v), 400) for k, v in found.items()} if isinstance(found, dict) else {}

    def _proven(self) -> list[str]:
        found = self._said(PROVEN)
        return [str(model) for model in found] if isinstance(found, list) else []

    def _said(self, name: str) -> object:
        try:
            return json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            return None

    def _keep(self, name: str, said: object) -> None:
        draft = self.folder / f".{name}-{os.getpid()}"
        _write(draft, json.dumps(said, indent=1).encode())
        draft.replace(self.folder / name)


def _seen(path: Path) -> object:
    try:
        s = path.lstat()
    except OSError as error:
        return error.errno
    return (s.st_dev, s.st_ino, s.st_mode, s.st_uid, s.st_size, s.st_mtime_ns, s.st_ctime_ns)


def _made_at(folder: Path) -> tuple[int, str]:
    return (folder / MANIFEST).stat().st_mtime_ns, folder.name


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
