"""What a session's child tells the daemon, one JSON object a line: written by a user's process, read as any claim.

The reader believes nothing: every field has its type and bounds, nothing may be added, text is made safe again.
"""

import json
from dataclasses import asdict
from typing import Any, Final

from smoothtask.person.watcher import GoneReport, IdleReport, Report, SoundReport, SourceReport, WindowsReport

LIMIT_BYTES: Final = 1 << 19
"""Of one line: 512 windows with their titles."""


def line_of(report: Report) -> bytes:
    """*report* as one line, as long as it may be: windows and streams too many are left out."""
    match report:
        case WindowsReport():
            said: dict[str, Any] = {"kind": "windows", "source": report.source}
            return _fitting(said, "windows", [asdict(window) for window in report.windows])
        case SoundReport():
            sound = asdict(report.sound)
            streams = sound.pop("streams")
            return _fitting({"kind": "sound", "source": report.source, **sound}, "streams", streams)
        case IdleReport():
            return _encoded({"kind": "idle", **asdict(report)})
        case SourceReport():
            return _encoded({"kind": "source", **asdict(report.source)})
        case GoneReport():
            return _encoded({"kind": "gone", "source": report.source})


def _fitting(said: dict[str, Any], name: str, items: Any) -> bytes:
    while True:
        line = _encoded({**said, name: items})
        if len(line) <= LIMIT_BYTES:
            return line
        items = items[: len(items) // 2]


def _encoded(said: dict[str, Any]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"
