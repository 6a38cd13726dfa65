"""Groups → decisions (pure): protection, orders, rules, model, lessons, guardrails, hysteresis: in this order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Override, Pin, Reason, Stage
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.model.person import NOBODY_KNOWN, PersonMetrics
from smoothtask.model.quick import maker
from smoothtask.policy.guardrails import clamp, is_protected
from smoothtask.policy.limits import NOTHING, limits_of
from smoothtask.policy.parameters import Hysteresis, PolicyParameters
from smoothtask.policy.personal import NOTHING_LEARNT, Learnt
from smoothtask.policy.ranking import Opinions
from smoothtask.policy.rest import Circumstances, Judged, judged_of, seen_of
from smoothtask.policy.rules import Facts
from smoothtask.policy.wishes import Ruled, Wish, moved, ruled

_make_decision, _make_facts = maker(Decision), maker(Facts)
NOTHING_CLOSED: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Standing:
    """The class a group is in, and what it has been wanting; times are CLOCK_MONOTONIC seconds."""

    target: PriorityClass
    since_s: float
    candidate: PriorityClass
    candidate_ticks: int = 0


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What is remembered from tick to tick."""

    standings: Mapping[str, Standing] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)
    """Group → what was wished for it, and of what: a group at rest is not judged anew."""
    circumstances: Circumstances | None = None
    """Those that all of `judged` was judged in."""

    def with_newer(self, newer: "PolicyState") -> "PolicyState":
        """This, but for the groups that *newer* is about."""
        judged = {**self.judged, **newer.judged} if newer.circumstances == self.circumstances else newer.judged
        return PolicyState({**self.standings, **newer.standings}, judged, newer.circumstances)


@dataclass(frozen=True, slots=True)
class Orders:
    """What people have asked for."""

    pins: Sequence[Pin] = ()
    overrides: Mapping[str, Override] = field(default_factory=dict)
    learnt: Learnt = NOTHING_LEARNT
    """What they have said before."""


def decide(
    groups: Sequence[AppGroup],
    contention: Contention,
    orders: Orders,
    state: PolicyState,
    now_s: float,
    parameters: PolicyParameters,
    closed: Mapping[str, str] = NOTHING_CLOSED,
    person: PersonMetrics = NOBODY_KNOWN,
    opinions: Opinions | None = None,
) -> tuple[tuple[Decision, ...], PolicyState]:
    """One decision a group, and the state for the next tick. Parents come before their parts in *groups*.

    *closed*: groups that this daemon may not touch, and why; *opinions*: those of a model, in hybrid mode.
    """
    decisions: dict[str, Decision] = {}
    standings: dict[str, Standing] = {}
    judged: dict[str, Judged] = {}
    applications = {g.id: g for g in groups if not g.parent}
    busy = _applications_with_waiters(groups)
    circumstances = Circumstances(contention.active, person.active, tuple(orders.pins), orders.learnt, parameters)
    known = state.judged if state.circumstances == circumstances else {}
    for group in groups:
        parent = decisions.get(group.parent) if group.parent else None
        before = state.standings.get(group.id)
        facts = _make_facts(
            group,
            contention,
            parent.target if parent else None,
            group.parent in busy,
            person,
            parameters.person,
            applications.get(group.parent or ""),
            lowered=before is not None and before.target < PriorityClass.NORMAL,
        )
        shut = closed.get(group.id)
        seen = None if opinions is not None or group.id in orders.overrides else seen_of(facts, shut)
        now = known.get(group.id)
        if now is None or not now.holds(seen, contention.reasons):
            rules = ruled(facts)
            wish = _guarded(group, _wish(facts, rules, orders, now_s, parameters, shut, opinions))
            now = judged_of(seen, rules, wish, contention.reasons)
        if seen is not None:
            judged[group.id] = now
        standing, held = _settle(before, now.wish, now_s, parameters.hysteresis)
        standings[group.id] = standing
        pin = None if now.wish.protected else find_pin(group, orders.pins)
        decisions[group.id] = _decision(group, now, standing, held, pin, contention, now_s, opinions)
    return tuple(decisions.values()), PolicyState(standings, judged, circumstances)


def _decision(
    group: AppGroup,
    judged: Judged,
    standing: Standing,
    held: Reason | None,
    pin: Pin | None,
    contention: Contention,
    now_s: float,
    opinions: Opinions | None,
) -> Decision:
    wish, (limits, said) = judged.wish, NOTHING
    if not wish.protected:
        limits, said = limits_of(group, standing.target, pin, somebody_waits=contention.active)
    return _make_decision(
        group=group.id,
        target=standing.target,
        wanted=wish.target,
        decided_by=wish.reasons[0].stage,
        reasons=(*wish.reasons, *([held] if held else []), *said) if held or said else wish.reasons,
        protected=wish.protected,
        restraint=wish.restraint,
        since_s=now_s - standing.since_s,
        limits=limits,
        rules=None if wish.protected else judged.rules,
        score=None if opinions is None else opinions.scores.get(group.id),
    )


