"""Rules: which one wins, what is refused, what a broken file says."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import identity
from smoothtask.classifier import ananicy
from smoothtask.classifier.apart import Reading, see
from smoothtask.classifier.layers import VENDOR, RuleFiles
from smoothtask.classifier.lint import Severity, lint, why
from smoothtask.classifier.match import RuleSet
from smoothtask.classifier.reading import _Types, load, personal
from smoothtask.classifier.regex import check
from smoothtask.classifier.schema import TypeRule
from smoothtask.config.located import ConfigError, Problem
from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.group import ProcessType

TYPES = """
types:
  low: {class: IDLE, certain: true, process_type: batch}
  plain: {process_type: gui}
"""


def files(tmp_path: Path, **layers: str) -> RuleFiles:
    """Layers of one file each; the vendor one begins with two types."""
    for name, text in layers.items():
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "a.yaml").write_text((TYPES if name == "vendor" else "") + text)
    where = {n: tmp_path / n for n in ("vendor", "distro", "user", "runtime")}
    return RuleFiles(**where, ananicy=tmp_path / "ananicy", homes=False)


def app(app_id: str, kind: str, match: str) -> str:
    """One application."""
    return f"  - id: {app_id}\n    type: {kind}\n    match: [{match}]\n"


@pytest.mark.parametrize(
    ("match", "process"),
    [
        ("{name: foo}", {"name": "foo"}),
        ("{name: a-name-of-twenty-chars}", {"name": "a-name-of-twent"}),
        ("{exe: '/opt/*/foo'}", {"exe": "/opt/x/foo"}),
        ("{cmdline: 'mine.*craft'}", {"cmdline": ("java", "-jar", "minecraft.jar")}),
        ("{flatpak: org.x.Y}", {"flatpak": "org.x.Y"}),
        ("{snap: foo}", {"snap": "foo"}),
        ("{unit: 'app-foo*.scope'}", {"unit": "app-foo-12.scope"}),
        ("{cgroup: '/system.slice/*'}", {"cgroup": "/system.slice/x.service"}),
        ("{user: [alice]}", {"user": "alice"}),
        ("{user: 1000}", {}),
        ("{environ: {SteamAppId: '*'}}", {"environ": frozenset({("SteamAppId", "7")})}),
        ("{wine: 'GAME.exe'}", {"wine_exe": "game.EXE"}),
        ("{container: '*'}", {"container": "0123456789ab"}),
        ("{tty: true}", {"tty": "pts/1"}),
    ],
)
def test_every_condition(tmp_path: Path, match: str, process: dict[str, object]) -> None:
    """Holds for what it names, and not for another process."""
    rules = load(files(tmp_path, vendor="applications:\n" + app("x", "low", match))).rules
    found = rules.classify(identity(5, **{"name": "other", **process}), ())
    assert (found.app, found.target) == ("x", PriorityClass.IDLE)
    assert found.source is not None
    assert found.evidence
    assert rules.classify(identity(6, name="stranger", uid=7), ()).source is None


def test_parents_and_ancestors(tmp_path: Path) -> None:
    """A parent is the next one up, an ancestor any."""
    text = "applications:\n" + app("p", "low", "{parent: steam}") + app("a", "plain", "{ancestor: grandpa}")
    rules = load(files(tmp_path, vendor=text)).rules
    steam, grandpa = identity(3, name="steam"), identity(2, name="grandpa")
    assert rules.classify(identity(4), (steam, grandpa)).app == "p"
    assert rules.classify(identity(4), (identity(3), grandpa)).app == "a"
    assert rules.classify(identity(4), (identity(3), steam)).source is None


def test_the_higher_layer_then_the_more_specific_then_the_later_wins(tmp_path: Path) -> None:
    """And `why` says so."""
    vendor = "applications:\n" + app("name", "low", "{name: foo}") + app("exe", "plain", "{exe: /bin/foo}")
    vendor += app("late", "plain", "{name: foo}")
    foo = identity(5, name="foo", exe="/bin/foo")
    rules = load(files(tmp_path, vendor=vendor)).rules
    assert [m.rule.id for m in rules.candidates(foo, ())] == ["exe", "late", "name"]
    assert "less specific" in why(rules.candidates(foo, ()))[1]
    rules = load(files(tmp_path, vendor=vendor, user="applications:\n" + app("mine", "low", "{name: foo}"))).rules
    assert rules.classify(foo, ()).app == "mine"


def test_the_same_id_in_a_higher_layer_replaces(tmp_path: Path) -> None:
    """The lower one matches nothing any more."""
    f = files(
        tmp_path,
        vendor="applications:\n" + app("x", "low", "{name: foo}"),
        distro="applications:\n" + app("x", "low", "{name: bar}"),
    )
    assert load(f).rules.classify(identity(5, name="foo"), ()).source is None


def test_every_error_of_every_file_at_once(tmp_path: Path) -> None:
    """With file, line and field; and the child says the same."""
    user = "applications:\n" + app("x", "undefined", "{name: a}") + app("y", "low", "{cmdline: '('}")
    f = files(tmp_path, vendor="surprise: 1\n", user=user, runtime="types: {t: {class: FASTEST}}\n")
    with pytest.raises(ConfigError) as caught:
        load(f)
    said = [str(p) for p in caught.value.problems]
    assert any("a.yaml:5" in s and "surprise" in s for s in said)
    assert any("class" in s for s in said)
    assert any("regular expression" in s for s in said)
    with pytest.raises(ConfigError) as again:
        Reading(f, tmp_path / "kept").result()
    assert not (tmp_path / "kept").exists()
    assert again.value.problems == caught.value.problems
    assert {f.severity for f in lint(f)} == {Severity.ERROR}


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|b*)*c", r"(x)\1", "(.*a){99}", ".*.*.*.*x", "(", "a" * 600])
def test_expressions_that_could_take_for_ever_are_refused(pattern: str) -> None:
    """A person's own rules run as root."""
    with pytest.raises(ValueError, match=r"."):
        check(pattern)


