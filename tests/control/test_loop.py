"""The socket in the engine's real loop."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control.hosts import frame
from control.test_clients import Follower, eventually
from smoothtask.control.client import RemoteEngine
from smoothtask.control.local import LocalEngine
from smoothtask.control.server import ControlServer
from smoothtask.engine.loop import HURRY_PAUSE_S, Loop
from smoothtask.engine.ticker import TickSettings
from smoothtask.model.command import Caller, Command, Pause, Reply
from smoothtask.model.decision import Contention
from smoothtask.model.frame import Frame


class Counting:
    """In the place of the engine: frames with rising numbers."""

    frame: Frame | None = None
    changed_class_s = 0.0

    def tick(self, executed: frozenset[int], interval_s: float, watched: bool = False) -> Frame:
        seq = 1 if self.frame is None else self.frame.seq + 1
        self.frame = replace(frame(seq, groups=50, processes=50), mono_s=time.monotonic())
        return self.frame


class Agreeing:
    """In the place of the commands."""

    def handle(self, command: Command, caller: Caller) -> Reply:
        return Reply(True, f"{command.op} in {threading.current_thread().name}")

    def changes_decisions(self, command: Command) -> bool:
        return isinstance(command, Pause)

    def is_owner(self, caller: Caller) -> bool:
        return caller.uid == os.getuid()


def test_a_local_and_two_remote_engines_share_the_loop(tmp_path: Path) -> None:
    parts: Any = {"engine": Counting(), "commands": Agreeing()}
    loop = Loop(**parts, settings=TickSettings(interval_s=0.05, idle_interval_s=5, busy_interval_s=0.05))
    server = ControlServer(loop, tmp_path / "control.sock")
    local = Follower(LocalEngine(loop, on_close=server.close))
    remotes = [Follower(RemoteEngine(server.path)) for _ in range(2)]
    try:
        for follower in (local, *remotes):
            eventually(lambda f=follower: len(f.frames) >= 3)
            assert follower.engine.ask(Pause(True)) == Reply(True, f"pause in {local.thread.name}")
            numbers = [f.seq for f in follower.frames]
            assert numbers == sorted(set(numbers))
        remotes.pop().end()
        eventually(lambda: loop._watchers == 2)
    finally:
        local.end()
        assert not server.path.exists()
        for follower in remotes:
            eventually(lambda f=follower: f.states)
            follower.end()
            assert follower.states[0] == "the daemon ended the connection; trying again"


class Costly(Counting):
    """Ticks of 20 ms, while somebody waits."""

    def tick(self, executed: frozenset[int], interval_s: float, watched: bool = False) -> Frame:
        found = super().tick(executed, interval_s, watched)
        self.frame = replace(
            found,
            contention=Contention(active=True, since_s=0.0, reasons=("cpu pressure",)),
            cost=replace(found.cost, tick_cpu_ms=20.0),
        )
        return self.frame


def test_who_starts_while_somebody_waits_has_something_to_spend() -> None:
    """At 1 % a tick of 20 ms could come every 2 s; the first ones come as soon as they are wanted."""
    parts: Any = {"engine": Costly(), "commands": Agreeing()}
    loop = Loop(**parts, settings=TickSettings())
    pauses, now_s = [], 1000.0
    for _ in range(40):
        loop._tick(now_s)
        pauses.append(loop._due_s - now_s)
        now_s = loop._due_s
    assert pauses[:10] == [0.25] * 10
    assert pauses[-1] > 1


def test_orders_bring_a_tick_forward_but_not_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who orders all the time uses up neither the loop nor what the person's change of windows needs."""
    parts: Any = {"engine": Counting(), "commands": Agreeing()}
    loop = Loop(**parts, settings=TickSettings())
    now_s = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    other = Caller(os.getuid() + 1)

    def is_hastened(by: Callable[[], object]) -> bool:
        loop._tick(now_s)
        by()
        return loop._due_s == pytest.approx(now_s + HURRY_PAUSE_S)

    hastened = [is_hastened(lambda: loop.handle(Pause(True), other)) for _ in range(100)]
    assert hastened == [True] * 8 + [False] * 92
    assert is_hastened(lambda: loop.handle(Pause(True), Caller(os.getuid())))
    assert is_hastened(loop.hasten)
    now_s += 1.0
    assert is_hastened(lambda: loop.handle(Pause(True), other))


def test_what_is_wanted_later_is_done_then() -> None:
    """In the order of time, between the ticks."""
    parts: Any = {"engine": Counting(), "commands": Agreeing()}
    loop = Loop(**parts, settings=TickSettings(interval_s=30, idle_interval_s=30))
    done: list[str] = []
    loop.call_later(0.02, lambda: (done.append("second"), loop.stop()))
    loop.call_later(0.01, lambda: done.append("first"))
    loop.run()
    assert done == ["first", "second"]
    assert loop.latest() is not None
    assert loop.latest().seq == 1
