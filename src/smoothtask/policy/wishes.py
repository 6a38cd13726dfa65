"""What the rules wish for a group, and how far a model and a person's lessons move that (pure)."""

from dataclasses import dataclass, replace

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Reason, Stage
from smoothtask.model.group import Behaviour
from smoothtask.policy.personal import Learnt, class_at, pull, situation_of
from smoothtask.policy.ranking import Opinions
from smoothtask.policy.rules import RULES, Answer, Facts, Rule, Yields


@dataclass(frozen=True, slots=True)
class Wish:
    """A class that somebody or something wants for a group."""

    target: PriorityClass
    reasons: tuple[Reason, ...]
    at_once: bool
    lowers_at_once: bool = False
    """Followed at once where the group is not lowered yet; else it must last, like what is not certain."""
    restraint: bool = False
    protected: bool = False
    yields: Yields = Yields.TO_NOBODY


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the rules wish."""

    now: Wish
    waiting: Wish
    """What they would while somebody waits: the same, when somebody does."""


@dataclass(frozen=True, slots=True)
class _Moved:
    """Another class than the rules', and why."""

    target: PriorityClass
    reasons: tuple[Reason, ...]
    by_person: bool


_UNASKED = Wish(
    PriorityClass.NORMAL,
    (Reason(Stage.DEFAULT, "default", "nothing asks for anything else"),),
    at_once=False,
    yields=Yields.TO_MODEL,
)
UNASKED = Ruled(_UNASKED, _UNASKED)
"""No rule has an opinion."""


def ruled(facts: Facts) -> Ruled:
    """The first rule that has an opinion, now and while somebody waits."""
    passed: list[tuple[Rule, Answer]] = []
    for rule in RULES:
        answer = rule.ask(facts)
        if answer is None:
            continue
        if rule.only_under_contention and not facts.contention.active:
            passed.append((rule, answer))
            continue
        now = _wish(rule, answer, facts)
        break
    else:
        if not passed:
            return UNASKED
        default = Reason(Stage.DEFAULT, "default", "nobody waits")
        said = (Reason(r.stage, r.name, _would_be(a.target, a.text), a.source) for r, a in passed)
        now = Wish(PriorityClass.NORMAL, (default, *said), at_once=False, yields=Yields.TO_MODEL)
    return Ruled(now, _wish(*passed[0], facts) if passed else now)


def moved(facts: Facts, rules: Ruled, learnt: Learnt, opinions: Opinions | None) -> Wish:
    """The rules' wish, moved by a model where the rules leave it open, and by what the person has said before.

    Restraints come only while somebody waits, whoever wants them. What a person has raised holds always.
    """
    base = rules.waiting
    to = _moved(facts, base, learnt, opinions)
    if to is None:
        return rules.now
    certain = base.yields is Yields.TO_LESSONS
    wish = Wish(
        to.target,
        (*to.reasons, *base.reasons),
        at_once=base.at_once and certain,
        lowers_at_once=base.at_once and max(to.target, base.target) < PriorityClass.NORMAL,
        restraint=to.target < PriorityClass.NORMAL and (base.restraint or not certain),
    )
    if facts.contention.active:
        return wish
    stands = certain and not base.restraint
    raised = to.by_person and to.target > max(PriorityClass.NORMAL, rules.now.target)
    if stands or raised:
        return wish
    said = replace(to.reasons[-1], text=_would_be(to.target, to.reasons[-1].text))
    return replace(rules.now, reasons=(*rules.now.reasons, said))


def _wish(rule: Rule, answer: Answer, facts: Facts) -> Wish:
    reasons = [Reason(rule.stage, rule.name, answer.text, answer.source)]
    if rule.only_under_contention:
        why = ", ".join(facts.contention.reasons) or "contention"
        reasons.append(Reason(rule.stage, "contention", f"while somebody waits: {why}"))
    return Wish(answer.target, tuple(reasons), rule.at_once, restraint=rule.only_under_contention, yields=rule.yields)


def _would_be(target: PriorityClass, text: str) -> str:
    return f"would be {target.name} while somebody waits: {text}"


def _moved(facts: Facts, base: Wish, learnt: Learnt, opinions: Opinions | None) -> _Moved | None:
    group, target, place = facts.group, base.target, float(base.target)
    reasons: list[Reason] = []
    if opinions is not None and base.yields in {Yields.TO_MODEL, Yields.TO_MODEL_ALONE}:
        ranked = opinions.coordinate(group.id, base.target)
        if ranked is not None:
            place, target = ranked, class_at(ranked)
            if group.behaviour is Behaviour.HOG and target > max(base.target, PriorityClass.NORMAL):
                target = max(base.target, PriorityClass.NORMAL)  # nothing is raised because it hogs
                place = float(target)
            if target is not base.target:
                reasons = [_ranked(group.id, target, base.target, opinions)]
    by_person = False
    if learnt.by_app and base.yields in {Yields.TO_LESSONS, Yields.TO_MODEL}:
        situation = situation_of(group, facts.parent, facts.limits, contended=facts.contention.active)
        pulled = pull(learnt, group, situation, place, certain=base.yields is Yields.TO_LESSONS)
        if pulled is not None and pulled.target is not target:
            text = f"{pulled.text}: {pulled.target.name}, not {target.name} ({situation})"
            reasons = [Reason(Stage.LEARNT, "learnt", text), *reasons]
            target, by_person = pulled.target, True
    return None if target is base.target else _Moved(target, tuple(reasons), by_person)


def _ranked(group: str, target: PriorityClass, rules: PriorityClass, opinions: Opinions) -> Reason:
    why = ", ".join(opinions.why(group))
    text = f"the model ranks it {target.name}, the rules {rules.name}" + (f": {why}" if why else "")
    return Reason(Stage.RANKER, "model", text)
