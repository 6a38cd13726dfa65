"""The bytes of a bundle, from a folder that only its owner may write to."""

import os
import stat
from pathlib import Path

from smoothtask.config.bundle import MANIFEST, MANIFEST_LIMIT, MODEL_LIMIT, ONNX, TREES
from smoothtask.ranker.checks import Contents, ModelRefusedError

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_bundle(folder: Path, *, trusted: frozenset[int] | None = None) -> Contents:
    """The files of *folder*. Raises ModelRefusedError.

    *trusted*: who may own folder and files (by default root and ourselves), which nobody else may write to then;
    an empty set: anybody, for a folder that a person has just named.
    """
    owners = frozenset({0, os.geteuid()}) if trusted is None else trusted
    try:
        handle = os.open(folder, _FOLDER)
    except OSError as error:
        raise ModelRefusedError(_why_no_folder(folder, error)) from error
    try:
        _check(folder.name, os.fstat(handle), owners)
        limits = {MANIFEST: MANIFEST_LIMIT, ONNX: MODEL_LIMIT, TREES: MODEL_LIMIT}
        files = {name: _read(name, limit, handle, owners) for name, limit in limits.items()}
    finally:
        os.close(handle)
    return Contents(files[MANIFEST], files[ONNX], files[TREES])


def check_folder(folder: Path) -> None:
    """That nobody but root and ourselves may put anything into *folder*. Raises ModelRefusedError."""
    try:
        handle = os.open(folder, _FOLDER)
    except OSError as error:
        raise ModelRefusedError(_why_no_folder(folder, error)) from error
    try:
        _check(folder.name, os.fstat(handle), frozenset({0, os.geteuid()}))
    finally:
        os.close(handle)


def _read(name: str, limit: int, folder: int, owners: frozenset[int]) -> bytes:
    try:
        handle = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        linked = _is_link(name, folder)
        raise ModelRefusedError(f"{name}: {'is a link' if linked else error.strerror or error}") from error
    with open(handle, "rb", buffering=0) as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ModelRefusedError(f"{name}: is no regular file")
        _check(name, found, owners)
        if found.st_size > limit:
            raise ModelRefusedError(f"{name}: has {found.st_size} bytes, {limit} at most")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ModelRefusedError(f"{name}: grows while it is read")
    return data


def _check(name: str, found: os.stat_result, owners: frozenset[int]) -> None:
    if not owners:
        return
    if found.st_uid not in owners:
        raise ModelRefusedError(f"{name}: belongs to uid {found.st_uid}, expected {' or '.join(map(str, owners))}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ModelRefusedError(f"{name}: others may write to it (mode {stat.S_IMODE(found.st_mode):04o})")


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _why_no_folder(folder: Path, error: OSError) -> str:
    if folder.is_symlink():
        return f"{folder.name}: is a link, expected a folder"
    return f"{folder.name}: {error.strerror or error}"
