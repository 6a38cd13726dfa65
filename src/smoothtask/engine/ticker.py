"""When to tick next: slower when idle, faster while somebody waits, within the budget (pure)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TickSettings:
    """Seconds between ticks, and what they may cost together."""

    interval_s: float = 1.0
    idle_interval_s: float = 5.0
    busy_interval_s: float = 0.25
    self_budget_pct: float = 1.0
    """Of one core, on average."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the pace depends on."""

    contended: bool
    settling: bool
    """Contention began, or a class changed, a few seconds ago at most."""
    watched: bool
    busy_cores: float


BURST_S = 40.0
"""The budget saved in this many quiet seconds may be spent at once, when somebody begins to wait."""
IDLE_CORES = 0.1


@dataclass(frozen=True, slots=True)
class Budget:
    """CPU seconds saved up."""

    saved_s: float = 0.0

    def after(self, spent_cpu_s: float, elapsed_s: float, budget_pct: float) -> "Budget":
        """The budget after *elapsed_s* in which *spent_cpu_s* were used."""
        rate = budget_pct / 100
        return Budget(max(-BURST_S * rate, min(BURST_S * rate, self.saved_s + elapsed_s * rate - spent_cpu_s)))


def next_interval(settings: TickSettings, now: Situation, budget: Budget, tick_cpu_s: float) -> float:
    """Seconds until the next tick."""
    if now.contended and (now.settling or now.watched):
        wanted = settings.busy_interval_s
    elif now.contended or now.watched or now.busy_cores >= IDLE_CORES:
        wanted = settings.interval_s
    else:
        wanted = settings.idle_interval_s
    if budget.saved_s > tick_cpu_s:
        return wanted
    affordable = tick_cpu_s / (settings.self_budget_pct / 100)
    return min(max(wanted, affordable), max(settings.idle_interval_s, wanted))


HURRIES, HURRIES_PER_S = 8.0, 2.0


@dataclass(slots=True)
class Patience:
    """How often somebody may still bring a tick forward: a few times at once, then twice a second."""

    left: float = HURRIES
    at_s: float = 0.0

    def allows(self, now_s: float) -> bool:
        """Whether once more is not too often; counts it when not."""
        self.left = min(HURRIES, self.left + (now_s - self.at_s) * HURRIES_PER_S)
        self.at_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True
