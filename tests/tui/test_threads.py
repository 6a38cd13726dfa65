"""Threads below a process: rates from counters, and rows for them."""

from dataclasses import asdict, replace

from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.command import Detail, Reply
from smoothtask.model.detail import ThreadFrame
from smoothtask_tui.threads import told
from tui.driving import A, B, C, dashboard
from tui.fakes import frame, process

counters = st.integers(0, 10**15)


def thread(tid: int, run_ns: int = 0, wait_ns: int = 0, **more: object) -> ThreadFrame:
    values = {"pid": 47, "tid": tid, "name": f"t{tid}", "nice": 0, "policy": 0, "state": "S", **more}
    return ThreadFrame(run_ns=run_ns, wait_ns=wait_ns, **values)  # type: ignore[arg-type]


def test_rates_are_what_the_counters_gained():
    before = told(None, 10.0, [thread(1, 0, 0), thread(2, 10**9, 0)])
    assert all(use.cpu == use.wait == 0.0 for use in before.uses)
    now = told(before, 12.0, [thread(1, 10**9, 2 * 10**9), thread(2, 0, 0), thread(3, 5 * 10**9, 0)])
    assert [(u.thread.tid, u.cpu, u.wait) for u in now.uses] == [(1, 0.5, 1.0), (2, 0.0, 0.0), (3, 0.0, 0.0)]
    assert told(now, 12.0, [thread(1)]) is now


@given(st.lists(st.tuples(st.integers(1, 5), counters, counters)), st.floats(0, 1e6), st.floats(0, 1e6))
def test_rates_are_never_negative(threads, first_s, second_s):
    listed = [thread(*t) for t in threads]
    for use in told(told(None, first_s, listed), second_s, reversed(listed)).uses:
        assert use.cpu >= 0
        assert use.wait >= 0


async def test_a_process_unfolds_into_its_threads_and_orders_there_are_about_its_group():
    many = replace(process(47, "b"), threads=3)
    async with dashboard(first=replace(frame(A, B, C), processes=(many,))) as d:
        ticks = iter(range(1, 100))

        def answer(command):
            if not isinstance(command, Detail):
                return Reply(True, f"done: {command.op}")
            assert command.threads
            at = next(ticks)
            listed = [asdict(thread(47, at * 10**8)), asdict(thread(48, at * 9 * 10**8, nice=5, policy=3))]
            return Reply(True, "", {"group": "b", "is_whole": True, "mono_s": float(at), "threads": listed})

        d.client.answer = answer
        await d.press("down", "plus", "down", "plus")
        assert d.cursor == "b#47.4700"
        await d.until(lambda: "b#47.4700.48" in d.rows)
        await d.push(replace(frame(A, B, C, seq=2), processes=(many,)))
        await d.until(lambda: "90.0" in d.screen_text)
        assert d.rows[2:5] == ["b#47.4700", "b#47.4700.47", "b#47.4700.48"] or d.rows[3] == "b#47.4700.48"
        assert "48 t48" in d.screen_text
        await d.press("down", "f7")
        await d.until(lambda: any(c.op == "override" for c in d.client.asked))
        assert [c.group for c in d.client.asked if c.op == "override"] == ["b"]
        await d.press("minus")
        assert d.cursor == "b#47.4700"
        assert not any(row.count(".") == 2 for row in d.rows)
        await d.press("minus")
        assert d.cursor == "b"
