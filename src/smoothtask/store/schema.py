"""`schema.sql`: the tables as SQL, generated from `tables.py`, so that the daemon records without SQLModel.

python -m smoothtask.store.schema --write
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

VERSION = 5
"""`PRAGMA user_version`: raise it with every change of a table."""
APPLICATION_ID = 0x534D5448
"""`PRAGMA application_id`: "SMTH"; tells our databases from other programs'."""
PATH = Path(__file__).with_name("schema.sql")

_HEAD = """\
-- Generated from tables.py by `python -m smoothtask.store.schema --write`: not to be edited.
"""
_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Schema:
    """The statements of `schema.sql`."""

    creates: tuple[str, ...]
    inserts: dict[str, str]
    """Table → INSERT statement with one `?` a column."""
    columns: dict[str, tuple[str, ...]]
    """Table → its columns, in the order of the INSERT."""


def parse(text: str) -> Schema:
    """The statements in *text*, in the form that `generate` writes: each ends with a semicolon and a line end."""
    statements = [s.strip() for s in re.sub(r"(?m)^--.*\n", "", text).split(";\n") if s.strip()]
    inserts, columns = {}, {}
    for statement in statements:
        found = _INSERT.match(statement)
        if found:
            inserts[found[1]] = statement
            columns[found[1]] = tuple(c.strip() for c in found[2].split(","))
    return Schema(tuple(s for s in statements if s.startswith("CREATE ")), inserts, columns)


def load() -> Schema:
    """The committed schema. OSError when the installation lacks it."""
    return parse(PATH.read_text(encoding="utf-8"))


def generate() -> str:
    """The text of `schema.sql` as `tables.py` has it now."""
    # Here and not above: the daemon imports this module, and SQLAlchemy costs more than all the rest of it.
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415
    from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415

    from smoothtask.store.tables import Base  # noqa: PLC0415

    dialect = sqlite.dialect()
    parts = [_HEAD]
    for table in Base.metadata.sorted_tables:
        parts.append(_tidy(str(CreateTable(table).compile(dialect=dialect))))
        indices = sorted(table.indexes, key=lambda i: str(i.name))
        parts += [_tidy(str(CreateIndex(index).compile(dialect=dialect))) for index in indices]
        names = [c.name for c in table.columns]
        marks = ", ".join("?" * len(names))
        parts.append(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks});\n")  # noqa: S608 - our own names
    return "\n".join(parts)


def _tidy(statement: str) -> str:
    lines = (line.rstrip().replace("\t", "  ") for line in statement.strip().splitlines())
    return "\n".join(line for line in lines if line) + ";\n"


def main(arguments: list[str] | None = None) -> int:
    """Compare the committed file with a regeneration, or write it; 1 when they differ."""
    parser = argparse.ArgumentParser(prog="python -m smoothtask.store.schema", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write schema.sql instead of comparing it")
    if parser.parse_args(arguments).write:
        PATH.write_text(generate(), encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == generate():
        return 0
    sys.stderr.write(f"{PATH} is not what tables.py generates: run `python -m smoothtask.store.schema --write`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
