"""The deeper measures as people read them."""

from dataclasses import replace

from smoothtask.model.group import GroupMetrics
from smoothtask.model.meters import NO_METERS, Delays, Meters
from smoothtask_tui.columns import layout, row_line
from smoothtask_tui.meters import facts, mean_wait_ms, queue_text, together
from smoothtask_tui.rows import SortKey, View, build
from tui.fakes import frame, group

USE = GroupMetrics(2, 7, 0.5, 0.02, 30.0, 10.0, 0.0, 0.0, 1 << 20)
FAST, SLOW = Delays(0.1, 0.4, 100), Delays(0.2, 31.0, 50)
TITLES = ("QUEUE", "DISK", "NET/s", "CONN", "WATTS")


def test_without_a_meter_the_mean_delay_stands_in_and_says_so() -> None:
    assert mean_wait_ms(USE) == 0.5
    assert queue_text(NO_METERS, USE) == "~0.5"
    assert queue_text(NO_METERS, replace(USE, vcsw=0.0, ivcsw=0.0)) == "-"
    assert queue_text(Meters(run_queue=SLOW), USE) == "31"
    assert dict(facts(NO_METERS, USE)) == {"delays": "for a CPU 0.5 ms on average"}


def test_what_is_measured_is_told_with_its_unit() -> None:
    told = dict(facts(Meters(FAST, SLOW, 2048.0, 0.0, 1, 3.21), USE))
    assert told == {
        "delays": "for a CPU p50 0.1 ms, p99 0.4 ms (100 waits in 10 s); "
        "disk p50 0.2 ms, p99 31 ms (50 requests in 10 s)",
        "network": "sends 2.0K/s, receives 0/s, 1 connection",
        "energy": "3.2 W: its share of the processor's by CPU time",
    }


def test_an_application_with_parts_has_their_sums_and_the_worst_delay() -> None:
    both = together([Meters(FAST, None, 1.0, 2.0, None, None), Meters(SLOW, FAST, 3.0, None, 4, None)])
    assert both == Meters(SLOW, FAST, 4.0, 2.0, 4, None)


def cells(width: int = 120, titles: tuple[str, ...] = TITLES, view: View = View()) -> list[list[str]]:  # noqa: B008
    ff, tab = group("ff"), group("ff/tab", parent="ff")
    machine = frame(
        replace(ff, meters=Meters(FAST, None, 0.0, 0.0, 2, None)),
        replace(tab, meters=Meters(SLOW, SLOW, 500.0, 12.0, 3, None)),
        replace(group("zz"), meters=Meters(FAST, None, 9e6, 0.0, 0, None)),
    )
    columns = layout(width, titles)
    return [row_line(r, columns, cursor=False).text.split()[-5:] for r in build(machine, view).rows]


def test_columns_that_are_asked_for_show_them_and_absent_is_a_dash() -> None:
    assert cells() == [
        ["31", "31", "512", "5", "-"],
        ["31", "31", "512", "3", "-"],
        ["0.4", "-", "8.6M", "0", "-"],
    ]


def test_narrow_terminals_show_none_of_them() -> None:
    assert not {c.title for c, _ in layout(80)} & set(TITLES)
    assert {"QUEUE", "DISK", "NET/s"} <= {c.title for c, _ in layout(200)}


def test_they_sort() -> None:
    assert cells(view=View(sort=SortKey.NETWORK))[0][2] == "8.6M"
    assert cells(view=View(sort=SortKey.DISK))[0][1] == "31"
    assert cells(view=View(sort=SortKey.QUEUE, reverse=True))[0][0] == "0.4"
