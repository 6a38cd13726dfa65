"""How responsive the machine is for the person in front of it, as numbers and in words (pure).

1 is as good as it gets, 0 as bad as it can be. The score is that of the worst sign, not a mean: one frozen window
is not made good by nine that are not.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import log

from smoothtask.model.frame import Scores
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.model.person import PersonMetrics
from smoothtask.model.system import SystemMetrics
from smoothtask.policy.parameters import BadLimits, PersonLimits

GOOD_MS, WORST_MS = 2.0, 100.0
"""Wake-ups that are so late at the 99th percentile are as good as none, as bad as can be."""
WANTS = 0.02
"""Cores wanted, below which a group is not kept waiting by anything."""
WORST_PRESSURE_PCT = 80.0
"""Of time in which somebody waited for a disk or for memory."""
DSP_EASY, DSP_FULL = 0.7, 1.0
WORST_BREAKS = 4
"""In one tick."""


def group_score(group: AppGroup) -> float | None:
    """The share of what *group* wants of the CPU that it gets; `None` while it wants nothing."""
    wanted = group.metrics.cpu + group.metrics.wait
    return None if wanted < WANTS else group.metrics.cpu / wanted


def rate(
    system: SystemMetrics,
    groups: Sequence[AppGroup],
    person: PersonMetrics,
    bad: BadLimits,
    limits: PersonLimits,
) -> Scores:
    """The machine's scores at one tick."""
    served = [(g, score) for g in _waited_for(groups, limits) if (score := group_score(g)) is not None]
    worst = min(served, key=lambda item: item[1], default=None)
    losses = [
        _late(system.latency.p99_ms) if system.latency is not None else 0.0,
        0.0 if worst is None else 1 - worst[1],
        _share(system.io_some_pct, WORST_PRESSURE_PCT),
        _share(system.memory_some_pct, WORST_PRESSURE_PCT),
    ]
    responsiveness = 1 - max(losses)
    heard = any(g.attention.playing for g in groups)
    stability = _stability(person) if heard or person.sound_breaks else None
    reasons = tuple(_signs(system, worst, person, bad, responsiveness))
    return Scores(responsiveness, stability, bool(reasons), reasons)


def _waited_for(groups: Iterable[AppGroup], limits: PersonLimits) -> list[AppGroup]:
    """What a person waits for; where nothing tells of that, whatever sleeps and wakes."""
    watched = [g for g in groups if _is_watched(g, limits)]
    return watched or [g for g in groups if g.behaviour is Behaviour.STEADY]


def _is_watched(group: AppGroup, limits: PersonLimits) -> bool:
    a = group.attention
    typed = a.typed_s is not None and a.typed_s < limits.typed_s and group.behaviour is not Behaviour.HOG
    return a.focused or a.playing or a.fullscreen or typed


def _signs(
    system: SystemMetrics,
    worst: tuple[AppGroup, float] | None,
    person: PersonMetrics,
    bad: BadLimits,
    responsiveness: float,
) -> Iterator[str]:
    if system.latency is not None and system.latency.p99_ms >= bad.latency_p99_ms:
        yield f"wake-ups {system.latency.p99_ms:.0f} ms late at p99 (limit {bad.latency_p99_ms:g} ms)"
    if worst is not None and 1 - worst[1] >= bad.wait_share:
        yield f"{worst[0].label} gets {100 * worst[1]:.0f} % of the CPU that it wants"
    if person.sound_breaks >= bad.sound_breaks:
        yield f"sound broke up {person.sound_breaks} times"
    if responsiveness < bad.score:
        yield f"responsiveness {responsiveness:.2f} (limit {bad.score:g})"


def _late(p99_ms: float) -> float:
    """0 … 1, by how many times it is more than what is good: the ear and the eye count in ratios."""
    if p99_ms <= GOOD_MS:
        return 0.0
    return min(1.0, log(p99_ms / GOOD_MS) / log(WORST_MS / GOOD_MS))


def _share(value: float | None, most: float) -> float:
    return 0.0 if value is None else min(1.0, value / most)


def _stability(person: PersonMetrics) -> float:
    breaks = min(1.0, person.sound_breaks / WORST_BREAKS)
    load = 0.0 if person.dsp_load is None else (person.dsp_load - DSP_EASY) / (DSP_FULL - DSP_EASY)
    return 1 - max(breaks, min(1.0, max(0.0, load)))
