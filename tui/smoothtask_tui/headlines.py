"""The header: mode, contention, processors, memory, pressure, latency and our own cost (pure)."""

from datetime import UTC, datetime, tzinfo
from itertools import groupby

from smoothtask.model.frame import Frame, Mode
from smoothtask.model.system import SystemMetrics
from smoothtask_tui import fmt, graph
from smoothtask_tui.history import newest
from smoothtask_tui.line import Line, Span, line, spread
from smoothtask_tui.scene import Scene

WARM_PSI, HOT_PSI = 10.0, 40.0
WARM_MS, HOT_MS = 5.0, 20.0
MODES: dict[Mode, tuple[str, str]] = {
    Mode.RULES_ONLY: (" ● ACTIVE ", "good!"),
    Mode.HYBRID: (" ● HYBRID ", "good!"),
    Mode.DRY_RUN: (" ◌ OBSERVE ", "warn!"),
    Mode.PAUSED: (" ‖ PAUSED ", "warn!"),
}


def header_lines(scene: Scene, width: int, height: int, zone: tzinfo | None = UTC) -> list[Line]:
    """The header for a terminal of *width* × *height*: two to six lines. *zone*: of the clock shown."""
    frame = scene.frame
    if frame is None:
        return [_title_without_frame(scene, width), *_banner(scene, width, zone)]
    if height < 20:
        return [_title(scene, frame, width, zone, short=True), _compact(frame), *_banner(scene, width, zone)]
    lines = [_title(scene, frame, width, zone, short=height < 30)]
    if height >= 30:
        lines.append(_contention(frame))
    lines += [_processors(frame, width), _pressure(scene, frame, width), _latency(scene, frame, width)]
    return [*lines, *_banner(scene, width, zone)]


def _title_without_frame(scene: Scene, width: int) -> Line:
    state = " ✗ NO CONNECTION " if scene.lost else " … STARTING "
    left = line(("  SmoothTask  ", "title"), (state, "bad!" if scene.lost else "warn!"), ground="bar")
    return spread(left, line((f"{scene.description} ", "dim")), width)


def _title(scene: Scene, frame: Frame, width: int, zone: tzinfo | None, *, short: bool) -> Line:
    word, role = (" ✗ LOST ", "bad!") if scene.lost else MODES[frame.mode]
    spans = [Span("  SmoothTask  ", "title"), Span(word, role), Span("  ")]
    clock = datetime.fromtimestamp(frame.time, zone).strftime("%H:%M:%S ")
    if short:
        room = width - sum(len(s.text) for s in spans) - len(clock) - 1
        spans += [Span(fmt.fit(s.text, min(len(s.text), max(0, room))), s.role) for s in (_state(frame),)]
    else:
        spans.append(Span(scene.description, "dim"))
        count = len(frame.groups) + frame.left_out
        system = frame.system
        clock = f"{count} groups · {system.processes} processes · {system.threads} threads   {clock}"
    left = Line(tuple(spans), "bar")
    return spread(left, line((clock, "dim")), width)


def _state(frame: Frame) -> Span:
    c = frame.contention
    if c.active:
        return Span(f"▲ waiting {fmt.duration(c.since_s)}: {'; '.join(c.reasons)}", "alert")
    return Span(f"✓ smooth for {fmt.duration(c.since_s)}", "good")


def _contention(frame: Frame) -> Line:
    c = frame.contention
    if c.active:
        badge = Span(f" ▲ SOMEBODY WAITS · {fmt.duration(c.since_s)} ", "bad!")
        return line("  ", badge, (f"  {'; '.join(c.reasons)}", "alert"))
    return line("  ", (f"✓ smooth for {fmt.duration(c.since_s)}", "good"), (" · nobody waits for a processor", "dim"))


