"""What is recorded and when; and that whatever happens to the file, the loop goes on."""

import contextlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import known
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Reason, Stage
from smoothtask.store import allowance
from smoothtask.store import log as module
from smoothtask.store.log import COMMIT_AFTER_S, REST_S, SAMPLE_EVERY
from smoothtask.store.schema import VERSION
from store.conftest import Place
from store.frames import BUSY, FIREFOX, NOON, frame, group, process, shown

HOSTILE = "\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}'; DROP TABLE snapshot; --\ud800\x00=cmd()"


def test_one_calm_frame_in_ten_is_recorded(place: Place) -> None:
    """The first, then every tenth while nothing happens."""
    log = place.log()
    taken = [seq for seq in range(1, 42) if log.offer(frame(seq))]
    assert taken == [1, 1 + SAMPLE_EVERY, 1 + 2 * SAMPLE_EVERY, 1 + 3 * SAMPLE_EVERY, 1 + 4 * SAMPLE_EVERY]
    log.flush()
    assert place.rows("SELECT seq, cause FROM snapshot")[:2] == [(1, "first"), (11, "sample")]


def test_every_frame_under_contention_is_recorded(place: Place) -> None:
    """However many there are."""
    log = place.log()
    assert all(log.offer(frame(seq, contention=BUSY)) for seq in range(1, 21))


