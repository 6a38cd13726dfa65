"""The log forgets by age and size, little by little, and gives the space back."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame
from smoothtask.store import allowance
from smoothtask.store import log as module
from smoothtask.store import retention as keeping
from smoothtask.store.log import SnapshotLog
from smoothtask.store.retention import DAY_S, FASTER, MIB, Calendar, Retention
from store.conftest import Place
from store.frames import BUSY, NOON, frame, group, process, shown

COUNTED = "SELECT count(*) FROM snapshot"


def at(time_s: float, seq: int) -> Frame:
    """A frame under contention with ten busy groups."""
    busy = (shown(group(f"proc:{i}-1", cpu=0.9)) for i in range(10))
    return frame(seq, *busy, contention=BUSY, time=time_s, processes=(process(command=f"cc {seq}"),))


def steps(log: SnapshotLog, keep: Retention, now_s: float) -> int:
    """Run retention to its end; the number of steps."""
    state = log._state
    assert state is not None
    count = 1
    while keeping.step(state.connection, keep, now_s, state.builder.session_id, lambda: 0.0, 0.5):
        count += 1
        assert count < 5000
    return count


def test_old_snapshots_go_and_their_labels_keep_the_others(
    place: Place, is_sound: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 30 days what is unlabelled is gone, with every row of it; a year later the labelled too."""
    monkeypatch.setattr(module, "SESSION_SNAPSHOTS", 10)
    log = place.log()
    for n in range(1, 41):
        log.offer(at(NOON + n, n))
    labelled = at(NOON + 41, 41)
    label = log.add_label(labelled, 0, group=labelled.groups[0], target=PriorityClass.IDLE)
    for n in range(42, 61):
        log.offer(at(NOON + 40 * DAY_S + n, n))
    log.flush()
    keep = Retention()
    steps(log, keep, NOON + 41 * DAY_S)
    assert place.rows("SELECT seq FROM snapshot ORDER BY id")[0] == (41,)
    assert place.value(COUNTED) == 20
    assert place.value("SELECT count(*) FROM label") == 1
    for table in ("app_group", "decision", "process"):
        assert place.value(f"SELECT count(DISTINCT snapshot_id) FROM {table}") == 20
    assert place.value("SELECT count(*) FROM session") == 3
    assert place.value("SELECT count(DISTINCT session_id) FROM program") == 3
    assert is_sound()
    steps(log, keep, NOON + 366 * DAY_S)
    assert place.rows("SELECT id FROM label WHERE id = ?", label) == []
    assert place.value(COUNTED) == 0
    assert log.offer(at(NOON + 366 * DAY_S, 61))
    log.flush()
    assert is_sound()


def test_the_file_stays_within_its_size_and_shrinks(
    place: Place, is_sound: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go first; pages come back to the file system."""
    monkeypatch.setattr(allowance, "AT_ONCE", 1_000_000)  # more than a day's at once
    log = place.log()
    long = "x" * 180
    for n in range(1, 1500):
        listed = tuple(process(pid, command=f"{long}{n}") for pid in range(1, 200))
        log.offer(frame(n, contention=BUSY, processes=listed))
    log.flush()
    state = log._state
    assert state is not None
    before = keeping.used_bytes(state.connection)
    keep = Retention()
    object.__setattr__(keep, "max_bytes", before // 2)
    assert 10 < steps(log, keep, NOON + 1500) < 200
    state.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert before * 0.4 < place.path.stat().st_size < before * 0.55
    assert place.value("SELECT max(seq) FROM snapshot") == 1499
    assert place.value("SELECT min(seq) FROM snapshot") > 500
    assert is_sound()


def test_a_step_does_little(place: Place) -> None:
    """With its time over, it deletes one snapshot and no more."""
    log = place.log()
    for n in range(1, 30):
        log.offer(at(NOON, n))
    log.flush()
    state = log._state
    assert state is not None
    times = iter([0.0, 0.0, 1.0])
    assert keeping.step(state.connection, Retention(), NOON + 31 * DAY_S, 1, lambda: next(times), 0.5)
    assert place.value(COUNTED) == 28


def test_the_log_forgets_by_itself(place: Place, is_sound: Callable[[], bool]) -> None:
    """After its commits, until nothing is due; and looks again a minute later."""
    log = place.log()
    for n in range(1, 21):
        log.offer(at(NOON, n))
    place.clock.now += 31 * DAY_S
    for n in range(21, 60):
        place.clock.now += 4
        log.offer(at(NOON + 31 * DAY_S, n))
    log.flush()
    assert place.value("SELECT min(seq) FROM snapshot") == 21
    assert place.problems == []
    assert is_sound()


def test_a_clock_that_is_years_ahead_for_a_while_takes_no_history_with_it(place: Place) -> None:
    """Set by hand, a dead battery: then NTP puts it right. What people said is not to be had again."""
    log = place.log()
    for n in range(1, 20):
        log.offer(at(NOON + n, n))
    log.add_label(at(NOON + 20, 20), 0, verdict="fine")
    for n in range(21, 200):
        place.clock.now += 4
        log.offer(at(NOON + 400 * DAY_S, n))
    log.close()
    log = place.log()  # and after a start
    for n in range(200, 220):
        place.clock.now += 4
        log.offer(at(NOON + 401 * DAY_S, n))
    log.flush()
    assert place.value("SELECT min(seq) FROM snapshot") == 1
    assert place.value("SELECT count(*) FROM label") == 1


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e9, 1e9))), st.floats(0, 1e6))
def test_the_calendar_is_never_ahead_of_the_clock_nor_much_faster_than_time(
    looks: list[tuple[float, float]], newest_s: float
) -> None:
    calendar, mono_s, before_s = Calendar(newest_s, 0.0), 0.0, newest_s
    for passed_s, wall_s in looks:
        mono_s += passed_s
        believed_s = calendar.believe(wall_s, mono_s)
        assert believed_s <= wall_s
        assert believed_s <= before_s + FASTER * passed_s + 1e-3
        before_s = believed_s


def test_labels_stay_at_least_as_long_as_snapshots(place: Place) -> None:
    """Also when snapshots are to be kept for ten years."""
    log = place.log()
    log.add_label(at(NOON, 1), 0, verdict="fine")
    steps(log, Retention(max_age_days=3650), NOON + 3000 * DAY_S)
    assert place.value("SELECT count(*) FROM label") == 1


@pytest.mark.parametrize("wrong", [{"max_age_days": 0.0}, {"max_bytes": MIB}, {"label_age_days": float("nan")}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Before anything is forgotten by them."""
    with pytest.raises(ValueError, match="expected days above 0"):
        Retention(**wrong)  # type: ignore[arg-type]
