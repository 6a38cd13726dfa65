"""How often sound broke up between two reports of one server: pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from smoothtask.model.person import Sound


@dataclass(frozen=True, slots=True)
class Deltas:
    """What rose."""

    xruns: int
    missing_cycles: int
    stream_xruns: Mapping[str, int]
    """By `Stream.key`, where any rose."""


def deltas(before: Sound | None, after: Sound) -> Deltas:
    """What rose since *before*; since the watcher began, when there was no report before.

    A counter that fell was begun anew (the server was lost and found again): what it shows rose since then.
    """
    old = {} if before is None else {stream.key: stream.xruns for stream in before.streams}
    risen = {stream.key: _risen(old.get(stream.key, 0), stream.xruns) for stream in after.streams}
    return Deltas(
        xruns=_risen(before.xruns if before else 0, after.xruns),
        missing_cycles=_risen(before.missing_cycles if before else 0, after.missing_cycles),
        stream_xruns={key: count for key, count in risen.items() if count},
    )


def _risen(before: int, after: int) -> int:
    return after - before if after >= before else after
