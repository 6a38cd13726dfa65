"""The epoll loop around the engine: ticks, exec events, PSI wake-ups, commands. One thread."""

import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from smoothtask.engine.commands import Commands
from smoothtask.engine.engine import Engine
from smoothtask.engine.ticker import BURST_S, Budget, Patience, Situation, TickSettings, next_interval
from smoothtask.model.command import Caller, Command, Reply
from smoothtask.model.frame import Frame
from smoothtask.model.tasks import ProcKey

DEBOUNCE_S = 0.03
"""What exits sooner after its exec is never looked at: a fork storm costs its events alone."""
COALESCE_S = 0.01
"""Exec events are taken this often at most: in a storm a wake-up for each would cost more than the events."""
ADMIT_AT_MOST = 32
"""Processes looked at between two ticks at once; the tick takes the others."""
SETTLING_S = 10.0
HURRY_PAUSE_S = 0.03
"""Two ticks are this far apart at least, however quickly somebody changes windows or gives orders."""
SOON_PAUSE_S = 0.5
"""What any program can cause (a stall, more execs than their queue holds) brings a tick forward this often."""


class ExecEvents(Protocol):
    """`kernel.netlink.ProcEvents` as the loop sees it."""

    def fileno(self) -> int: ...

    def drain(self) -> "Drained":
        """What is queued."""
        ...


