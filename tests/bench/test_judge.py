"""What follows from what was measured: benefits and harms, what is lost, and what is only chance."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from bench.test_results import LOAD, measured
from bench.test_stats import SPREADS, block, rows
from smoothtask.bench.judge import judge, verdict
from smoothtask.bench.results import Block, Measured
from smoothtask.bench.scenarios import IDLE, OFF, ON, SCENARIOS
from smoothtask.bench.stats import DUE, Rows


def test_an_outcome_says_what_changed_and_whether_it_is_what_is_promised():
    idle, loaded = judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5)], 2)
    assert loaded.arms[OFF].missed.value > 50
    assert loaded.arms[ON].missed.value == 0
    assert loaded.missed_change.high < 0
    assert loaded.lost_pct.value == pytest.approx(5.0)
    assert [c.holds for c in loaded.checks] == [True] * 4
    assert idle.lost_pct is None
    assert idle.done_change is None
    assert idle.missed_change.value == 0
    assert [c.holds for c in idle.checks] == [True] * 5
    said = verdict([idle, loaded])
    assert "0.0 % of frames are missed with SmoothTask" in said
    assert "(surely fewer in terminal)" in said
    assert "worse" not in said
    assert "of the CPU that was left to it, the background made 5 % less (5 % less in all)." in said


def several(
    off: dict[str, float], on: dict[str, float], cores: dict[str, float], probes: float = 0.5, own: float = 0.0
) -> Measured:
    """Loads that got so much done, and the CPU that each used when off."""
    whole = measured(LOAD, 5, 5)
    blocks = [
        replace(
            b, work=off if b.arm == OFF else on, cores=cores, probe_cores=probes, other_cores=0.2,
            own_cores=0.0 if b.arm == OFF else own,
        )
        for b in whole.blocks
    ]  # fmt: skip
    return replace(whole, blocks=tuple(blocks))


def test_what_one_load_gets_of_another_is_not_lost():
    """Each counts by the CPU that it has; what all of them lose is."""
    cores = {"build": 0.3, "encode": 0.9}
    (moved,) = judge([several({"build": 3, "encode": 90}, {"build": 6, "encode": 60}, cores)], 2)
    assert moved.lost_pct.value == pytest.approx(0.0, abs=1e-9)
    assert moved.arms[ON].left_cores == pytest.approx(1.3)
    assert moved.arms[OFF].load_cores == cores
    assert {role: round(found.value) for role, found in moved.work_change.items()} == {"build": 100, "encode": -33}
    (less,) = judge([several({"build": 3, "encode": 90}, {"build": 3, "encode": 60}, cores)], 2)
    assert less.lost_pct.value == pytest.approx(25.0)
    assert less.lost_pct.low == less.lost_pct.high == pytest.approx(25.0)


def outside(events: Rows, b: Block) -> Rows:
    """*events* but for those that were due in *b*."""
    found: Rows = events[(events[:, DUE] < b.begin_s) | (events[:, DUE] >= b.end_s)]
    return found


def test_a_round_in_which_nothing_was_measured_takes_nothing_else_with_it():
    whole = measured(LOAD, 60, 5)
    empty = next(b for b in whole.blocks if b.arm == OFF)
    (before,) = judge([whole], 2)
    for role in whole.rows:
        (after,) = judge([replace(whole, rows={**whole.rows, role: outside(whole.rows[role], empty)})], 2)
        assert after.missed_change.value == pytest.approx(before.missed_change.value, abs=1)
        assert after.start_change.value == pytest.approx(before.start_change.value, abs=1)
        assert math.isfinite(after.frame_change.value)
        assert "nan" not in verdict([after])


@pytest.mark.parametrize("which", [slice(0, 1), slice(None)], ids=["one", "all"])
def test_a_frame_that_lasts_all_through_a_block_is_missed_all_through_it(which):
    """Nothing is due meanwhile, in one block or in every one."""
    whole = measured(LOAD, 5, 5)
    stalled = [b for b in whole.blocks if b.arm == OFF][which]
    frames = whole.rows["frames"]
    for b in stalled:
        took_s = b.end_s - b.begin_s + 0.2
        through = [b.begin_s - 0.1, 1000 * took_s, took_s * 60, took_s * 60]
        frames = np.concatenate([outside(frames, b), [through]])
    frames = frames[np.argsort(frames[:, DUE])]
    (outcome,) = judge([replace(whole, rows={**whole.rows, "frames": frames})], 2)
    assert outcome.arms[OFF].missed.value == pytest.approx(100 * len(stalled) / 4)
    assert outcome.missed_change.value == pytest.approx(-100 * len(stalled) / 4)
    assert f"{25 * len(stalled)}.0 % without it" in verdict([outcome])


def test_starts_that_take_longer_than_a_block_count_where_they_are_ready():
    """No block of 0.8 s holds the whole of one of 1.2 s: off, each began before its block."""
    whole, starts = measured(LOAD, 5, 5), []
    for b in whole.blocks:
        took_s = 1.2 if b.arm == OFF else 0.3
        starts.append((b.begin_s + 0.4 - took_s, 1000 * took_s, 1, took_s > 1))
    blocks = tuple(replace(b, end_s=b.begin_s + 0.8) for b in whole.blocks)
    (outcome,) = judge([replace(whole, blocks=blocks, rows={**whole.rows, "start": np.array(starts)})], 2)
    assert outcome.start_change.value == pytest.approx(-900)
    assert outcome.arms[OFF].probes["start"].count == 4


def test_what_smoothtask_itself_uses_is_lost():
    """An engine that burns half a core takes it from the load: of 100 pieces a third is not made."""
    whole = several({"threads": 100}, {"threads": 100 * 0.8 / 1.3}, {"threads": 1.3}, own=0.5)
    (outcome,) = judge([whole], 2)
    assert outcome.arms[ON].own_cores == 0.5
    assert outcome.arms[ON].left_cores == outcome.arms[OFF].left_cores == pytest.approx(1.3)
    assert outcome.lost_pct.value == pytest.approx(100 * 0.5 / 1.3)
    assert not next(c for c in outcome.checks if c.name == "throughput lost").holds
    # What others use meanwhile is not.
    blocks = [replace(b, own_cores=0.0, other_cores=0.2 if b.arm == OFF else 0.7) for b in whole.blocks]
    (others,) = judge([replace(whole, blocks=tuple(blocks))], 2)
    assert others.lost_pct.value == pytest.approx(0.0, abs=1e-9)


def test_of_loads_that_do_not_use_up_what_is_left_all_that_they_lose_counts():
    """The disk's: more CPU would not help them."""
    whole = several({"disk": 100}, {"disk": 90}, {"disk": 0.5})
    blocks = [replace(b, probe_cores=0.5 if b.arm == OFF else 0.7) for b in whole.blocks]
    (outcome,) = judge([replace(whole, blocks=tuple(blocks))], 2)
    assert outcome.lost_pct.value == pytest.approx(10.0)
    assert "made 10 % less (10 % less in all)" in verdict([outcome])


