"""An `EngineClient` that a test drives: it pushes frames, loses the connection, and keeps what was asked."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Command, Question, Reply
from smoothtask.model.decision import Contention, Decision, Reason, Stage
from smoothtask.model.frame import Event, Frame, GroupFrame, Mark, Mode, ProcessFrame, SelfCost
from smoothtask.model.group import (
    AppGroup,
    Behaviour,
    Classification,
    GroupMetrics,
    ProcessType,
    RuleSource,
)
from smoothtask.model.system import LatencyStats, Pressure, Psi, PsiLine, SystemMetrics

PSI = Psi(PsiLine(12.0, 8.0, 1))


def group(
    group_id: str,
    *,
    label: str | None = None,
    cpu: float = 0.1,
    target: PriorityClass = PriorityClass.NORMAL,
    stage: Stage = Stage.DEFAULT,
    parent: str | None = None,
    marks: frozenset[Mark] = frozenset(),
    type_: str = "unknown",
    **metrics: Any,
) -> GroupFrame:
    """One group with what a test cares for."""
    label = label if label is not None else group_id
    values: dict[str, Any] = {
        "processes": 2, "threads": 7, "cpu": cpu, "wait": 0.0, "vcsw": 1.0, "ivcsw": 0.0,
        "read_bps": 0.0, "write_bps": 0.0, "rss_bytes": 1 << 20, **metrics,
    }  # fmt: skip
    rule = Classification(
        app=label.casefold(), label=label, type=type_, tags=frozenset({type_}), process_type=ProcessType.GUI,
        target=None, certain=False, protected=False, source=RuleSource("vendor", "apps.yaml", 7),
        evidence=f"exe {label}",
    )  # fmt: skip
    reason = Reason(stage, "some-rule", f"because of {label}", "apps.yaml:7")
    return GroupFrame(
        AppGroup(group_id, parent, label, 10, 1000, rule, GroupMetrics(**values), Behaviour.QUIET, 3.0, 60.0),
        Decision(group_id, target, target, stage, (reason,), since_s=42.0),
        "nice +5" if target is not PriorityClass.NORMAL else "-",
        marks,
    )


def frame(*groups: GroupFrame, seq: int = 1, **more: Any) -> Frame:
    """A quiet machine of two cores with *groups*."""
    system = SystemMetrics(
        (10.0, 90.0), 8 << 30, 4 << 30, 0, 0, (0.1, 0.2, 0.3), Pressure(PSI, PSI, PSI), 12.0, 1.0, 0.0, (),
        LatencyStats(0.1, 0.5, 1.2, 9.0, 100, 10.0), 40, 90,
    )  # fmt: skip
    values: dict[str, Any] = {
        "seq": seq, "time": 1_700_000_000.0 + seq, "mono_s": float(seq), "mode": Mode.RULES_ONLY, "mode_reason": "",
        "system": system, "contention": Contention(active=False, since_s=5.0, reasons=()),
        "groups": groups, "processes": (), "events": (), "cost": SelfCost(0.2, 2.0, 50 << 20, 1.0), **more,
    }  # fmt: skip
    return Frame(**values)


def without_psi_and_probe(of: Frame) -> Frame:
    """*of* on a kernel with psi=0, and without the probe."""
    system = replace(
        of.system, pressure=Pressure(), cpu_some_pct=None, io_some_pct=None, memory_some_pct=None, latency=None
    )
    return replace(of, system=system, sources={"probe": "off (no timer)"})


def process(pid: int, group_id: str, command: str = "prog --x") -> ProcessFrame:
    """One process of a group."""
    return ProcessFrame(pid, 100 * pid, 1, 1000, group_id, "prog", command, 1, 0, 0.1, 0.0, 0.0, 0.0, 1 << 20)


def event(text: str, kind: str = "class") -> Event:
    """Something that happened."""
    return Event(1_700_000_000.0, kind, text)


class FakeClient:
    """Frames go in by `push`; commands come out in `asked`."""

    description = "test engine"
    ends_with_us = False

    def __init__(self, *frames: Frame) -> None:
        self.asked: list[Command] = []
        self.answer: Callable[[Command], Reply] = lambda c: Reply(True, f"done: {c.op}")
        self.closed = threading.Event()
        self.ended = threading.Event()
        self.asking_thread: int | None = None
        self.linger_s = 0.0
        """How long `run` goes on after `close`, as an engine that restores does."""
        self._inbox: queue.Queue[Frame | str | Exception | None] = queue.Queue()
        for f in frames:
            self.push(f)

    def push(self, what: Frame | str | Exception | None) -> None:
        """A frame; a sentence for a lost connection; an error to die of; None: end by itself."""
        self._inbox.put(what)

    def run(self, on_frame: Callable[[Frame], None], on_state: Callable[[str], None]) -> None:
        """Pass on what was pushed, until `close`."""
        try:
            while not self.closed.is_set():
                try:
                    what = self._inbox.get(timeout=0.02)
                except queue.Empty:
                    continue
                if what is None:
                    return
                if isinstance(what, Exception):
                    raise what
                if isinstance(what, str):
                    on_state(what)
                else:
                    on_frame(what)
            time.sleep(self.linger_s)
        finally:
            self.ended.set()

    def ask(self, command: Command) -> Reply:
        """Remember and answer."""
        self.asking_thread = threading.get_ident()
        if not isinstance(command, Question):
            self.asked.append(command)
        return self.answer(command)

    def close(self) -> None:
        """End `run`."""
        self.closed.set()