def test_contention_that_never_ends_does_not_fill_the_disk(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the allowance is spent it is recorded as it fills again; a change of class is not left out."""
    monkeypatch.setattr(allowance, "AT_ONCE", 100)
    monkeypatch.setattr(allowance, "ROWS_A_DAY", 86400)  # a row a second
    log = place.log()
    hog = shown(group(cpu=0.9))
    taken = []
    for seq in range(1, 401):
        place.clock.now += 1.0
        taken.append(log.offer(frame(seq, hog, contention=BUSY)))
    assert all(taken[:30])
    assert 0.2 < sum(taken[200:]) / 200 < 0.5  # three rows a snapshot
    place.clock.now += 0.1
    assert log.offer(frame(401, shown(group(cpu=0.9), PriorityClass.IDLE), contention=BUSY))
    log.flush()
    assert place.value("SELECT count(*) FROM decision") + place.value("SELECT count(*) FROM snapshot") < 600


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(0, 5000)), min_size=1, max_size=200))
def test_what_is_recorded_in_a_time_is_bounded(steps: list[tuple[float, int]]) -> None:
    """Whatever the snapshots are like: as much as fills again, what may be taken at once, twice, and one snapshot."""
    bucket, now_s, taken = allowance.Allowance(0.0), 0.0, 0
    for seconds, rows in steps:
        now_s += seconds
        bucket.refill(now_s)
        if not bucket.overdrawn:
            bucket.take(rows)
            taken += rows
    assert taken <= now_s * allowance.ROWS_A_DAY / allowance.DAY_S + 2 * allowance.AT_ONCE + 5000


def test_a_changed_class_is_recorded_at_once(place: Place) -> None:
    """In both directions; a new group of class NORMAL is no change."""
    log = place.log()
    log.offer(frame(1))
    assert not log.offer(frame(2, shown(group()), shown(group("proc:11-1100"))))
    assert log.offer(frame(3, shown(group(), PriorityClass.IDLE)))
    assert not log.offer(frame(4, shown(group(), PriorityClass.IDLE)))
    assert log.offer(frame(5, shown(group())))
    log.flush()
    assert place.rows("SELECT seq, cause FROM snapshot") == [(1, "first"), (3, "change"), (5, "change")]


def test_quiet_groups_that_stand_unchanged_have_no_row(place: Place) -> None:
    """What does something, or changed in any respect, has one; the first snapshot has all; exits are listed."""
    log = place.log()
    still, hog = shown(group("proc:1-1")), shown(group("proc:2-2", cpu=0.9))
    log.offer(frame(1, still, hog, contention=BUSY))
    log.offer(frame(2, still, hog, contention=BUSY))
    log.offer(frame(3, shown(group("proc:1-1"), mechanism="nice +5"), hog, contention=BUSY))
    log.offer(frame(4, hog, contention=BUSY))
    log.flush()
    counted = "SELECT snapshot_id, count(*) FROM app_group GROUP BY snapshot_id"
    assert place.rows(counted) == [(1, 2), (2, 1), (3, 2), (4, 1)]
    assert place.rows("SELECT complete, groups_total, groups_gone FROM snapshot") == [
        (1, 2, "[]"),
        (0, 2, "[]"),
        (0, 2, "[]"),
        (0, 1, "[1]"),
    ]
    assert place.value("SELECT count(*) FROM group_profile") == 2


def test_a_snapshot_in_a_hundred_is_complete(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a reader finds every group without going far back."""
    monkeypatch.setattr(module, "COMPLETE_EVERY", 5)
    log = place.log()
    for seq in range(1, 12):
        log.offer(frame(seq, contention=BUSY))
    log.flush()
    assert [seq for (seq,) in place.rows("SELECT seq FROM snapshot WHERE complete")] == [1, 6, 11]


def test_sessions_are_bounded_and_complete_in_themselves(
    place: Place, monkeypatch: pytest.MonkeyPatch, is_sound: Callable[[], bool]
) -> None:
    """A new session writes its profiles anew; a run keeps the id of its first session."""
    monkeypatch.setattr(module, "SESSION_SNAPSHOTS", 3)
    for run in range(2):
        log = place.log(version="1.2.3")
        for seq in range(1, 6):
            log.offer(frame(run * 5 + seq, contention=BUSY, processes=(process(),)))
        log.close()
    assert place.rows("SELECT id, run_id, version, anonymised FROM session") == [
        (1, 1, "1.2.3", 0),
        (2, 1, "1.2.3", 0),
        (3, 3, "1.2.3", 0),
        (4, 3, "1.2.3", 0),
    ]
    assert place.rows("SELECT session_id, count(*) FROM group_profile GROUP BY 1") == [(1, 1), (2, 1), (3, 1), (4, 1)]
    assert is_sound()


def test_commits_wait_a_few_seconds_and_no_longer(place: Place) -> None:
    """Also when the frames after are not recorded."""
    log = place.log()
    log.offer(frame(1))
    assert place.value("SELECT count(*) FROM snapshot") == 0
    place.clock.now += COMMIT_AFTER_S
    log.offer(frame(2))
    assert place.value("SELECT count(*) FROM snapshot") == 1


def test_files_are_private(place: Place) -> None:
    """Folder 0700, files 0600: they may hold command lines. A file that was opened up is closed again."""
    log = place.log(anonymise=True)
    log.offer(frame(1))
    log.flush()
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in place.folder.iterdir()} == {0o600}
    log.close()
    place.path.chmod(0o644)
    place.log()
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o600


