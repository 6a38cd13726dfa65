"""Rows of the log back to values: streamed, every snapshot has exactly the groups that the history shows for it."""

from dataclasses import replace

import pytest

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import GroupPressure
from smoothtask.model.meters import NO_METERS, Delays, Meters
from smoothtask.store import retention as keeping
from smoothtask.store.frames import RecordError, groups_at, read_frames, reading
from smoothtask.store.retention import DAY_S, Retention
from store.conftest import Place
from store.frames import BUSY, FIREFOX, NOON, UNKNOWN, frame, group, shown


def log_of(place: Place) -> None:
    log = place.log()
    still = shown(group("proc:1-1", FIREFOX))
    for n in range(1, 9):
        others = [shown(group(f"proc:{n}-9", UNKNOWN, cpu=0.5))] if n % 3 else []
        part = [shown(group("proc:1-1/tab", FIREFOX, cpu=1.0), PriorityClass.IDLE)] if n > 4 else []
        log.offer(frame(n, still, *others, *part, contention=BUSY))
    last = frame(9, still, contention=BUSY)
    log.offer(last)
    log.add_label(last, 1000, group=still, target=PriorityClass.INTERACTIVE)
    log.add_label(last, 1000, verdict="laggy")
    log.close()


def test_streaming_finds_what_each_snapshot_had(place: Place) -> None:
    log_of(place)
    streamed = list(read_frames(place.path))
    with reading(place.path) as db:
        for one in streamed:
            row = db.execute("SELECT * FROM snapshot WHERE id = ?", (one.snapshot,)).fetchone()
            expected = [g["group_id"] for g in groups_at(db, row)]
            assert [g.group.id for g in one.frame.groups] == expected
    assert [r.frame.seq for r in streamed] == list(range(1, 10))
    assert all(r.fresh <= {g.group.id for g in r.frame.groups} for r in streamed)


def test_what_left_in_a_forgotten_snapshot_is_not_shown_again(place: Place) -> None:
    """Labelled snapshots stay when those between them, in which somebody left, are forgotten."""
    log = place.log()
    still, hog = shown(group("proc:1-1", FIREFOX)), shown(group("proc:2-2", UNKNOWN, cpu=1.9))
    for n in range(1, 61):
        said = frame(n, still, *([hog] if n < 30 else []), contention=BUSY, time=NOON + n)
        log.offer(said)
        if n in {1, 60}:
            log.add_label(said, 0, verdict="laggy")
    log.flush()
    state = log._state
    assert state is not None
    while keeping.step(state.connection, Retention(), NOON + 40 * DAY_S, state.builder.session_id, lambda: 0.0, 0.5):
        pass
    log.close()
    assert [[g.group.id for g in r.frame.groups] for r in read_frames(place.path)] == [
        ["proc:1-1", "proc:2-2"],
        ["proc:1-1"],
    ]


def test_what_was_said_comes_with_its_snapshot(place: Place) -> None:
    log_of(place)
    *before, last = read_frames(place.path)
    assert not any(r.said for r in before)
    assert [(s.target, s.verdict) for s in last.said] == [(PriorityClass.INTERACTIVE, None), (None, "laggy")]


def test_the_model_and_its_scores_come_back_with_the_rules_class(place: Place) -> None:
    log = place.log()
    plain = shown(group("proc:1-1", FIREFOX, cpu=1.0))
    scored = replace(plain, decision=replace(plain.decision, rules=PriorityClass.BACKGROUND, score=-0.25))
    log.offer(frame(1, scored, contention=BUSY, model="77ba631606ec"))
    log.offer(frame(2, plain, contention=BUSY))
    log.close()
    with_it, without = (f.frame for f in read_frames(place.path))
    assert (with_it.model, without.model) == ("77ba631606ec", None)
    assert [(g.decision.rules, g.decision.score) for f in (with_it, without) for g in f.groups] == [
        (PriorityClass.BACKGROUND, -0.25),
        (None, None),
    ]


def test_only_what_is_asked_for_comes_and_it_is_whole(place: Place) -> None:
    log_of(place)
    every = list(read_frames(place.path))
    late = list(read_frames(place.path, since=every[4].frame.time))
    assert [r.snapshot for r in late] == [r.snapshot for r in every[4:]]
    assert [r.frame.groups for r in late] == [r.frame.groups for r in every[4:]]


def test_deeper_measures_come_back_as_they_were_and_absent_ones_as_absent(place: Place) -> None:
    """A group that only uses the network is not left out as quiet."""
    delays = Delays(0.5, 12.25, 7)
    measured = Meters(delays, None, 5000.0, 0.0, 3, 1.5)
    log = place.log()
    for seq, meters in ((1, NO_METERS), (2, measured)):
        log.offer(frame(seq, replace(shown(group()), meters=meters), meters=meters, contention=BUSY))
    log.flush()
    first, second = read_frames(place.path)
    assert (first.frame.meters, first.frame.groups[0].meters) == (NO_METERS, NO_METERS)
    assert (second.frame.meters, second.frame.groups[0].meters) == (measured, measured)
    assert second.fresh


def test_pressure_of_its_own_cgroup_comes_back_as_it_was(place: Place) -> None:
    """Who only waits is not left out as quiet, and the end of that is recorded, too."""
    log = place.log()
    known = (None, GroupPressure(40.25, 0.0, None), GroupPressure(None, None, 3.5), GroupPressure(0.25, 0.0, 0.0))
    for seq, pressure in enumerate(known, 1):
        log.offer(frame(seq, replace(shown(group()), pressure=pressure), contention=BUSY))
    log.flush()
    assert tuple(r.frame.groups[0].pressure for r in read_frames(place.path)) == known


def test_what_is_no_log_is_a_sentence(place: Place) -> None:
    with pytest.raises(RecordError, match="nothing has been recorded"):
        list(read_frames(place.path))
    place.path.parent.mkdir(parents=True, exist_ok=True)
    place.path.write_bytes(b"not a database at all, but long enough to be one" * 100)
    with pytest.raises(RecordError, match="cannot be read"):
        list(read_frames(place.path))
