"""What cycles add up to: recorded ones of both versions, and made-up ones for what a recording does not have."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from person.audio.test_hostile import RECORDED, messages
from smoothtask.person.audio.pod import parse
from smoothtask.person.audio.profiler import SETTLE_NS, Block, Cycle, Meter, Window, parse_cycles

SECOND_NS = 1_000_000_000
DRIVER, STREAM = 40, 50
CYCLE_NS = 256 * SECOND_NS // 48000


def recorded(name: str) -> list[Cycle]:
    """A player of silence with a quantum of 256, stopped for 0.3 s: it or the server."""
    (file,) = (f for f in RECORDED if f.name == f"{name}.gz")
    return [cycle for message in messages(file) for cycle in parse_cycles(parse(message))]


def summed(cycles: list[Cycle], starts: dict[int, int]) -> Window:
    meter = Meter()
    meter.begin()
    for cycle in cycles:
        meter.add(cycle, starts)
    window = meter.end(starts)
    assert window is not None
    return window


@pytest.mark.parametrize(
    ("name", "xruns", "missing", "of_stream"),
    [
        # Before 0.3.72 late cycles are counted, in this window alone; later the server's own counts.
        ("0.3.65-client-stopped", 78, 0, 78),
        ("0.3.65-server-stopped", 11, 56, 11),
        ("1.4.2-client-stopped", 112, 0, 112),
        ("1.4.2-server-stopped", 28, 56, 25),
    ],
)
def test_what_a_recording_adds_up_to(name: str, xruns: int, missing: int, of_stream: int) -> None:
    cycles = recorded(name)
    (driver,) = {cycle.driver for cycle in cycles}
    (stream,) = {block.node for cycle in cycles for block in cycle.blocks} - {driver}
    window = summed(cycles, {stream: cycles[0].woken_ns - SECOND_NS})
    assert (window.quantum, window.rate_hz) == (256, 48000)
    assert (window.xruns, window.missing_cycles) == (xruns, missing)
    assert window.stream_xruns == {stream: of_stream}
    assert 0 <= window.load <= 10


def cycle(number: int, late: bool = False, xruns: int | None = None, **more: object) -> Cycle:
    """The *number*th of a driver with one stream."""
    made = Cycle(
        driver=DRIVER,
        rate_hz=48000,
        quantum=256,
        load=0.1,
        device_xruns=0,
        woken_ns=10 * SECOND_NS + number * CYCLE_NS,
        blocks=(Block(DRIVER, late=False, xruns=xruns), Block(STREAM, late, xruns)),
    )
    return replace(made, **more)  # type: ignore[arg-type]


STARTS = {STREAM: 9 * SECOND_NS}


def test_a_streams_first_moments_do_not_count() -> None:
    starts = {STREAM: 10 * SECOND_NS}
    settled = SETTLE_NS // CYCLE_NS + 1
    assert summed([cycle(n, late=True) for n in range(settled)], starts).xruns == 0
    assert summed([cycle(n, late=True) for n in range(settled + 3)], starts).xruns == 3


def test_counts_that_rise_between_windows_count_and_what_was_before_does_not() -> None:
    meter = Meter()
    totals = []
    for first, counts in ((0, (70, 70)), (1000, (75, 75)), (2000, (75, 74))):
        meter.begin()
        for n, xruns in enumerate(counts):
            meter.add(cycle(first + n, xruns=xruns), STARTS)
        window = meter.end(STARTS)
        assert window is not None
        totals.append(window.xruns)
    assert totals == [0, 5, 0]


def test_a_stream_that_began_again_counts_from_anew() -> None:
    meter = Meter()
    meter.begin()
    meter.add(cycle(0, xruns=3), STARTS)
    meter.end(STARTS)
    meter.begin()
    again = {STREAM: 9 * SECOND_NS + 1}
    meter.add(replace(cycle(1), blocks=(Block(STREAM, late=False, xruns=50),)), again)
    window = meter.end(again)
    assert window is not None
    assert window.xruns == 0


def test_cycles_that_were_never_begun_are_missing_and_a_pause_is_none() -> None:
    cycles = [cycle(n) for n in (0, 1, 2, 10, 11)]
    assert summed(cycles, STARTS).missing_cycles == 7
    began_in_the_gap = {STREAM: cycles[3].woken_ns - CYCLE_NS}
    assert summed(cycles, began_in_the_gap).missing_cycles == 0


def test_the_load_is_the_one_that_nine_cycles_in_ten_keep() -> None:
    loads = [0.2] * 95 + [9000.0] * 5
    assert summed([cycle(n, load=load) for n, load in enumerate(loads)], STARTS).load == 0.2
    assert summed([cycle(0, load=float("nan"))], STARTS).load == 0.0


def test_no_cycle_is_no_window() -> None:
    meter = Meter()
    meter.begin()
    assert meter.end({}) is None


@given(
    st.lists(
        st.builds(
            cycle,
            st.integers(-1000, 1000),
            st.booleans(),
            st.none() | st.integers(0, 1 << 31),
            load=st.floats(),
            quantum=st.integers(1, 1 << 22),
            rate_hz=st.integers(1, 1 << 22),
            device_xruns=st.integers(0, 1 << 31),
            driver=st.integers(0, 3),
        ),
        max_size=40,
    )
)
def test_any_cycles_add_up_to_something_that_can_be(cycles: list[Cycle]) -> None:
    meter = Meter()
    for _ in range(2):
        meter.begin()
        for one in cycles:
            meter.add(one, STARTS)
        window = meter.end(STARTS)
        assert (window is None) == (not cycles)
        if window is not None:
            assert window.xruns >= 0
            assert window.missing_cycles >= 0
            assert 0 <= window.load <= 10
            assert all(count > 0 for count in window.stream_xruns.values())
