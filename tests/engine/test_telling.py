"""What `detail` and `rules` tell, and to whom."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import IDLE, INTERACTIVE, identity, system
from smoothtask.classifier.match import Rule, RuleSet
from smoothtask.collector.sampler import Sample
from smoothtask.engine.commands import Commands
from smoothtask.engine.engine import Engine
from smoothtask.engine.frames import class_changes
from smoothtask.engine.people import Labels, People
from smoothtask.engine.trail import KEPT, Trail
from smoothtask.engine.world import World
from smoothtask.model.change import Acted
from smoothtask.model.command import Caller, Detail, Explain, ListRules, Pause, Redo, Rehearse, Reply, Undo
from smoothtask.model.decision import Decision, Stage
from smoothtask.model.detail import InForce
from smoothtask.model.frame import Mode
from smoothtask.model.group import ProcessType, RuleSource
from smoothtask.model.tasks import PROCESS_DTYPE, RATES_DTYPE, THREAD_DTYPE, TaskTable

SCRIPT = identity(100, name="python3", exe="/usr/bin/python3", cmdline=("python3", "-u", "train.py"), uid=1000)
KEPT_VALUE = InForce("scheduling of 2 threads", "nice 0", "nice +19", 5.0, "it hogs")
ROOT, OWNER, OTHER = Caller(0), Caller(1000), Caller(1001)


def rule(name: str, layer: str = "vendor") -> Rule:
    """By name."""
    return Rule(
        name, name.title(), "batch", IDLE, True, frozenset(), ProcessType.CLI, False, False, None, 0.0,
        RuleSource(layer, f"{layer}.yaml", 3), ({"name": (name,)},),
    )  # fmt: skip


def engine(rules: RuleSet) -> Engine:
    """One that has ticked once: one process with two threads."""
    processes = np.zeros(1, PROCESS_DTYPE)
    processes["pid"], processes["start_ticks"] = SCRIPT.key
    processes["uid"], processes["comm"] = 1000, b"python3"
    threads = np.zeros(3, THREAD_DTYPE)
    threads["tgid"], threads["tid"], threads["run_ns"] = [100, 100, 7], [100, 101, 7], [5, 9, 1]
    threads["comm"] = [b"python3", b"wor\x1bker", b"else"]
    table = TaskTable(threads, processes, 10**9, "procfs")
    parts: dict[str, Any] = {
        "sampler": SimpleNamespace(sample=lambda *_: Sample(table, np.zeros(1, RATES_DTYPE), system(), 0.0)),
        "world": World(lambda *_: SCRIPT, rules.classify, lambda _pid: None),
        "hands": SimpleNamespace(act=lambda *_, **__: Acted(), in_force=lambda *_: (KEPT_VALUE,) * 70),
        "people": People(
            (), lambda _pins: None, Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
        ),
    }
    made = Engine(**parts, record=lambda _frame: None)
    made.tick()
    return made


def commands_of(rules: RuleSet) -> Commands:
    """What *rules* decide for one process."""
    return Commands(engine(rules), lambda: Reply(True, ""), rules=lambda: rules, since=7.0)


def switchable(commands: Commands) -> Engine:
    """An engine that can put back, and rehearse."""
    e = commands.engine
    e.hands.undo_all = lambda: ()  # type: ignore[method-assign]
    e.rehearsal = e.hands
    return e


@pytest.fixture
def commands() -> Commands:
    """Rules of everybody's, of uid 1000's and of uid 1001's."""
    rules = RuleSet(
        (rule("python3"), rule("gimp")), {1000: (rule("mine", "personal"),), 1001: (rule("theirs", "personal"),)}
    )
    return commands_of(rules)


