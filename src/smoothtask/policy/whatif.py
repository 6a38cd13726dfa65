"""What would be decided if something were otherwise: `decide` asked again, nothing is done (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Pin, Stage
from smoothtask.model.detail import Supposition
from smoothtask.model.group import AppGroup
from smoothtask.model.person import PersonMetrics
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import Hysteresis, PolicyParameters
from smoothtask.policy.ranking import Opinions

SOMEBODY_WAITS = Contention(active=True, since_s=0.0, reasons=("as supposed",))
NOBODY_WAITS = Contention(active=False, since_s=0.0, reasons=())


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that `decide` looks at, but for what it remembers."""

    groups: Sequence[AppGroup]
    contention: Contention
    orders: Orders
    now_s: float
    parameters: PolicyParameters
    closed: Mapping[str, str]
    person: PersonMetrics
    opinions: Opinions | None = None

    def decisions(self) -> dict[str, Decision]:
        """What it would come to for each group here, once hysteresis has let it."""
        at_once = replace(self.parameters, hysteresis=Hysteresis(snapshots=1, min_class_s=0.0))
        state = PolicyState()
        for _ in range(2):  # a part follows the class that its application has by then
            decisions, state = decide(
                self.groups, self.contention, self.orders, state, self.now_s, at_once, self.closed, self.person,
                self.opinions,
            )  # fmt: skip
        return {d.group: d for d in decisions}


def what_if(group: AppGroup, now: Situation) -> tuple[Supposition, ...]:
    """What would be wanted for *group*: without orders, with and without contention and focus, under each pin."""
    family = {group.id, group.parent}
    here = replace(now, groups=tuple(g for g in now.groups if g.id in family or g.parent in family))
    as_it_is = here.decisions().get(group.id)
    if as_it_is is not None and as_it_is.protected:
        return (Supposition("whatever were otherwise", as_it_is.target, as_it_is.text),)
    asked = ((what, other.decisions().get(group.id)) for what, other in _others(group, here))
    return tuple(Supposition(what, d.target, _said(d)) for what, d in asked if d is not None)


def _said(decision: Decision) -> str:
    """The reasons, but for a pin that is only supposed."""
    return "; ".join(r.text for r in decision.reasons if r.stage is not Stage.PIN)


def _others(group: AppGroup, now: Situation) -> Iterator[tuple[str, Situation]]:
    without = replace(
        now.orders,
        pins=tuple(p for p in now.orders.pins if p.app != group.classification.app),
        overrides={g: o for g, o in now.orders.overrides.items() if g != group.id},
    )
    if (without.pins, without.overrides) != (tuple(now.orders.pins), dict(now.orders.overrides)):
        yield "without pin and override", replace(now, orders=without)
    if now.opinions is not None or now.orders.learnt.of(group):
        yield "by the rules alone", replace(now, orders=Orders(), opinions=None)
    if now.contention.active:
        yield "if nobody waited", replace(now, contention=NOBODY_WAITS)
    else:
        yield "if somebody waited", replace(now, contention=SOMEBODY_WAITS)
    focused = not group.attention.focused
    attention = replace(group.attention, focused=focused, unfocused_s=None)
    seen = tuple(replace(g, attention=attention) if g.id == group.id else g for g in now.groups)
    yield f"if it {'had' if focused else 'did not have'} the focus", replace(now, groups=seen)
    for target in sorted(PriorityClass, reverse=True):
        pin = Pin(group.classification.app, target, group.uid, now.now_s)
        yield f"pinned to {target.name}", replace(now, orders=replace(without, pins=(*without.pins, pin)))
