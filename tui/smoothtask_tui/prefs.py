"""What a person chose about the dashboard, as JSON text: sanitised when read, so that no file can break it (pure)."""

import json
from dataclasses import dataclass

from smoothtask_tui.columns import TITLES
from smoothtask_tui.rows import SortKey, View

LIMIT = 16 * 1024
"""Characters of the file that are looked at."""


@dataclass(frozen=True, slots=True)
class Prefs:
    """Remembered from one start to the next."""

    theme: str = ""
    """Empty: the dashboard's own."""
    sort: SortKey = SortKey.CPU
    reverse: bool = False
    columns: tuple[str, ...] = ()
    """Titles, from left to right; empty: as many as fit, the most telling first."""

    def view(self, view: View) -> View:
        """*view* as it was left."""
        return View(self.sort, self.reverse, view.filter, view.folded, view.opened, view.marked, self.columns)


def parse(text: str) -> Prefs:
    """What *text* says; whatever makes no sense in it is as if it were not there."""
    try:
        said = json.loads(text[:LIMIT])
    except (ValueError, RecursionError):
        return Prefs()
    if not isinstance(said, dict):
        return Prefs()
    theme, sort, columns = said.get("theme"), said.get("sort"), said.get("columns")
    known = [c for c in columns if isinstance(c, str) and c in TITLES] if isinstance(columns, list) else []
    return Prefs(
        theme=theme if isinstance(theme, str) and theme.isascii() and theme.isprintable() else "",
        sort=SortKey[sort] if isinstance(sort, str) and sort in SortKey.__members__ else SortKey.CPU,
        reverse=said.get("reverse") is True,
        columns=tuple(dict.fromkeys(known)),
    )


def dump(prefs: Prefs) -> str:
    """The text that `parse` reads back."""
    said = {
        "theme": prefs.theme,
        "sort": prefs.sort.name,
        "reverse": prefs.reverse,
        "columns": list(prefs.columns),
    }
    return json.dumps(said, indent=1) + "\n"
