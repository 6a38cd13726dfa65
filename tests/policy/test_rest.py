"""A group at rest is not judged anew, and what is decided is the same in every word."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import BACKGROUND, CONTENDED, CRITICAL, HOG, IDLE, INTERACTIVE, NORMAL, QUIET, group, known
from smoothtask.model.classes import Limits
from smoothtask.model.decision import Override, Pin
from smoothtask.model.group import AppGroup, Behaviour, GroupMetrics
from smoothtask.model.lesson import Attended, Lesson, Situation, Source
from smoothtask.model.person import NO_ATTENTION, Attention, PersonMetrics
from smoothtask.policy import wishes
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.personal import Learnt, indexed
from smoothtask.policy.ranking import Opinions


def uses(
    cpu: float = 0.0, wait: float = 0.0, io_bps: float = 0.0, children: float = 0.0, vcsw: float = 1.0
) -> GroupMetrics:
    return GroupMetrics(1, 1, cpu, wait, vcsw, 0.0, io_bps, 0.0, 1 << 20, children)


def taught(uid: int, attended: Attended, target: Any) -> Learnt:
    situations = [Situation(attended, contended) for contended in (False, True)]
    return indexed(Lesson("prog", uid, s, target, Source.LABEL, 1.0) for s in situations for _ in range(3))


ATTENTIONS = [
    NO_ATTENTION,
    Attention(focused=True),
    Attention(unfocused_s=1.0),
    Attention(unfocused_s=20.0),
    Attention(visible=True),
    Attention(minimised=True),
    Attention(fullscreen=True, visible=True),
    Attention(playing=True),
    Attention(playing=True, capturing=True),
    Attention(playing=True, xrun_s=1.0),
    Attention(typed_s=1.0),
    Attention(typed_s=14.9),
    Attention(typed_s=60.0),
]
KINDS = [
    known("prog", **more)
    for more in (
        {},
        {"target": IDLE, "certain": True},
        {"target": BACKGROUND},
        {"target": INTERACTIVE, "certain": True},
        {"target": BACKGROUND, "certain": True, "after_s": 5.0},
        {"target": IDLE, "after_s": 5.0},
        {"tags": frozenset({"updater"})},
        {"tags": frozenset({"game"})},
        {"tags": frozenset({"audio"})},
        {"target": BACKGROUND, "certain": True, "limits": Limits(cpu_pct=50.0)},
        {"protected": True},
    )
]
DIMENSIONS: dict[str, list[Any]] = {
    "kind": KINDS,
    "is_part": [False, True],
    "behaviour": list(Behaviour),
    "metrics": [
        uses(),
        uses(0.01),
        uses(0.01, vcsw=150.0),
        uses(0.02, vcsw=250.0),
        uses(0.2, vcsw=250.0),
        uses(0.3, 0.6),
        uses(io_bps=30e6),
        uses(io_bps=60e6),
        uses(io_bps=70e6),
        uses(children=2.0),
    ],
    "attention": ATTENTIONS,
    "starts_others": [False, True],
    "started_s": [1.0, 4.0, 10.0, 30.0, 1000.0],
    "behaviour_s": [1.0, 100.0],
    "label": ["prog", "other"],
    "around": ATTENTIONS,
    "around_behaves": list(Behaviour),
    "around_kind": KINDS,
    "other_hogs": [0, 4],
    "contention": [QUIET, CONTENDED, replace(CONTENDED, reasons=("io pressure 50 % (limit 20 %)",))],
    "person": [PersonMetrics(active=active, since_input_s=s) for active in (None, False, True) for s in (1.0, 2.0)],
    "closed": [{}, {"proc:2-1": "not ours"}],
    "pins": [(), (Pin("prog", IDLE, 0, 1.0),), (Pin("prog", CRITICAL, 1000, 2.0, Limits(cpu_idle=True)),)],
    "seconds_of_override": [None, 3.0, 100.0],
    "learnt": [Learnt(), taught(1000, Attended.UNATTENDED, IDLE), taught(0, Attended.FOCUSED, CRITICAL)],
    "score": [None, -9.0, 0.2, 9.0],
    "protected": [frozenset(), frozenset({"prog"})],
    "seconds_passed": [0.25, 1.0, 5.0],
}
CHANGES = [(name, value) for name, values in DIMENSIONS.items() for value in values]
PLAIN = {name: values[0] for name, values in DIMENSIONS.items()}
some_changes = st.lists(st.sampled_from(CHANGES), max_size=4)


def groups_of(now: dict[str, Any]) -> tuple[AppGroup, ...]:
    """One that most of it is about, by itself or as a part of an application."""
    around = group("proc:2-1", now["around_kind"], now["around_behaves"], attention=now["around"], starts_others=True)
    names = ("metrics", "attention", "starts_others", "started_s", "behaviour_s", "label")
    about = group(
        "proc:2-1/x" if now["is_part"] else "proc:3-1", now["kind"], now["behaviour"], tty="pts/1",
        **{name: now[name] for name in names},
    )  # fmt: skip
    others = (group(f"proc:{4 + n}-1", **HOG) for n in range(now["other_hogs"]))
    return (around, *others, about) if now["is_part"] else (around, about, *others)


def judge(now: dict[str, Any], state: PolicyState, now_s: float) -> Any:
    groups = groups_of(now)
    about = "proc:2-1/x" if now["is_part"] else "proc:3-1"
    overrides = {} if now["seconds_of_override"] is None else {
        about: Override(about, BACKGROUND, 0, 100.0 + now["seconds_of_override"])
    }  # fmt: skip
    scores = {g.id: now["score"] for g in groups}
    opinions = None if now["score"] is None else Opinions("m", (-1.5, -0.5, 0.5, 1.5), scores)
    orders = Orders(now["pins"], overrides, now["learnt"])
    parameters = PolicyParameters(protected_apps=now["protected"])
    return decide(groups, now["contention"], orders, state, now_s, parameters, now["closed"], now["person"], opinions)


def same_as_anew(start: dict[str, Any], ticks: Sequence[Sequence[tuple[str, Any]]]) -> None:
    now, now_s = dict(start), 100.0
    state = forgetful = PolicyState()
    for changes in ticks:
        now.update(changes)
        now_s += now["seconds_passed"]
        decisions, state = judge(now, state, now_s)
        anew, forgetful = judge(now, PolicyState(forgetful.standings), now_s)
        assert decisions == anew, changes
        assert state.standings == forgetful.standings


@pytest.mark.parametrize("usual", [{}, {"is_part": True}, {"is_part": True, "around_kind": KINDS[-1]}])
def test_no_change_goes_unseen(usual: dict[str, Any]) -> None:
    """Each change of one thing, where any other one is not as *usual*: by itself, a part, a part of what is fixed."""
    for other in CHANGES:
        for change in CHANGES:
            same_as_anew(PLAIN | usual | dict([other]), [[], [change]])


@given(some_changes, st.lists(some_changes, max_size=8))
def test_what_is_remembered_changes_nothing(start: list[tuple[str, Any]], ticks: list[list[tuple[str, Any]]]) -> None:
    """Whatever happens from tick to tick, the decisions are those of one who judges everybody anew."""
    same_as_anew(PLAIN | dict(start), [[], *ticks, []])


def test_a_group_at_rest_is_not_asked_about(monkeypatch: Any) -> None:
    """What changes without a meaning for the rules wakes nobody; what has one does, and those alone."""
    asked: list[str] = []
    monkeypatch.setattr("smoothtask.policy.decide.ruled", lambda f: asked.append(f.group.id) or wishes.ruled(f))
    idle, other = group("proc:1-1"), group("proc:2-1")
    _, state = decide((idle, other), QUIET, Orders(), PolicyState(), 1.0, PolicyParameters())
    later = replace(idle, started_s=200.0, behaviour_s=105.0, metrics=uses(0.02))
    _, state = decide((later, other), replace(QUIET, since_s=61.0), Orders(), state, 2.0, PolicyParameters())
    focused = replace(other, attention=Attention(focused=True))
    (_, raised), state = decide((later, focused), QUIET, Orders(), state, 3.0, PolicyParameters())
    assert asked == ["proc:1-1", "proc:2-1", "proc:2-1"]
    assert raised.target is INTERACTIVE
    (only,), state = decide((later,), QUIET, Orders(), state, 4.0, PolicyParameters())
    assert only.target is NORMAL
    assert state.judged.keys() == state.standings.keys() == {"proc:1-1"}


def test_what_is_admitted_between_ticks_joins_what_is_remembered() -> None:
    """Unless something has changed for all."""
    calm, pinned = Orders(), Orders((Pin("prog", IDLE, 0, 1.0),))
    _, state = decide((group("proc:1-1"),), QUIET, calm, PolicyState(), 1.0, PolicyParameters())
    for orders, remembered in ((calm, {"proc:1-1", "proc:2-1"}), (pinned, {"proc:2-1"})):
        _, newer = decide((group("proc:2-1"),), QUIET, orders, state, 1.5, PolicyParameters())
        joined = state.with_newer(newer)
        assert joined.standings.keys() == {"proc:1-1", "proc:2-1"}
        assert joined.judged.keys() == remembered
