"""`bench/all.py`: what it collects, and that what is not reached is shown as that."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from bench.test_results import LOAD, measured
from bench.test_stats import rows
from smoothtask.bench.document import to_markdown
from smoothtask.bench.judge import judge
from smoothtask.bench.results import Outcome, Report, to_json
from smoothtask.bench.scenarios import IDLE, OFF

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
    harness = sys.modules["harness"]
    figures = [
        {"kind": "verdict", "name": "cost", "value": 3.0, "limit": 2.0, "unit": " ms", "holds": False},
        {"kind": "verdict", "name": "size", "value": 1.0, "limit": 4.0, "unit": " MB", "holds": True},
        {"kind": "verdict", "name": "lost", "value": None, "limit": 4.0, "unit": "", "holds": False},
        {"kind": "peer", "name": "SmoothTask daemon", "cpu_pct": 0.5, "rss_mib": 60.0, "version": ""},
        {"kind": "peer", "name": "htop", "cpu_pct": 10.0, "rss_mib": 6.0, "version": "3.2|2"},
        {"kind": "peer", "name": "later", "cpu_pct": 1.0, "rss_mib": 6.0, "version": "", "together": False},
    ]
    ran = [
        suite.Ran("a", "bench/a.py", 1, "said ``` this", 3.0, figures),
        suite.Ran("b", "bench/b.py", 1, "Traceback\nbroken", 1.0),
        suite.Ran("d", "bench/d.py", harness.SKIPPED, "skipped: no such device", 1.0),
    ]
    ran[0].at, ran[0].machine = "2026-01-02", {"date": "2026-01-02", "CPU": "2 × x", "load before": "0.1"}
    text = to_markdown("Performance", suite.page(ran, ["c"]))
    assert "1 of 3 figures are reached" in text
    assert "| cost | 3 ms | ≤ 2 ms | 150 % | FAILED | bench/a.py | 2026-01-02 |" in text
    assert "| size | 1 MB | ≤ 4 MB | 25 % | ok | bench/a.py | 2026-01-02 |" in text
    assert "| lost | not measured |" in text
    assert "| htop | at once | 10.00 % | 20.0 | 6 | 3.2\\|2 |" in text
    assert "| later | afterwards | 1.00 %" in text
    assert "| bench/b.py | broken |" in text
    assert "| c | not asked for |" in text
    assert "| bench/d.py | skipped: no such device |" in text
    assert "| CPU | 2 × x |" in text
    assert "````\nsaid ``` this\n````" in text


def test_the_benefit_is_shown_off_and_on(suite: ModuleType):
    left_out = Outcome("memory", "needs more", skipped="needs a memory limit")
    outcomes = (*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2), left_out)
    report = json.loads(json.dumps(to_json(Report(outcomes, {}, 1, "", ("noisy",), "All is well."))))
    ran = [suite.Ran("smoothtask-bench", "smoothtask bench", 0, "", 1.0, list(suite.own_figures(report)), report)]
    text = to_markdown("Performance", suite.page(ran, []))
    assert "All is well." in text
    assert "| terminal | three unknown programs" in text
    assert f"{outcomes[1].arms[OFF].missed.value:.1f} → 0.0 %" in text
    assert "| threads 100 → 95 | 5.0 % (+5.0 to +5.0) |" in text
    assert "| terminal: frames missed | 0 % | ≤ 2 % | 0 % | ok |" in text
    assert "| smoothtask bench: memory | needs a memory limit |" in text


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A suite of two benchmarks that cost nothing."""
    for name in ("all.py", "harness.py"):
        shutil.copy(BENCH / name, tmp_path)
    (tmp_path / "one.py").write_text("from harness import finish, verdict\nfinish([verdict('cost', 1.0, 2.0)])\n")
    (tmp_path / "two.py").write_text("from harness import skip\nskip('no such device')\n")
    return tmp_path


def collect(folder: Path, *names: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, str(folder / "all.py"), "--out", str(folder / "page.md"), "--only", *names]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def test_a_page_is_made_and_renewed_in_part(small: Path):
    assert collect(small, "two").returncode == 0  # what cannot be measured here is no failure
    assert collect(small, "one").returncode == 0
    records = json.loads((small / "page.json").read_text())
    assert [(r["name"], r["status"]) for r in records] == [("one", 0), ("two", 77)]
    assert all(r["machine"]["kernel"] and r["at"] for r in records)
    page = (small / "page.md").read_text()
    assert "| cost | 1 | ≤ 2 | 50 % | ok | bench/one.py |" in page
    assert "| bench/two.py | skipped: no such device |" in page
    (small / "page.md").unlink()
    assert collect(small).returncode == 0  # nothing is run
    assert (small / "page.md").read_text() == page


def test_figures_of_another_machine_are_not_taken_for_this_one_s(small: Path):
    assert collect(small, "one").returncode == 0
    data = small / "page.json"
    (kept,) = json.loads(data.read_text())
    kept["machine"]["CPU"] = "64 × another"
    data.write_text(json.dumps([kept]))
    before = (small / "page.md").read_text(), data.read_text()
    refused = collect(small, "two")
    assert refused.returncode == 1
    assert "one: CPU was '64 × another'" in refused.stderr
    assert ((small / "page.md").read_text(), data.read_text()) == before
    assert collect(small, "one", "two").returncode == 0  # both are measured here now


def test_what_was_not_measured_of_a_load_is_a_dash(suite: ModuleType):
    """And so is what a report of before did not compare."""
    whole = measured(LOAD, 5, 5)
    (outcome,) = judge([replace(whole, blocks=whole.blocks[:2], rows={role: rows() for role in whole.rows})], 2)
    report = json.loads(json.dumps(to_json(Report((outcome,), {}, 1, ""))))
    del report["outcomes"][0]["sound_change"]
    text = to_markdown("", suite.benefit(suite.Ran("smoothtask-bench", "", 0, "", 1.0), report))
    assert "| – → – % | – | – | – → – % | – | threads 100 → 95 | 5.0 % (–) |" in text
