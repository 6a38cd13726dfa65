"""What we changed, and what it was before: on disk before the first write, so that a crash loses nothing.

A line is a CRC-32 of the rest in hex, a space, JSON of some records. The file is appended to, and written anew when
most of it is history. A torn or damaged line is skipped and said; a ledger of another boot is history.
"""

import contextlib
import json
import os
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic_core import PydanticSerializationError, to_json

from smoothtask.model.change import (
    AnyTarget,
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

VERSION = 3
COMPACT_ABOVE = 2000
BATCH = 64
"""Records in one line."""
TEXT_LIMIT = 200
LINE_LIMIT = 1 << 20
"""Longer lines are not written, and not read. One record has at most 6 paths of 4,096 bytes, each escaped to 6."""


UNSET = 2**64 - 1
"""systemd's value of a weight or limit that is not set."""
DEFAULT_WEIGHT = 100
_T = TypeVar("_T")
THREAD_KNOBS = frozenset({Knob.SCHED, Knob.IOPRIO})
_TARGETS: dict[Knob, type[AnyTarget]] = {
    Knob.SCHED: Target,
    Knob.IOPRIO: Target,
    Knob.AUTOGROUP: Target,
    Knob.UNIT: UnitTarget,
    Knob.HOME: HomeTarget,
    Knob.CONTROLLERS: ControllersTarget,
}


class LedgerError(Exception):
    """The ledger cannot be kept, so nothing may be changed; the message says why."""


class Key(NamedTuple):
    """Which value an entry is about."""

    knob: Knob
    who: tuple[int | str, ...]
    """`Target.who`."""


class Entry(NamedTuple):
    """One value that is ours at the moment."""

    knob: Knob
    target: AnyTarget
    old: Value
    new: Value
    group: str
    why: str
    sid: int
    """Session of the process: children that inherited the value are looked for there."""
    at_ticks: int
    """When, in clock ticks since boot: what started before cannot have inherited it."""
    before: Value | None = None
    """What it was just before this write, an earlier value of ours maybe: a crash may come before the write."""
    until_ticks: int | None = None
    """Not in force any more: what began until then may have inherited it all the same."""

    @property
    def ours(self) -> tuple[Value | None, ...]:
        """The values that are there by our doing."""
        if self.knob is Knob.UNIT and self.old == UNSET:
            return self.new, self.before, DEFAULT_WEIGHT  # on its way back it is that for a moment
        return self.new, self.before

    @property
    def key(self) -> Key:
        """What it is about."""
        return Key(self.knob, self.target.who)

    @property
    def thread(self) -> Target | None:
        """The thread, when it is about one; `None` for sessions, units and cgroups."""
        return self.target if self.knob in THREAD_KNOBS and isinstance(self.target, Target) else None


class Ledger:
    """The entries in force, and their file (none for a dry run)."""

    def __init__(self, path: Path | None, boot_id: str) -> None:
        self.entries: dict[Key, Entry] = {}
        self.wills: list[Entry] = []
        """Values that are no longer in force, and may live on in children that were born meanwhile."""
        self.notes: list[str] = []
        self.revision = 0
        """Another number whenever entries or wills are others."""
        self._of: tuple[int, dict[Knob, list[Entry]]] = (-1, {})
        self._path = path
        self._boot_id = boot_id
        self._fd: int | None = None
        self._records = 0
        """How many the file holds, those that are history too."""

    @classmethod
    def open(cls, path: Path, boot_id: str) -> "Ledger":
        """Read what a predecessor left at *path* and go on from there.

        Raises LedgerError when the file is not a regular one of ours, or cannot be read or written.
        """
        ledger = cls(path, boot_id)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            ledger._fd = os.open(path, flags, 0o600)
            found = os.fstat(ledger._fd)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise LedgerError(f"{path}: expected a regular file of uid {os.geteuid()}")
            folder = path.parent.stat()
            others = stat.S_IWOTH | (stat.S_IWGRP if folder.st_gid != 0 else 0)
            if folder.st_uid != os.geteuid() or folder.st_mode & others:
                raise LedgerError(f"{path.parent}: expected a directory of uid {os.geteuid()} that nobody else writes")
            with open(path, "rb") as file:
                ledger._replay(file.read())
            ledger._rewrite()
        except OSError as error:
            raise LedgerError(f"{path}: {error.strerror}") from error
        return ledger

    @property
    def is_lost(self) -> bool:
        """Whether somebody removed the file, or its folder: what is written now, no restore would ever find."""
        return self._fd is not None and os.fstat(self._fd).st_nlink == 0

    def of(self, knob: Knob) -> list[Entry]:
        """The entries in force about one knob, the oldest first."""
        if self._of[0] != self.revision:
            by_knob: dict[Knob, list[Entry]] = {}
            for entry in self.entries.values():
                by_knob.setdefault(entry.knob, []).append(entry)
            self._of = self.revision, by_knob
        return self._of[1].get(knob, [])

    def record(self, entries: Sequence[Entry], wills: Sequence[Entry] = ()) -> None:
        """Make them durable. Raises LedgerError when that fails: then nothing may be written."""
        self._append(_lines_of(entries, wills), len(entries) + len(wills))
        self.entries.update((e.key, e) for e in entries)
        self.wills += wills
        self.revision += 1 if entries or wills else 0

    def expire(self, now_ticks: int) -> None:
        """Forget wills whose heirs have been seen by now; the file loses them when it is next written anew."""
        kept = [e for e in self.wills if e.until_ticks is None or e.until_ticks > now_ticks]
        self.revision += len(kept) != len(self.wills)
        self.wills = kept

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget values that are put back, gone, or somebody else's."""
        known = [k for k in dict.fromkeys(keys) if k in self.entries]
        for key in known:
            del self.entries[key]
        self.revision += 1 if known else 0
        # A line that is lost here costs nothing: the value is not ours any more, and restoring finds that out.
        with contextlib.suppress(LedgerError):
            self._append([_line({"drop": [[k.knob, *k.who] for k in some]}) for some in _batches(known)], len(known))
        if self._records > COMPACT_ABOVE and self._records > 4 * len(self.entries):
            with contextlib.suppress(OSError):
                self._rewrite()

    def close(self) -> None:
        """Close the file; an empty ledger's is removed."""
        if self._fd is None or self._path is None:
            return
        os.close(self._fd)
        self._fd = None
        if not self.entries and not self.wills:
            self._path.unlink(missing_ok=True)

    def _append(self, lines: Sequence[bytes], records: int) -> None:
        if self._fd is None or not lines:
            return
        before = os.fstat(self._fd).st_size
        try:
            _write_all(self._fd, b"".join(lines))
            os.fdatasync(self._fd)
        except OSError as error:
            with contextlib.suppress(OSError):  # half a line is skipped as damage when the file is read
                os.ftruncate(self._fd, before)
            raise LedgerError(f"{self._path}: {error.strerror}") from error
        self._records += records

    def _rewrite(self) -> None:
        """Write the entries in force to a new file and put it in the old one's place."""
        if self._fd is None or self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            lines = [_line({"version": VERSION, "boot": self._boot_id})]
            lines += _lines_of(list(self.entries.values()), self.wills)
            _write_all(fd, b"".join(lines))
            os.fdatasync(fd)
            temporary.rename(self._path)
        except OSError:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            raise
        os.close(self._fd)
        self._fd, self._records = fd, len(self.entries) + len(self.wills)

    def _replay(self, data: bytes) -> None:
        records = list(_records(data, self.notes))
        header = records[0] if records else {}
        if header.get("boot") != self._boot_id or header.get("version") != VERSION:
            if records:
                self.notes.append("the ledger is of another boot or version: nothing of it is in force")
            return
        for record in records[1:]:
            try:
                if "set" in record:
                    group, why, fields = record["set"]
                    self.entries.update((e.key, e) for f in fields if (e := _decode(group, why, f)))
                elif "will" in record:
                    group, why, fields = record["will"]
                    self.wills += [_decode(group, why, f) for f in fields]
                elif "drop" in record:
                    for knob, *who in record["drop"]:
                        self.entries.pop(Key(Knob(knob), tuple(who)), None)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                self.notes.append(f"a record of the ledger makes no sense: {error!r}")


def _records(data: bytes, notes: list[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(data.splitlines(), 1):
        crc, _, body = line.partition(b" ")
        try:
            sound = len(line) <= LINE_LIMIT and int(crc, 16) == zlib.crc32(body)
            record = json.loads(body) if sound else None
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            yield record
        else:
            notes.append(f"line {number} of the ledger is torn or damaged")


def _line(record: dict[str, Any]) -> bytes:
    try:
        body = to_json(record)
    except PydanticSerializationError:  # a path that is not UTF-8 goes in escapes
        body = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _lines_of(entries: Sequence[Entry], wills: Sequence[Entry]) -> list[bytes]:
    """Lines of at most BATCH records that have group and reason in common: what is torn was not acted on yet."""
    lines = []
    for kind, some in (("will", wills), ("set", entries)):
        for (group, why), alike in groupby(some, key=lambda e: (e.group, e.why)):
            for batch in _batches(list(alike)):
                lines += _fitting(kind, group[:TEXT_LIMIT], why[:TEXT_LIMIT], [_encode(e) for e in batch])
    return lines


def _fitting(kind: str, group: str, why: str, records: Sequence[tuple[Any, ...]]) -> list[bytes]:
    """One line, or more where it would be too long to be read again. Raises LedgerError for a record that is."""
    line = _line({kind: [group, why, records]})
    if len(line) <= LINE_LIMIT:
        return [line]
    if len(records) == 1:
        raise LedgerError(f"a record of {len(line)} bytes")
    half = len(records) // 2
    return _fitting(kind, group, why, records[:half]) + _fitting(kind, group, why, records[half:])


def _batches(some: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (some[i : i + BATCH] for i in range(0, len(some), BATCH))


def _encode(e: Entry) -> tuple[Any, ...]:
    return e.knob, e.target, e.old, e.new, e.sid, e.at_ticks, e.before, e.until_ticks


def _decode(group: str, why: str, fields: list[Any]) -> Entry:
    knob, target, old, new, sid, at_ticks, before, until_ticks = fields
    return Entry(
        Knob(knob),
        _target(Knob(knob), target),
        _value(Knob(knob), old),
        _value(Knob(knob), new),
        str(group),
        str(why),
        int(sid),
        int(at_ticks),
        None if before is None else _value(Knob(knob), before),
        None if until_ticks is None else int(until_ticks),
    )


def _target(knob: Knob, raw: Any) -> AnyTarget:
    kind = _TARGETS[knob]
    if kind is Target:
        return Target(*map(int, raw))
    wanted = kind.__annotations__.values()
    for value, expected in zip(raw, wanted, strict=True):
        if not isinstance(value, expected):
            raise TypeError(f"expected {expected} in {raw}")
    return kind(*raw)


def _value(knob: Knob, raw: Any) -> Value:
    match knob:
        case Knob.SCHED:
            policy, nice, slice_ns, reset = raw
            attr = SchedAttr(int(policy), int(nice), int(slice_ns), bool(reset))
            if not 0 <= attr.slice_ns < 1 << 64:
                raise ValueError(f"a slice of {attr.slice_ns} ns")
            return attr
        case Knob.IOPRIO:
            prio = IoPrio(*map(int, raw))
            if prio.io_class not in range(4) or prio.level not in range(8):
                raise ValueError(f"an IO priority of {prio}")
            return prio
        case Knob.AUTOGROUP:
            return int(raw)
        case Knob.UNIT:
            return Caps(tuple((str(d), int(n)) for d, n in raw[0])) if isinstance(raw, list) else int(raw)
        case Knob.HOME | Knob.CONTROLLERS:
            return str(raw)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
