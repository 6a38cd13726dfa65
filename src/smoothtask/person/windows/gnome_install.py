"""Copies our GNOME Shell extension to where the Shell looks for a user's extensions."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Final

FILES: Final = ("metadata.json", "extension.js")


def extension_files() -> dict[str, str]:
    """The text of each file of the extension, by name."""
    folder = files("smoothtask") / "data" / "gnome-extension"
    return {name: (folder / name).read_text("utf-8") for name in FILES}


def uuid() -> str:
    """The extension's name, as the Shell knows it."""
    return str(json.loads(extension_files()["metadata.json"])["uuid"])


def install_extension(home: Path) -> Path:
    """Write it below *home*, over an older one; return its folder. Raises OSError."""
    folder = home / ".local" / "share" / "gnome-shell" / "extensions" / uuid()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in extension_files().items():
        (folder / name).write_text(text, "utf-8")
    return folder
