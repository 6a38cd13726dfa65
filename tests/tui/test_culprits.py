"""Who made others wait: who is charged with what, and how it is told."""

import unicodedata
from dataclasses import asdict, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Reply
from smoothtask.model.decision import Contention
from smoothtask.model.detail import ThreadFrame
from smoothtask.model.frame import Event
from smoothtask.model.group import Behaviour
from smoothtask.model.text import sanitise
from smoothtask_tui import app
from smoothtask_tui.culpritlines import culprit_lines, evidence, first_shown
from smoothtask_tui.culprits import LONGEST_S, Blame, blame, ranked
from tui.driving import dashboard
from tui.fakes import frame, group, process

WAITS = Contention(active=True, since_s=3.0, reasons=("cpu pressure 40 %",))


def hog(name, cpu=1.0, wait=0.0, **more):
    made = group(name, cpu=cpu, wait=wait, **more)
    return replace(made, group=replace(made.group, behaviour=Behaviour.HOG))


def at(*groups, io=0.0, contention=WAITS, time=10.0, events=()):
    made = frame(*groups, contention=contention, time=time, events=events)
    return replace(made, system=replace(made.system, io_some_pct=io))


def test_a_hog_is_charged_with_what_others_waited():
    made = at(hog("make", 1.5, wait=4.0), group("editor", cpu=0.5, wait=0.5), group("idle", cpu=0.0))
    charged = blame(made, 2.0)
    assert [(c.group, pytest.approx(c.cpu_s), c.victim) for c in charged.charges] == [("make", 1.0, "editor")]


def test_waiting_is_shared_by_use_and_nobody_is_charged_with_their_own():
    made = at(hog("a", 1.0), hog("b", 0.5), group("v", cpu=0.5, wait=0.3), group("w", cpu=0.0, wait=0.6))
    by_group = {c.group: c for c in blame(made, 1.0).charges}
    # v waited 0.3, shared 2:1 among a and b; w waited 0.6, shared by a, b and v, who used 1.0, 0.5, 0.5.
    assert by_group["a"].cpu_s == pytest.approx(0.2 + 0.3)
    assert by_group["b"].cpu_s == pytest.approx(0.1 + 0.15)
    assert by_group["v"].cpu_s == pytest.approx(0.15)
    assert by_group["v"].victim == "w"
    assert "w" not in by_group
    assert sum(c.cpu_s for c in by_group.values()) == pytest.approx(0.9)


def test_hogs_may_wait_for_each_other_and_quiet_moments_charge_nobody():
    assert blame(at(hog("a", 1.0, wait=3.0), hog("b", 1.0, wait=3.0)), 1.0) is None
    smooth = Contention(active=False, since_s=9.0, reasons=())
    assert blame(at(hog("a"), group("v", wait=0.5), contention=smooth), 1.0) is None
    assert blame(at(hog("a"), group("v", wait=0.5)), 0.0) is None


def test_waiting_for_a_disk_is_shared_by_bytes():
    made = at(group("copy", cpu=0.1, write_bps=3e6), group("read", cpu=0.1, read_bps=1e6), io=40.0)
    charged = blame(made, 1.0)
    assert {c.group: pytest.approx(c.disk_s) for c in charged.charges} == {"copy": 0.3, "read": 0.1}
    assert "moved 2.9M/s while somebody waited for a disk" in evidence(ranked([charged])[0])


def test_a_long_gap_is_not_charged_whole():
    made = at(hog("a"), group("v", cpu=0.0, wait=1.0))
    assert blame(made, 3600.0).span_s == LONGEST_S


@given(
    st.lists(st.tuples(st.floats(0, 64), st.floats(0, 100), st.booleans(), st.floats(0, 1e9)), min_size=1, max_size=30),
    st.floats(0, 100),
    st.floats(0.01, 60),
)
@example([(0.0, 4.0, False, 0.0), (2.2250738585072014e-308, 0.0, False, 0.0)], 0.0, 1.0)
def test_no_more_is_charged_than_was_waited(groups, io, span_s):
    made = [
        (hog if is_hog else group)(f"g{i}", cpu=cpu, wait=wait, read_bps=bps)
        for i, (cpu, wait, is_hog, bps) in enumerate(groups)
    ]
    charged = blame(at(*made, io=io), span_s)
    if charged is not None:
        waited = sum(w for _, w, is_hog, _ in groups if not is_hog) * charged.span_s
        assert sum(c.cpu_s for c in charged.charges) <= waited * 1.000001 + 1e-9
        assert sum(c.disk_s for c in charged.charges) <= io / 100 * charged.span_s * 1.000001 + 1e-9
        assert all(c.cpu_s >= 0 and c.disk_s >= 0 for c in charged.charges)
        assert sum(c.share for c in ranked([charged])) <= 1.000001


