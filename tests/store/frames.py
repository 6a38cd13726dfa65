"""Frames for tests of the store: whole, plausible, and different from tick to tick."""

from typing import Any

from scenery import classification, known
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Reason, Stage
from smoothtask.model.frame import Frame, GroupFrame, Mode, ProcessFrame, SelfCost
from smoothtask.model.group import AppGroup, Behaviour, Classification, GroupMetrics
from smoothtask.model.system import LatencyStats, Pressure, Psi, PsiLine, SystemMetrics, Temperature

CALM = Contention(active=False, since_s=60.0, reasons=())
BUSY = Contention(active=True, since_s=3.0, reasons=("cpu pressure 40 % (limit 10 %)",))
NOON = 1_800_000_000.0
UNKNOWN = classification("exe:/home/alice/secret/foo", label="foo", evidence="no rule knows it")
FIREFOX = known("firefox", label="Firefox", type="browser", tags=frozenset({"gui", "browser"}))


def system(cores: int = 2) -> SystemMetrics:
    """A machine with every source."""
    line = PsiLine(12.5, 6.25, 1_000_000)
    return SystemMetrics(
        cpu_pct=(25.0, *[75.0] * (cores - 1)),
        mem_total_bytes=1 << 34,
        mem_available_bytes=1 << 33,
        swap_total_bytes=1 << 30,
        swap_used_bytes=4096,
        load=(1.5, 1.0, 0.5),
        pressure=Pressure(cpu=Psi(line, PsiLine(0.5, 0.25, 1)), io=Psi(line, line), memory=Psi(line)),
        cpu_some_pct=33.0,
        io_some_pct=0.0,
        memory_some_pct=None,
        temperatures=(Temperature("coretemp", 55.0), Temperature("nvme", 61.5)),
        latency=LatencyStats(0.1, 0.5, 2.5, 9.0, 500, 10.0),
        processes=300,
        threads=900,
    )


def metrics(cpu: float = 0.0, wait: float = 0.0) -> GroupMetrics:
    """Of a group with three processes."""
    return GroupMetrics(3, 7, cpu, wait, 2.5, 0.5, 0.0, 0.0, 5 << 20)


def group(group_id: str = "proc:10-1000", c: Classification = UNKNOWN, cpu: float = 0.0, **more: Any) -> AppGroup:
    """A group of its own, or a part when the id has a slash."""
    values: dict[str, Any] = {
        "parent": group_id.partition("/")[0] if "/" in group_id else None,
        "label": c.label,
        "root_pid": 10,
        "uid": 1000,
        "metrics": metrics(cpu),
        "behaviour": Behaviour.HOG if cpu > 0.5 else Behaviour.QUIET,
        "behaviour_s": 5.0,
        "started_s": 100.0,
        **more,
    }
    return AppGroup(id=group_id, classification=c, **values)


def shown(of: AppGroup, target: PriorityClass = PriorityClass.NORMAL, **more: Any) -> GroupFrame:
    """*of* with a decision."""
    decision: dict[str, Any] = {
        "wanted": target,
        "decided_by": Stage.DEFAULT,
        "reasons": (Reason(Stage.DEFAULT, "default", "nothing asks for another class"),),
        "since_s": 12.0,
    }
    decision.update({k: more.pop(k) for k in [*more] if k in {*decision, "protected", "restraint"}})
    return GroupFrame(of, Decision(of.id, target, **decision), mechanism=more.pop("mechanism", "-"), **more)


def process(pid: int = 10, of: str = "proc:10-1000", **more: Any) -> ProcessFrame:
    """A busy process."""
    values: dict[str, Any] = {
        "start_ticks": pid * 100,
        "ppid": 1,
        "uid": 1000,
        "name": "foo",
        "command": "/home/alice/secret/foo --password hunter2 -j8",
        "threads": 4,
        "nice": -5,
        "cpu": 0.75,
        "wait": 0.25,
        "read_bps": 1000.0,
        "write_bps": 2000.0,
        "rss_bytes": 1 << 25,
        **more,
    }
    return ProcessFrame(pid=pid, group=of, **values)


def frame(seq: int = 1, *groups: GroupFrame, contention: Contention = CALM, **more: Any) -> Frame:
    """The tick *seq*, a second after the one before; with one quiet group unless *groups* are given."""
    values: dict[str, Any] = {
        "time": NOON + seq,
        "mono_s": 100.0 + seq,
        "mode": Mode.RULES_ONLY,
        "mode_reason": "",
        "system": system(),
        "processes": (),
        "events": (),
        "cost": SelfCost(0.4, 3.2, 60 << 20, 1.0),
        "sources": {"tasks": "bpf"},
        **more,
    }
    return Frame(seq=seq, contention=contention, groups=groups or (shown(group()),), **values)
