"""When meters are attached, and what becomes of those that fail."""

from pathlib import Path

import numpy as np
import pytest

from smoothtask.collector.meters import GLANCE_EVERY_S, GLANCE_S, LINGER_S, WHEN, Choice, Meters
from smoothtask.kernel.libbpf import BpfUnavailable
from smoothtask.kernel.meters_bpf import Kind
from smoothtask.model.readings import Connections, Counted, Readings

ONE = np.ones(1, np.int64)
CONNECTIONS = Connections(ONE, ONE)
NOBODY, WATCHED = {"watched": False, "waits": False}, {"watched": True, "waits": False}
WAITS = {"watched": False, "waits": True}


class FakeMeter:
    """Counts how it is treated."""

    def __init__(self, log: list[str], kind: Kind, *, fails_to: str = "") -> None:
        self._log, self._name, self._fails_to = log, kind.name, fails_to
        self.attached = False
        if fails_to == "load":
            raise BpfUnavailable("the kernel refuses the BPF program")
        log.append(f"{kind.name} loaded")

    def attach(self) -> None:
        if self._fails_to == "attach":
            raise BpfUnavailable("cannot be attached")
        self.attached = True
        self._log.append(f"{self._name} attached")

    def detach(self) -> None:
        if self.attached:
            self._log.append(f"{self._name} detached")
        self.attached = False

    def read(self) -> Counted:
        if self._fails_to == "read":
            raise OSError(22, "the BPF map cannot be read")
        return Counted(ONE, ONE, np.ones((1, 24), np.int64))

    def close(self) -> None:
        self.detach()
        self._log.append(f"{self._name} closed")


class FakeSockets:
    """One connection."""

    reads = 0

    def read(self) -> Connections:
        self.reads += 1
        return CONNECTIONS

    def close(self) -> None:
        self.reads = -1


def meters(tmp_path: Path, log: list[str], sources: dict[str, str], fails: dict[str, str] | None = None) -> Meters:
    """With meters of which some fail at something."""
    return Meters(
        Choice(),
        sources,
        open_meter=lambda kind: FakeMeter(log, kind, fails_to=(fails or {}).get(kind.name, "")),
        open_sockets=FakeSockets,
        root=tmp_path,
    )


@pytest.mark.parametrize("wanted", [WATCHED, WAITS])
def test_nothing_is_loaded_until_somebody_watches_or_waits_and_then_one_a_tick(
    tmp_path: Path, wanted: dict[str, bool]
) -> None:
    log: list[str] = []
    kept = meters(tmp_path, log, {})
    kept.follow(1.0, **NOBODY)
    assert (log, kept.attached) == ([], False)
    for now_s in (2.0, 3.0, 4.0):
        kept.follow(now_s, **wanted)
    assert log == [f"{n} {done}" for n in ("runqueue", "block", "network") for done in ("loaded", "attached")]


def test_they_are_detached_a_while_after_the_last_wish_and_attached_again_without_loading(tmp_path: Path) -> None:
    log: list[str] = []
    kept = meters(tmp_path, log, {})
    for now_s in (1.0, 2.0, 3.0):
        kept.follow(now_s, **WATCHED)
    kept.follow(3.0 + LINGER_S - 0.1, **NOBODY)
    assert kept.attached
    kept.follow(3.0 + LINGER_S, **NOBODY)
    assert not kept.attached
    assert log[6:] == ["runqueue detached", "block detached", "network detached"]
    assert kept.read(20.0, False) == Readings()
    kept.follow(30.0, **WATCHED)
    assert log[9:] == ["runqueue attached"]


@pytest.mark.parametrize("tick_s", [0.5, 1.0, 7.0])
def test_while_somebody_waits_they_glance_at_what_happens_and_leave_the_programs_in_peace(
    tmp_path: Path, tick_s: float
) -> None:
    """However rare the ticks are, each meter counts in each glance, from one tick to the next at least."""
    kept = meters(tmp_path, [], {})
    seen: list[Readings] = []
    attached_s, now_s = 0.0, 100.0
    while now_s < 100.0 + 20 * GLANCE_EVERY_S:
        seen.append(kept.read(now_s, False))
        kept.follow(now_s, **WAITS)
        attached_s += tick_s * kept.attached
        now_s += tick_s
    for field in ("run_queue", "block_io", "traffic"):
        assert sum(getattr(r, field) is not None for r in seen) >= 10
    assert attached_s <= 20 * max(GLANCE_S + tick_s, 3 * tick_s)


