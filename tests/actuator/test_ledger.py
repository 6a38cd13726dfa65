"""The ledger survives whatever a crash or a full disk leaves of it."""

import json
import os
import shutil
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smoothtask.actuator.ledger import LINE_LIMIT, UNSET, Entry, Ledger, LedgerError
from smoothtask.model.change import (
    Caps,
    ControllersTarget,
    HomeTarget,
    IoPrio,
    Knob,
    SchedAttr,
    Target,
    UnitTarget,
    Value,
)


def entry(tid: int, nice: int = 19) -> Entry:
    """One lowered thread."""
    old, new = SchedAttr(0, 0, 0, False), SchedAttr(0, nice, 0, False)
    return Entry(Knob.SCHED, Target(tid, 1, tid, 1), old, new, "g", "because", 7, 100)


def fresh(folder: Path) -> Path:
    """Where no other example has a ledger (hypothesis seeds `random` anew for each)."""
    return Path(tempfile.mkdtemp(dir=folder)) / "l"


def test_it_is_on_disk_before_anything_else(tmp_path: Path) -> None:
    """Another process reads it back without the first having closed it."""
    first = Ledger.open(tmp_path / "l", "boot")
    io = Entry(Knob.IOPRIO, Target(5, 1, 5, 1), IoPrio(0, 0), IoPrio(3, 7), "g", "w", 7, 100)
    auto = Entry(Knob.AUTOGROUP, Target(5, 1, 44, 0), 0, 5, "g", "w", 7, 100)
    first.record([entry(1), entry(2), io, auto])
    first.drop([entry(1).key])
    second = Ledger.open(tmp_path / "l", "boot")
    assert list(second.entries.values()) == [entry(2), io, auto]
    assert (tmp_path / "l").stat().st_mode & 0o777 == 0o600


def test_one_that_was_removed_is_lost_and_one_written_anew_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    ledger = Ledger.open(folder / "l", "boot")
    assert not ledger.is_lost
    ledger._rewrite()
    assert not ledger.is_lost
    shutil.rmtree(folder)
    assert ledger.is_lost
    ledger.close()
    assert not ledger.is_lost


def test_a_newer_value_keeps_the_place_of_the_older(tmp_path: Path) -> None:
    """One entry a value."""
    ledger = Ledger.open(tmp_path / "l", "boot")
    ledger.record([entry(1, 5)])
    ledger.record([entry(1, 19)])
    assert [e.new.nice for e in Ledger.open(tmp_path / "l", "boot").entries.values()] == [19]  # type: ignore[union-attr]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), flips=st.lists(st.integers(0, 2000), max_size=4))
def test_torn_or_damaged_it_gives_what_is_sound_and_says_the_rest(tmp_path: Path, cut: int, flips: list[int]) -> None:
    """Never an error, never an entry that was not written."""
    path = fresh(tmp_path)
    ledger = Ledger.open(path, "boot")
    written = [entry(t) for t in range(1, 6)]
    ledger.record(written)
    data = bytearray(path.read_bytes())
    data = data[: len(data) - cut]
    for at in flips:
        if at < len(data):
            data[at] ^= 0x15
    path.write_bytes(data)
    again = Ledger.open(path, "boot")
    assert set(again.entries.values()) <= set(written)


def test_a_torn_last_line_is_said(tmp_path: Path) -> None:
    """What came before it is in force."""
    ledger = Ledger.open(tmp_path / "l", "boot")
    ledger.record([entry(1)])
    ledger.record([entry(2)])
    (tmp_path / "l").write_bytes((tmp_path / "l").read_bytes()[:-9])
    again = Ledger.open(tmp_path / "l", "boot")
    assert list(again.entries.values()) == [entry(1)]
    assert "torn" in again.notes[0]


def test_a_ledger_of_another_boot_is_history(tmp_path: Path) -> None:
    """Its pids are other processes by now."""
    Ledger.open(tmp_path / "l", "yesterday").record([entry(1)])
    today = Ledger.open(tmp_path / "l", "today")
    assert not today.entries
    assert today.notes


