"""Who made others wait: each moment's waiting is charged to those that had the processor or the disk then (pure).

Rule 1: only waiting counts that somebody may notice: that of groups which are no hogs. Hogs may wait for each other.
Rule 2: nobody is charged with their own waiting. What one group waits is shared among the others by the CPU they used.
Rule 3: the time in which somebody waited for a disk (PSI) is shared among all by the bytes they moved.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.model.group import Behaviour

WAITING = 0.02
"""Threads that wait, on average, below which a group is not kept waiting."""
DISK_PCT = 5.0
"""Of the time: from here on somebody waits for a disk."""
LONGEST_S = 10.0
"""Between two frames; more was not watched."""
LEAST_CPU = 1e-6
"""Cores: who used less made nobody wait, and what is divided by it says nothing."""
LEAST_S = 0.001
LEAST_SHARE = 0.005
"""Of all waiting: whoever is charged with less is not named."""
KEPT = 16
"""Charges of one moment that are remembered, the greatest first."""
IN_ALL = ""
"""The victim of a charge for the disk: PSI does not say who waited."""


class Charge(NamedTuple):
    """What one group is charged with at one moment."""

    group: str
    label: str
    cpu_s: float
    """Seconds of other groups' waiting for a CPU (two that wait make two a second)."""
    disk_s: float
    """Seconds in which somebody waited for a disk."""
    used_s: float
    """Its own seconds of CPU meanwhile."""
    moved_bytes: float
    victim: str
    """Who waited most: a label."""
    victim_s: float


@dataclass(frozen=True, slots=True)
class Blame:
    """One moment in which somebody waited."""

    time: float
    """Unix time."""
    span_s: float
    charges: tuple[Charge, ...]


@dataclass(frozen=True, slots=True)
class Culprit:
    """A group with all it is charged with, and the evidence."""

    group: str
    label: str
    cpu_s: float
    disk_s: float
    share: float
    """Of all that is charged to anybody, 0 … 1."""
    cores: float
    """That it used on average in those moments."""
    moved_bps: float
    during_s: float
    """How long those moments lasted."""
    victims: tuple[tuple[str, float], ...]
    """Who waited most because of it, with the seconds, at most three."""

    @property
    def caused_s(self) -> float:
        """Seconds of waiting of any kind."""
        return self.cpu_s + self.disk_s


def blame(frame: Frame, span_s: float) -> Blame | None:
    """The charges of the *span_s* seconds before *frame*; `None` when nobody waited."""
    span_s = min(span_s, LONGEST_S)
    if span_s <= 0 or not (frame.contention.active or (frame.system.io_some_pct or 0.0) >= DISK_PCT):
        return None
    groups = frame.groups
    used = sum(g.group.metrics.cpu for g in groups)
    victims = [v for v in groups if v.group.behaviour is not Behaviour.HOG and v.group.metrics.wait >= WAITING]
    # A victim's seconds for each CPU second that others had: whoever is no victim is charged all of them.
    rates = {
        v.group.id: (v.group.metrics.wait * span_s / others, v.group.label)
        for v in victims
        if (others := used - v.group.metrics.cpu) >= LEAST_CPU
    }
    total = sum(rate for rate, _ in rates.values())
    first, second = [*sorted(rates.items(), key=lambda item: (-item[1][0], item[0])), *[("", (0.0, IN_ALL))] * 2][:2]
    caused: dict[str, float] = {}
    worst: dict[str, tuple[float, str]] = {}
    for g in groups:
        i, cpu = g.group.id, g.group.metrics.cpu
        own = rates.get(i, (0.0, ""))[0]
        if cpu >= LEAST_CPU and total > own:
            caused[i] = cpu * (total - own)
            rate, label = (second if first[0] == i else first)[1]
            worst[i] = (cpu * rate, label)
    disk = _disk(groups, frame.system.io_some_pct or 0.0, span_s)
    by_id = {g.group.id: g for g in groups}
    charges = [
        _charge(by_id[i], caused.get(i, 0.0), disk.get(i, 0.0), worst.get(i, (0.0, IN_ALL)), span_s)
        for i in caused.keys() | disk.keys()
    ]
    charges = [c for c in charges if c.cpu_s + c.disk_s >= LEAST_S]
    charges.sort(key=lambda c: (-(c.cpu_s + c.disk_s), c.group))
    return Blame(frame.time, span_s, tuple(charges[:KEPT])) if charges else None


def ranked(blames: Iterable[Blame], since: float = float("-inf")) -> list[Culprit]:
    """Culprits from the Unix time *since* on, the worst first."""
    charges: dict[str, list[tuple[float, Charge]]] = {}
    for moment in blames:
        if moment.time >= since:
            for charge in moment.charges:
                charges.setdefault(charge.group, []).append((moment.span_s, charge))
    total = sum(c.cpu_s + c.disk_s for listed in charges.values() for _, c in listed) or 1.0
    found = [_culprit(listed, total) for listed in charges.values()]
    found = [c for c in found if c.share >= LEAST_SHARE]
    return sorted(found, key=lambda c: (-c.caused_s, c.group))


def _disk(groups: tuple[GroupFrame, ...], io_pct: float, span_s: float) -> dict[str, float]:
    moved = {g.group.id: g.group.metrics.read_bps + g.group.metrics.write_bps for g in groups}
    total = sum(moved.values())
    if io_pct < DISK_PCT or total <= 0:
        return {}
    return {i: io_pct / 100 * span_s * bps / total for i, bps in moved.items() if bps > 0}


def _charge(g: GroupFrame, cpu_s: float, disk_s: float, worst: tuple[float, str], span_s: float) -> Charge:
    m = g.group.metrics
    moved = (m.read_bps + m.write_bps) * span_s
    return Charge(g.group.id, g.group.label, cpu_s, disk_s, m.cpu * span_s, moved, worst[1], worst[0])


def _culprit(listed: list[tuple[float, Charge]], total: float) -> Culprit:
    during_s = sum(span for span, _ in listed)
    victims: dict[str, float] = {}
    for _, c in listed:
        if c.victim != IN_ALL:
            victims[c.victim] = victims.get(c.victim, 0.0) + c.victim_s
    cpu_s, disk_s = sum(c.cpu_s for _, c in listed), sum(c.disk_s for _, c in listed)
    newest = listed[-1][1]
    return Culprit(
        newest.group,
        newest.label,
        cpu_s,
        disk_s,
        (cpu_s + disk_s) / total,
        sum(c.used_s for _, c in listed) / during_s,
        sum(c.moved_bytes for _, c in listed) / during_s,
        during_s,
        tuple(sorted(victims.items(), key=lambda v: (-v[1], v[0]))[:3]),
    )
