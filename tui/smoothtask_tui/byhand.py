"""Carries out what a person does by hand to processes of applications, and says what came of it.

It runs in the dashboard with the rights of whoever looks at it: a daemon of root is not asked.

Rule 1: an application's processes are its parts' as well; each process is hit once, however many groups name it.
Rule 2: what holds for a part holds for its processes: a protected one is left alone whatever was chosen above it.
Rule 3: undo is promised only where it will succeed: not of nice values that were SmoothTask's, not of what only root
  may lower again.
"""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from smoothtask.kernel.byhand import renice, renice_back, send_signal
from smoothtask.model.command import Command, Explain, Reply
from smoothtask.model.frame import GroupFrame
from smoothtask.model.process import ProcKey
from smoothtask_tui.menus import Nice, Send

ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGKILL})
"""Signals whose receivers make room for others among those that the engine names."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """One deed for some applications, or for one process of one."""

    deed: Send | Nice
    groups: tuple[str, ...]
    label: str
    """What they are called together."""
    known: Mapping[str, GroupFrame]
    """Every group of the newest frame, by id: parts have a standing of their own."""
    process: ProcKey | None = None
    """Only this one, of the first group; `None`: all of the groups'."""


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
        found = [_do(Nice(self.nice), key).why_not for key in self.before]
        if "" in found:
            return Reply(True, f"done again: nice {self.nice:+d} of {self.label}; undo takes it back")
        return Reply(False, f"nice of {self.label} could not be set again: {found[0] if found else 'nobody is left'}")


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it."""

    reply: Reply
    undo: Reniced | None = None


@dataclass(slots=True)
class _Found:
    """Whom the engine named."""

    processes: dict[ProcKey, str] = field(default_factory=dict)
    """Process → the group that it is decided with (Rule 1)."""
    spared: list[str] = field(default_factory=list)
    """What was left alone, and why."""
    unnamed: int = 0
    """Processes beyond those that the engine names."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one process."""

    why_not: str = ""
    """Empty where it was done."""
    before: Mapping[int, int] = field(default_factory=dict)
    may_return: bool = True


def carry_out(what: ByHand, ask: Callable[[Command], Reply]) -> Done:
    """Do it to each process; *ask* the engine which there are. Blocks as long as the engine takes."""
    found = _Found({what.process: what.groups[0]}) if what.process is not None else _find(what, ask)
    if found.spared and not found.processes:
        return Done(Reply(False, found.spared[0]))
    outcomes = {key: _do(what.deed, key) for key in found.processes}
    reply = _summary(what, [o.why_not for o in outcomes.values()], found)
    changed = {key: o for key, o in outcomes.items() if o.before}
    foreign = {key: o for key, o in changed.items() if not _is_ours(what.known.get(found.processes[key]))}
    before = {key: o.before for key, o in foreign.items() if o.may_return}
    if not before:
        said = f"{reply.message}; only root can lower it again" if foreign else reply.message
        return Done(Reply(reply.ok, said))
    it = "it" if len(before) == len(changed) else f"{len(before)} of them"
    undone = Reniced(what.label, what.deed.nice, before) if isinstance(what.deed, Nice) else None
    return Done(Reply(reply.ok, f"{reply.message}; undo takes {it} back"), undone)


def _find(what: ByHand, ask: Callable[[Command], Reply]) -> _Found:
    found = _Found()
    for group in what.groups:
        reply = ask(Explain(group))
        if not reply.ok:
            found.spared.append(reply.message)
        elif reply.data.get("protected"):
            found.spared.append(_spared(str(reply.data.get("label", what.label))))
        else:
            for p in reply.data.get("processes", ()):
                part = what.known.get(p["group"])
                if part is not None and part.decision.protected:
                    found.spared.append(_spared(part.group.label))
                else:
                    found.processes[ProcKey(p["pid"], p["start_ticks"])] = p["group"]
            found.unnamed += int(reply.data.get("more_processes", 0))
    return found


def _spared(label: str) -> str:
    return f"{label} is protected: not from here"


def _is_ours(g: GroupFrame | None) -> bool:
    """Whether nice values of this group may be SmoothTask's; of one that the frame does not know yet, they may."""
    return g is None or ("nice" in g.mechanism and not g.mechanism.startswith("would be"))


def _do(deed: Send | Nice, key: ProcKey) -> _Outcome:
    try:
        if isinstance(deed, Send):
            send_signal(key, signal.Signals(deed.signal))
            return _Outcome()
        done = renice(key, deed.nice)
    except ProcessLookupError:
        return _Outcome("gone")
    except PermissionError:
        return _Outcome("not permitted")
    except OSError as error:
        return _Outcome(error.strerror or str(error))
    refused = f"not permitted for {done.refused} of {done.refused + len(done.before)} threads" if done.refused else ""
    return _Outcome(refused, done.before, done.may_return)


def _summary(what: ByHand, said: list[str], found: _Found) -> Reply:
    done, failed = said.count(""), [s for s in said if s not in {"", "gone"}]
    whom = f"{what.label} (pid {what.process.pid})" if what.process is not None else what.label
    count = "" if what.process is not None else f" ({done} of {len(said) + found.unnamed} processes)"
    if found.unnamed:
        count += ": the engine names only the busiest"
        if isinstance(what.deed, Send) and what.deed.signal in ENDING:  # of others the same are named again
            count += "; do it again for the others once these have ended"
    count += "".join(f"; {why}" for why in dict.fromkeys(found.spared))
    if failed:
        return Reply(False, f"{whom}: {failed[0]}{count}")
    if not done:
        return Reply(False, f"{whom} has exited meanwhile: nothing was done")
    if isinstance(what.deed, Send):
        return Reply(True, f"sent {signal.Signals(what.deed.signal).name} to {whom}{count}")
    return Reply(
        True, f"{whom} has nice {what.deed.nice:+d} by your hand{count}: SmoothTask leaves it alone from now on"
    )