def moments():
    both = blame(at(hog("make", 1.0), hog("tar", 0.5), group("ff", label="Firefox", cpu=0.1, wait=0.6)), 2.0)
    one = blame(at(hog("make", 2.0), group("ff", label="Firefox", cpu=0.1, wait=0.3), time=20.0), 2.0)
    return [both, replace(one, time=20.0)]


def test_the_worst_comes_first_with_its_evidence_and_old_moments_do_not_count():
    found = ranked(moments())
    assert [c.group for c in found] == ["make", "tar"]
    assert found[0].caused_s == pytest.approx(0.8 + 0.6)
    assert found[0].cores == pytest.approx(1.5)
    assert found[0].victims == (("Firefox", pytest.approx(1.4)),)
    assert evidence(found[0]) == "used 1.5 CPUs while others waited (Firefox 1.4s)"
    assert [c.group for c in ranked(moments(), since=15.0)] == ["make"]
    assert ranked([]) == []


@pytest.mark.parametrize("size", [(24, 4), (80, 6), (60, 30)])
@pytest.mark.parametrize("name", ["[/nope]", "界" * 40, "a" * 300, "e\u0301" * 50])
def test_lines_stay_in_their_panel_whatever_a_program_is_called(size, name):
    charged = blame(at(hog("x", label=name), group("v", label=name, cpu=0.0, wait=1.0)), 1.0)
    lines = culprit_lines(ranked([charged]), None, 60.0, 0, size)
    assert all(cell_len(line.text) <= size[0] for line in lines)
    assert len(lines) <= size[1]
    assert "nobody" in culprit_lines([], None, 60.0, 0, size)[1].text


@pytest.mark.parametrize(("width", "height"), [(100, 6), (60, 30)])
def test_where_there_is_room_each_says_what_is_done_about_it(width, height):
    shown = at(hog("make", 1.9, target=PriorityClass.IDLE), group("v", cpu=0.1, wait=0.8))
    for seen, said in ((shown, "+5"), (None, "exited")):
        lines = culprit_lines(ranked(moments()), seen, 60.0, 0, (width, height))
        assert any(said in line.text for line in lines)


@pytest.mark.parametrize("height", [2, 6, 17, 18, 40])
def test_the_cursor_is_always_shown(height):
    listed = ranked([Blame(1.0, 1.0, tuple(c._replace(group=str(i)) for i in range(20)))
                     for c in moments()[0].charges[:1]])  # fmt: skip
    for place in range(20):
        lines = culprit_lines(listed, None, 60.0, place, (80, height))
        assert first_shown(place, height) <= place
        assert any(line.ground == "cursor" for line in lines)


async def test_the_screen_ranks_them_and_enter_goes_to_one():
    async with dashboard(size=(150, 40), first=at(hog("make"), group("v", label="Victim"), time=1.0)) as d:
        for i in range(2, 6):
            shown = at(
                hog("make", 1.9, target=PriorityClass.IDLE),
                hog("tar", 0.1),
                group("v", label="Victim", cpu=0.1, wait=0.8),
                time=float(i),
            )
            await d.push(replace(shown, seq=i))
        await d.press("g")
        await d.until(lambda: "make" in d.screen_text)
        text = d.screen_text
        assert "who made others wait" in text
        assert "95%" in text
        assert "Victim" in text
        assert "pressure" in text
        await d.press("down", "enter")
        assert d.app.screen is d.app.main
        assert d.cursor == "tar"


