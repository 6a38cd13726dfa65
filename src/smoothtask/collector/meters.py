"""The deeper meters: each where it works, attached while somebody watches, and now and then while somebody waits."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from smoothtask.kernel.connections import read_connections
from smoothtask.kernel.libbpf import BpfUnavailable
from smoothtask.kernel.meters_bpf import BLOCK_IO, NETWORK, RUN_QUEUE, BpfMeter, BpfSockets, Kind
from smoothtask.kernel.powercap import joules_between, read_energy
from smoothtask.model.readings import Connections, Counted, Readings

LINGER_S = 10.0
"""A meter stays attached this long after the last look: whoever comes back soon finds it."""
GLANCE_S, GLANCE_EVERY_S = 3.0, 30.0
"""While somebody waits, but nobody watches: counting each switch and each request costs a disk's programs up to 6 %."""
CONNECTIONS_EVERY_S = 5.0
FALLBACK_EVERY_S = 15.0
"""The same from /proc, which costs a look at every open file of every process."""
WHEN = f"while somebody watches; {GLANCE_S:g} of {GLANCE_EVERY_S:g} s while somebody waits"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which meters are wanted at all."""

    run_queue: bool = True
    block_io: bool = True
    network: bool = True
    energy: bool = True


class Meter(Protocol):
    """`BpfMeter` as it is used here."""

    @property
    def attached(self) -> bool: ...
    def attach(self) -> None:
        """Begin to count."""
        ...

    def detach(self) -> None:
        """Stop."""
        ...

    def read(self) -> Counted:
        """What was counted since the last read."""
        ...

    def close(self) -> None:
        """Unload."""
        ...


class Sockets(Protocol):
    """`BpfSockets` as it is used here."""

    def read(self) -> Connections:
        """All that have a peer."""
        ...

    def close(self) -> None:
        """Unload."""
        ...


class _Kept:
    """One meter: loaded when it is first wanted, given up when it fails."""

    def __init__(self, name: str, open_meter: Callable[[], Meter], sources: MutableMapping[str, str]) -> None:
        self._name, self._open, self._sources = name, open_meter, sources
        self._meter: Meter | None = None
        self._gave_up = False
        sources[name] = f"bpf, {WHEN}"

    @property
    def attached(self) -> bool:
        return self._meter is not None and self._meter.attached

    @property
    def is_wanting(self) -> bool:
        """Whether it could be attached, but is not."""
        return not self._gave_up and not self.attached

    def attach(self) -> None:
        try:
            if self._meter is None:
                self._meter = self._open()
            self._meter.attach()
        except (BpfUnavailable, OSError) as error:
            self._give_up(error)

    def detach(self) -> None:
        if self._meter is not None:
            self._meter.detach()

    def read(self) -> Counted | None:
        if self._meter is None or not self._meter.attached:
            return None
        try:
            return self._meter.read()
        except OSError as error:
            self._give_up(error)
            return None

    def close(self) -> None:
        if self._meter is not None:
            self._meter.close()
        self._meter = None

    def _give_up(self, error: Exception) -> None:
        self.close()
        self._gave_up = True
        self._sources[self._name] = f"absent ({error})"


class Meters:
    """All of them. *sources* is told how each works here; *root*: where /sys is."""

    def __init__(
        self,
        choice: Choice,
        sources: MutableMapping[str, str],
        *,
        open_meter: Callable[[Kind], Meter] = BpfMeter,
        open_sockets: Callable[[], Sockets] = BpfSockets,
        read_connections: Callable[[], Connections] = read_connections,
        root: Path = Path("/"),
    ) -> None:
        self._kept: dict[str, _Kept] = {}
        for is_wanted, field, name, kind in (
            (choice.run_queue, "run_queue", "run-queue delays", RUN_QUEUE),
            (choice.block_io, "block_io", "disk delays", BLOCK_IO),
            (choice.network, "traffic", "network bytes", NETWORK),
        ):
            if is_wanted:
                self._kept[field] = _Kept(name, lambda kind=kind: open_meter(kind), sources)  # type: ignore[misc]
            else:
                sources[name] = "off (as configured)"
        self._sources = sources
        self._open_sockets, self._fallback = open_sockets, read_connections
        self._sockets: Sockets | None = None
        self._connections: Connections | None = None
        self._connections_due_s = float("-inf") if choice.network else float("inf")
        self._connections_every_s = CONNECTIONS_EVERY_S
        sources["connections"] = "while somebody watches" if choice.network else "off (as configured)"
        self._root, self._energy = root, read_energy(root) if choice.energy else ()
        sources["energy"] = "RAPL" if self._energy else "absent (no RAPL)" if choice.energy else "off (as configured)"
        self._wanted_until_s = float("-inf")
        self._next_glance_s = float("-inf")

    @property
    def attached(self) -> bool:
        """Whether anything counts now."""
        return any(kept.attached for kept in self._kept.values())

    def read(self, now_s: float, watched: bool) -> Readings:
        """What each counted since the last time. *watched*: somebody looks, so connections are worth their cost."""
        counted = {field: kept.read() for field, kept in self._kept.items()}
        if watched and now_s >= self._connections_due_s:
            self._connections = self._read_connections()
            self._connections_due_s = now_s + self._connections_every_s
        return Readings(**counted, connections=self._connections if watched else None, joules=self._read_joules())

    def follow(self, now_s: float, *, watched: bool, waits: bool) -> None:
        """Attach what is wanted, one a tick: loading one costs 15 to 40 ms of CPU. Detach what is not any more.

        *watched*: somebody looks; *waits*: there is contention.
        """
        if watched:
            self._wanted_until_s = now_s + LINGER_S
        elif waits and now_s >= self._next_glance_s:
            self._next_glance_s = now_s + GLANCE_EVERY_S
            self._wanted_until_s = max(self._wanted_until_s, now_s + GLANCE_S)
        missing = next((k for k in self._kept.values() if k.is_wanting), None)
        if now_s < self._wanted_until_s or (self.attached and missing is not None):  # a glance is at all of them
            if missing is not None:
                missing.attach()
        else:
            self.detach()

    def detach(self) -> None:
        """Count nothing from now on; they stay loaded, and the next wish attaches them again."""
        for kept in self._kept.values():
            kept.detach()
        self._close_sockets()

    def close(self) -> None:
        """Detach and unload everything; idempotent."""
        for kept in self._kept.values():
            kept.close()
        self._close_sockets()

    def _close_sockets(self) -> None:
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    def _read_connections(self) -> Connections | None:
        if self._connections_every_s == CONNECTIONS_EVERY_S:
            try:
                if self._sockets is None:
                    self._sockets = self._open_sockets()
                    self._sources["connections"] = "bpf, while somebody watches"
                return self._sockets.read()
            except (BpfUnavailable, OSError) as error:
                self._sources["connections"] = f"/proc, while somebody watches ({error})"
                self._connections_every_s = FALLBACK_EVERY_S
        try:
            return self._fallback()
        except OSError as error:
            self._sources["connections"] = f"absent ({error})"
            self._connections_due_s = float("inf")
            return None

    def _read_joules(self) -> float | None:
        if not self._energy:
            return None
        before, self._energy = self._energy, read_energy(self._root)
        return joules_between(before, self._energy)