def _applications_with_waiters(groups: Sequence[AppGroup]) -> frozenset[str]:
    """Applications in which somebody sleeps and wakes, or waits for a person's next line."""
    return frozenset(
        g.parent or g.id for g in groups if g.behaviour is Behaviour.STEADY or (g.starts_others and not g.parent)
    )


def _wish(
    facts: Facts,
    rules: Ruled,
    orders: Orders,
    now_s: float,
    parameters: PolicyParameters,
    closed: str | None,
    opinions: Opinions | None,
) -> Wish:
    group = facts.group
    if closed is not None:
        return Wish(PriorityClass.NORMAL, (Reason(Stage.PROTECTION, "scope", closed),), at_once=True, protected=True)
    protection = is_protected(group, parameters.protected_apps)
    if protection is not None:
        reason = Reason(Stage.PROTECTION, "protected", protection, _source(group))
        return Wish(PriorityClass.NORMAL, (reason,), at_once=True, protected=True)
    return _ordered(group, orders, now_s) or moved(facts, rules, orders.learnt, opinions)


def _ordered(group: AppGroup, orders: Orders, now_s: float) -> Wish | None:
    """What a person ordered for *group* or, for a part without an order of its own, nothing."""
    override = orders.overrides.get(group.id)
    if override is not None:
        left_s = None if override.expires_mono_s is None else override.expires_mono_s - now_s
        if left_s is None or left_s > 0:
            until = "until it exits" if left_s is None else f"for another {left_s:.0f} s"
            reason = Reason(Stage.OVERRIDE, "override", f"overridden to {override.target.name} {until}")
            return Wish(override.target, (reason,), at_once=True)
    pin = find_pin(group, orders.pins)
    if pin is not None:
        by = "by the administrator" if pin.uid == 0 else f"by uid {pin.uid}"
        reason = Reason(Stage.PIN, "pin", f"{pin.app} is pinned to {pin.target.name} {by}")
        return Wish(pin.target, (reason,), at_once=True)
    return None


def find_pin(group: AppGroup, pins: Sequence[Pin]) -> Pin | None:
    """The pin that holds for *group*: its owner's own before the administrator's."""
    if not pins:
        return None
    mine = [p for p in pins if p.app == group.classification.app and p.uid in {group.uid, 0}]
    return max(mine, key=lambda p: (p.uid == group.uid, p.made_at), default=None)


def _guarded(group: AppGroup, wish: Wish) -> Wish:
    if wish.protected:
        return wish
    target, rail = clamp(group, wish.target)
    if rail is None:
        return wish
    text = f"not {wish.target.name} but {target.name}: {rail.text}"
    reasons = (*wish.reasons, Reason(Stage.GUARDRAIL, rail.name, text))
    return replace(wish, target=target, reasons=reasons)


def _settle(
    before: Standing | None,
    wish: Wish,
    now_s: float,
    limits: Hysteresis,
) -> tuple[Standing, Reason | None]:
    """Follow a wish at once, or hold the class until the wish has lasted."""
    if before is None:
        first = wish.target if wish.at_once or wish.lowers_at_once else PriorityClass.NORMAL
        standing = Standing(first, now_s, wish.target, 1)
        return standing, None if first == wish.target else _held(standing, wish, limits)
    if wish.target == before.target:
        rests = before.candidate == wish.target and not before.candidate_ticks
        return before if rests else Standing(before.target, before.since_s, wish.target, 0), None
    ticks = before.candidate_ticks + 1 if wish.target == before.candidate else 1
    lasted = ticks >= limits.snapshots and now_s - before.since_s >= limits.min_class_s
    lowers = wish.lowers_at_once and wish.target < PriorityClass.NORMAL <= before.target
    if wish.at_once or lowers or lasted:
        return Standing(wish.target, now_s, wish.target, 0), None
    standing = Standing(before.target, before.since_s, wish.target, ticks)
    return standing, _held(standing, wish, limits)


def _held(standing: Standing, wish: Wish, limits: Hysteresis) -> Reason:
    text = (
        f"held at {standing.target.name}: {wish.target.name} must be wanted for {limits.snapshots} snapshots "
        f"(now {standing.candidate_ticks}) and {limits.min_class_s:g} s"
    )
    return Reason(Stage.HYSTERESIS, "held", text)


def _source(group: AppGroup) -> str | None:
    source = group.classification.source
    return str(source) if source is not None else None
