"""Rules made from applications: what they match, and files that keep everything else."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from scenery import classification, identity, known
from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.making import (
    Condition,
    Draft,
    MakingError,
    conditions,
    draft,
    id_for,
    ids_in,
    snippet,
    unified,
    with_rule,
)
from smoothtask.classifier.reading import load
from smoothtask.classifier.saving import NAME, OwnRules, check, propose, refuses, save, take_back
from smoothtask.config.located import ConfigError
from smoothtask.config.yamlfile import load_text
from smoothtask.model.classes import PriorityClass
from smoothtask.model.detail import Clues
from smoothtask.model.group import RuleSource
from smoothtask.model.text import sanitise

IDLE, INTERACTIVE = PriorityClass.IDLE, PriorityClass.INTERACTIVE
EXE = Condition((("exe", "/opt/x"),), "this very file")
RULE = Draft("x-local", "X", "batch", IDLE, EXE)
FILE = """\
# what this machine is about
types:
  mine: {class: IDLE}   # rarely

applications:
# first
- id: one   # keep me
  type: mine
  match:
    - name: [a, b]

- id: x-local
  # said of x
  type: mine
  match:
    - name: x
# the end
"""


def test_what_can_be_matched_is_offered_and_escaped() -> None:
    """A path with a bracket matches itself; an interpreter is offered with its script first."""
    clues = Clues(exe="/opt/a[1]/x", name="x", unit="x.service", flatpak="org.x", wine="X.EXE")
    assert [c.match for c in conditions(clues)] == [
        (("flatpak", "org.x"),), (("wine", "X.EXE"),), (("exe", "/opt/a[[]1]/x"),), (("unit", "x.service"),),
        (("name", "x"),),
    ]  # fmt: skip
    script = conditions(Clues(exe="/usr/bin/python3", name="python3", script="train (1).py"))[0]
    assert script.match == (("name", "python3"), ("cmdline", r"train\ \(1\)\.py"))
    assert conditions(Clues()) == ()


def test_ids_never_take_the_place_of_a_rule_below() -> None:
    """Of one's own rule the id stays; others get one of their own."""
    vendor = known("firefox")
    own = known("firefox-local", source=RuleSource("personal", "local.yaml", 3))
    assert id_for(vendor, frozenset()) == "firefox-local"
    assert id_for(own, frozenset({"firefox-local"})) == "firefox-local"
    assert id_for(vendor, frozenset({"firefox-local"})) == "firefox-local-2"
    assert id_for(classification("exe:/x", label="../Ä b!"), frozenset()) == "b-local"
    assert id_for(classification("exe:/x", label="名前"), frozenset()) == "application-local"


def test_a_known_type_stays_and_an_unknown_one_fits_the_class() -> None:
    assert draft(known("x", type="game"), EXE, IDLE, "", "x-local").type == "game"
    assert draft(classification(), EXE, IDLE, "", "x-local").type == "batch"
    assert draft(classification(), EXE, INTERACTIVE, "", "x-local").type == "utility"
    assert draft(classification(), EXE, IDLE, "indexer", "x-local").type == "indexer"


def test_a_new_file_a_file_without_applications_and_one_with_some() -> None:
    """Comments, order and everything else stay."""
    assert yaml.safe_load(with_rule("", "f", RULE)) == {"applications": [RULE.value]}
    only_types = "types: {mine: {class: IDLE}} # no more"
    assert with_rule(only_types, "f", RULE).startswith(only_types + "\napplications:\n  - id: x-local\n")
    other = Draft("y-local", "Y", "batch", IDLE, EXE)
    after = with_rule(FILE, "f", other)
    assert [line for line in FILE.splitlines() if line not in after.splitlines()] == []
    assert ids_in(after) == {"one", "x-local", "y-local"}
    assert after.endswith("# the end\n")
    diff = unified("f", FILE, after)
    assert not [line for line in diff[2:] if line.startswith("-")]


def test_a_rule_of_the_same_id_is_replaced_and_its_comment_kept() -> None:
    after = with_rule(FILE, "f", RULE)
    assert yaml.safe_load(after)["applications"][1] == RULE.value
    assert "# said of x" in after
    assert "# keep me" in after
    assert after.endswith("# the end\n")
    assert with_rule(after, "f", RULE) == after.replace("  # said of x\n", "  # said of x\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("applications: [{id: a, type: b, match: [{name: c}]}]\n", "f:1: expected `applications:`"),
        ("applications: {}\n", "f:1: expected `applications:`"),
        ("- a\n", "expected a mapping"),
    ],
)
def test_what_cannot_be_changed_by_lines_is_refused(text: str, said: str) -> None:
    with pytest.raises(MakingError, match=said):
        with_rule(text, "f", RULE)


def test_a_broken_file_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match="f:2: not YAML"):
        with_rule("a: 1\n\tb: 2\n", "f", RULE)


names = st.text(min_size=1, max_size=20).map(sanitise)


