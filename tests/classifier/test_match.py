"""Matching: names cut and whole, exact and global values, precedence, evidence."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import identity
from smoothtask.classifier.lint import why
from smoothtask.classifier.match import Prior, PriorTable, Rule, RuleSet
from smoothtask.classifier.regex import PERSONAL_TEXT, SHARED_TEXT
from smoothtask.classifier.schema import ApplicationRule, TypeRule, rule_of
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import ProcessType, RuleSource

TYPES = {"t": TypeRule.model_validate({"class": "BACKGROUND", "tags": ["x"]})}


def rule(app_id: str, *match: Mapping[str, object], layer: str = "vendor", **fields: object) -> Rule:
    """One application's."""
    app = ApplicationRule.model_validate({"id": app_id, "type": "t", "match": match, **fields})
    return rule_of(app, TYPES, RuleSource(layer, f"{layer}.yaml", 1))


@pytest.mark.parametrize(
    ("process", "found"),
    [
        ({"name": "gnome-terminal-"}, True),  # comm is all that is known
        ({"name": "gnome-terminal-", "exe": "/usr/libexec/gnome-terminal-server"}, True),
        ({"name": "gnome-terminal-", "exe": "/usr/bin/python3"}, True),  # a script of that name
        ({"name": "gnome-terminal-", "exe": "/usr/bin/gnome-terminal-other"}, False),
        ({"name": "gnome-terminal-", "exe": "/usr/bin/x", "cmdline": ("gnome-terminal-other",)}, False),
        ({"name": "x", "exe": "/usr/bin/gnome-terminal-"}, False),  # a whole name of 15 bytes is not a cut one
        ({"name": "gnome-terminal"}, False),
    ],
)
@pytest.mark.parametrize("more", [{}, {"flatpak": "org.x"}])
def test_a_name_of_15_bytes_may_be_the_beginning_of_a_longer_one(
    process: dict[str, object], found: bool, more: dict[str, object]
) -> None:
    """Unless something better tells the whole name; the same beside another condition."""
    rules = RuleSet([rule("terminal", {"name": "gnome-terminal-server", **more})])
    said = rules.classify(identity(5, **{"name": "x", **process, **more}), ())
    assert (said.app == "terminal") is found


@pytest.mark.parametrize(
    ("process", "evidence"),
    [
        ({"name": "meson", "exe": "/usr/bin/python3", "cmdline": ("python3", "/usr/bin/meson")}, "name meson"),
        ({"name": "x", "exe": "/usr/bin/python3", "cmdline": ("/opt/meson", "setup")}, "name meson"),
        ({"name": "x", "exe": "/opt/meson"}, "name meson"),
    ],
)
def test_the_evidence_is_what_matched(process: dict[str, object], evidence: str) -> None:
    """By exe, argv[0] or comm: not always the name that is shown."""
    assert RuleSet([rule("meson", {"name": "meson"})]).classify(identity(5, **process), ()).evidence == evidence


def test_parents_have_the_same_names_as_processes() -> None:
    """A launcher that is a script is known by its comm, like any other."""
    script = identity(3, name="steam", exe="/bin/bash", cmdline=("bash", "/usr/bin/steam"))
    other = identity(2, name="other")
    rules = RuleSet([rule("p", {"parent": "steam"}), rule("a", {"ancestor": "steam"})])
    assert rules.classify(identity(4), (script,)).app == "p"
    assert rules.classify(identity(4), (other, script)).app == "a"
    assert rules.classify(identity(4), (other, script)).evidence == "ancestor steam"
    assert rules.classify(identity(4), (other,)).source is None
    assert rules.classify(identity(4), ()).source is None


def test_globs_are_case_sensitive_but_for_windows_programs() -> None:
    """Exact or not."""
    rules = RuleSet(
        [
            rule("exact", {"wine": "Game.exe"}),
            rule("glob", {"wine": "Tool*.exe"}),
            rule("path", {"exe": "/opt/Foo*"}),
        ]
    )
    assert rules.classify(identity(5, wine_exe="GAME.EXE"), ()).app == "exact"
    assert rules.classify(identity(5, wine_exe="tool 2.exe"), ()).app == "glob"
    assert rules.classify(identity(5, exe="/opt/foo1"), ()).source is None
    assert rules.classify(identity(5, exe="/opt/Foo1"), ()).app == "path"


def test_units_are_compared_with_the_slice_too() -> None:
    """Exact or not; the evidence says which it was."""
    rules = RuleSet([rule("exact", {"unit": "machine.slice"}), rule("glob", {"unit": "app-foo*"})])
    found = rules.classify(identity(5, unit="x.scope", slice="machine.slice"), ())
    assert (found.app, found.evidence) == ("exact", "unit machine.slice")
    found = rules.classify(identity(5, unit="x.scope", slice="app-foo.slice"), ())
    assert (found.app, found.evidence) == ("glob", "slice app-foo.slice")


