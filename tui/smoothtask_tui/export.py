"""What a screen shows as text, CSV or JSON (pure). Names in it are sanitised already, and never a formula."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from smoothtask_tui.rows import Row

Record = Mapping[str, Any]


@runtime_checkable
class Shows(Protocol):
    """A screen whose content is more than text."""

    view_name: str

    def records(self) -> Sequence[Record]:
        """What it shows, one a line."""
        ...


class Format(StrEnum):
    """The value is the ending of the file's name."""

    TEXT = "txt"
    CSV = "csv"
    JSON = "json"


def row_record(row: Row) -> dict[str, Any]:
    """One line of the list of groups, with all that is known of it: shares in percent of a core, bytes, seconds."""
    m = row.metrics
    record: dict[str, Any] = {
        "kind": row.kind,
        "id": row.id,
        "group": row.group,
        "name": row.label,
        "class": row.target.name,
        "wanted": row.wanted.name,
        "by": row.by,
        "cpu_pct": round(100 * m.cpu, 2),
        "wait_pct": round(100 * m.wait, 2),
        "psi_cpu_pct": row.pressure.cpu_pct if row.pressure else None,
        "psi_io_pct": row.pressure.io_pct if row.pressure else None,
        "psi_memory_pct": row.pressure.memory_pct if row.pressure else None,
        "read_bps": round(m.read_bps),
        "write_bps": round(m.write_bps),
        "rss_bytes": m.rss_bytes,
        "processes": m.processes,
        "threads": m.threads,
        "in_effect": row.mechanism,
        "in_class_s": round(row.since_s, 1),
        "marks": " ".join(sorted(mark.value for mark in row.marks)),
        "type": row.type,
    }
    if row.process is not None:
        record |= {"pid": row.process.pid, "uid": row.process.uid, "nice": row.process.nice}
    if row.thread is not None:
        record |= {"tid": row.thread.tid, "nice": row.thread.nice}
    return record


def as_csv(records: Sequence[Record]) -> str:
    """A heading and a line each (RFC 4180, but for lines that end as ours do)."""
    columns = list(dict.fromkeys(name for record in records for name in record))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(record.get(name)) for name in columns] for record in records)
    return file.getvalue()


def as_json(title: str, time: float, records: Sequence[Record]) -> str:
    """One object: what it is, when (Unix time), and the records."""
    return json.dumps({"view": title, "time": time, "rows": list(records)}, indent=1, ensure_ascii=False) + "\n"


def as_text(lines: Sequence[str]) -> str:
    """The screen as it is, without colours."""
    kept = [line.rstrip() for line in lines]
    while kept and not kept[-1]:
        kept.pop()
    return "\n".join(kept) + "\n"


def _cell(value: object) -> object:
    """A spreadsheet takes text that begins so for a formula: a program's name may not become one."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") and len(value) > 1 else value
