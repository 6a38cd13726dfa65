"""What was counted by process → measures of groups: attribution, windows, percentiles, shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.engine.metering import NOT_METERED, Metered, Metering, Window, by_group, delays_of
from smoothtask.model.meters import NO_METERS, Delays
from smoothtask.model.readings import BUCKETS, Connections, Counted, Readings
from smoothtask.model.tasks import PROCESS_DTYPE

PROCESSES = np.zeros(3, PROCESS_DTYPE)
PROCESSES["pid"] = [10, 20, 30]
GROUPS = ["make", "make", "browser"]
CPU = np.array([1.5, 0.5, 0.0], np.float32)


def counted(*rows: tuple[int, int, list[int]]) -> Counted:
    """(pid, parent, values) of each."""
    pids, parents, values = zip(*rows, strict=True)
    return Counted(*(np.array(a, np.int64) for a in (pids, parents, values)))


def histogram(**counts: int) -> list[int]:
    """`b12=3`: three in bucket 12."""
    row = [0] * BUCKETS
    for bucket, n in counts.items():
        row[int(bucket[1:])] = n
    return row


def turn(readings: Readings, now_s: float = 1.0, metering: Metering | None = None) -> Metered:
    """One tick of two seconds."""
    return (metering or Metering()).turn(readings, PROCESSES, CPU, GROUPS, 2.0, now_s)


def test_nothing_read_is_nothing_measured() -> None:
    metered = turn(Readings())
    assert metered == NOT_METERED
    assert metered.of("make") == NO_METERS


def test_percentiles_are_the_middle_of_their_bucket() -> None:
    """Bucket 12 is 2.1 to 4.2 ms."""
    found = delays_of(np.array(histogram(b1=99, b12=1)))
    assert found == Delays(pytest.approx(1.024e-3 * 2**0.5), pytest.approx(1.024e-3 * 2**0.5), 100)
    found = delays_of(np.array(histogram(b1=98, b12=2)))
    assert found is not None
    assert 2.1 < found.p99_ms < 4.2


@given(st.lists(st.integers(0, 1000), min_size=BUCKETS, max_size=BUCKETS))
def test_percentiles_are_in_order_and_within_what_was_counted(row: list[int]) -> None:
    found = delays_of(np.array(row))
    if not any(row):
        assert found is None
        return
    assert found is not None
    assert found.p50_ms <= found.p99_ms
    assert found.samples == sum(row)
    last = max(i for i, n in enumerate(row) if n)
    assert found.p99_ms <= 1.024e-3 * 2.0**last


def test_who_has_exited_counts_for_the_nearest_ancestor_that_lives() -> None:
    """cc1 (40) of gcc (41) of make (10): both are gone; 50's parents are nobody's."""
    rows = counted((40, 41, [7]), (41, 10, [5]), (10, 1, [3]), (50, 51, [100]), (60, 60, [1000]))
    sums = by_group(rows, dict(zip([10, 20, 30], GROUPS, strict=True)).get)
    assert {g: int(v[0]) for g, v in sums.items()} == {"": 1115, "make": 15}


def test_delays_are_of_the_last_ten_seconds() -> None:
    metering = Metering()
    first = turn(Readings(run_queue=counted((10, 1, histogram(b12=4)))), 1.0, metering)
    assert first.of("make").run_queue is not None
    assert first.of("browser").run_queue is None
    assert first.machine.run_queue == first.of("make").run_queue
    later = turn(Readings(run_queue=counted((10, 1, histogram(b12=1)))), 10.9, metering)
    assert later.of("make").run_queue == Delays(pytest.approx(2.97, rel=0.01), pytest.approx(2.97, rel=0.01), 5)
    last = turn(Readings(run_queue=counted((30, 1, histogram(b2=1)))), 11.0, metering)
    assert last.of("make").run_queue is not None
    assert last.of("make").run_queue.samples == 1


def test_a_meter_that_stops_forgets_its_window() -> None:
    metering = Metering()
    turn(Readings(run_queue=counted((10, 1, histogram(b12=4)))), 1.0, metering)
    turn(Readings(), 2.0, metering)
    again = turn(Readings(run_queue=counted((30, 1, histogram(b2=1)))), 3.0, metering)
    assert again.of("make").run_queue is None


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["a", "b", "c"]), st.integers(0, 5)), max_size=40))
def test_a_window_is_the_sum_of_what_it_holds(steps: list[tuple[float, str, int]]) -> None:
    window, now_s, all_added = Window(), 0.0, []
    for pause_s, group, n in steps:
        now_s += pause_s
        row = np.zeros(BUCKETS, np.int64)
        row[3] = n
        window.add(now_s, {group: row})
        all_added.append((now_s, group, n))
    expected: dict[str, int] = {}
    for at_s, group, n in all_added:
        if n and now_s - at_s < 10:
            expected[group] = expected.get(group, 0) + n
    assert {g: d.samples for g, d in window.delays().items()} == expected


def test_bytes_are_a_second_and_zero_of_who_sent_none() -> None:
    metered = turn(Readings(traffic=counted((10, 1, [2000, 100]), (77, 20, [500, 0]))))
    assert (metered.of("make").sent_bps, metered.of("make").received_bps) == (1250, 50)
    assert (metered.of("browser").sent_bps, metered.of("browser").received_bps) == (0, 0)
    assert metered.machine.sent_bps == 1250
    assert metered.rows.sent_bps is not None
    assert metered.rows.sent_bps.tolist() == [1000, 0, 0]
    assert metered.of("make").connections is None


def test_a_connection_that_processes_of_a_group_share_counts_once() -> None:
    found = Connections(np.array([10, 10, 20, 20, 30, 99]), np.array([1, 1, 1, 2, 1, 5]))
    metered = turn(Readings(connections=found))
    assert metered.of("make").connections == 2
    assert metered.of("browser").connections == 1
    assert metered.machine.connections == 3
    assert metered.rows.connections is not None
    assert metered.rows.connections.tolist() == [1, 2, 1]


def test_power_is_shared_by_cpu_time() -> None:
    """40 J in 2 s are 20 W."""
    metered = turn(Readings(joules=40.0))
    assert metered.machine.watts == pytest.approx(20)
    assert metered.of("make").watts == pytest.approx(20)
    assert metered.of("browser").watts == 0
    assert metered.rows.watts is not None
    assert metered.rows.watts.tolist() == pytest.approx([15, 5, 0])


def test_a_machine_without_processes() -> None:
    """Whatever was counted: nobody is there to be told of it."""
    readings = Readings(
        traffic=counted((10, 1, [1, 1])), connections=Connections(np.ones(1, np.int64), np.ones(1, np.int64))
    )
    metered = Metering().turn(readings, PROCESSES[:0], CPU[:0], [], 1.0, 1.0)
    assert metered.machine.sent_bps == 1
    assert metered.of("make").sent_bps == 0
