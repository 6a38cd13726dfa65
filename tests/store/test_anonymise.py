"""What tells of a person is not written down; what the learner needs is."""

import os
import stat
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenery import classification, known
from smoothtask.model.decision import Contention, Reason, Stage
from smoothtask.model.group import RuleSource
from smoothtask.store.anonymise import Anonymiser, load_salt
from store.conftest import Place
from store.frames import BUSY, FIREFOX, frame, group, process, shown

HIDDEN = Anonymiser(bytes(32))
SECRETS = ("alice", "secret", "hunter2", "mistress", "Diary")


def test_nothing_secret_reaches_the_file(place: Place) -> None:
    """A user's name, paths, arguments, unit names, unknown programs, wherever they may appear."""
    unknown = classification("exe:/home/alice/secret/Diary", label="Diary", evidence="exe /home/alice/secret/Diary")
    personal = RuleSource("personal", "/home/alice/.config/smoothtask/mistress.yaml", 3)
    own = known("exe:/home/alice/secret", label="secret", source=personal, evidence="exe /home/alice/secret")
    called = known("editor", label="Editor", evidence="cmdline my secret Diary")
    texts = (
        "Diary has used 1.0 cores for 9 s and hardly ever sleeps (3 sleeps/s)",
        "Diary is probably batch (exe /home/alice/secret/Diary)",
        "exe:/home/alice/secret/Diary is pinned to IDLE by uid 1000",
        "while somebody waits: Diary waits for a CPU 80 % of the time; see ~/secret or '/home/alice'",
    )
    reasons = tuple(Reason(Stage.BEHAVIOUR, "hog", t, "/home/alice/.config/x.yaml:3") for t in texts)
    own_reasons = (Reason(Stage.RULE, "certain", "Editor is probably ide (cmdline my secret Diary)"),)
    groups = (
        shown(group("unit:run-alice-secret.scope@1000", unknown, unit="run-alice-secret.scope"), reasons=reasons),
        shown(group("unit:run-alice-secret.scope@1000/hog:Diary", unknown), reasons=reasons),
        shown(group("flatpak:org.alice.Diary@1000", own), reasons=reasons),
        shown(group("proc:5-5", FIREFOX, unit="backup@alice.service"), reasons=reasons),
        shown(group("proc:6-6", called), reasons=own_reasons),
        shown(group("container:alice-diary", FIREFOX), mechanism=r"CPUWeight 25, IOWeight 25 on app-secret\x2d1.scope"),
        shown(
            group("container:0123456789ab@1000", FIREFOX), mechanism="nice +10; CPUWeight 25 on alice.service, nice +5"
        ),
    )
    waiting = Contention(True, 1.0, ("Diary waits for a CPU 80 % of the time",))
    processes = tuple(
        process(n, g.group.id, name="Diary", command="/home/alice/secret/Diary --password hunter2 alice@mistress")
        for n, g in enumerate(groups, 1)
    )
    log = place.log(anonymise=True)
    said = frame(1, *groups, contention=waiting, processes=processes, mode_reason="cannot write /home/alice/x")
    assert log.offer(said)
    log.close()
    content = place.path.read_bytes()
    assert [s for s in SECRETS if s.encode() in content] == []
    assert b"has used 1.0 cores for 9 s and hardly ever sleeps (3 sleeps/s)" in content
    assert b"Firefox" in content
    assert b"container:0123456789ab@1000" in content
    assert b"CPUWeight 25, IOWeight 25 on " in content


def test_without_anonymising_it_is_all_there(place: Place) -> None:
    """The test above can fail."""
    log = place.log(anonymise=False)
    log.offer(frame(1, contention=BUSY, processes=(process(),)))
    log.close()
    assert b"/home/alice/secret/foo --password hunter2" in place.path.read_bytes()


def test_what_rules_know_keeps_its_names() -> None:
    """App, label, the process that bears its name, and where the rule stands, but not its folder."""
    of = group("unit:app-firefox-1.scope@1000/hog:firefox", FIREFOX)
    assert HIDDEN.app(FIREFOX) == "firefox"
    assert HIDDEN.label(of) == "Firefox"
    assert HIDDEN.name("firefox", of) == "firefox"
    assert HIDDEN.name("GeckoMain", of) != "GeckoMain"
    assert HIDDEN.group_id(of.id, of).endswith(".scope@1000/hog:firefox")
    assert HIDDEN.source(RuleSource("vendor", "/usr/share/x/apps.yaml", 7)) == "apps.yaml:7"
    assert HIDDEN.evidence(FIREFOX) == "name firefox"


def test_kinds_and_roles_stay() -> None:
    """Of an unknown application too, and a part starts with its application's id."""
    c = classification("exe:/opt/x/y")
    assert HIDDEN.app(c).startswith("exe:")
    assert HIDDEN.group_id("kernel", None) == "kernel"
    assert HIDDEN.group_id("proc:12-345/build", None) == "proc:12-345/build"
    assert HIDDEN.group_id("container:0123456789ab", None) == "container:0123456789ab"
    outer = HIDDEN.group_id("unit:a@b.service@1000", None)
    assert outer.endswith(".service@1000")
    assert HIDDEN.group_id("unit:a@b.service@1000/build", None) == f"{outer}/build"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_hashes_stand_for_their_text(a: str, b: str) -> None:
    """The same text has the same hash, another text another; another salt changes all."""
    assert HIDDEN.hash(a) == Anonymiser(bytes(32)).hash(a)
    assert (HIDDEN.hash(a) == HIDDEN.hash(b)) == (a == b)
    assert HIDDEN.hash(a) != Anonymiser(b"\1" * 32).hash(a)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=50), st.text(st.characters(), max_size=50))
def test_no_text_breaks_it(label: str, text: str) -> None:
    """Surrogates, regular expressions, empty names."""
    of = group(f"unit:{label}", classification(f"exe:{label}", label=label, evidence=label))
    for value in (
        HIDDEN.sentence(f"{label} {text} {label}", (of,)),
        HIDDEN.command(text),
        HIDDEN.group_id(text, of),
        HIDDEN.evidence(of.classification),
        HIDDEN.label(of),
        HIDDEN.name(text, of),
    ):
        value.encode()


def test_an_empty_name_changes_no_sentence() -> None:
    """Neither does one that is part of other words."""
    for name in ("", "as"):
        of = group("proc:1-1", classification("exe:", label=name, evidence=""))
        assert HIDDEN.sentence("has been last, alas", (of,)) == "has been last, alas"


def test_a_salt_is_made_once_and_private(tmp_path: Path) -> None:
    """32 bytes, 0600, the same ever after; what was opened up is closed."""
    path = tmp_path / "salt"
    salt = load_salt(path)
    assert len(salt) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert load_salt(path) == salt
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [f.name for f in tmp_path.iterdir()] == ["salt"]


def test_two_that_start_at_once_share_one_salt(tmp_path: Path) -> None:
    """Eight processes race for it."""
    with get_context("fork").Pool(8) as pool:
        salts = pool.map(load_salt, [tmp_path / "salt"] * 64, chunksize=1)
    assert len(set(salts)) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_salt_of_another_length_is_refused(tmp_path: Path, content: bytes) -> None:
    """And not replaced."""
    path = tmp_path / "salt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected 32 bytes"):
        load_salt(path)
    assert path.read_bytes() == content


def test_a_salt_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A link is not followed, a fifo not waited for."""
    (tmp_path / "real").write_bytes(os.urandom(32))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="symbolic links"):
        load_salt(tmp_path / "link")
    with pytest.raises(ValueError, match="regular file"):
        load_salt(tmp_path / "fifo")
