"""The generated SQL, and that the daemon's half needs neither SQLModel nor SQLAlchemy."""

import subprocess
import sys
from pathlib import Path

import pytest

from smoothtask.store import rows, schema
from smoothtask.store.tables import Base


def test_committed_sql_is_what_the_tables_generate() -> None:
    """`python -m smoothtask.store.schema` says nothing and leaves with 0."""
    assert schema.PATH.read_text() == schema.generate()
    assert schema.main([]) == 0


def test_a_difference_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was edited by hand fails the check, and --write repairs it."""
    copy = tmp_path / "schema.sql"
    copy.write_text(schema.PATH.read_text().replace("pid INTEGER", "pid TEXT"))
    monkeypatch.setattr(schema, "PATH", copy)
    assert schema.main([]) == 1
    assert "--write" in capsys.readouterr().err
    assert schema.main(["--write"]) == 0
    assert schema.main([]) == 0


def test_parsed_columns_are_those_of_the_tables() -> None:
    """Every table has its CREATE and an INSERT of all columns in their order."""
    loaded = schema.load()
    assert loaded.columns == {t.name: tuple(c.name for c in t.columns) for t in Base.metadata.sorted_tables}
    assert set(rows.TABLES) < set(loaded.columns)
    creates = [c for c in loaded.creates if c.startswith("CREATE TABLE")]
    assert len(creates) == len(loaded.columns)


def test_recording_loads_no_heavy_library() -> None:
    """`import smoothtask.store.log` stays clear of what costs the daemon its memory."""
    script = (
        "import sys, smoothtask.store.log, smoothtask.store.pins\n"
        "heavy = {'sqlmodel', 'sqlalchemy', 'pyarrow', 'asyncio', 'textual', 'onnxruntime'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