def test_lint_names_the_shadowed_and_the_unsafe(tmp_path: Path) -> None:
    """Each with its line."""
    text = "applications:\n" + app("x", "low", "{name: foo}") + app("y", "low", "{name: foo}")
    text += "  - {id: z, type: low, starts_others: true, match: [{name: sh}]}\n" + app("i", "low", "{name: python3}")
    found = {(f.field, f.severity) for f in lint(files(tmp_path, vendor=text))}
    assert ("x", Severity.WARNING) in found  # y says the same later
    assert ("z", Severity.ERROR) in found
    assert ("i", Severity.WARNING) in found


def test_the_vendor_layer_is_sound_and_large(tmp_path: Path) -> None:
    """Loaded in a child, as the daemon does."""
    f = RuleFiles(vendor=VENDOR, distro=tmp_path, user=tmp_path, runtime=tmp_path, ananicy=None, homes=False)
    rules = Reading(f, tmp_path / "kept").result().rules
    assert len(rules.rules) >= 300
    assert [x for x in lint(f) if x.severity is Severity.ERROR] == []
    assert rules.classify(identity(5, name="firefox", exe="/usr/lib/firefox/firefox"), ()).type == "browser"


def test_a_signature_changes_with_a_file(tmp_path: Path) -> None:
    """That is what hot reload looks at."""
    f = files(tmp_path, vendor="applications:\n" + app("x", "low", "{name: foo}"))
    before = see(f)
    assert see(f) == before
    (tmp_path / "vendor" / "b.yaml").write_text("types: {}\n")
    assert see(f) != before


def test_16000_ananicy_rules_are_a_prior(tmp_path: Path) -> None:
    """Below every rule of ours, by exact names of any length, with the defects of real files."""
    folder = tmp_path / "ananicy"
    folder.mkdir()
    (folder / "00.types").write_text(
        '{"type": "Game", "nice": -5}\n{"type": "BG_CPUIO", "nice": 16, "sched": "idle"}\n'
    )
    lines = [json.dumps({"name": f"Some Long Game Name {n}.exe", "type": "Game"}) for n in range(16_000)]
    lines += ['{"name": "foo", "type": "BG_CPUIO"}+', "# comment", "", "{broken", '{"name": "thing", "type": "TODO"}']
    lines += ['{"name": "launcher", "type": "BG_CPUIO"}', '{"name": "Launcher", "type": "Game"}']
    lines += ['{"name": "sshd", "type": "BG_CPUIO"}']
    (folder / "games.rules").write_bytes("\n".join(lines).encode() + b'\n{"name": "\xff"}\n')
    f = files(tmp_path, vendor="applications:\n" + app("ours", "plain", "{name: launcher}"))
    loaded = load(f)
    classify = loaded.rules.classify
    game = classify(identity(5, name="Some Long Game ", wine_exe="Some Long Game Name 7.exe"), ())
    assert (game.type, game.certain, game.source and game.source.line) == ("game", False, 8)
    assert classify(identity(5, name="foo"), ()).target is PriorityClass.BACKGROUND
    assert classify(identity(5, name="launcher"), ()).app == "ours"
    assert classify(identity(5, name="Launcher"), ()).type == "game"
    assert classify(identity(5, name="sshd"), ()).target is None
    assert {p.line for p in loaded.problems} == {16_001, 16_004, 16_005}