def test_everything_is_told_to_root_and_to_its_owner(commands: Commands) -> None:
    """Clues for a rule, the ledger's values, threads on demand, suppositions."""
    for caller in (ROOT, OWNER):
        reply = commands.handle(Detail("100", threads=True), caller)
        data = reply.data
        assert reply.ok
        assert data["is_whole"]
        assert (len(data["in_force"]), data["more_in_force"]) == (60, 10)
        assert data["in_force"][0]["new"] == "nice +19"
        assert [(t["tid"], t["name"]) for t in data["threads"]] == [(101, "wor\ufffdker"), (100, "python3")]
        assert data["clues"] == {
            "exe": "/usr/bin/python3", "name": "python3", "unit": "", "flatpak": "", "snap": "", "wine": "",
            "script": "train.py",
        }  # fmt: skip
        assert data["processes"][0]["command"] == "python3 -u train.py"
        assert any(s["what"] == "pinned to IDLE" and s["target"] == IDLE for s in data["what_if"])
        assert data["past"][0]["new"] == IDLE
    assert commands.handle(Detail("100"), ROOT).data["threads"] == ()


def test_processes_that_explain_does_not_name_are_counted(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does something to all of them has to know that there are more."""
    data = commands.handle(Explain("100"), ROOT).data
    assert (len(data["processes"]), data["more_processes"]) == (1, 0)
    monkeypatch.setattr("smoothtask.engine.commands.EXPLAINED_PROCESSES", 0)
    data = commands.handle(Explain("100"), ROOT).data
    assert (data["processes"], data["more_processes"]) == ([], 1)


def test_others_see_no_arguments_and_no_reasons(commands: Commands) -> None:
    """Of what `explain` tells, the command lines, the evidence and the attention are its owner's."""
    for caller, command in ((ROOT, "python3 -u train.py"), (OWNER, "python3 -u train.py"), (OTHER, "python3")):
        data = commands.handle(Explain("100"), caller).data
        assert [p["command"] for p in data["processes"]] == [command]
        assert (data["evidence"] == "name python3") is (caller is not OTHER)
        assert data["class"] == "IDLE"


def test_others_see_no_threads_and_no_clues(commands: Commands) -> None:
    """What was decided and changed is no secret; why is."""
    data = commands.handle(Detail("100", threads=True), OTHER).data
    assert not data["is_whole"]
    assert (data["threads"], data["clues"]["exe"], data["clues"]["script"]) == ((), "", "")
    assert data["in_force"]
    assert data["what_if"]
    assert {x["text"] for x in (*data["what_if"], *data["past"])} == {""}
    assert {x["why"] for x in data["in_force"]} == {""}
    assert [p["command"] for p in data["processes"]] == ["python3"]


def test_a_rule_says_what_it_has_matched(commands: Commands) -> None:
    """One's own personal rules are seen, somebody else's by root alone."""
    data = commands.handle(ListRules(), OWNER).data
    uses = {r["id"]: (r["layer"], r["processes"], r["matched"], r["target"]) for r in data["rules"]}
    assert uses == {
        "python3": ("vendor", 1, 1, IDLE), "gimp": ("vendor", 0, 0, IDLE), "mine": ("personal", 0, 0, IDLE),
    }  # fmt: skip
    assert (data["since"], data["left_out"]) == (7.0, 0)
    assert {r["id"] for r in commands.handle(ListRules(), ROOT).data["rules"]} == {*uses, "theirs"}
    commands.engine.world.reclassify()
    assert commands.engine.world.matched["vendor", "python3"] == 1


def test_pause_and_dry_run_are_undone_and_done_again(commands: Commands) -> None:
    """By root; what is so already is no deed."""
    e = switchable(commands)
    assert not commands.handle(Pause(True), OWNER).ok
    for order, mode in ((Pause(True), Mode.PAUSED), (Rehearse(True), Mode.DRY_RUN)):
        assert commands.handle(order, ROOT).message.endswith("undo takes it back")
        assert "takes it back" not in commands.handle(order, ROOT).message  # again: nothing new
        assert e.mode is mode
        assert commands.handle(Undo(), ROOT).ok
        assert e.mode is Mode.RULES_ONLY
        assert commands.handle(Redo(), ROOT).ok
        assert e.mode is mode
        assert commands.handle(Undo(), ROOT).ok
        assert e.mode is Mode.RULES_ONLY
        assert commands.handle(Undo(), ROOT).message == "nothing to undo"


@given(st.lists(st.sampled_from([Pause(True), Pause(False), Rehearse(True), Rehearse(False), Undo(), Redo()])))
def test_a_dry_run_ends_no_pause_and_a_pause_no_dry_run(orders: list[Pause | Rehearse | Undo | Redo]) -> None:
    """Whatever is switched and taken back in whatever order: two switches, and a list of what they were."""
    commands = commands_of(RuleSet((rule("python3"),)))
    e = switchable(commands)
    now, done, undone = (False, False), [], []
    for order in orders:
        reply, before = commands.handle(order, ROOT), now
        if isinstance(order, Undo | Redo):
            source, other = (done, undone) if isinstance(order, Undo) else (undone, done)
            assert reply.ok is bool(source)
            if source:
                other.append(now)
                now = source.pop()
        else:
            now = (order.on, now[1]) if isinstance(order, Pause) else (now[0], order.on)
            if now != before:
                done.append(before)
                undone.clear()
            assert reply.message.endswith("undo takes it back") is (now != before)
            assert ("decisions are applied" in reply.message) is (now == (False, False))
        assert (e.paused, e.rehearsing) == now
        assert e.mode is (Mode.PAUSED if now[0] else Mode.DRY_RUN if now[1] else Mode.RULES_ONLY)


def test_who_stands_still_for_a_moment_is_no_deed(commands: Commands) -> None:
    """After ctrl+z and `fg` undo takes back what was done before, and redo what was undone."""
    e = switchable(commands)
    for order in (Rehearse(True), Pause(True), Undo()):
        assert commands.handle(order, ROOT).ok
    for on in (True, False):
        assert commands.handle(Pause(on, passing=True), ROOT).ok
        assert e.paused is on
    assert commands.handle(Redo(), ROOT).message.startswith("done again: pause")
    assert commands.handle(Undo(), ROOT).message.startswith("undone: pause")
    assert commands.handle(Undo(), ROOT).message.startswith("undone: dry-run")
    assert not commands.handle(Undo(), ROOT).ok


def test_the_trail_is_bounded_and_ends_with_its_group() -> None:
    """The newest changes are kept."""
    trail, classes = Trail(), (IDLE, INTERACTIVE)
    for i in range(2 * KEPT):
        new = classes[i % 2]
        decisions = [Decision("g", new, new, Stage.RULE, ())]
        for before in (classes[(i + 1) % 2], new):
            trail.follow(class_changes(decisions, {"g": before}), float(i))
    assert [c.time for c in trail.of("g")] == [float(i) for i in range(KEPT, 2 * KEPT)]
    trail.forget(frozenset({"other"}))
    assert trail.of("g") == ()


def test_what_a_rule_of_ones_own_says_is_not_told_to_others() -> None:
    """By `explain` and `detail`; the name of its program is."""
    mine = replace(rule("python3", "personal"), label="S3cret", id="s3cret", type="s3cret")
    commands = commands_of(RuleSet((), {1000: (mine,)}))
    for order in (Explain("100"), Detail("100")):
        assert "S3cret" in repr(commands.handle(order, OWNER))
        told = commands.handle(order, OTHER)
        assert told.ok
        assert "s3cret" not in repr(told).casefold()
        assert told.message.startswith("python3 is ")


def test_a_conflict_is_of_the_application_that_it_names() -> None:
    """So that others are not told of it; what names none is of none."""
    e = engine(RuleSet((rule("python3"),)))
    assert e.frame is not None
    group_id = e.frame.groups[0].group.id
    said = (f"{group_id}: thread 7 is left alone", "nothing is changed any more: full", "proc:1-1: gone")
    e.hands.act = lambda *_, **__: Acted(events=said)  # type: ignore[method-assign]
    e.tick()
    told = [(x.text, x.group) for x in e.frame.events if x.kind == "conflict"]
    assert told == list(zip(said, (group_id, None, None), strict=True))