@given(label=names, value=names, again=names)
def test_any_name_is_written_so_that_it_is_read_again(label: str, value: str, again: str) -> None:
    """Colons, quotes, braces, wide characters, numbers: YAML gives back what was put in."""
    first = Draft("a-local", label, "batch", IDLE, Condition((("name", value),), ""))
    second = Draft("b-local", again, "batch", IDLE, Condition((("name", again),), ""))
    try:
        text = with_rule(with_rule("# mine\n", "f", first), "f", second)
    except (MakingError, ConfigError):
        assume(False)
    assert load_text(text.encode(), "f").value == {"applications": [first.value, second.value]}
    assert yaml.safe_load(snippet(first)) == [first.value]


# --- files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> OwnRules:
    """The machine's layer in a folder that is not there yet."""
    files = RuleFiles(tmp_path / "run", user=tmp_path / "etc" / "rules.d", ananicy=None, homes=False)
    return OwnRules.of(files, 0, tmp_path)


def test_saved_it_holds_and_taken_back_it_is_gone(own: OwnRules) -> None:
    """The folder is made, the file is whole, and `load` follows it."""
    proposal = propose(own, RULE)
    assert proposal.path == own.folder / NAME
    assert any(line.startswith("+") and "/opt/x" in line for line in proposal.diff)
    findings = check(own, proposal)
    assert not refuses(findings), findings
    assert not own.folder.exists()
    save(proposal)
    found = load(own.files).rules.classify(identity(5, exe="/opt/x"), ())
    assert (found.app, found.target, found.certain) == ("x-local", IDLE, True)
    assert found.source is not None
    assert found.source.layer == "user"
    assert (proposal.path.stat().st_mode & 0o777) == 0o644
    assert os.listdir(own.folder) == [NAME]
    take_back(proposal)
    assert os.listdir(own.folder) == []


def test_the_file_that_has_the_id_is_changed_and_comes_back_as_it_was(own: OwnRules) -> None:
    """Its mode stays; comments too."""
    own.folder.mkdir(parents=True)
    theirs = own.folder / "theirs.yaml"
    theirs.write_text(FILE)
    theirs.chmod(0o600)
    proposal = propose(own, RULE)
    assert proposal.path == theirs
    save(proposal)
    assert "# said of x" in theirs.read_text()
    assert (theirs.stat().st_mode & 0o777) == 0o600
    take_back(proposal)
    assert theirs.read_text() == FILE


def test_what_somebody_changed_meanwhile_is_not_lost(own: OwnRules) -> None:
    """Neither by saving nor by taking back."""
    proposal = propose(own, RULE)
    own.folder.mkdir(parents=True)
    (own.folder / NAME).write_text("# somebody's\n")
    with pytest.raises(MakingError, match="changed meanwhile"):
        save(proposal)
    with pytest.raises(MakingError, match="changed meanwhile"):
        take_back(proposal)
    (own.folder / NAME).unlink()
    save(proposal)
    (own.folder / NAME).unlink()
    with pytest.raises(MakingError, match="is gone"):
        take_back(proposal)


def test_a_link_is_not_followed(own: OwnRules, tmp_path: Path) -> None:
    """Whoever put it there would have us write elsewhere."""
    own.folder.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("types: {}\n")
    (own.folder / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MakingError, match="regular file"):
        propose(own, RULE)


def test_lint_refuses_with_file_and_line(own: OwnRules) -> None:
    """A type that is not there; what starts others may not be lowered."""
    for kind, said in (("nonsense", "undefined type nonsense"), ("shell", "lowers what starts other programs")):
        proposal = propose(own, Draft("x-local", "X", kind, IDLE, EXE))
        findings = check(own, proposal)
        assert refuses(findings)
        assert any(said in str(f) and str(f).startswith(f"{proposal.path}:") for f in findings)


def test_a_person_may_not_ask_for_more_than_normal(tmp_path: Path, monkeypatch: Any) -> None:
    """Their layer is in their home, and the refusal is lint's, with the line."""
    import pwd

    me = pwd.getpwuid(os.getuid())
    mine = pwd.struct_passwd((me[0], me[1], me[2], me[3], me[4], str(tmp_path), me[6]))
    monkeypatch.setattr(pwd, "getpwall", lambda: [mine])
    files = RuleFiles(tmp_path / "run", user=tmp_path / "no", ananicy=None)
    own = OwnRules.of(files, 1000, tmp_path)
    assert own.layer == "personal"
    from smoothtask.classifier.lint import findings_in

    def look(rule: Draft) -> list[str]:
        p = propose(own, rule)
        ahead = RuleFiles(tmp_path / "run", user=tmp_path / "no", ananicy=None, instead={str(p.path): p.after.encode()})
        return [str(f) for f in findings_in(ahead, str(p.path))]

    assert look(RULE) == []
    (said,) = look(Draft("x-local", "X", "batch", INTERACTIVE, EXE))
    assert f"{tmp_path}/.config/smoothtask/rules.d/local.yaml:" in said
    assert "error" in said
    assert "only the administrator can ask for more than NORMAL" in said