def test_what_is_drawn_again_is_no_loss_of_the_cpu_that_is_left_but_is_in_all():
    whole = several({"threads": 130}, {"threads": 110}, {"threads": 1.3})
    blocks = [replace(b, probe_cores=0.5 if b.arm == OFF else 0.7) for b in whole.blocks]
    (outcome,) = judge([replace(whole, blocks=tuple(blocks))], 2)
    assert "of the CPU that was left to it, the background made as much (15 % less in all)." in verdict([outcome])


def test_where_nothing_is_left_nothing_is_promised_or_said_of_throughput():
    (outcome,) = judge([several({"build": 3}, {"build": 1}, {"build": 0.1}, probes=1.9)], 2)
    assert outcome.lost_pct is None
    assert [c.name for c in outcome.checks] == ["frames missed", "surely more sound broken"]
    assert outcome.arms[ON].left_cores == pytest.approx(0.1)
    assert verdict([outcome]).endswith("over 1 load (no difference can be told).")


def test_what_gets_nothing_done_without_smoothtask_cannot_be_compared():
    (outcome,) = judge(
        [several({"build": 0, "encode": 90}, {"build": 3, "encode": 90}, {"build": 0.1, "encode": 1.2})], 2
    )
    assert set(outcome.work_change) == {"encode"}
    assert outcome.lost_pct.value == pytest.approx(0.0, abs=1e-9)
    (nothing,) = judge([several({"build": 0}, {"build": 3}, {"build": 1.3})], 2)
    assert nothing.lost_pct is None
    assert "background" not in verdict([nothing])


