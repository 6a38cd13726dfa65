"""Values that tests of the pure core are made of: short to write, complete, and plausible."""

from typing import Any

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention
from smoothtask.model.group import (
    AppGroup,
    Behaviour,
    Classification,
    GroupMetrics,
    ProcessType,
    RuleSource,
)
from smoothtask.model.identity import Identity
from smoothtask.model.system import LatencyStats, Pressure, SystemMetrics
from smoothtask.model.tasks import ProcKey

QUIET = Contention(active=False, since_s=60.0, reasons=())
CONTENDED = Contention(active=True, since_s=3.0, reasons=("cpu pressure 40 % (limit 10 %)",))


def identity(pid: int, ppid: int = 1, name: str = "prog", **more: Any) -> Identity:
    """A process that started at tick 100 × pid."""
    start = more.pop("start", pid * 100)
    values: dict[str, Any] = {"uid": 1000, "sid": ppid, **more}
    return Identity(key=ProcKey(pid, start), ppid=ppid, name=name, **values)


def classification(app: str = "name:prog", **more: Any) -> Classification:
    """What no rule knows, unless *more* says otherwise."""
    values: dict[str, Any] = {
        "label": app.rpartition(":")[2],
        "type": "unknown",
        "tags": frozenset(),
        "process_type": ProcessType.CLI,
        "target": None,
        "certain": False,
        "protected": False,
        "source": None,
        "evidence": "no rule knows it",
        **more,
    }
    return Classification(app=app, **values)


def known(app: str, **more: Any) -> Classification:
    """What a rule knows."""
    return classification(app, **{"source": RuleSource("vendor", "apps.yaml", 7), "evidence": f"name {app}", **more})


def metrics(cpu: float = 0.0, wait: float = 0.0, vcsw: float = 1.0) -> GroupMetrics:
    """One process."""
    return GroupMetrics(1, 1, cpu, wait, vcsw, 0.0, 0.0, 0.0, 1 << 20)


def group(
    group_id: str = "proc:10-1000",
    c: Classification | None = None,
    behaviour: Behaviour = Behaviour.QUIET,
    **more: Any,
) -> AppGroup:
    """A group of its own, or a part when the id has a slash."""
    values: dict[str, Any] = {
        "parent": group_id.partition("/")[0] if "/" in group_id else None,
        "label": (c or classification()).label,
        "root_pid": 10,
        "uid": 1000,
        "metrics": metrics(),
        "behaviour_s": 5.0,
        "started_s": 100.0,
        **more,
    }
    return AppGroup(id=group_id, classification=c or classification(), behaviour=behaviour, **values)


def system(cpu_some_pct: float | None = 0.0, p99_ms: float | None = None) -> SystemMetrics:
    """A machine of two cores."""
    latency = None if p99_ms is None else LatencyStats(0.1, 0.2, p99_ms, p99_ms, 500, 10.0)
    return SystemMetrics(
        (10.0, 10.0),
        1 << 33,
        1 << 32,
        0,
        0,
        (0.1, 0.1, 0.1),
        Pressure(),
        cpu_some_pct,
        0.0,
        0.0,
        (),
        latency,
        10,
        20,
    )


HOG: dict[str, Any] = {"behaviour": Behaviour.HOG, "metrics": metrics(0.4, 0.6, 0.0)}
IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass
