"""What a daemon that died has changed, put back: `smoothtask restore`."""

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace

from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger, LedgerError
from smoothtask.actuator.restore import restore
from smoothtask.config.held import holders, tidy
from smoothtask.config.paths import Paths
from smoothtask.daemon.process import LockedError, lock
from smoothtask.kernel import cgroup2, sched
from smoothtask.kernel.systemd import Managers
from smoothtask.model.change import Outcome, Status


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done, in lines, and whether nothing is left in force that is ours."""

    said: list[str]
    whole: bool = True


def restore_all(paths: Paths) -> Restored:
    """Put back what a daemon that died has changed.

    Without a scope or a runtime directory named, what daemons of any scope left behind is put back too, whatever is
    wrong with one of them.
    """
    done = [_restore(paths)] if os.path.lexists(paths.ledger) else []
    if paths.scope.is_everything and not paths.runtime_named and os.geteuid() == 0:
        for holder in holders(paths.held):
            if not holder.alive and holder.runtime_dir != paths.runtime_dir and holder.left_changes:
                theirs = _restore(replace(paths, runtime_dir=holder.runtime_dir))
                done.append(Restored([f"{holder.scope}: {line}" for line in theirs.said], theirs.whole))
        if paths.held.exists():
            tidy(paths.held)
    said = [line for restored in done for line in restored.said]
    return Restored(said or ["nothing to restore: no ledger"], all(restored.whole for restored in done))


def _restore(paths: Paths) -> Restored:
    """What the ledger of one runtime directory says."""
    with ExitStack() as opened:
        try:
            opened.callback(lock(paths.lock))
            ledger = Ledger.open(paths.ledger, sched.boot_id())
            opened.callback(ledger.close)
            managers = Managers()
            opened.callback(managers.close)
            outcomes = restore(ledger, Machine(sched, cgroup2, managers))
        except LockedError as error:
            return Restored([f"{error}; `smoothtask pause` makes it undo its changes"], whole=False)
        except (LedgerError, OSError) as error:
            return Restored([f"cannot restore: {error}"], whole=False)
        failed = any(o.status in {Status.DENIED, Status.FAILED} for o in outcomes)
        return Restored([*ledger.notes, *summary(outcomes)], not failed)


def summary(outcomes: tuple[Outcome, ...]) -> list[str]:
    counts: dict[Status, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    words = {
        Status.APPLIED: "put back",
        Status.GONE: "of processes that are gone",
        Status.CHANGED: "changed by somebody since, and left",
        Status.DENIED: "refused by the kernel",
        Status.FAILED: "failed",
    }
    total = ", ".join(f"{n} {words.get(s, s.value)}" for s, n in counts.items()) or "nothing was in force"
    told = {Status.CHANGED, Status.DENIED, Status.FAILED}
    return [f"restored: {total}", *(o.detail for o in outcomes if o.status in told)]