def test_a_promise_that_is_not_kept_is_not_held():
    _, loaded = judge([measured(IDLE, 5, 5), measured(LOAD, 5, 60, on_work=50.0)], 2)
    assert [c.holds for c in loaded.checks] == [False, False, False, True]
    assert "surely worse: frames in terminal (+" in verdict([loaded])
    assert "fewer" not in verdict([loaded])


def test_sound_that_breaks_more_is_told():
    """Though no frame is missed."""
    idle, loaded = judge([measured(IDLE, 5, 5), measured(LOAD, 60, 5, sound_on_ms=30.0)], 2)
    assert loaded.sound_change.low > 0
    assert "surely worse: sound in terminal (+" in verdict([idle, loaded])
    (check,) = (c for c in loaded.checks if c.name == "surely more sound broken")
    assert check.value == pytest.approx(loaded.sound_change.low)
    assert not check.holds


def slower(whole: Measured, role: str, more_ms: float) -> Measured:
    """The events of *role* take so much longer when on."""
    there = whole.rows[role].copy()
    for b in whole.blocks:
        there[(there[:, 0] >= b.begin_s) & (there[:, 0] < b.end_s) & (b.arm == ON), 1] += more_ms
    return replace(whole, rows={**whole.rows, role: there})


@pytest.mark.parametrize(("role", "said"), [("typing", "typing"), ("start", "program starts")])
def test_a_person_who_waits_longer_is_told(role, said):
    (outcome,) = judge([slower(measured(LOAD, 5, 5), role, 30)], 2)
    assert f"surely worse: {said} in terminal (+30 ms)" in verdict([outcome])


def test_what_is_worse_by_itself_alone_is_worse_perhaps():
    """Of many changes one or the other looks so by chance."""
    whole = measured(LOAD, 5, 5)
    there, later_ms = whole.rows["start"].copy(), iter((1.0, 3.0, 2.0, 4.0))
    for b in whole.blocks:
        inside = (there[:, 0] >= b.begin_s) & (there[:, 0] < b.end_s)
        there[inside, 1] = 100 + (next(later_ms) if b.arm == ON else 0)
    (outcome,) = judge([replace(whole, rows={**whole.rows, "start": there})], 2)
    assert outcome.start_change.low > 0
    assert "; perhaps worse: program starts in terminal (+" in verdict([outcome])
    assert "surely worse" not in verdict([outcome])


def test_on_the_idle_machine_nothing_at_all_may_be_worse():
    whole = slower(measured(IDLE, 5, 5, sound_on_ms=30.0), "frames", 0.0)
    frames = whole.rows["frames"].copy()
    for n, b in enumerate(whole.blocks):  # one frame of each block comes later, the others in time
        late = np.flatnonzero((frames[:, 0] >= b.begin_s) & (frames[:, 0] < b.end_s))[20]
        frames[late, 1] += (8 if b.arm == ON else 2) + n * 0.01
    blocks = [replace(b, watts=(12.0 if b.arm == ON else 10.0) + n * 0.01) for n, b in enumerate(whole.blocks)]
    (outcome,) = judge([replace(whole, blocks=tuple(blocks), rows={**whole.rows, "frames": frames})], 2)
    assert outcome.watts_change.value == pytest.approx(2, abs=0.1)
    failed = {c.name for c in outcome.checks if not c.holds}
    assert failed == {"surely more sound broken", "surely longer frame p99", "surely more power"}


