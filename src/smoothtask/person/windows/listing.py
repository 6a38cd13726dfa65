"""The list of windows that our scripts inside KWin and GNOME Shell send, as JSON: read strictly, as any claim."""

import json
from typing import Any, Final

from smoothtask.model.person import Window
from smoothtask.model.text import sanitise
from smoothtask.person.watcher import LostError
from smoothtask.person.windows.limits import CLAIMED, MAX_PID, MAX_WINDOWS, NAME_LIMIT, TITLE_LIMIT

MAX_CHARACTERS: Final = 1 << 19
_FIELDS: Final[dict[str, type]] = {
    "id": str,
    "pid": int,
    "sure": bool,
    "app": str,
    "title": str,
    "focused": bool,
    "minimised": bool,
    "fullscreen": bool,
    "here": bool,
    "workspace": str,
}
"""What each window must have, and nothing else: `sure` says that the kernel told the pid; `here`, that it is on a
workspace that is shown."""


def parse_windows(text: str, prefix: str) -> tuple[Window, ...]:
    """The windows in *text*, with keys such as `kwin:{…}`; one in focus at most. Raises LostError at anything else."""
    if len(text) > MAX_CHARACTERS:
        raise LostError(f"a list of windows of {len(text)} characters")
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LostError(f"a list of windows that is no JSON: {error!r:.100}") from error
    if not isinstance(listed, list):
        raise LostError("a list of windows that is no list")
    windows: dict[str, Window] = {}
    focused = False
    for entry in listed[:MAX_WINDOWS]:
        window = _window(entry, prefix, focused)
        focused |= window.focused
        windows.setdefault(window.key, window)
    return tuple(windows.values())


def _window(entry: Any, prefix: str, other_focused: bool) -> Window:
    if not isinstance(entry, dict) or entry.keys() != _FIELDS.keys():
        raise LostError("a window without its fields, or with others")
    for name, kind in _FIELDS.items():
        if type(entry[name]) is not kind:  # a bool is no int here
            raise LostError(f"a window whose {name} is no {kind.__name__}")
    known = 1 <= entry["pid"] <= MAX_PID
    return Window(
        key=f"{prefix}:{sanitise(entry['id'], NAME_LIMIT)}",
        pid=entry["pid"] if known else None,
        confidence=(1.0 if entry["sure"] else CLAIMED) if known else 0.0,
        app_id=sanitise(entry["app"], NAME_LIMIT),
        focused=entry["focused"] and not other_focused,
        visible=entry["here"] and not entry["minimised"],
        minimised=entry["minimised"],
        fullscreen=entry["fullscreen"],
        workspace=sanitise(entry["workspace"], NAME_LIMIT) or None,
        title=sanitise(entry["title"], TITLE_LIMIT),
    )
