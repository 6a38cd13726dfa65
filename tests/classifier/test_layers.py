"""Layers: what a higher one changes, what a person may say, what hot reload sees; nothing hangs or hides."""

import grp
import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from scenery import identity
from smoothtask.classifier import reading
from smoothtask.classifier.apart import see
from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.reading import load
from smoothtask.config.located import ConfigError, Problem
from smoothtask.model.classes import PriorityClass

FOO = "applications: [{id: foo, type: t, match: [{name: foo}]}]\n"


def files(tmp_path: Path, *, homes: bool = False, **texts: str) -> RuleFiles:
    """Layers of one file each; the vendor one defines the type t."""
    for layer, text in {"vendor": "types: {t: {class: IDLE}}\n", **texts}.items():
        (tmp_path / layer).mkdir(exist_ok=True)
        (tmp_path / layer / "a.yaml").write_text(text)
    where = {n: tmp_path / n for n in ("vendor", "distro", "user", "runtime")}
    return RuleFiles(**where, ananicy=tmp_path / "ananicy", homes=homes)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only person's, who is the one that runs this."""
    person = SimpleNamespace(pw_name="ann", pw_uid=os.getuid(), pw_gid=os.getgid(), pw_dir=str(tmp_path / "home"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [person])
    folder = tmp_path / "home/.config/smoothtask/rules.d"
    folder.mkdir(parents=True)
    return folder


def own(tmp_path: Path) -> tuple[list[str], tuple[Problem, ...]]:
    """The person's rules, and what was wrong."""
    loaded = load(files(tmp_path, homes=True))
    return [r.id for rules in loaded.rules.personal.values() for r in rules], loaded.problems


def test_a_type_redefined_above_holds_for_the_applications_below(tmp_path: Path) -> None:
    """So one line makes all browsers something else."""
    vendor = "types: {t: {class: IDLE}}\n" + FOO
    f = files(tmp_path, vendor=vendor, user="types: {t: {class: NORMAL}}\n")
    assert load(f).rules.classify(identity(5, name="foo"), ()).target is PriorityClass.NORMAL


def test_a_type_of_a_higher_layer_is_not_known_below(tmp_path: Path) -> None:
    """And a type or an application defined twice in one layer is a mistake, each said with the other's place."""
    f = files(tmp_path, distro=FOO.replace("type: t", "type: high"), user="types: {high: {}}\n" + FOO)
    (tmp_path / "user" / "b.yaml").write_text("types: {high: {}}\n" + FOO)
    with pytest.raises(ConfigError) as caught:
        load(f)
    said = [str(p) for p in caught.value.problems]
    assert len(said) == 3
    assert any("distro/a.yaml:1" in s and "undefined type high" in s for s in said)
    assert any("user/b.yaml:1: types.high" in s and "user/a.yaml:1" in s for s in said)
    assert any("user/b.yaml:2: applications[0].id" in s and "user/a.yaml:2" in s for s in said)


def test_a_layer_may_be_one_file(tmp_path: Path) -> None:
    """Reloaded when it changes, too."""
    f = files(tmp_path)
    one = tmp_path / "one.yaml"
    one.write_text(FOO)
    f = RuleFiles(runtime=one, vendor=f.vendor, distro=f.distro, user=f.user, ananicy=None, homes=False)
    assert [r.source.layer for r in load(f).rules.rules] == ["runtime"]
    before = see(f)
    one.write_text(FOO + "\n")
    assert see(f) != before


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A folder of that name, a link to nowhere, bytes that are no text."""
    f = files(tmp_path)
    (tmp_path / "distro" / "b.yaml").mkdir(parents=True)
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "c.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "user" / "d.yaml").write_bytes(b"types: {\xff}")
    with pytest.raises(ConfigError) as caught:
        load(f)
    assert [Path(p.file).name for p in caught.value.problems] == ["b.yaml", "c.yaml", "d.yaml"]


def test_a_deep_ananicy_rule_that_changes_is_seen(tmp_path: Path) -> None:
    """Its rules lie in folders of folders."""
    f = files(tmp_path)
    deep = tmp_path / "ananicy/00-default/Games"
    deep.mkdir(parents=True)
    (deep / "x.rules").write_text('{"name": "x"}\n')
    before = see(f)
    (deep / "x.rules").write_text('{"name": "xy"}\n')
    assert see(f) != before


def test_16000_rules_in_one_file(tmp_path: Path) -> None:
    """All are read, and each is found."""
    many = "".join(f"- {{id: r{n}, type: t, match: [{{exe: /opt/{n}}}]}}\n" for n in range(16_000))
    rules = load(files(tmp_path, user="applications:\n" + many)).rules
    assert rules.classify(identity(5, exe="/opt/15999"), ()).app == "r15999"
    assert len({id(r.tags) for r in rules.rules}) == 1


@pytest.mark.parametrize("bad", ["link", "pipe", "folder", "writable", "large", "broken"])
def test_a_bad_file_of_a_person_hides_no_other(tmp_path: Path, home: Path, bad: str) -> None:
    """It is named, and nothing waits for it."""
    path = home / "a.yaml"
    match bad:
        case "link":
            path.symlink_to("/etc/hostname")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "writable":
            path.write_text(FOO.replace("foo", "bar"))
            path.chmod(0o666)
        case "large":
            path.write_text("#" * (reading.PERSONAL_BYTES + 1))
        case "broken":
            path.write_text("applications: [")
    (home / "b.yaml").write_text(FOO)
    rules, problems = own(tmp_path)
    assert rules == ["foo"]
    assert [Path(p.file).name for p in problems] == ["a.yaml"]


@pytest.mark.parametrize(
    ("group", "members", "others", "accepted"),
    [
        ("ann", [], [], True),
        ("ann", ["ann"], [], True),
        ("ann", ["ann", "bob"], [], False),
        ("ann", [], [SimpleNamespace(pw_name="bob", pw_uid=4242)], False),
        ("users", [], [], False),
        ("users", [], [SimpleNamespace(pw_name="users", pw_uid=4242)], False),
        (None, [], [], False),
    ],
    ids=["own", "listed", "a member", "another's primary", "other name", "another's own", "no such group"],
)
def test_a_group_may_write_a_persons_rules_when_it_is_that_persons_alone(
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    group: str | None,
    members: list[str],
    others: list[SimpleNamespace],
    accepted: bool,
) -> None:
    """Refused, it is said why; and once it is mended, that is seen."""
    people = [
        *pwd.getpwall(),
        *(SimpleNamespace(**vars(o), pw_gid=os.getgid(), pw_dir="/dev/null") for o in others),
    ]

    def found(gid: int) -> SimpleNamespace:
        if group is None or gid != os.getgid():
            raise KeyError(gid)
        return SimpleNamespace(gr_name=group, gr_mem=members)

    monkeypatch.setattr(pwd, "getpwall", lambda: people)
    monkeypatch.setattr(grp, "getgrgid", found)
    path = home / "a.yaml"
    path.write_text(FOO)
    path.chmod(0o664)
    rules, problems = own(tmp_path)
    assert rules == (["foo"] if accepted else [])
    assert [("group can write" in p.message, Path(p.file).name) for p in problems] == [(True, "a.yaml")] * (
        not accepted
    )
    before = see(files(tmp_path, homes=True))
    path.chmod(0o644)
    assert see(files(tmp_path, homes=True)) != before
    assert own(tmp_path) == (["foo"], ())


def test_no_link_is_followed_on_the_way_to_a_persons_rules(tmp_path: Path, home: Path) -> None:
    """Root would read, and watch, whatever they point at."""
    (home / "a.yaml").write_text(FOO)
    elsewhere = tmp_path / "elsewhere"
    home.rename(elsewhere)
    home.symlink_to(elsewhere)
    rules, problems = own(tmp_path)
    assert rules == []
    assert len(problems) == 1
    assert all(str(elsewhere) not in str(entry) for entry in see(files(tmp_path, homes=True)))  # type: ignore[attr-defined]


def test_a_person_has_a_budget(tmp_path: Path, home: Path) -> None:
    """Of files, bytes, rules, values, and time that expressions can take."""
    slow = ["foo.*bar" + str(n) for n in range(40)]
    (home / "a.yaml").write_text(f"applications: [{{id: slow, type: t, match: [{{cmdline: {slow}}}]}}]\n")
    names = [f"n{n}" for n in range(reading.PERSONAL_VALUES + 1)]
    (home / "b.yaml").write_text(f"applications: [{{id: wide, type: t, match: [{{name: {names}}}]}}]\n")
    many = "".join(f"- {{id: r{n}, type: t, match: [{{name: x{n}}}]}}\n" for n in range(reading.PERSONAL_RULES + 1))
    (home / "c.yaml").write_text("applications:\n" + many)
    for n in range(reading.PERSONAL_FILES):
        (home / f"d{n}.yaml").touch()
    rules, problems = own(tmp_path)
    assert rules == [f"r{n}" for n in range(reading.PERSONAL_RULES)]
    said = sorted(p.message.partition(":")[0].split(",")[0] for p in problems)
    assert said == [
        "only 2000 values are read",
        "only 32 files are read",
        "only 500 rules are read",
        "the expressions for cmdline could take too long on some text",
    ]


def test_all_of_a_persons_files_share_the_bytes(tmp_path: Path, home: Path) -> None:
    """Many middling files are one large one."""
    for name in "abc":
        (home / f"{name}.yaml").write_text("#" * (reading.PERSONAL_BYTES // 2))
    _, problems = own(tmp_path)
    assert [Path(p.file).name for p in problems] == ["c.yaml"]


def test_a_persons_words_do_not_reach_a_terminal_as_they_are(tmp_path: Path, home: Path) -> None:
    """Neither names of files nor what stands in them."""
    (home / "a\x1b[31m.yaml").write_text('"k\\e[31m": 1\n')
    (home / "b\udcff.yaml").write_text(
        'applications: [{id: x, type: "a\\e]0;x\\a", match: [{name: x}], label: "\\e[1m"}]\n'
    )
    _, problems = own(tmp_path)
    assert len(problems) == 3
    assert all("\x1b" not in str(p) and "\a" not in str(p) for p in problems)
    assert "".join(map(str, problems)).encode()


def test_a_persons_own_type_asks_for_no_more_either(tmp_path: Path, home: Path) -> None:
    """Not by redefining one of ours."""
    (home / "a.yaml").write_text("types: {t: {class: INTERACTIVE, protected: true}}\n" + FOO)
    rules, problems = own(tmp_path)
    assert rules == []
    assert len(problems) == 1
    assert load(files(tmp_path, homes=True, user=FOO)).rules.classify(identity(5, name="foo"), ()).target == 0