@given(st.text(max_size=200))
def test_no_line_breaks_the_ananicy_parser(text: str) -> None:
    """It gives an object, a problem, or neither."""
    entry, problem = ananicy.parse_line(text)
    assert entry is None or isinstance(entry, dict)
    assert problem is None or isinstance(problem, str)


def test_a_persons_own_rules_are_their_word_about_their_own(tmp_path: Path) -> None:
    """Not protection, not more than NORMAL, no link, nobody else's file."""
    folder = tmp_path / ".config/smoothtask/rules.d"
    folder.mkdir(parents=True)
    text = "applications:\n" + app("x", "low", "{name: foo}") + app("up", "high", "{name: a}")
    text += "  - {id: p, type: low, protected: true, match: [{name: b}]}\n"
    (folder / "a.yaml").write_text("types: {high: {class: LATENCY_CRITICAL}}\n" + text)
    (folder / "b.yaml").symlink_to("/etc/passwd")
    (folder / "c.yaml").write_text(text)
    (folder / "c.yaml").chmod(0o666)
    problems: list[Problem] = []
    types = _Types({"low": TypeRule.model_validate({"class": "IDLE"})})
    rules = personal(os.getuid(), tmp_path, types, problems)
    assert [r.id for r in rules] == ["x"]
    assert [Path(p.file).name for p in problems] == ["b.yaml", "c.yaml", "a.yaml", "a.yaml"]
    rule_set = RuleSet((), {1000: rules})
    assert rule_set.classify(identity(5, name="foo", uid=1000), ()).app == "x"
    assert rule_set.classify(identity(5, name="foo", uid=1001), ()).source is None
    assert personal(os.getuid() + 1, tmp_path, _Types(), []) == ()


def test_what_no_rule_knows_is_guessed() -> None:
    """From where it runs; kernel threads and pid 1 are protected."""
    rules = RuleSet(())
    assert rules.classify(identity(5, tty="pts/1"), ()).process_type is ProcessType.CLI
    daemon = identity(5, unit="x.service", cgroup="/system.slice/x.service")
    assert rules.classify(daemon, ()).process_type is ProcessType.SERVICE
    assert rules.classify(identity(5, exe="/opt/x"), ()).app == "exe:/opt/x"
    assert rules.classify(identity(1), ()).protected
    assert rules.classify(identity(9, kernel_thread=True), ()).protected


LIMITED = """
  - id: x
    type: limited
    match: [{name: x}]
  - id: y
    type: limited
    limits: {cpu_idle: true}
    match: [{name: y}]
"""


def test_limits_come_from_the_type_or_the_application(tmp_path: Path) -> None:
    """An application's replace its type's."""
    types = "types: {limited: {limits: {cpu: 150%, memory_high: 2G, io_read: 10M, io_write: 65536}}}\n"
    rules = load(files(tmp_path, user=f"{types}applications:{LIMITED}")).rules
    found = [rules.classify(identity(5, name=n), []).limits for n in "xyz"]
    assert found == [Limits(150.0, False, 2 << 30, 10 << 20, 65536), Limits(cpu_idle=True), NO_LIMITS]


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        ("{cpu: lots}", "80%"),
        ("{cpu: 1}", "cpu: expected 5% to"),
        ("{memory_high: 2 apples}", "500M"),
        ("{memory_high: 1M}", "memory_high: expected 32.0 MiB"),
        ("{cpus: 5}", "Extra inputs"),
        ("{}", "at least one of"),
        ("80%", "dictionary"),
    ],
)
def test_limits_that_cannot_be_are_said_with_their_line(tmp_path: Path, limits: str, word: str) -> None:
    """And what was expected."""
    with pytest.raises(ConfigError) as caught:
        load(files(tmp_path, user=f"types: {{t: {{}}}}\napplications:\n- {{id: a, type: t, limits: {limits},\n"
                                  "   match: [{name: a}]}\n"))  # fmt: skip
    (problem,) = caught.value.problems
    assert problem.line == 3
    assert word in problem.message