def test_a_full_disk_refuses_the_change_and_leaves_the_ledger_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line is taken back."""
    ledger = Ledger.open(tmp_path / "l", "boot")
    ledger.record([entry(1)])
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) > 20:
            return real(fd, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LedgerError, match="No space"):
        ledger.record([entry(2)])
    monkeypatch.undo()
    ledger.record([entry(3)])
    again = Ledger.open(tmp_path / "l", "boot")
    assert list(again.entries) == [entry(1).key, entry(3).key]
    assert not again.notes


def test_a_link_is_refused(tmp_path: Path) -> None:
    """Root must not write where somebody else points."""
    (tmp_path / "l").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError):
        Ledger.open(tmp_path / "l", "boot")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["set", "will", "drop", "boot"]),
            st.recursive(
                st.none() | st.integers() | st.floats() | st.sampled_from(["sched", "ioprio", "autogroup", ""]),
                lambda inner: st.lists(inner, max_size=10),
                max_leaves=30,
            ),
            max_size=2,
        )
    )
)
def test_sound_lines_that_make_no_sense_are_said_and_skipped(tmp_path: Path, records: list[dict[str, object]]) -> None:
    """Right checksums, whatever content."""
    path = fresh(tmp_path)
    Ledger.open(path, "boot").record([entry(1)])
    bodies = [json.dumps(r).encode() for r in records]
    with path.open("ab") as file:
        file.writelines(b"%08x %s\n" % (zlib.crc32(body), body) for body in bodies)
    again = Ledger.open(path, "boot")
    assert entry(1) in again.entries.values()


def test_a_long_hostile_reason_is_not_taken_for_damage(tmp_path: Path) -> None:
    """Each character may take twelve bytes."""
    hostile = entry(1)._replace(why="\U0001f600" * 500, group="\udcff\n" * 500)
    Ledger.open(tmp_path / "l", "boot").record([hostile])
    again = Ledger.open(tmp_path / "l", "boot")
    assert list(again.entries) == [entry(1).key]
    assert not again.notes


def test_wills_are_kept_until_they_expire(tmp_path: Path) -> None:
    """Across a crash and a rewrite."""
    ledger = Ledger.open(tmp_path / "l", "boot")
    will = entry(1)._replace(until_ticks=500)
    ledger.record([entry(2)], [will])
    again = Ledger.open(tmp_path / "l", "boot")
    assert again.wills == [will]
    again.expire(499)
    assert again.wills == [will]
    again.expire(500)
    assert again.wills == []
    assert list(again.entries) == [entry(2).key]


@pytest.mark.parametrize(("mode", "gid"), [(0o777, 0), pytest.param(0o775, 12, marks=pytest.mark.root)])
def test_a_directory_that_others_write_is_refused(tmp_path: Path, mode: int, gid: int) -> None:
    """They could put another file in its place: anybody, or a group's members."""
    if gid and os.geteuid() != 0:
        pytest.skip("only root gives a folder to a group that it is not in")
    folder = tmp_path / "open"
    folder.mkdir()
    if gid:
        os.chown(folder, -1, gid)
    folder.chmod(mode)
    with pytest.raises(LedgerError, match="nobody else"):
        Ledger.open(folder / "l", "boot")
    folder.chmod(mode & ~0o022)
    Ledger.open(folder / "l", "boot")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to root's group")
def test_roots_group_is_root(tmp_path: Path) -> None:
    """Who is in it may do anything already."""
    os.chown(tmp_path, -1, 0)
    tmp_path.chmod(0o770)
    Ledger.open(tmp_path / "l", "boot")


