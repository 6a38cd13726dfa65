"""`bench/all.py`: what it collects, and that what is not reached is shown as that."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bench.test_results import LOAD, measured
from smoothtask.bench.document import to_markdown
from smoothtask.bench.results import Report, judge, to_json
from smoothtask.bench.scenarios import IDLE

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return __import__("all")


def test_a_figure_is_written_for_whoever_collects(suite: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    harness = sys.modules["harness"]
    monkeypatch.setenv(harness.FIGURES, str(tmp_path / "figures"))
    assert harness.verdict("cost", 3.0, 2.0, " ms") is False
    assert harness.verdict("nothing", float("nan"), 2.0) is False
    first, second = map(json.loads, (tmp_path / "figures").read_text().splitlines())
    assert (first["name"], first["value"], first["holds"]) == ("cost", 3.0, False)
    assert second["value"] is None


def test_what_is_not_reached_is_shown(suite: ModuleType):
    figures = [
        {"kind": "verdict", "name": "cost", "value": 3.0, "limit": 2.0, "unit": " ms", "holds": False},
        {"kind": "verdict", "name": "size", "value": 1.0, "limit": 4.0, "unit": " MB", "holds": True},
        {"kind": "verdict", "name": "lost", "value": None, "limit": 4.0, "unit": "", "holds": False},
        {"kind": "peer", "name": "SmoothTask daemon", "cpu_pct": 0.5, "rss_mib": 60.0, "version": ""},
        {"kind": "peer", "name": "htop", "cpu_pct": 10.0, "rss_mib": 6.0, "version": "3.2|2"},
    ]
    ran = [
        suite.Ran("a", "bench/a.py", 1, "said ``` this", 3.0, figures),
        suite.Ran("b", "bench/b.py", 1, "Traceback\nbroken", 1.0),
    ]
    text = to_markdown("Performance", suite.page(ran, {"CPU": "2 × x"}, ["c"]))
    assert "1 of 3 figures are reached" in text
    assert "| cost | 3 ms | ≤ 2 ms | 150 % | FAILED | bench/a.py |" in text
    assert "| size | 1 MB | ≤ 4 MB | 25 % | ok | bench/a.py |" in text
    assert "| lost | not measured |" in text
    assert "| htop | 10.00 % | 20.0 | 6 | 3.2\\|2 |" in text
    assert "| bench/b.py | broken |" in text
    assert "| c | not asked for |" in text
    assert "````\nsaid ``` this\n````" in text


def test_the_benefit_is_shown_off_and_on(suite: ModuleType):
    outcomes = judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2, 1)
    report = json.loads(json.dumps(to_json(Report(outcomes, {}, 1, "", ("noisy",), "All is well."))))
    ran = [suite.Ran("smoothtask-bench", "smoothtask bench", 0, "", 1.0, list(suite.own_figures(report)), report)]
    text = to_markdown("Performance", suite.page(ran, {}, []))
    assert "All is well." in text
    assert "| terminal | three unknown programs" in text
    assert "80.3 → 0.0 %" in text
    assert "| terminal: frames missed | 0 % | ≤ 2 % | 0 % | ok |" in text


def test_a_page_is_made_and_renewed_in_part(tmp_path: Path):
    """By a benchmark that ends at once where there is no systemd."""
    page, data = tmp_path / "page.md", tmp_path / "page.json"
    words = [sys.executable, str(BENCH / "all.py"), "--only", "shares", "--out", str(page)]
    subprocess.run(words, capture_output=True, timeout=120, check=True)
    (kept,) = json.loads(data.read_text())
    assert kept["name"] == "shares"
    kept["name"] = "frames"  # as if it had been measured before
    data.write_text(json.dumps([kept]))
    subprocess.run(words, capture_output=True, timeout=120, check=True)
    assert [r["name"] for r in json.loads(data.read_text())] == ["frames", "shares"]
    assert "bench/shares.py" in page.read_text()
