"""What others are told: who runs what and in which class, and nothing of what a person does or typed."""

from dataclasses import replace

from control.hosts import frame, group_frame
from scenery import classification, known
from smoothtask.engine.discretion import frame_for
from smoothtask.model.decision import Reason, Stage
from smoothtask.model.frame import Event, Frame, GroupFrame, Mark
from smoothtask.model.person import Attention, PersonMetrics
from smoothtask.model.rights import Rights
from smoothtask.policy.rules import RULES

SECRET = "s3cret"


def group_of(uid: int, number: int) -> GroupFrame:
    """Focused, heard, typed into, by a rule that knows it by its arguments."""
    g = group_frame(number)
    evidence = f"command line with “--password={SECRET}”"
    reasons = (
        Reason(Stage.RULE, "focus", f"{SECRET} has the focus"),
        Reason(Stage.RULE, "likely-type", f"Prog is probably batch ({evidence})"),
        Reason(Stage.GUARDRAIL, "not-yet-known", SECRET),
    )
    return replace(
        g,
        group=replace(
            g.group, uid=uid, classification=known("prog", evidence=evidence),
            attention=Attention(focused=True, playing=True, typed_s=0.25),
        ),
        decision=replace(g.decision, reasons=reasons),
        marks=frozenset({Mark.PINNED, Mark.FOCUSED, Mark.PLAYING, Mark.CAPTURING}),
    )  # fmt: skip


def desktop() -> Frame:
    """Of uid 1000, with something of uid 1001 and of root."""
    mine, theirs, system = group_of(1000, 1), group_of(1001, 2), group_of(0, 3)
    process = replace(frame().processes[0], command=f"prog --password={SECRET}")
    return replace(
        frame(),
        groups=(mine, theirs, system),
        processes=tuple(
            replace(process, uid=g.group.uid, group=g.group.id, pid=i) for i, g in enumerate((mine, theirs, system))
        ),
        events=(
            Event(1.0, "class", SECRET, mine.group.id), Event(2.0, "class", "yours", theirs.group.id),
            Event(3.0, "class", SECRET, "proc:99-1"), Event(4.0, "person", SECRET), Event(5.0, "system", "for all"),
        ),
        person=PersonMetrics(active=True, since_input_s=0.25, input_source="evdev"),
        rights=Rights(0),
    )  # fmt: skip


def test_root_and_who_runs_the_engine_see_everything() -> None:
    """As it is."""
    assert frame_for(desktop(), 0) == desktop()
    own = replace(desktop(), rights=Rights(1000))
    assert frame_for(own, 1000) is own


def test_a_user_sees_their_own_whole_and_others_from_outside() -> None:
    """Names, use, class and pins of others stay."""
    told = frame_for(desktop(), 1001)
    theirs = desktop().groups[1]
    assert told.groups[1] == theirs
    assert told.processes[1] == desktop().processes[1]
    for g in (told.groups[0], told.groups[2]):
        assert SECRET not in repr(g)
        assert g.group.attention == Attention()
        assert g.marks == {Mark.PINNED}
        assert g.decision.target is theirs.decision.target
        assert "Prog is probably batch" in g.decision.text
        assert "told to uid" in g.decision.text
    assert [p.command for p in told.processes] == ["prog", f"prog --password={SECRET}", "prog"]
    assert [e.text for e in told.events] == ["yours", "for all"]
    assert (told.person.active, told.person.since_input_s, told.person.input_source) == (True, None, "")


def test_a_program_that_no_rule_knows_has_no_path() -> None:
    """Where in a home somebody keeps what is nobody else's business."""
    g = group_of(1000, 1)
    unknown = classification(f"exe:/home/a/{SECRET}/prog", label="prog")
    g = replace(g, group=replace(g.group, classification=unknown), decision=replace(g.decision, reasons=()))
    told = frame_for(replace(desktop(), groups=(g,)), 1001).groups[0]
    assert told.group.classification.app == "name:prog"
    assert SECRET not in repr(told)


def test_rules_about_a_person_are_not_told() -> None:
    """Every rule of the policy that speaks of windows, sound or keys."""
    private = {"grace", "call", "game", "focus", "recent-focus", "audible", "typed", "not-while-somebody-works",
               "visible", "minimised", "heavy-io"}  # fmt: skip
    for rule in RULES:
        g = group_of(1000, 1)
        g = replace(g, decision=replace(g.decision, reasons=(Reason(rule.stage, rule.name, SECRET),)))
        told = frame_for(replace(desktop(), groups=(g,)), 1001).groups[0].decision.text
        assert (told == SECRET) is (rule.name not in private), rule.name
