"""By what a rule can know a process again (pure)."""

from smoothtask.model.detail import Clues
from smoothtask.model.identity import Identity

INTERPRETERS = frozenset({
    "python", "python2", "python3", "perl", "ruby", "node", "nodejs", "java", "mono", "dotnet", "php", "lua",
    "electron", "gjs", "gjs-console", "guile", "bash", "sh", "dash", "zsh",
})  # fmt: skip
"""Programs whose name says nothing of what they run."""


def clues_of(i: Identity) -> Clues:
    """By what a rule can know the process *i*."""
    return Clues(
        exe=i.exe or "", name=i.basename, unit=i.unit or "", flatpak=i.flatpak or "", snap=i.snap or "",
        wine=i.wine_exe or "",
        script=script_of(i) or "",
    )  # fmt: skip


def script_of(i: Identity) -> str | None:
    """What the interpreter *i* runs, by its arguments; empty when they tell of none, `None` for another program."""
    if i.basename.rstrip("-.0123456789") not in INTERPRETERS:
        return None
    return next((a for a in i.cmdline[1:] if not a.startswith("-")), "")
