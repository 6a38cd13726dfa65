"""Carries out what a person does by hand to processes of applications, and says what came of it.

It runs in the dashboard with the rights of whoever looks at it: a daemon of root is not asked.
"""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from smoothtask.kernel.byhand import renice, renice_back, send_signal
from smoothtask.model.command import Command, Explain, Reply
from smoothtask.model.process import ProcKey
from smoothtask_tui.menus import Nice, Send


@dataclass(frozen=True, slots=True)
class ByHand:
    """One deed for some applications, or for one process of one."""

    deed: Send | Nice
    groups: tuple[str, ...]
    label: str
    """What they are called together."""
    process: ProcKey | None = None
    """Only this one; `None`: all of the groups'."""
    is_ours: bool = False
    """SmoothTask has changed nice values there: what they were before a deed is not what they would be without us."""


@dataclass(frozen=True, slots=True)
class Reniced:
    """Nice values that can be put back."""

    label: str
    nice: int
    before: Mapping[ProcKey, Mapping[int, int]]
    """Process → tid → nice."""

    def take_back(self) -> Reply:
        """Put back what is still as it was left."""
        done = 0
        failed = ""
        for key, threads in self.before.items():
            try:
                done += renice_back(key, threads, self.nice)
            except ProcessLookupError:
                continue
            except OSError as error:
                failed = error.strerror or str(error)
        if failed:
            return Reply(False, f"nice of {self.label} could not be put back: {failed.lower()}")
        if not done:
            return Reply(False, f"{self.label} has exited, or was changed by somebody since: nothing was done")
        return Reply(True, f"undone: nice {self.nice:+d} of {self.label}")

    def again(self) -> Reply:
        """Set it once more."""
        found = [_do(Nice(self.nice), key)[0] for key in self.before]
        if "" in found:
            return Reply(True, f"done again: nice {self.nice:+d} of {self.label}; undo takes it back")
        return Reply(False, f"nice of {self.label} could not be set again: {found[0] if found else 'nobody is left'}")


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it."""

    reply: Reply
    undo: Reniced | None = None


@dataclass(slots=True)
class _Tally:
    """What became of each process."""

    said: list[str] = field(default_factory=list)
    """Empty where it was done; else why not."""
    before: dict[ProcKey, Mapping[int, int]] = field(default_factory=dict)


def carry_out(what: ByHand, ask: Callable[[Command], Reply]) -> Done:
    """Do it to each process; *ask* the engine which there are. Blocks as long as the engine takes."""
    keys = [what.process] if what.process is not None else []
    refused: list[str] = []
    for group in what.groups if what.process is None else ():
        reply = ask(Explain(group))
        if not reply.ok:
            refused.append(reply.message)
        elif reply.data.get("protected"):
            refused.append(f"{reply.data.get('label', what.label)} is protected: not from here")
        else:
            keys += [ProcKey(p["pid"], p["start_ticks"]) for p in reply.data.get("processes", ())]
    if refused and not keys:
        return Done(Reply(False, refused[0]))
    tally = _Tally()
    for key in keys:
        why_not, before = _do(what.deed, key)
        tally.said.append(why_not)
        if before:
            tally.before[key] = before
    reply = _summary(what, tally.said)
    if not isinstance(what.deed, Nice) or not tally.before or what.is_ours:
        return Done(reply)
    undone = Reniced(what.label, what.deed.nice, tally.before)
    return Done(Reply(reply.ok, f"{reply.message}; undo takes it back") if reply.ok else reply, undone)


def _do(deed: Send | Nice, key: ProcKey) -> tuple[str, Mapping[int, int]]:
    """Empty when it was done, else why not; and the nice values before."""
    try:
        if isinstance(deed, Send):
            send_signal(key, signal.Signals(deed.signal))
            return "", {}
        return "", renice(key, deed.nice)
    except ProcessLookupError:
        return "gone", {}
    except PermissionError:
        return "not permitted", {}
    except OSError as error:
        return error.strerror or str(error), {}


def _summary(what: ByHand, said: list[str]) -> Reply:
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
