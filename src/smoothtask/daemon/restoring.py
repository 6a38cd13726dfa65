"""What a daemon that died has changed, put back: `smoothtask restore`."""

import os
from dataclasses import replace

from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger, LedgerError
from smoothtask.actuator.restore import restore
from smoothtask.config.held import holders
from smoothtask.config.paths import Paths
from smoothtask.daemon.process import lock
from smoothtask.kernel import cgroup2, sched
from smoothtask.kernel.systemd import Managers
from smoothtask.model.change import Outcome, Status


def restore_all(paths: Paths) -> list[str]:
    """Put back what a daemon that died has changed; what was done, in lines. Raises AlreadyRunning.

    Without a scope or a runtime directory named, what daemons of any scope left behind is put back too.
    """
    said = _restore(paths) if paths.ledger.exists() else []
    if paths.scope.is_everything and not paths.runtime_named and os.geteuid() == 0:
        for holder in holders(paths.held):
            theirs = replace(paths, runtime_dir=holder.runtime_dir)
            if not holder.alive and theirs.runtime_dir != paths.runtime_dir and theirs.ledger.exists():
                said += [f"{holder.scope}: {line}" for line in _restore(theirs)]
    return said or ["nothing to restore: no ledger"]


def _restore(paths: Paths) -> list[str]:
    release = lock(paths.lock)
    try:
        ledger = Ledger.open(paths.ledger, sched.boot_id())
        managers = Managers()
        machine = Machine(sched, cgroup2, managers)
    except LedgerError as error:
        release()
        return [f"cannot restore: {error}"]
    try:
        outcomes = restore(ledger, machine)
        return [*ledger.notes, *summary(outcomes)]
    finally:
        managers.close()
        ledger.close()
        release()


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