async def test_a_clock_that_was_set_back_begins_a_new_axis():
    """A line to a point in another year would take minutes to draw."""
    async with dashboard(size=(100, 40)) as d:
        assert d.app.scene.history.points[-1].time > 1e9
        for i in range(2, 5):
            await d.push(at(hog("make"), time=float(i)))
        assert [p.time for p in d.app.scene.history.points] == [2.0, 3.0, 4.0]
        history = d.app.scene.history
        before, after, later = (Event(t, "class", f"at {t:g}") for t in (4.0, 9e8, 9e8 - 5))
        await d.push(at(hog("make"), time=1e9, events=(before,)))
        await d.push(at(hog("make"), time=9e8, events=(before, after)))
        assert list(history.events) == [after]
        await d.push(at(hog("make"), time=9e8 + 1, events=(before, after, later)))
        assert list(history.events) == [after, later]
        (lane,) = history.lanes.values()
        assert list(lane.times) == [9e8, 9e8 + 1]
        assert [len(trend) for trend in history.trends.values()] == [2]
        await d.press("g")
        await d.until(lambda: "wake-up latency" in d.screen_text)


async def test_from_plots_that_were_opened_over_the_rules_a_culprit_is_gone_to():
    async with dashboard(size=(100, 40)) as d:
        for i in range(2, 5):
            await d.push(at(hog("make"), group("v", cpu=0.1, wait=2.0), time=1.8e9 + i))
        await d.press("r", "g")
        await d.until(lambda: "who made others wait" in d.screen_text and "make" in d.screen_text)
        await d.press("enter")
        await d.until(lambda: d.app.screen is d.app.main)
        assert d.cursor == "make"


async def test_one_plot_alone_another_span_and_all_again():
    async with dashboard(size=(100, 24)) as d:
        for i in range(2, 5):
            await d.push(at(hog("make"), time=float(i)))
        await d.press("g")
        await d.until(lambda: "wake-up latency" in d.screen_text)
        assert "pressure, %" not in d.screen_text
        await d.press("right")
        await d.until(lambda: "pressure, %" in d.screen_text)
        await d.press("3")
        await d.until(lambda: "no sound server is known" in d.screen_text)
        await d.press("4")
        await d.until(lambda: "responsiveness, 100" in d.screen_text)
        await d.press("plus")
        await d.until(lambda: "last 60s" in d.screen_text)
        await d.press("0", "minus", "minus", "minus", "minus")
        await d.until(lambda: "last 10m" in d.screen_text)


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 60), (300, 100)])
async def test_hostile_names_among_culprits_threads_and_in_files(size, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "save", lambda name, text: (tmp_path.joinpath(name).write_text(text), tmp_path)[1])
    names = [
        sanitise(n)
        for n in ("[/nope]", "\x1b[31mred\x1b]0;t\x07", "\u202egnp", "名前の長い" * 9, "", "x\udc80y", "=1+1")
    ]
    groups = [hog(f"h{i}", label=n, cpu=1.0 - i / 20) for i, n in enumerate(names)]
    victim = group("v", label=names[0], cpu=0.1, wait=0.9)
    busy = replace(process(7, "h0", names[1]), threads=len(names))
    shown = replace(at(*groups, victim, time=1.0), processes=(busy,))
    async with dashboard(size=size, first=shown) as d:
        listed = [asdict(ThreadFrame(7, 100 + i, n, 0, 0, "S", 0, 0)) for i, n in enumerate(names)]
        told = {"group": "h0", "is_whole": True, "mono_s": 1.0, "threads": listed}
        d.client.answer = lambda c: Reply(True, "", told) if c.op == "detail" else Reply(False, "".join(names))
        await d.push(replace(shown, seq=2, time=2.0))
        await d.press("plus", "down", "plus")
        await d.until(lambda: any(r.endswith(".106") for r in d.rows))
        for keys in ((), ("g",), ("E", "c"), ("E", "j"), ("E", "t")):
            await d.press(*keys)
            await d.pilot.pause(0.1)
            assert all(cell_len(row) <= size[0] for row in d.screen_text.split("\n"))
            assert not [c for c in d.screen_text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"]
        await d.until(lambda: len(list(tmp_path.iterdir())) == 3)
        for path in tmp_path.iterdir():
            text = path.read_text()
            assert not [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"]
