"""docs/snapshots.md: its queries run, and find what it says they find."""

import re
from pathlib import Path

import pytest

from scenery import known
from smoothtask.model.classes import PriorityClass
from smoothtask.store.tables import Base
from store.conftest import Place
from store.frames import BUSY, FIREFOX, frame, group, shown

PAGE = Path(__file__).parents[2].joinpath("docs/snapshots.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


def test_groups_of_a_snapshot_are_all_that_stood_then(place: Place) -> None:
    """With those that have no row of their own; without those that exited; changed ones as they became."""
    log = place.log()
    still, mail = shown(group("proc:1-1", FIREFOX)), shown(group("proc:2-2", known("mail", label="Mail")))
    log.offer(frame(1, still, mail, contention=BUSY))
    for n in (2, 3):
        log.offer(frame(n, still, shown(group("proc:3-3", known("cc", label="cc"), cpu=1.0)), contention=BUSY))
    became = shown(group("proc:1-1", known("editor", label="Editor")), PriorityClass.INTERACTIVE)
    log.offer(frame(4, became, contention=BUSY))
    log.flush()
    found = [[row[:3] for row in place.rows(QUERIES[0].replace("1234", str(n)))] for n in (1, 3, 4)]
    assert found == [
        [("Firefox", "browser", "NORMAL"), ("Mail", "unknown", "NORMAL")],
        [("Firefox", "browser", "NORMAL"), ("cc", "unknown", "NORMAL")],
        [("Editor", "unknown", "INTERACTIVE")],
    ]


@pytest.mark.parametrize("query", QUERIES)
def test_queries_run(place: Place, query: str) -> None:
    """On an empty log too."""
    place.log()
    assert place.rows(query.replace("unixepoch() ", "strftime('%s') ")) == []


def test_every_table_is_described() -> None:
    """And none that does not exist."""
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert named == set(Base.metadata.tables)