def test_a_machine_without_watts_promises_nothing_of_them():
    (outcome,) = judge([measured(IDLE, 5, 5)], 2)
    assert outcome.watts_change is None
    assert "surely more power" not in {c.name for c in outcome.checks}


def test_no_difference_is_said():
    (loaded,) = judge([measured(LOAD, 5, 5)], 2)
    assert "(no difference can be told)" in verdict([loaded])
    assert [c.name for c in loaded.checks] == ["frames missed", "throughput lost", "surely more sound broken"]


def test_one_round_is_too_few_to_say_more():
    whole = measured(LOAD, 60, 5)
    (outcome,) = judge([replace(whole, blocks=whole.blocks[:2])], 2)
    assert outcome.missed_change.high == math.inf
    assert "(too few rounds to say more)" in verdict([outcome])


def test_without_a_switch_there_is_one_arm_and_nothing_is_promised():
    whole = measured(LOAD, 60, 5)
    alone = Measured(LOAD, tuple(b for b in whole.blocks if b.arm == OFF), whole.rows)
    (outcome,) = judge([alone], 2)
    assert set(outcome.arms) == {OFF}
    assert outcome.checks == ()
    assert outcome.missed_change is None
    assert "without SmoothTask" in verdict([outcome])


def test_a_check_of_what_could_not_be_measured_does_not_hold():
    blocks = measured(LOAD, 5, 5)
    empty = Measured(LOAD, blocks.blocks, {role: rows() for role in blocks.rows})
    idle = Measured(IDLE, measured(IDLE, 5, 5).blocks, empty.rows)
    for outcome in judge([empty, idle], 2):
        assert not any(c.holds for c in outcome.checks if c.name != "throughput lost")
    assert "nan" not in verdict(judge([measured(LOAD, 5, 5)], 2))


def nothing_changes(scenario, chance: np.random.Generator, points: float) -> Measured:
    """Four rounds in which on is as off, with shares that differ from block to block."""
    blocks = [Block((ON, OFF)[n % 2], 100 + 10.0 * n, 105 + 10.0 * n, {}, 0.5) for n in range(8)]
    found = {}
    for role, pct in (("frames", 30.0), ("audio", 5.0), ("typing", 0.0), ("start", 0.0)):
        pieces = []
        for b in blocks:
            piece = block(chance, pct, points)
            piece[:, 0] += b.begin_s - 100
            piece[:, 1] += chance.normal(0, 0.1 + points / 10) + chance.exponential(1, len(piece))
            pieces.append(piece)
        found[role] = np.concatenate(pieces)
    return Measured(scenario, tuple(blocks), found)


@pytest.mark.parametrize("points", [SPREADS[0], SPREADS[-1]])
def test_a_verdict_that_calls_chance_sure_is_rare(points):
    """Over the loads of the short run and all that is compared: of frames, and of the rest, 5 times in 100."""
    chance, tries = np.random.default_rng(6), 120
    quick = [s for s in SCENARIOS if s.quick]
    said = [verdict(judge([nothing_changes(s, chance, points) for s in quick], 2)) for _ in range(tries)]
    often = 0.05 + 2 * math.sqrt(0.05 * 0.95 / tries)  # what chance makes of 5 in 100 in so few tries
    assert sum(bool(re.search(r"surely (fewer|worse: frames in)", text)) for text in said) / tries <= often
    assert sum(bool(re.search(r"surely worse:[^;]*(sound|times|typing|starts)", t)) for t in said) / tries <= often
