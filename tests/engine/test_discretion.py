"""What others are told: who runs what and in which class, and nothing of what a person does or typed."""

from dataclasses import replace

from control.hosts import frame, group_frame
from scenery import classification, known
from smoothtask.engine.discretion import frame_for
from smoothtask.model.decision import Contention, Reason, Stage
from smoothtask.model.frame import Event, Frame, GroupFrame, Mark, Scores
from smoothtask.model.group import RuleSource
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
            Event(6.0, "conflict", SECRET, mine.group.id), Event(7.0, "conflict", SECRET), Event(8.0, "rules", SECRET),
        ),
        person=PersonMetrics(
            active=True, since_input_s=0.25, input_source=SECRET, sound=SECRET, xruns=3, missing_cycles=4, dsp_load=0.5
        ),
        scores=Scores(0.3, 0.25, True, (f"{SECRET} gets 30 % of the CPU that it wants", "sound broke up 3 times",
                                        "responsiveness 0.30 (limit 0.5)")),
        contention=Contention(True, 1.0, ("cpu pressure 34 % (limit 10 %)", "sound broke up 3 times")),
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
    assert told.person == PersonMetrics(active=True)
    assert told.scores == Scores(0.3, None, True, ("responsiveness 0.30 (limit 0.5)",))
    assert told.contention.reasons == ("cpu pressure 34 % (limit 10 %)",)
    theirs_left_out = replace(told, groups=(told.groups[0], told.groups[2]), processes=told.processes[::2])
    assert SECRET not in repr(theirs_left_out)
    assert "sound" not in repr(theirs_left_out).replace("sound=''", "")


def test_a_program_that_no_rule_knows_has_no_path() -> None:
    """Where in a home somebody keeps what is nobody else's business."""
    g = group_of(1000, 1)
    unknown = classification(f"exe:/home/a/{SECRET}/prog", label="prog")
    g = replace(g, group=replace(g.group, classification=unknown), decision=replace(g.decision, reasons=()))
    told = frame_for(replace(desktop(), groups=(g,)), 1001).groups[0]
    assert told.group.classification.app == "name:prog"
    assert SECRET not in repr(told)


def test_what_somebody_wrote_in_a_rule_of_their_own_is_theirs() -> None:
    """Its name, type, tags, file and line."""
    g = group_of(1000, 1)
    c = classification(
        SECRET, label=SECRET, type=SECRET, tags=frozenset({SECRET}), part=SECRET, evidence=f"name {SECRET}",
        source=RuleSource("personal", f"/home/a/{SECRET}.yaml", 3),
    )  # fmt: skip
    reasons = (
        Reason(Stage.RULE, "certain-type", "It is batch", f"/home/a/{SECRET}.yaml:3"),
        Reason(Stage.BEHAVIOUR, "hog", f"{SECRET} hogs"),
        Reason(Stage.HYSTERESIS, "held", "for 3 s more"),
    )
    g = replace(
        g, group=replace(g.group, label=SECRET, classification=c), decision=replace(g.decision, reasons=reasons)
    )
    process = replace(frame().processes[0], pid=g.group.root_pid, uid=1000, group=g.group.id)
    waits = Contention(True, 1.0, (f"{SECRET} waits for a CPU 90 % of the time", "io pressure 50 % (limit 10 %)"))
    whole = replace(desktop(), groups=(g,), processes=(process,), events=(), contention=waits)
    told = frame_for(whole, 1001)
    assert SECRET not in repr(told)
    assert (told.groups[0].group.label, told.groups[0].group.classification.app) == ("prog", "name:prog")
    assert told.groups[0].decision.text == "for 3 s more; told to uid 1000 alone"
    assert told.contention.reasons == ("io pressure 50 % (limit 10 %)",)
    assert frame_for(replace(whole, processes=()), 1001).groups[0].group.label == f"pid {g.group.root_pid}"
    own = frame_for(whole, 1000)
    assert own.groups == whole.groups
    assert own.contention == waits


def test_who_alone_is_watched_and_heard_is_told_of_it() -> None:
    """The usual desktop beside a daemon of root; not who merely looks on, nor while somebody may be left out."""
    theirs, system = desktop().groups[1], replace(desktop().groups[2], marks=frozenset())
    system = replace(system, group=replace(system.group, attention=Attention()))
    whole = replace(desktop(), groups=(theirs, system))
    told = frame_for(whole, 1001)
    assert (told.scores, told.contention) == (whole.scores, whole.contention)
    assert told.person == replace(whole.person, since_input_s=None, input_source="")
    for other in (frame_for(whole, 1002), frame_for(replace(whole, left_out=1), 1001)):
        assert other.person == PersonMetrics(active=True)
        assert other.scores.audio_stability is None


def test_that_sound_broke_up_is_not_told_later_either() -> None:
    """Contention that is held quotes what began it, and so do the reasons of who is restrained."""
    g = group_of(1000, 1)
    reason = Reason(Stage.BEHAVIOUR, "contention", "while somebody waits: io pressure 50 %, sound broke up 2 times")
    g = replace(g, decision=replace(g.decision, reasons=(reason,)))
    for said, expected in (
        ("held for 5 s after: io pressure 50 %; sound broke up 2 times", ("held for 5 s after: io pressure 50 %",)),
        ("held for 5 s after: sound broke up 2 times", ("held for 5 s",)),
    ):
        told = frame_for(replace(desktop(), groups=(g,), contention=Contention(True, 1.0, (said,))), 1001)
        assert told.contention.reasons == expected
        assert told.groups[0].decision.text == "while somebody waits: io pressure 50 %"


def test_rules_about_a_person_are_not_told() -> None:
    """Every rule of the policy that speaks of windows, sound or keys."""
    private = {"grace", "call", "game", "focus", "recent-focus", "audible", "typed", "not-while-somebody-works",
               "visible", "minimised", "heavy-io"}  # fmt: skip
    for rule in RULES:
        g = group_of(1000, 1)
        g = replace(g, decision=replace(g.decision, reasons=(Reason(rule.stage, rule.name, SECRET),)))
        told = frame_for(replace(desktop(), groups=(g,)), 1001).groups[0].decision.text
        assert (told == SECRET) is (rule.name not in private), rule.name
