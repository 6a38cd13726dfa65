"""Copies our GNOME Shell extension to where the Shell looks for a user's extensions, and takes it away again.

From version 45 on the Shell loads extensions as ECMAScript modules, before that it calls their `init`: the same class
serves both, and which it is written as depends on the Shell that is installed.
"""

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

FIRST_WITH_MODULES: Final = 45
OLDER: Final = ("42", "43", "44")
_TIMEOUT_S: Final = 10.0
_MODULE_CLASS: Final = "export default class SmoothTaskWindows extends Extension {"
_OLDER_HEAD: Final = "const {Gio, GLib, Meta} = imports.gi;"
_OLDER_TAIL: Final = """
// Called by the Shell.
function init() {
    return new SmoothTaskWindows();
}
"""


def extension_files(shell: int | None = None) -> dict[str, str]:
    """The text of each file of the extension, by name, for a Shell of version *shell* (`None`: a new one)."""
    folder = files("smoothtask") / "data" / "gnome-extension"
    metadata: dict[str, Any] = json.loads((folder / "metadata.json").read_text("utf-8"))
    script = (folder / "extension.js").read_text("utf-8")
    if shell is not None and shell < FIRST_WITH_MODULES:
        metadata["shell-version"] = [*OLDER]
        script = _as_older(script)
    elif shell is not None and str(shell) not in metadata["shell-version"]:
        metadata["shell-version"].append(str(shell))  # newer than this program: it says so when it does not work there
    return {"metadata.json": json.dumps(metadata, indent=2) + "\n", "extension.js": script}


def _as_older(script: str) -> str:
    """What a Shell before 45 loads."""
    lines = [line for line in script.splitlines() if not line.startswith("import ")]
    lines[lines.index(_MODULE_CLASS)] = "class SmoothTaskWindows {"
    lines.insert(1, _OLDER_HEAD)
    return "\n".join(lines) + "\n" + _OLDER_TAIL


def uuid() -> str:
    """The extension's name, as the Shell knows it."""
    return str(json.loads(extension_files()["metadata.json"])["uuid"])


def parse_version(text: str) -> int | None:
    """Of the Shell, as it says it.

    >>> parse_version("GNOME Shell 43.9"), parse_version("?")
    (43, None)
    """
    match = re.search(r"Shell (\d{1,3})\b", text, re.ASCII)
    return None if match is None else int(match[1])


def shell_version() -> int | None:
    """Of the one that is installed here; `None` where there is none."""
    try:
        done = subprocess.run(
            ["gnome-shell", "--version"], check=False, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stdout)


def folder_of(home: Path) -> Path:
    """Where the Shell looks for it."""
    return home / ".local" / "share" / "gnome-shell" / "extensions" / uuid()


def install_extension(home: Path, shell: int | None = None) -> Path:
    """Write it below *home*, over an older one; return its folder. Raises OSError."""
    folder = folder_of(home)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in extension_files(shell).items():
        (folder / name).write_text(text, "utf-8")
    return folder


def uninstall_extension(home: Path) -> Path | None:
    """Take it away again; its folder, or `None` when it was not there. Raises OSError."""
    folder = folder_of(home)
    if not folder.is_dir():
        return None
    for name in extension_files():
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()
    return folder