def test_who_comes_to_watch_in_a_glance_sees_on_and_who_leaves_is_followed_by_none_before_its_time(
    tmp_path: Path,
) -> None:
    kept = meters(tmp_path, [], {})
    kept.follow(0.0, **WAITS)
    for now_s in (1.0, 2.0, 5.0):
        kept.follow(now_s, watched=True, waits=True)
    kept.follow(5.0 + LINGER_S - 0.1, **WAITS)
    assert kept.attached
    kept.follow(5.0 + LINGER_S, **WAITS)
    assert not kept.attached
    kept.follow(GLANCE_EVERY_S, **WAITS)
    assert kept.attached


@pytest.mark.parametrize("failing", ["load", "attach", "read"])
def test_one_that_fails_is_given_up_with_the_reason_and_the_others_go_on(tmp_path: Path, failing: str) -> None:
    sources: dict[str, str] = {}
    kept = meters(tmp_path, [], sources, {"block": failing})
    for now_s in (1.0, 2.0, 3.0, 4.0):
        kept.read(now_s, True)
        kept.follow(now_s, **WATCHED)
    said = kept.read(5.0, True)
    assert said.block_io is None
    assert said.run_queue is not None
    assert said.traffic is not None
    assert sources["disk delays"].startswith("absent (")
    assert sources["run-queue delays"] == f"bpf, {WHEN}"


def test_connections_are_counted_for_those_who_watch_every_few_seconds(tmp_path: Path) -> None:
    sockets = FakeSockets()
    kept = Meters(Choice(), {}, open_meter=lambda k: FakeMeter([], k), open_sockets=lambda: sockets, root=tmp_path)
    assert kept.read(1.0, False).connections is None
    assert sockets.reads == 0
    assert [kept.read(t, True).connections for t in (2.0, 3.0, 6.9)] == [CONNECTIONS] * 3
    assert sockets.reads == 1
    kept.read(7.0, True)
    assert sockets.reads == 2
    kept.follow(20.0, **NOBODY)
    assert sockets.reads == -1, "unloaded"


def test_without_bpf_connections_come_from_proc_more_rarely(tmp_path: Path) -> None:
    def none() -> FakeSockets:
        raise BpfUnavailable("BPF needs root")

    looks: list[int] = []
    sources: dict[str, str] = {}
    kept = Meters(
        Choice(),
        sources,
        open_meter=lambda k: FakeMeter([], k),
        open_sockets=none,
        read_connections=lambda: looks.append(1) or CONNECTIONS,  # type: ignore[func-returns-value]
        root=tmp_path,
    )
    for now_s in range(30):
        assert kept.read(float(now_s), True).connections == CONNECTIONS
    assert len(looks) == 2
    assert sources["connections"] == "/proc, while somebody watches (BPF needs root)"


def test_what_is_switched_off_is_never_opened(tmp_path: Path) -> None:
    log: list[str] = []
    sources: dict[str, str] = {}
    off = Choice(run_queue=False, block_io=False, network=False, energy=False)
    kept = Meters(off, sources, open_meter=lambda k: FakeMeter(log, k), open_sockets=FakeSockets, root=tmp_path)
    kept.follow(1.0, **WATCHED)
    assert kept.read(2.0, True) == Readings()
    assert log == []
    assert set(sources.values()) == {"off (as configured)"}


def test_energy_is_what_the_counter_went_up(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    for file, text in (("name", "package-0"), ("energy_uj", "5000000"), ("max_energy_range_uj", "99999999")):
        (zone / file).write_text(text)
    sources: dict[str, str] = {}
    kept = meters(tmp_path, [], sources)
    (zone / "energy_uj").write_text("8500000")
    assert kept.read(1.0, False).joules == pytest.approx(3.5)
    assert sources["energy"] == "RAPL"