def test_a_reader_sees_one_state_while_the_log_goes_on(place: Place) -> None:
    """And neither waits for the other."""
    log = place.log()
    log.offer(frame(1, contention=BUSY))
    log.flush()
    reader = sqlite3.connect(place.path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM snapshot").fetchone() == (1,)
    for seq in range(2, 200):
        assert log.offer(frame(seq, contention=BUSY))
        log.flush()
    assert reader.execute("SELECT count(*) FROM snapshot").fetchone() == (1,)
    reader.close()
    assert place.value("SELECT count(*) FROM snapshot") == 199
    assert place.problems == []


def test_readers_in_another_thread_never_see_half_a_snapshot(place: Place) -> None:
    """Each snapshot that is there has its groups and processes."""
    log = place.log()
    wrong, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            wrong.extend(
                place.rows("SELECT id FROM snapshot WHERE id NOT IN (SELECT snapshot_id FROM process)")
                if place.path.exists()
                else []
            )

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    for seq in range(1, 300):
        log.offer(frame(seq, contention=BUSY, processes=(process(),)))
        log.flush()
    stop.set()
    thread.join()
    assert wrong == []
    assert place.problems == []


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from store.frames import BUSY, frame, process
from smoothtask.store.log import SnapshotLog
now = 0.0
log = SnapshotLog(Path({path!r}), salt_path=Path({salt!r}), on_problem=print, clock=lambda: now)
for seq in range(1, 10**9):
    now += 0.5
    log.offer(frame(seq, contention=BUSY, processes=(process(),)))
    print(seq, flush=True)
"""


def test_a_killed_writer_leaves_a_log_that_goes_on(place: Place, is_sound: Callable[[], bool]) -> None:
    """SIGKILL in mid-write loses at most what was not committed: here seven frames."""
    tests = str(Path(__file__).parent.parent)
    script = WRITER.format(tests=tests, path=str(place.path), salt=str(place.folder / "salt"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = 0
        for line in writer.stdout:
            last = int(line)
            if last >= 500:
                os.kill(writer.pid, signal.SIGKILL)
                break
        rest = writer.stdout.read().split()
        last = int(rest[-1]) if rest else last
    kept = place.value("SELECT max(seq) FROM snapshot")
    assert last - 7 <= kept <= last + 1
    assert is_sound()
    log = place.log()
    assert log.offer(frame(1))
    log.close()
    assert place.problems == []
    assert place.value("SELECT count(*) FROM snapshot") == kept + 1
    assert is_sound()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_a_full_disk_stops_recording_with_one_sentence(small_disk: Path) -> None:
    """No exception; when there is room again, recording goes on by itself, and nothing that was committed is lost."""
    place = Place(small_disk / "state")
    log = place.log()
    for seq in range(1, 400):
        place.clock.now += 1
        log.offer(frame(seq, *(shown(group(f"proc:{i}-1", cpu=0.9)) for i in range(100)), contention=BUSY))
        if place.problems:
            break
    assert len(place.problems) == 1
    assert "disk is full" in place.problems[0]
    assert str(place.path) in place.problems[0]
    assert log.status.startswith("off: ")
    for more in range(300):  # minutes of a disk that stays full: it was said once
        place.clock.now += 1
        log.offer(frame(1000 + more, *(shown(group(f"proc:{i}-1", cpu=0.9)) for i in range(100)), contention=BUSY))
    assert len(place.problems) == 1
    before = place.value("SELECT count(*) FROM snapshot")
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    place.clock.now += REST_S
    for seq in range(2000, 2005):
        assert log.offer(frame(seq, contention=BUSY))
    log.close()
    assert place.value("SELECT count(*) FROM snapshot") == before + 5
    assert place.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_page_limit_is_a_full_disk_too(place: Place, is_sound: Callable[[], bool]) -> None:
    """SQLITE_FULL without root: recording rests, a label is refused; what was rolled back is written again."""
    log = place.log()
    log.offer(frame(1))
    log.flush()
    assert log._state is not None
    (pages,) = log._state.connection.execute("PRAGMA page_count").fetchone()
    log._state.connection.execute(f"PRAGMA max_page_count = {pages + 4}").fetchone()
    crowd = [shown(group(f"proc:{i}-1", cpu=0.9)) for i in range(200)]
    for seq in range(2, 60):
        log.offer(frame(seq, *crowd, contention=BUSY))
    assert [("the disk is full" in p) for p in place.problems] == [True]
    assert log.add_label(frame(99, *crowd), 0, verdict="laggy") is None
    assert len(place.problems) == 1
    log._state.connection.execute("PRAGMA max_page_count = 1000000").fetchone()
    assert log.add_label(frame(100, *crowd), 0, verdict="laggy") is not None
    assert log.problem is None
    assert log.offer(frame(101, *crowd, contention=BUSY))
    log.flush()
    assert place.value("SELECT count(*) FROM app_group WHERE snapshot_id = (SELECT max(id) FROM snapshot)") == 200
    assert is_sound()


def test_a_locked_database_rests_recording(place: Place) -> None:
    """Another program's write lock never makes the loop wait."""
    log = place.log()
    log.offer(frame(1))
    log.flush()
    other = sqlite3.connect(place.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert log._state is not None
    assert log._state.connection.execute("PRAGMA busy_timeout").fetchone() == (0,)
    assert not log.offer(frame(2, contention=BUSY))
    assert len(place.problems) == 1
    assert "locked" in place.problems[0]
    other.execute("ROLLBACK")
    other.close()
    assert not log.offer(frame(3, contention=BUSY))
    place.clock.now += REST_S
    assert log.offer(frame(4, contention=BUSY))
    log.flush()
    assert log.problem is None
    assert place.rows("SELECT seq FROM snapshot") == [(1,), (4,)]


def filled(place: Place, snapshots: int = 50) -> bytes:
    """The bytes of a log with some snapshots in it."""
    log = place.log()
    for seq in range(1, snapshots + 1):
        log.offer(frame(seq, *(shown(group(f"proc:{i}-1", cpu=0.9)) for i in range(20)), contention=BUSY))
    log.close()
    return place.path.read_bytes()


@pytest.mark.parametrize("where", [0, 24, 100, 8192, 40_960])
def test_damage_is_moved_aside_and_a_new_log_begun(place: Place, where: int) -> None:
    """The old bytes are all kept, in a file that the sentence names."""
    content = bytearray(filled(place))
    content[where : where + 600] = bytes((b * 7 + 13) % 256 for b in content[where : where + 600])
    place.path.write_bytes(content)
    log = place.log()
    assert len(place.problems) == 1
    aside = [f for f in place.folder.iterdir() if f.name.startswith("snapshots.db.")]
    assert len(aside) == 1
    assert str(aside[0]) in place.problems[0]
    assert aside[0].read_bytes() == bytes(content)
    assert log.offer(frame(1))
    log.close()
    assert place.value("SELECT count(*) FROM snapshot") == 1


def test_no_damage_whatsoever_reaches_the_loop(place: Place) -> None:
    """Forty random injuries: recording goes on or says why not; the loop sees no exception."""
    import random

    chance = random.Random(20)
    whole = filled(place)
    for _ in range(40):
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 40)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        for old in place.folder.iterdir():
            old.unlink()
        place.path.write_bytes(content)
        place.problems.clear()
        log = place.log()
        for seq in range(1, 30):
            log.offer(frame(seq, contention=BUSY))
            log.flush()
        label = log.add_label(frame(30), 0, verdict="fine")
        assert (label is not None) or place.problems
        log.close()


def test_damage_met_while_recording_stops_it_until_the_next_start(place: Place) -> None:
    """The damaged file is kept under another name; the next start begins anew and records."""
    filled(place)
    log = place.log()
    assert log._state is not None
    log._state.connection.execute("PRAGMA cache_size = 1")
    log._state.connection.execute("PRAGMA shrink_memory").fetchall()
    with place.path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(place.path.stat().st_size - 4096))
    for seq in range(1, 50):
        log.offer(frame(seq, contention=BUSY))
        log.flush()
    assert len(place.problems) == 1
    assert "until the next start" in place.problems[0]
    again = place.log()
    assert again.offer(frame(1))
    assert len(place.problems) == 1