def _processors(frame: Frame, width: int) -> Line:
    s = frame.system
    cores = s.cpu_pct
    mean = sum(cores) / len(cores) if cores else 0.0
    half = max(30, width // 2)
    spans = [Span("  CPU ", "dim"), *_cores(cores, half - 14), Span(f" {mean:3.0f}%  ", _load(mean))]
    left = Line(tuple(spans))
    used = s.mem_total_bytes - s.mem_available_bytes
    share = used / s.mem_total_bytes if s.mem_total_bytes else 0.0
    numbers = f" {fmt.quantity(used)}/{fmt.quantity(s.mem_total_bytes)}"
    swap = f"  swap {fmt.quantity(s.swap_used_bytes)}" if s.swap_total_bytes and width >= 110 else ""
    load = "  load " + " ".join(f"{x:.1f}" for x in s.load)
    room = width - half - len("MEM ") - len(numbers) - len(swap) - len(load) - 1
    full, empty = graph.bar(share, max(4, min(room, 40)))
    right = line(
        ("MEM ", "dim"),
        (full, _heat(share * 100, 75.0, 90.0, "graph0")),
        (empty, "faint"),
        (numbers, "text"),
        (swap, "dim"),
        (load, "dim"),
    )
    gap = " " * max(0, half - left.cells)
    return Line((*left.spans, Span(gap), *right.spans))


def _cores(cores: tuple[float, ...], room: int) -> list[Span]:
    """A horizontal bar a core where there is room, else one block a core, else only the busiest."""
    each = room // len(cores) - 1 if cores else 0
    if each >= 4:
        spans = []
        for share in cores:
            full, empty = graph.bar(share / 100, each)
            spans += [Span(full, _load(share)), Span(empty, "faint"), Span(" ")]
        return spans[:-1]
    shown = cores if len(cores) <= room else tuple(sorted(cores, reverse=True)[: max(1, room)])
    return [Span(graph.spark([share], 100.0), _load(share)) for share in shown]


def _pressure(scene: Scene, frame: Frame, width: int) -> Line:
    s = frame.system
    wide = width >= 120
    spans = [Span("  PSI ", "dim")]
    room = (width - 6) // 3
    for name, now, psi, key in (
        ("cpu", s.cpu_some_pct, s.pressure.cpu, "psi_cpu"),
        ("io", s.io_some_pct, s.pressure.io, "psi_io"),
        ("mem", s.memory_some_pct, s.pressure.memory, "psi_memory"),
    ):
        if now is None:
            spans.append(Span(fmt.fit(f"{name} not offered by this kernel", room), "faint"))
            continue
        average = f"{psi.some.avg10_pct:.1f}" if psi else "-"
        text = f" {now:.1f}%  10s {average}% " if wide else f" {now:.0f}% 10s {average} "
        points = newest(scene.history.series(key), max(0, room - len(name) - len(text) - 1))
        spans += [Span(name, "dim"), Span(text, _heat(now, WARM_PSI, HOT_PSI))]
        spans += [*_spark(points, 60.0, WARM_PSI, HOT_PSI), Span(" ")]
    return Line(tuple(spans))


def _latency(scene: Scene, frame: Frame, width: int) -> Line:
    cost = frame.cost
    own = line((f"self {cost.cpu_pct:.1f}% {fmt.quantity(cost.rss_bytes)} tick {cost.interval_s:.2g}s ", "dim"))
    latency = frame.system.latency
    if latency is None:
        why = frame.sources.get("probe", "the probe has not spoken yet")
        return spread(line(("  LAT ", "dim"), (f"no wake-up latency: {why}", "faint")), own, width)
    role = _heat(latency.p99_ms, WARM_MS, HOT_MS)
    spans = [
        Span("  LAT ", "dim"),
        Span(f"p50 {fmt.milliseconds(latency.p50_ms)} ", "text"),
        Span(f"p99 {fmt.milliseconds(latency.p99_ms)} ", role),
        Span(f"max {fmt.milliseconds(latency.max_ms)} ms ", "text"),
        *_sound(scene, frame),
    ]
    room = width - sum(len(s.text) for s in spans) - own.cells - 2
    points = newest(scene.history.series("p99_ms"), max(0, room))
    spans += _spark(points, 30.0, WARM_MS, HOT_MS)
    return spread(Line(tuple(spans)), own, width)


def _sound(scene: Scene, frame: Frame) -> list[Span]:
    """How often sound broke up: since the tick before, and in the minutes that are known."""
    if frame.person.xruns is None:
        return []
    lately = sum(p.breaks or 0 for p in scene.history.points)
    now = frame.person.sound_breaks
    return [Span("XRUN ", "dim"), Span(f"{now} ({lately}) ", "bad" if now else "warn" if lately else "good")]


def _compact(frame: Frame) -> Line:
    s = frame.system
    mean = sum(s.cpu_pct) / len(s.cpu_pct) if s.cpu_pct else 0.0
    used = s.mem_total_bytes - s.mem_available_bytes
    spans = [
        Span("  CPU ", "dim"),
        Span(f"{mean:.0f}%", _load(mean)),
        Span("  MEM ", "dim"),
        Span(f"{fmt.quantity(used)}/{fmt.quantity(s.mem_total_bytes)}"),
        Span("  PSI ", "dim"),
        Span(_psi_triple(s), _heat(s.cpu_some_pct or 0.0, WARM_PSI, HOT_PSI)),
    ]
    if s.latency is not None:
        p99 = s.latency.p99_ms
        spans += [Span("  LAT ", "dim"), Span(f"p99 {fmt.milliseconds(p99)}ms", _heat(p99, WARM_MS, HOT_MS))]
    return Line(tuple(spans))


def _psi_triple(s: SystemMetrics) -> str:
    values = (s.cpu_some_pct, s.io_some_pct, s.memory_some_pct)
    return "/".join("-" if v is None else f"{v:.0f}" for v in values)


def _banner(scene: Scene, width: int, zone: tzinfo | None) -> list[Line]:
    frame = scene.frame
    if scene.lost:
        kept = "  (the last frame stays below)" if frame is not None else ""
        return [line((f"  ✗ {scene.lost}{kept}", "alert"), ground="panel")]
    if scene.frozen and frame is not None:
        said = f"  ‖ frozen at {datetime.fromtimestamp(frame.time, zone):%H:%M:%S}"
        return [line((said, "warn"), ": the machine goes on, this picture does not (Z goes on)", ground="panel")]
    if frame is None:
        if not scene.observe_reason:
            return []
        return [line(("  ◌ observing only, nothing is applied: ", "warn"), scene.observe_reason, ground="panel")]
    return [*_mode_banner(scene, frame, width), *_guest_banner(scene, width)]


def _guest_banner(scene: Scene, width: int) -> list[Line]:
    if not scene.is_guest or scene.frame is None:
        return []
    up_to = "" if scene.frame.rights.may_raise else ", up to NORMAL"
    said = f"  ◌ you are uid {scene.uid}: your own applications are yours to order{up_to}; the others (✗) you may watch"
    return [line((fmt.shorten(said, width), "dim"), ground="panel")]


def _mode_banner(scene: Scene, frame: Frame, width: int) -> list[Line]:
    reason = frame.mode_reason or scene.observe_reason
    if frame.mode is Mode.DRY_RUN:
        said = "  ◌ observing only: decisions are shown, nothing is applied"
        said = said if len(said) + len(reason) + 2 <= width else "  ◌ observing only"
        return [
            line(
                (said, "warn"),
                (fmt.shorten(f": {reason}", max(0, width - len(said))) if reason else "", "text"),
                ground="panel",
            )
        ]
    if frame.mode is Mode.PAUSED:
        said = "  ‖ paused: every change is undone, nothing is applied until `a` is pressed again"
        return [line((said, "warn"), (f" ({reason})" if reason else "", "text"), ground="panel")]
    return []


def _heat(value: float, warm: float, hot: float, calm: str = "text") -> str:
    return "bad" if value >= hot else "warn" if value >= warm else calm


def _load(pct: float) -> str:
    """A busy processor is no fault: it stands out, but does not alarm."""
    return "graph1" if pct >= 92.0 else "graph0"


def _spark(values: list[float | None], top: float, warm: float, hot: float) -> list[Span]:
    """A sparkline whose blocks are coloured by their own value."""
    roles = (_heat(v or 0.0, warm, hot, "graph0") for v in values)
    pairs = zip(roles, graph.spark(values, top), strict=True)
    return [Span("".join(c for _, c in run), role) for role, run in groupby(pairs, key=lambda p: p[0])]
