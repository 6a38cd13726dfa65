"""Carries out what a person does by hand to processes of an application, and says what came of it.

It runs in the dashboard with the rights of whoever looks at it: a daemon of root is not asked.
"""

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from smoothtask.kernel.byhand import renice, send_signal
from smoothtask.model.command import Command, Explain, Reply
from smoothtask.model.tasks import ProcKey
from smoothtask_tui.menus import Nice, Send


@dataclass(frozen=True, slots=True)
class ByHand:
    """One deed for one application, or one of its processes."""

    deed: Send | Nice
    group: str
    label: str
    process: ProcKey | None = None
    """Only this one; `None`: all of the group's."""


def carry_out(what: ByHand, ask: Callable[[Command], Reply]) -> Reply:
    """Do it to each process; *ask* the engine which there are. Blocks as long as the engine takes."""
    keys = [what.process]
    if what.process is None:
        reply = ask(Explain(what.group))
        if not reply.ok:
            return reply
        if reply.data.get("protected"):
            return Reply(False, f"{what.label} is protected: not from here")
        keys = [ProcKey(p["pid"], p["start_ticks"]) for p in reply.data.get("processes", ())]
    return _summary(what, [_do(what.deed, key) for key in keys if key is not None])


def _do(deed: Send | Nice, key: ProcKey) -> str:
    """Empty when it was done; else why not."""
    try:
        if isinstance(deed, Send):
            send_signal(key, signal.Signals(deed.signal))
        else:
            renice(key, deed.nice)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "not permitted"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _summary(what: ByHand, outcomes: Iterable[str]) -> Reply:
    said = list(outcomes)
    done, failed = said.count(""), [s for s in said if s not in {"", "gone"}]
    whom = f"{what.label} (pid {what.process.pid})" if what.process is not None else what.label
    count = "" if what.process is not None else f" ({done} of {len(said)} processes)"
    if failed:
        return Reply(False, f"{whom}: {failed[0]}{count}")
    if not done:
        return Reply(False, f"{whom} has exited meanwhile: nothing was done")
    if isinstance(what.deed, Send):
        return Reply(True, f"sent {signal.Signals(what.deed.signal).name} to {whom}{count}")
    return Reply(
        True, f"{whom} has nice {what.deed.nice:+d} by your hand{count}: SmoothTask leaves it alone from now on"
    )