class Drained(Protocol):
    """What came since the last drain."""

    @property
    def execs(self) -> set[int]: ...
    @property
    def exits(self) -> set[int]: ...
    @property
    def lost(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Wakers:
    """What wakes the loop besides the clock; each may be absent."""

    events: ExecEvents | None = None
    psi_fds: Iterable[int] = ()
    start_ticks: Callable[[int], int | None] = lambda _pid: None
    """Start time of a pid, `None` when it is gone."""
    beat: Callable[[], None] = lambda: None
    """Called once a tick: the watchdog."""


@dataclass(slots=True)
class Loop:
    """Implements `EngineHost`."""

    engine: Engine
    commands: Commands
    wakers: Wakers = field(default_factory=Wakers)
    settings: TickSettings = field(default_factory=TickSettings)
    failure: str = ""
    """Why the loop ended by itself."""
    forgives: Callable[[Exception], bool] = lambda _error: False
    """Asked when a look at the machine fails, whether the next may begin anew, or what follows one, whether to go on.

    Else the loop ends with that error.
    """
    on_stop: Callable[[], None] = lambda: None
    """Called in the loop's thread after the last tick: restores and closes."""
    rest: Callable[[bool], None] = lambda _on: None
    """Stops, or starts again, what measures between two ticks: for whoever lets the loop stand still for long."""

    _epoll: select.epoll = field(default_factory=select.epoll)
    _wake_fd: int = field(default_factory=lambda: os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
    _readers: dict[int, Callable[[], None]] = field(default_factory=dict)
    _soon: deque[Callable[[], None]] = field(default_factory=deque)
    _listeners: list[Callable[[Frame], None]] = field(default_factory=list)
    _watchers: int = 0
    _stopping: bool = False
    _due_s: float = 0.0
    _person: Patience = field(default_factory=Patience)
    """With who works here, and with orders of root and who runs the engine."""
    _users: Patience = field(default_factory=Patience)
    """With all others' orders together: they must not use up the person's."""
    _timers: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    """A heap: (when, which, what)."""
    _timed: Iterator[int] = field(default_factory=count)
    _budget: Budget = field(default_factory=Budget)
    _executed: set[int] = field(default_factory=set)
    """Every pid that executed since the last tick."""
    _fresh: dict[int, float] = field(default_factory=dict)
    """Pid → when it executed, while it is too young to be looked at."""
    _last_tick_s: float = 0.0
    _listen_at_s: float = float("inf")
    """When to wait for exec events again."""

    def add_reader(self, fd: int, callback: Callable[[], None], events: int = select.EPOLLIN) -> None:
        """See `EngineHost`."""
        self._epoll.register(fd, events)
        self._readers[fd] = callback

    def modify_reader(self, fd: int, events: int) -> None:
        """See `EngineHost`."""
        self._epoll.modify(fd, events)

    def remove_reader(self, fd: int) -> None:
        """See `EngineHost`."""
        if self._readers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def handle(self, command: Command, caller: Caller) -> Reply:
        """See `EngineHost`. What a person orders is acted on at once, not at the next tick."""
        reply = self.commands.handle(command, caller)
        if reply.ok and self.commands.changes_decisions(command):
            self._hasten(self._person if self.commands.is_owner(caller) else self._users)
        return reply

    def latest(self) -> Frame | None:
        """See `EngineHost`."""
        return self.engine.frame

    def on_frame(self, callback: Callable[[Frame], None]) -> None:
        """See `EngineHost`."""
        self._listeners.append(callback)

    def watch(self, delta: int) -> None:
        """See `EngineHost`."""
        self._watchers += delta
        if delta > 0:
            self._due_s = min(self._due_s, time.monotonic() + self.settings.interval_s)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """See `EngineHost`."""
        self._soon.append(callback)
        os.eventfd_write(self._wake_fd, 1)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """See `EngineHost`."""
        heappush(self._timers, (time.monotonic() + delay_s, next(self._timed), callback))

    def stop(self) -> None:
        """See `EngineHost`."""
        self._stopping = True
        os.eventfd_write(self._wake_fd, 1)

    def fail(self, why: str) -> None:
        """End, and undo everything, because of *why*. From the loop's own thread."""
        self.failure = why
        self._stopping = True

    def run(self) -> None:
        """See `EngineHost`."""
        self.add_reader(self._wake_fd, self._drain_wake)
        if self.wakers.events is not None:
            self.add_reader(self.wakers.events.fileno(), self._drain_events)
        for fd in self.wakers.psi_fds:
            self.add_reader(fd, self._pressure_rose, select.EPOLLPRI)
        try:
            while not self._stopping:
                self._turn()
        finally:
            self.on_stop()
            self._epoll.close()
            # The wake-up descriptor stays open: another thread may be about to write to it.

    def _turn(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._due_s:
            if self._look(self._tick, now_s):
                self._tell()
        elif self._fresh and now_s >= self._fresh_due_s():
            self._look(self._admit, now_s)
        if now_s >= self._listen_at_s:
            self._listen_again()
        while self._timers and now_s >= self._timers[0][0]:
            heappop(self._timers)[2]()
        timer_s = self._timers[0][0] if self._timers else float("inf")
        deadline = min(self._due_s, self._fresh_due_s(), self._listen_at_s, timer_s)
        for fd, _events in self._epoll.poll(max(0.0, deadline - time.monotonic())):
            callback = self._readers.get(fd)
            if callback is not None:
                callback()
        while self._soon:
            self._soon.popleft()()

    def _look(self, look: Callable[[float], None], now_s: float) -> bool:
        """What fails half-way leaves nothing changed behind, and nothing known that may be half the truth."""
        try:
            look(now_s)
            return True
        except Exception as error:
            if not self.forgives(error):
                raise
            self.engine.begin_anew(error)
            self._due_s = now_s + self.settings.interval_s
            return False

    def _tell(self) -> None:
        """What follows a look that went well: whatever fails there, what was done on that look stands."""
        frame = self.engine.frame
        assert frame is not None  # noqa: S101 (of that look)
        try:
            for listener in self._listeners:
                listener(frame)
            self.wakers.beat()
        except Exception as error:
            if not self.forgives(error):
                raise
            self.engine.say("error", f"what follows a look failed ({type(error).__name__}): it is tried after the next")

    def _tick(self, now_s: float) -> None:
        executed, self._executed = frozenset(self._executed), set()
        self._fresh.clear()  # the tick sees everybody
        interval_s = self._interval()
        frame = self.engine.tick(executed, interval_s, watched=self._watchers > 0)
        # Nothing was spent before we came, and who starts us on a slow machine wants help now.
        elapsed_s = now_s - self._last_tick_s if self._last_tick_s else BURST_S
        cost_s = frame.cost.tick_cpu_ms / 1000
        self._budget = self._budget.after(cost_s, elapsed_s, self.settings.self_budget_pct)
        self._last_tick_s = now_s
        self._due_s = now_s + self._interval()

    def _interval(self) -> float:
        frame = self.engine.frame
        if frame is None:
            return self.settings.interval_s
        changed_s = min(frame.contention.since_s, frame.mono_s - self.engine.changed_class_s)
        situation = Situation(
            contended=frame.contention.active,
            settling=frame.contention.active and changed_s < SETTLING_S,
            watched=self._watchers > 0,
            busy_cores=sum(frame.system.cpu_pct) / 100,
        )
        return next_interval(self.settings, situation, self._budget, frame.cost.tick_cpu_ms / 1000)

    def _fresh_due_s(self) -> float:
        return next(iter(self._fresh.values())) + DEBOUNCE_S if self._fresh else float("inf")

    def _admit(self, now_s: float) -> None:
        """Look at those who are still there after the debounce."""
        ready = [pid for pid, at_s in self._fresh.items() if now_s - at_s >= DEBOUNCE_S]
        for pid in ready:
            del self._fresh[pid]
        self._executed.difference_update(ready[:ADMIT_AT_MOST])
        keys = [
            ProcKey(pid, start) for pid in ready[:ADMIT_AT_MOST] if (start := self.wakers.start_ticks(pid)) is not None
        ]
        self.engine.admit(keys)

    def _drain_events(self) -> None:
        events = self.wakers.events
        if events is None:
            return
        drained = events.drain()
        self.modify_reader(events.fileno(), 0)
        self._listen_at_s = time.monotonic() + COALESCE_S
        if drained.lost:  # some execs were missed: one full pass finds whom they left
            self._tick_soon()
        now_s = time.monotonic()
        for pid in drained.exits:
            self._fresh.pop(pid, None)
            self._executed.discard(pid)
        for pid in drained.execs:
            self._fresh.setdefault(pid, now_s)
            self._executed.add(pid)

    def _listen_again(self) -> None:
        self._listen_at_s = float("inf")
        if self.wakers.events is not None:
            self.modify_reader(self.wakers.events.fileno(), select.EPOLLIN)

    def _drain_wake(self) -> None:
        os.eventfd_read(self._wake_fd)

    def hasten(self) -> None:
        """The person turned to something else: tick now. A session that says so all the time is not believed."""
        self._hasten(self._person)

    def _hasten(self, patience: Patience) -> None:
        now_s = time.monotonic()
        if patience.allows(now_s):
            self._due_s = min(self._due_s, max(now_s, self._last_tick_s + HURRY_PAUSE_S))

    def _pressure_rose(self) -> None:
        """Somebody stalled."""
        self._tick_soon()

    def _tick_soon(self) -> None:
        """Tick now, unless we have just done so."""
        soonest_s = self._last_tick_s + SOON_PAUSE_S
        self._due_s = min(self._due_s, max(time.monotonic(), soonest_s))
