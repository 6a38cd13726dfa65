"""Is somebody waiting? (pure)"""

from collections.abc import Iterable
from dataclasses import dataclass

from smoothtask.model.decision import Contention
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.model.system import SystemMetrics
from smoothtask.policy.parameters import ContentionLimits


@dataclass(frozen=True, slots=True)
class ContentionState:
    """What is remembered from tick to tick; times are CLOCK_MONOTONIC seconds."""

    active: bool = False
    changed_s: float = 0.0
    last_sign_s: float = float("-inf")
    reasons: tuple[str, ...] = ()


def assess(
    state: ContentionState,
    system: SystemMetrics,
    groups: Iterable[AppGroup],
    now_s: float,
    limits: ContentionLimits,
    sound_breaks: int = 0,
) -> tuple[Contention, ContentionState]:
    """Contention at *now_s*: active as long as there is a sign of it, and `hold_s` longer."""
    signs = tuple(_signs(system, groups, limits))
    if sound_breaks:
        signs += (f"sound broke up {sound_breaks} times",)
    last_sign_s = now_s if signs else state.last_sign_s
    active = bool(signs) or (state.active and now_s - last_sign_s < limits.hold_s)
    changed_s = now_s if active != state.active or state.changed_s == 0 else state.changed_s
    if signs:
        reasons = signs
    elif active:
        reasons = (f"held for {limits.hold_s:g} s after: {'; '.join(state.reasons)}",) if state.reasons else ()
        reasons = reasons if not state.reasons[0].startswith("held") else state.reasons
    else:
        reasons = ()
    after = ContentionState(active, changed_s, last_sign_s, reasons)
    return Contention(active, now_s - changed_s, reasons), after


def _signs(system: SystemMetrics, groups: Iterable[AppGroup], limits: ContentionLimits) -> Iterable[str]:
    pressures = (
        ("cpu", system.cpu_some_pct, limits.cpu_some_pct),
        ("io", system.io_some_pct, limits.io_some_pct),
        ("memory", system.memory_some_pct, limits.memory_some_pct),
    )
    for name, share, limit in pressures:
        if share is not None and share >= limit:
            yield f"{name} pressure {share:.0f} % (limit {limit:g} %)"
    if system.latency is not None and system.latency.p99_ms >= limits.latency_p99_ms:
        yield f"wake-ups {system.latency.p99_ms:.0f} ms late at p99 (limit {limits.latency_p99_ms:g} ms)"
    for group in groups:
        if group.behaviour is not Behaviour.HOG and group.metrics.wait >= limits.group_wait:
            yield f"{group.label} waits for a CPU {100 * min(group.metrics.wait, 1):.0f} % of the time"
            return
