"""The deeper measures (`smoothtask.model.meters`) as people read them: sums of parts, cells, sentences (pure)."""

from collections.abc import Iterable

from smoothtask.model.group import GroupMetrics
from smoothtask.model.meters import Delays, Meters
from smoothtask_tui import fmt


def together(meters: Iterable[Meters]) -> Meters:
    """Of an application with its parts: rates are summed; of delays the worst part's, which a sum would hide."""
    listed = list(meters)
    if len(listed) == 1:
        return listed[0]
    connections = [m.connections for m in listed if m.connections is not None]
    return Meters(
        _worst(m.run_queue for m in listed),
        _worst(m.block_io for m in listed),
        _sum(m.sent_bps for m in listed),
        _sum(m.received_bps for m in listed),
        sum(connections) if connections else None,
        _sum(m.watts for m in listed),
    )


def _worst(delays: Iterable[Delays | None]) -> Delays | None:
    return max((d for d in delays if d is not None), key=lambda d: d.p99_ms, default=None)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def mean_wait_ms(m: GroupMetrics) -> float | None:
    """The mean delay in the run queue, which needs no meter: waiting time (schedstat) by times it was switched to."""
    switches = m.vcsw + m.ivcsw
    return 1000 * m.wait / switches if switches >= 1 else None


def queue_value(meters: Meters, m: GroupMetrics) -> float:
    """What the column QUEUE sorts by."""
    return meters.run_queue.p99_ms if meters.run_queue else mean_wait_ms(m) or 0.0


def queue_text(meters: Meters, m: GroupMetrics) -> str:
    """`4.2`: 99 of 100 waits for a CPU were shorter (ms); `~0.4` is their mean, where nothing counts them."""
    if meters.run_queue is not None:
        return fmt.milliseconds(meters.run_queue.p99_ms)
    mean_ms = mean_wait_ms(m)
    return "-" if mean_ms is None else f"~{fmt.milliseconds(mean_ms)}"


def network_bps(meters: Meters) -> float | None:
    """Both ways."""
    return _sum((meters.sent_bps, meters.received_bps))


def facts(meters: Meters, m: GroupMetrics) -> Iterable[tuple[str, str]]:
    """Label and sentence of each measure that there is, for the detail."""
    mean_ms = mean_wait_ms(m)
    waits = [_delays("for a CPU", meters.run_queue, "waits"), _delays("disk", meters.block_io, "requests")]
    if meters.run_queue is None and mean_ms is not None:
        waits[0] = f"for a CPU {fmt.milliseconds(mean_ms)} ms on average"
    if any(waits):
        yield "delays", "; ".join(filter(None, waits))
    said = []
    if meters.sent_bps is not None and meters.received_bps is not None:
        said.append(f"sends {fmt.quantity(meters.sent_bps)}/s, receives {fmt.quantity(meters.received_bps)}/s")
    if meters.connections is not None:
        said.append(f"{meters.connections} connection{'s' * (meters.connections != 1)}")
    if said:
        yield "network", ", ".join(said)
    if meters.watts is not None:
        yield "energy", f"{meters.watts:.1f} W: its share of the processor's by CPU time"


def _delays(what: str, delays: Delays | None, counted: str) -> str:
    if delays is None:
        return ""
    p50, p99 = fmt.milliseconds(delays.p50_ms), fmt.milliseconds(delays.p99_ms)
    return f"{what} p50 {p50} ms, p99 {p99} ms ({delays.samples} {counted} in 10 s)"
