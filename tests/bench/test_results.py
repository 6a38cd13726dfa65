"""What follows from what was measured."""

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from bench.test_stats import rows
from smoothtask.bench import page, show
from smoothtask.bench.results import Block, Measured, Report, judge, to_json, verdict
from smoothtask.bench.scenarios import FULL, IDLE, OFF, ON, QUICK, SCENARIOS, order

LOAD = next(s for s in SCENARIOS if s.name == "terminal")


def measured(scenario, off_ms: float, on_ms: float, on_work: float = 95.0) -> Measured:
    """Four blocks of 2 s, whose frames take so long."""
    blocks, frames, at = [], [], 100.0
    for arm in (OFF, ON, ON, OFF):
        took = off_ms if arm == OFF else on_ms
        frames.append(rows(*([took, 5.0] * 60), begin_s=at))
        work = {"threads": 100.0 if arm == OFF else on_work} if scenario.loads else {}
        blocks.append(Block(arm, at, at + 2, work, 0.5))
        at += 10
    there = np.concatenate(frames)
    return Measured(scenario, tuple(blocks), dict.fromkeys(("frames", "audio", "typing", "start"), there))


def report(*outcomes) -> Report:
    return Report(outcomes, {"CPU": "2 × <b>evil</b>"}, 1, "by nobody", ("a note",), verdict(outcomes))


def test_an_outcome_says_what_changed_and_whether_it_is_what_is_promised():
    idle, loaded = judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2, 1)
    assert loaded.arms[OFF].missed.value > 50
    assert loaded.arms[ON].missed.value == 0
    assert loaded.missed_change.high < 0
    assert loaded.lost_pct.value == pytest.approx(5.0)
    assert [c.holds for c in loaded.checks] == [True, True, True]
    assert idle.lost_pct is None
    assert idle.missed_change.value == 0
    said = verdict([idle, loaded])
    assert "0.0 % of frames are missed with SmoothTask" in said
    assert "surely fewer in terminal" in said
    assert "5 % less" in said


def several(off: dict[str, float], on: dict[str, float], cores: dict[str, float], probes: float = 0.5) -> Measured:
    """Loads that got so much done, and the CPU that each used when off."""
    whole = measured(LOAD, 5, 5)
    blocks = [
        replace(b, work=off if b.arm == OFF else on, cores=cores, probe_cores=probes, other_cores=0.2)
        for b in whole.blocks
    ]
    return replace(whole, blocks=tuple(blocks))


def test_what_one_load_gets_of_another_is_not_lost():
    """Each counts by the CPU that it has; what all of them lose is."""
    cores = {"build": 0.3, "encode": 0.9}
    (moved,) = judge([several({"build": 3, "encode": 90}, {"build": 6, "encode": 60}, cores)], 2, 1)
    assert moved.lost_pct.value == pytest.approx(0.0, abs=1e-9)
    assert moved.arms[ON].left_cores == pytest.approx(1.3)
    assert moved.arms[OFF].load_cores == cores
    (less,) = judge([several({"build": 3, "encode": 90}, {"build": 3, "encode": 60}, cores)], 2, 1)
    assert less.lost_pct.value == pytest.approx(25.0)
    assert less.lost_pct.low == less.lost_pct.high == pytest.approx(25.0)


def test_where_nothing_is_left_nothing_is_promised_of_throughput():
    (outcome,) = judge([several({"build": 3}, {"build": 1}, {"build": 0.1}, probes=1.9)], 2, 1)
    assert outcome.lost_pct is None
    assert [c.name for c in outcome.checks] == ["frames missed"]
    assert outcome.arms[ON].left_cores == pytest.approx(0.1)


def test_a_promise_that_is_not_kept_is_shown_as_that():
    _, loaded = judge([measured(IDLE, 5, 5), measured(LOAD, 5, 60, on_work=50.0)], 2, 1)
    assert [c.holds for c in loaded.checks] == [False, False, False]
    assert "surely more in terminal" in verdict([loaded])
    assert any("MISSED" in line for line in show.lines(report(loaded), 200))


def test_no_difference_is_said():
    (loaded,) = judge([measured(LOAD, 5, 5)], 2, 1)
    assert "no difference can be told" in verdict([loaded])
    assert [c.name for c in loaded.checks] == ["frames missed", "throughput lost"]  # without an idle machine to compare


def test_without_a_switch_there_is_one_arm_and_nothing_is_promised():
    whole = measured(LOAD, 60, 5)
    alone = Measured(LOAD, tuple(b for b in whole.blocks if b.arm == OFF), whole.rows)
    (outcome,) = judge([alone], 2, 1)
    assert set(outcome.arms) == {OFF}
    assert outcome.checks == ()
    assert outcome.missed_change is None
    assert "without SmoothTask" in verdict([outcome])
    assert show.bars([outcome], 80) == ""


def test_a_check_of_what_could_not_be_measured_does_not_hold():
    blocks = measured(LOAD, 5, 5)
    empty = Measured(LOAD, blocks.blocks, {role: rows() for role in blocks.rows})
    (outcome,) = judge([empty], 2, 1)
    assert not outcome.checks[0].holds


def test_json_is_json_and_markup_stays_text(tmp_path):
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2, 1))
    data = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert data["outcomes"][1]["checks"][0]["holds"] is True
    pytest.importorskip("matplotlib")
    written = page.write(tmp_path / "out", found)
    assert {p.name for p in written} == {"report.json", "report.md", "report.html", "missed.png", "frame-times.png"}
    html = (tmp_path / "out/report.html").read_text()
    assert "<b>evil</b>" not in html
    assert "<svg" in html
    assert (tmp_path / "out/missed.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    found = report(*judge([measured(LOAD, 60, 5)], 2, 1))
    assert {p.name for p in page.write(tmp_path, found)} == {"report.json", "report.md"}


def test_eighty_cells_are_enough():
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2, 1))
    table = show.lines(found, 80)[: 1 + 2 * 2]
    assert all(len(line) <= 80 for line in table)
    assert "100" in show.bars(found.outcomes, 80) or "off" in show.bars(found.outcomes, 80)


@pytest.mark.parametrize("columns", ["0", "1", "-5", "x", "40", "5000"])
def test_any_terminal_will_do(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2, 1))
    cells = show.terminal_cells()
    assert cells >= 40
    assert all(len(line) <= cells for line in show.lines(found, cells))
    assert "terminal" in show.bars(found.outcomes, cells)


def test_each_arm_has_its_turn_in_each_round():
    turns = order(4, (ON, OFF), random.Random(1))
    assert all(set(turns[i : i + 2]) == {ON, OFF} for i in range(0, 8, 2))
    assert turns == order(4, (ON, OFF), random.Random(1))
    assert turns != order(4, (ON, OFF), random.Random(3))


def test_the_short_run_is_about_a_minute():
    assert 45 <= QUICK.seconds(2) * sum(s.quick for s in SCENARIOS) <= 85
    assert FULL.seconds(2) * len(SCENARIOS) < 12 * 60
    assert math.isfinite(FULL.seconds(1))