def test_another_programs_database_is_left_alone(place: Place) -> None:
    """Its bytes stay as they are."""
    place.folder.mkdir()
    other = sqlite3.connect(place.path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    before = place.path.read_bytes()
    log = place.log()
    assert not log.offer(frame(1))
    assert "another program" in place.problems[0]
    log.close()
    assert place.path.read_bytes() == before


def test_a_newer_version_is_left_alone_and_an_older_one_kept_aside(place: Place) -> None:
    """Neither loses a byte of what was recorded."""
    filled(place)
    change = sqlite3.connect(place.path)
    change.execute(f"PRAGMA user_version = {VERSION + 1}")
    change.close()
    log = place.log()
    assert not log.offer(frame(1))
    assert "newer" in place.problems[0]
    assert place.value("SELECT count(*) FROM snapshot") == 50

    change = sqlite3.connect(place.path)
    change.execute(f"PRAGMA user_version = {VERSION - 1}")
    change.close()
    place.problems.clear()
    assert place.log().offer(frame(1))
    assert f"version {VERSION - 1}" in place.problems[0]
    assert len([f for f in place.folder.iterdir() if ".outdated" in f.name]) == 1


def test_other_tables_under_the_same_version_are_kept_aside(place: Place) -> None:
    """An INSERT that does not fit would fail at every tick."""
    filled(place)
    change = sqlite3.connect(place.path)
    change.execute("ALTER TABLE process ADD COLUMN mood TEXT")
    change.close()
    assert place.log().offer(frame(1))
    assert "other tables" in place.problems[0]


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder", "device"])
def test_what_is_no_regular_file_is_refused(place: Place, kind: str) -> None:
    """And neither followed nor waited for."""
    place.folder.mkdir()
    match kind:
        case "symlink":
            (place.folder / "elsewhere").write_bytes(b"precious")
            place.path.symlink_to(place.folder / "elsewhere")
        case "fifo":
            os.mkfifo(place.path)
        case "folder":
            place.path.mkdir()
        case _:
            if os.geteuid() != 0:
                pytest.skip("needs root to make a device node")
            os.mknod(place.path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    log = place.log()
    assert not log.offer(frame(1))
    assert len(place.problems) == 1
    assert str(place.path) in place.problems[0]
    if kind == "symlink":
        assert (place.folder / "elsewhere").read_bytes() == b"precious"


def test_a_folder_that_cannot_be_made_is_one_sentence(place: Place) -> None:
    """Here a file stands where the folder should be."""
    place.folder.write_text("in the way")
    log = place.log()
    assert not log.offer(frame(1))
    assert len(place.problems) == 1
    log.close()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount read-only")
def test_a_read_only_file_system_is_one_sentence(small_disk: Path) -> None:
    """At the start; nothing is raised."""
    place = Place(small_disk / "state")
    place.log().close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    log = place.log()
    assert not log.offer(frame(1))
    assert len(place.problems) == 1
    log.close()


def test_a_damaged_salt_stops_recording(place: Place) -> None:
    """Going on with another one would change every hash without a word."""
    place.folder.mkdir()
    (place.folder / "salt").write_bytes(b"short")
    log = place.log(anonymise=True)
    assert not log.offer(frame(1))
    assert "expected 32 bytes" in place.problems[0]


def test_hostile_strings_are_stored_harmless(place: Place, is_sound: Callable[[], bool]) -> None:
    """Controls, surrogates, NUL, SQL and 128 KiB: each row is there, and text is text."""
    c = known(HOSTILE, label=HOSTILE * 900, evidence=HOSTILE, tags=frozenset({HOSTILE}))
    hostile = group(f"unit:{HOSTILE}", c, unit=HOSTILE)
    reasons = (Reason(Stage.RULE, "rule", HOSTILE, HOSTILE),)
    for anonymise in (False, True):
        log = place.log(anonymise=anonymise)
        bad = process(of=hostile.id, name=HOSTILE, command=HOSTILE * 900)
        assert log.offer(frame(1, shown(hostile, reasons=reasons), processes=(bad,), mode_reason=HOSTILE))
        log.close()
    assert place.problems == []
    assert is_sound()
    texts = place.rows("SELECT group_id, app, label, unit, evidence, tags FROM group_profile")
    assert len(texts) == 2
    assert all("\x1b" not in t and len(t) < 2000 for row in texts for t in row)
    assert json.loads(place.rows("SELECT reasons FROM reason_chain")[0][0])[0]["rule"] == "rule"


def test_numbers_that_sqlite_cannot_hold_cost_one_frame(place: Place) -> None:
    """2⁶⁴ is said once, and recording goes on after its rest."""
    log = place.log()
    log.offer(frame(1))
    assert not log.offer(frame(2, contention=BUSY, processes=(process(rss_bytes=1 << 64),)))
    assert "cannot be stored" in place.problems[0]
    place.clock.now += REST_S
    assert log.offer(frame(3, contention=BUSY))


def test_labels_record_the_frame_whole_and_at_once(place: Place, is_sound: Callable[[], bool]) -> None:
    """A frame that was not recorded is now; one that was gets the groups it lacked."""
    log = place.log()
    quiet, hog = shown(group("proc:1-1", FIREFOX)), shown(group("proc:2-2", cpu=0.9))
    log.offer(frame(1, quiet, hog, contention=BUSY))
    second = frame(2, quiet, hog, contention=BUSY)
    log.offer(second)
    first = log.add_label(second, 1000, group=quiet, target=PriorityClass.INTERACTIVE)
    unseen = frame(3, quiet, hog)
    moment = log.add_label(unseen, 0, verdict="laggy")
    assert place.rows("SELECT id, complete, cause FROM snapshot") == [
        (1, 1, "first"),
        (2, 1, "contention"),
        (3, 1, "label"),
    ]
    assert place.rows("SELECT snapshot_id, count(*) FROM app_group GROUP BY 1") == [(1, 2), (2, 2), (3, 2)]
    told = "SELECT l.id, snapshot_id, app, target_class, verdict, l.uid, source, time_s"
    assert place.rows(f"{told} FROM label l LEFT JOIN group_profile p ON p.id = group_profile_id") == [
        (first, 2, "firefox", "INTERACTIVE", None, 1000, "label", NOON + 2),
        (moment, 3, None, None, "laggy", 0, "label", NOON + 3),
    ]
    assert is_sound()


def test_undo_removes_exactly_one_label(place: Place) -> None:
    """Ids are never used again, so a late undo cannot hit a newer label."""
    log = place.log()
    ids = [log.add_label(frame(n), 0, verdict="fine") for n in (1, 2, 3)]
    assert ids[2] is not None
    assert log.remove_label(ids[2])
    assert not log.remove_label(ids[2])
    fourth = log.add_label(frame(4), 0, verdict="laggy")
    assert fourth not in ids
    assert place.rows("SELECT id FROM label") == [(ids[0],), (ids[1],), (fourth,)]


def test_a_removed_label_is_put_back_under_its_id(place: Place) -> None:
    """Unless retention has taken its snapshot meanwhile."""
    log = place.log()
    label = log.add_label(frame(1), 7, verdict="laggy")
    assert label is not None
    before = place.rows("SELECT * FROM label")
    removed = log.remove_label(label)
    assert removed is not None
    assert log.put_back_label(removed)
    assert place.rows("SELECT * FROM label") == before
    assert log.remove_label(label) == removed
    assert not log.put_back_label((removed[0], removed[1], 999, *removed[3:]))


@contextlib.contextmanager
def locked(place: Place) -> Iterator[None]:
    """Another program writes to the log."""
    with contextlib.closing(sqlite3.connect(place.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_a_label_that_cannot_be_removed_now_is_not_one_that_is_gone(place: Place) -> None:
    """Another program's lock is told as such, and later it is removed and put back as ever."""
    log = place.log()
    label = log.add_label(frame(1), 7, verdict="laggy")
    assert label is not None
    with locked(place), pytest.raises(OSError, match="another program has locked it"):
        log.remove_label(label)
    removed = log.remove_label(label)
    assert removed is not None
    with locked(place), pytest.raises(OSError, match="another program has locked it"):
        log.put_back_label(removed)
    assert log.put_back_label(removed)
    assert place.value("SELECT count(*) FROM label") == 1


def test_a_label_says_one_thing(place: Place) -> None:
    """A class without a group, or a verdict with one, is a programming error."""
    log = place.log()
    with pytest.raises(ValueError, match="verdict"):
        log.add_label(frame(1), 0, target=PriorityClass.IDLE)
    with pytest.raises(ValueError, match="verdict"):
        log.add_label(frame(1), 0, verdict="fine", group=shown(group()), target=PriorityClass.IDLE)


def test_after_close_nothing_happens(place: Place) -> None:
    """Closing twice is once."""
    log = place.log()
    log.offer(frame(1))
    log.close()
    log.close()
    assert not log.offer(frame(2))
    assert log.add_label(frame(2), 0, verdict="fine") is None
    assert not log.remove_label(1)
    assert place.value("SELECT count(*) FROM snapshot") == 1
    assert place.problems == []
