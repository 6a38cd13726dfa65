"""What follows from what was measured."""

import json
import math
import random
import re
import sys

import numpy as np
import pytest

from bench.test_stats import rows
from smoothtask.bench import page, show
from smoothtask.bench.document import to_markdown
from smoothtask.bench.judge import judge, verdict
from smoothtask.bench.results import Block, Measured, Report, to_json
from smoothtask.bench.scenarios import FULL, IDLE, OFF, ON, QUICK, SCENARIOS, order

LOAD = next(s for s in SCENARIOS if s.name == "terminal")


def measured(scenario, off_ms: float, on_ms: float, on_work: float = 95.0, sound_on_ms: float = 1.0) -> Measured:
    """Four rounds, blocks of 2 s, whose frames take so long, a little more from round to round; off is on time."""
    blocks, frames, sound, at = [], [], [], 100.0
    for number, arm in enumerate((OFF, ON, ON, OFF, ON, OFF, OFF, ON)):
        took = off_ms if arm == OFF else on_ms
        frames.append(rows(*([took, 5.0] * (40 + number)), begin_s=at))
        sound.append(rows(*([1.0 if arm == OFF else sound_on_ms] * (3 + number % 3)), *([1.0] * 100), begin_s=at))
        work = {"threads": 100.0 if arm == OFF else on_work} if scenario.loads else {}
        cores = {"threads": 1.5} if scenario.loads else {}
        blocks.append(Block(arm, at, at + 2, work, 0.5, cores=cores))
        at += 10
    there = np.concatenate(frames)
    rest = {"audio": np.concatenate(sound), "typing": there, "start": there}
    return Measured(scenario, tuple(blocks), {"frames": there, **rest})


def report(*outcomes) -> Report:
    return Report(outcomes, {"CPU": "2 × <b>evil</b>"}, 1, "by nobody", ("a note",), verdict(outcomes))


def test_json_is_json_and_markup_stays_text(tmp_path):
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2))
    data = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert data["outcomes"][1]["checks"][0]["holds"] is True


def test_the_page_has_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2))
    written = page.write(tmp_path / "out", found)
    assert {p.name for p in written} == {"report.json", "report.md", "report.html", "missed.png", "frame-times.png"}
    html = (tmp_path / "out/report.html").read_text()
    assert "<b>evil</b>" not in html
    assert "<svg" in html
    assert (tmp_path / "out/missed.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_page_has_bars_of_text_and_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2))
    assert {p.name for p in page.write(tmp_path, found)} == {"report.json", "report.md", "report.html"}
    html = (tmp_path / "report.html").read_text()
    assert "frames missed, %: off, and below it on" in html
    assert "▇" in html
    assert "<b>evil</b>" not in html


def test_a_load_without_a_frame_takes_no_picture_of_the_others_with_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    whole = measured(LOAD, 60, 5)
    silent = Measured(LOAD, whole.blocks, {role: rows() for role in whole.rows})
    idle, nothing = judge([measured(IDLE, 5, 5), silent], 2)
    assert show.bars([nothing], 80) == ""
    drawn = show.bars([idle, nothing], 80)
    assert "idle" in drawn
    assert "terminal" not in drawn
    assert "terminal" in "\n".join(show.lines(report(idle, nothing), 80))
    page.write(tmp_path, report(idle, nothing))
    assert "terminal" in (tmp_path / "report.html").read_text()


def test_the_page_says_what_each_load_gets_done_and_loses():
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5, sound_on_ms=30.0)], 2))
    text = to_markdown("", page.blocks(found, {}))
    assert "threads 100 → 95 (-5 %)" in text
    assert "5.0 % (5.0 to 5.0)" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| terminal | three"))
    sound = row.split("|")[5]
    assert re.fullmatch(r" \+\d+\.\d points \(\+\d.* to \+\d.*\) ", sound)


def test_eighty_cells_are_enough():
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2))
    lines = show.lines(found, 80)
    assert all(len(line) <= 80 for line in lines)
    head, *arms = lines[: 1 + 2 * 2]
    assert head.split()[-1] == "SOUND"  # nothing of what is kept is cut off
    assert [line.split()[:2] for line in arms] == [["idle", OFF], ["idle", ON], ["terminal", OFF], ["terminal", ON]]
    assert all(line.endswith("%") for line in arms)
    drawn = show.bars(found.outcomes, 80).splitlines()
    assert all(len(line) <= 80 for line in drawn)
    (missed,) = (line for line in drawn if line.startswith("terminal") and "▇" in line)
    assert float(missed.split()[-1]) == pytest.approx(found.outcomes[1].arms[OFF].missed.value, abs=0.01)


@pytest.mark.parametrize("columns", ["0", "1", "-5", "x", "40", "5000"])
def test_any_terminal_will_do(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    found = report(*judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2))
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


@pytest.mark.parametrize(
    ("value", "said"), [(27395.1, "27395"), (100, "100"), (99.96, "100"), (3.037, "3.04"), (0, "0")]
)
def test_what_is_done_has_three_digits_and_no_exponent(value, said):
    assert show.number(value) == said
