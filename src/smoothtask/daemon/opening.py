"""Sources that may be absent, opened where they work; `sources` says of each how it fares."""

from collections.abc import Callable
from dataclasses import dataclass, field

from smoothtask import __version__
from smoothtask.collector.probe import LatencyProbe, ProbeUnavailable
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Settings
from smoothtask.kernel.netlink import EventsUnavailable, ProcEvents, Subscription
from smoothtask.model.frame import Frame
from smoothtask.store.log import SnapshotLog
from smoothtask.store.retention import Retention

MEGABYTE = 1_000_000


@dataclass(slots=True)
class Opened:
    """Everything that must be closed, in order."""

    closers: list[Callable[[], object]] = field(default_factory=list)

    def close(self) -> None:
        """Close all, the newest first; idempotent. Raises what the first that failed raised, once all are closed."""
        failed: list[Exception] = []
        while self.closers:
            try:
                self.closers.pop()()
            except Exception as error:
                failed.append(error)
        if failed:
            raise failed[0]


def open_probe(settings: Settings, sources: dict[str, str], opened: Opened) -> LatencyProbe | None:
    """The process that measures how late sleepers wake; `None` where there is none."""
    sources["probe"] = "off (as configured)"
    if not settings.probe.enabled:
        return None
    probe = LatencyProbe(settings.probe.window_s)
    try:
        probe.start()
    except ProbeUnavailable as error:
        sources["probe"] = f"off ({error})"
        return None
    opened.closers.append(probe.stop)
    sources["probe"] = "a process of its own"
    return probe


def subscribe(settings: Settings, sources: dict[str, str]) -> Subscription | None:
    """To exec and exit events: asked for early, taken by `open_events`."""
    sources["events"] = "off (as configured)"
    if not settings.events.enabled:
        return None
    try:
        return Subscription()
    except EventsUnavailable as error:
        sources["events"] = f"off ({error})"
        return None


def open_events(subscription: Subscription | None, sources: dict[str, str], opened: Opened) -> ProcEvents | None:
    """The events of *subscription*."""
    if subscription is None:
        return None
    try:
        events = ProcEvents(subscription)
    except EventsUnavailable as error:
        sources["events"] = f"off ({error})"
        return None
    opened.closers.append(events.close)
    sources["events"] = "proc connector"
    return events


def open_log(settings: Settings, paths: Paths, on_problem: Callable[[str], None]) -> SnapshotLog | None:
    """The log of snapshots; `None` where none is wanted."""
    if not settings.store.record:
        return None
    return SnapshotLog(
        paths.database_at(settings.store.path),
        salt_path=paths.salt,
        anonymise=settings.store.anonymise,
        retention=Retention(max_age_days=settings.store.keep_days, max_bytes=int(settings.store.keep_mb * MEGABYTE)),
        on_problem=on_problem,
        version=__version__,
    )


def recorder(log: SnapshotLog | None) -> Callable[[Frame], object]:
    """What keeps a frame."""
    return (lambda _frame: None) if log is None else log.offer