paths = st.binary(max_size=60).map(lambda b: "/" + b.decode("utf-8", "surrogateescape"))
numbers = st.integers(0, UNSET)
caps = st.lists(st.tuples(paths, numbers), max_size=3).map(lambda disks: Caps(tuple(disks)))
unit_values: st.SearchStrategy[Value] = numbers | caps
common = (st.just("g"), st.just("why"), st.just(0), st.integers(0, 1 << 40))
records = st.one_of(
    st.builds(
        Entry,
        st.just(Knob.UNIT),
        st.builds(UnitTarget, st.integers(-1, 1 << 32), paths, paths, paths),
        unit_values,
        unit_values,
        *common,
        st.none() | unit_values,
    ),
    st.builds(
        Entry,
        st.just(Knob.HOME),
        st.builds(HomeTarget, paths, paths, numbers, st.integers(-1, 1 << 32), paths),
        paths,
        paths,
        *common,
        st.none() | paths,
    ),
    st.builds(
        Entry,
        st.just(Knob.CONTROLLERS),
        st.builds(ControllersTarget, paths, numbers, paths),
        paths,
        paths,
        *common,
        st.none() | paths,
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.lists(records, max_size=8))
def test_units_and_cgroups_come_back_as_they_were(tmp_path: Path, entries: list[Entry]) -> None:
    """Whatever bytes are in a path, whatever numbers; and a drop finds what it is about."""
    path = fresh(tmp_path)
    ledger = Ledger.open(path, "boot")
    ledger.record(entries)
    again = Ledger.open(path, "boot")
    assert again.entries == ledger.entries == {e.key: e for e in entries}
    assert not again.notes
    again.drop([e.key for e in entries] * 2)
    assert not Ledger.open(path, "boot").entries


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(records, st.sampled_from(["sched", "ioprio", "autogroup", "unit", "home", "controllers"]), st.data())
def test_a_record_of_another_shape_is_said_and_skipped(
    tmp_path: Path, written: Entry, knob: str, data: st.DataObject
) -> None:
    """A right checksum on fields that are missing, of another type or of another knob."""
    fields: list[object] = [knob, list(written.target), written.old, written.new, 0, 1, None, None]
    at = data.draw(st.integers(0, len(fields) - 1))
    fields[at] = data.draw(st.none() | st.booleans() | st.floats() | st.lists(st.integers(), max_size=6) | st.text())
    fields = fields[: data.draw(st.integers(0, len(fields)))]
    path = fresh(tmp_path)
    Ledger.open(path, "boot").record([entry(1)])
    body = json.dumps({"set": ["g", "why", [fields]]}).encode()
    with path.open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(body), body))
    again = Ledger.open(path, "boot")
    assert entry(1) in again.entries.values()
    assert len(again.entries) == 2 or again.notes


def far(number: int, length: int = 4000) -> Entry:
    """A cgroup whose path is as long as the kernel has them, of bytes that take the most room."""
    path = "/" + "\udcff" * length + str(number)
    target = HomeTarget(path, path, 1, 1000, path[-200:])
    return Entry(Knob.HOME, target, path, path, "g", "why", 0, 1, path)


def test_long_paths_are_not_lost(tmp_path: Path) -> None:
    """A line that would be too long to be read again is several."""
    ledger = Ledger.open(tmp_path / "l", "boot")
    ledger.record([far(n) for n in range(64)])
    again = Ledger.open(tmp_path / "l", "boot")
    assert again.entries == ledger.entries
    assert len(again.entries) == 64
    assert not again.notes
    assert max(map(len, (tmp_path / "l").read_bytes().splitlines())) <= LINE_LIMIT


def test_a_record_that_cannot_be_read_again_is_refused(tmp_path: Path) -> None:
    """Before anything is written: nothing may be done that is not on record."""
    ledger = Ledger.open(tmp_path / "l", "boot")
    before = (tmp_path / "l").read_bytes()
    with pytest.raises(LedgerError, match="a record of"):
        ledger.record([far(1), far(2, LINE_LIMIT)])
    assert not ledger.entries
    assert (tmp_path / "l").read_bytes() == before


def test_a_file_with_wills_alone_is_kept(tmp_path: Path) -> None:
    """They are what children that nobody has seen yet may have; an empty one is removed."""
    path = tmp_path / "l"
    ledger = Ledger.open(path, "boot")
    ledger.record([], [entry(1)._replace(until_ticks=500)])
    ledger.close()
    assert path.exists()
    again = Ledger.open(path, "boot")
    again.expire(500)
    again.close()
    assert not path.exists()