def test_every_condition_of_an_alternative_must_hold_and_any_value_of_each() -> None:
    """In any order of keys."""
    rules = RuleSet([rule("x", {"cmdline": ["nothing", "craft"], "name": ["java", "javaw"], "tty": False})])
    java = {"name": "java", "cmdline": ("java", "minecraft.jar")}
    assert rules.classify(identity(5, **java), ()).app == "x"
    assert rules.classify(identity(5, **{**java, "tty": "pts/1"}), ()).source is None
    assert rules.classify(identity(5, **{**java, "name": "x", "cmdline": ("x", "minecraft.jar")}), ()).source is None
    assert rules.classify(identity(5, name="java", cmdline=("java", "other.jar")), ()).source is None


def test_precedence() -> None:
    """Layer, then what was matched, then the later one; ananicy's prior is below all."""
    process = identity(
        5, name="foo", exe="/opt/foo", flatpak="org.x.Foo", wine_exe="foo.exe", cmdline=("foo", "--x"),
        environ=frozenset({("CI", "1")}), unit="app-foo.scope",
    )  # fmt: skip
    matches = {
        "flatpak": {"flatpak": "org.x.Foo"}, "wine": {"wine": "foo.exe"}, "glob": {"exe": "/opt/*"},
        "environ": {"environ": {"CI": "*"}}, "cmdline": {"cmdline": "--x"}, "name": {"name": "foo"},
        "parent": {"parent": "sh"},
    }  # fmt: skip
    prior = Prior("game", PriorityClass.INTERACTIVE, ProcessType.GUI, frozenset())
    priors = PriorTable([prior], ["/etc/x.rules"], {"foo": (0, 0, 7)})
    rules = RuleSet([rule(name, match) for name, match in reversed(matches.items())], priors=priors)
    found = rules.candidates(process, (identity(4, name="sh"),))
    assert [m.rule.id for m in found] == [*matches, "foo"]
    assert why(found)[-1].startswith("loses  /etc/x.rules:7: foo (game, INTERACTIVE) by name foo: layer ananicy")
    low = rule("low", {"user": "1000"}, layer="user")
    assert RuleSet([low, rule("flatpak", {"flatpak": "org.x.Foo"})]).classify(process, ()).app == "low"


def test_a_personal_rule_is_above_all_for_its_owner() -> None:
    """And nothing for anybody else."""
    mine = rule("mine", {"name": "foo"}, layer="personal")
    rules = RuleSet([rule("theirs", {"exe": "/bin/foo"}, layer="runtime")], {1000: [mine]})
    assert rules.classify(identity(5, name="foo", exe="/bin/foo", uid=1000), ()).app == "mine"
    assert rules.classify(identity(5, name="foo", exe="/bin/foo", uid=1001), ()).app == "theirs"


def test_expressions_see_the_beginning_of_a_command_line() -> None:
    """A shorter one those of a person."""
    rules = RuleSet([rule("x", {"cmdline": "needle"})], {7: [rule("mine", {"cmdline": "needle"}, layer="personal")]})
    inside = identity(5, uid=7, cmdline=("x" * (PERSONAL_TEXT - 6) + "needle",))
    assert rules.classify(inside, ()).app == "mine"
    beyond = identity(5, uid=7, cmdline=("x" * (PERSONAL_TEXT - 5) + "needle",))
    assert rules.classify(beyond, ()).app == "x"
    assert rules.classify(identity(5, uid=7, cmdline=("x" * SHARED_TEXT, "needle")), ()).source is None


def test_a_prior_is_never_certain_and_never_protects() -> None:
    """By any of a process's names."""
    prior = Prior("game", PriorityClass.INTERACTIVE, ProcessType.GUI, frozenset({"game"}))
    rules = RuleSet((), priors=PriorTable([prior], ["f.rules"], {"Long Name.exe": (0, 0, 3)}))
    said = rules.classify(identity(5, exe="/usr/bin/wine64-preloader", wine_exe="Long Name.exe"), ())
    assert (said.app, said.type, said.certain, said.protected) == ("Long Name.exe", "game", False, False)
    assert str(said.source) == "f.rules:3"


def test_what_no_rule_knows_is_on_the_screen_only_as_an_application_of_its_session() -> None:
    """A daemon that inherited DISPLAY is none."""
    shown = {"environ": frozenset({("DISPLAY", ":0")})}
    rules = RuleSet(())
    assert rules.classify(identity(5, unit="app-x.scope", **shown), ()).process_type is ProcessType.GUI
    assert rules.classify(identity(5, unit="x.service", **shown), ()).process_type is ProcessType.DAEMON


NAMES = st.text(alphabet="ab-é", min_size=1, max_size=20)


@given(st.lists(NAMES, min_size=1, max_size=20), NAMES, st.sampled_from(["name", "exe", "flatpak", "unit", "user"]))
def test_the_index_finds_what_trying_every_rule_would(values: list[str], value: str, key: str) -> None:
    """The last of equal rules, or none."""
    rules = RuleSet([rule(f"r{n}", {key: v}) for n, v in enumerate(values)])
    process = identity(5, **{"name": "x", key: value})
    expected = max((n for n, v in enumerate(values) if v == value), default=None)
    cut = key == "name" and any(len(v.encode()) > 15 for v in values)
    found = rules.classify(process, ())
    if not cut:
        assert found.app == (f"r{expected}" if expected is not None else found.app)
        assert (found.source is None) is (expected is None)
