"""A session's child by itself: what it opens, loses, and tries again, with watchers that do as the test says."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smoothtask.model.person import Source, SourceHealth
from smoothtask.person import child as module
from smoothtask.person.child import Child, NotYetError, Open
from smoothtask.person.endpoints import Endpoint, Kind
from smoothtask.person.watcher import GoneReport, IdleReport, LostError, Report, Sink, SourceReport


class Pipe:
    """A watcher that reports once for each byte, or fails."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.sink = sink
        self.error: Exception | None = None
        self.closed = False
        self.out, self.into = os.pipe()
        sink(SourceReport(Source(name, SourceHealth.WORKING, "here")))

    def filenos(self) -> tuple[int, ...]:
        return (self.out,)

    def ready(self, now_s: float) -> None:
        os.read(self.out, 1)
        if self.error is not None:
            raise self.error
        self.sink(IdleReport(self.name, 0.0, now_s))

    def wake_at_s(self) -> float | None:
        return None

    def wake(self, now_s: float) -> None:
        raise AssertionError("it asked for nothing")

    def close(self) -> None:
        if not self.closed:
            os.close(self.out)
            os.close(self.into)
        self.closed = True


class Bench:
    """A child, what it said, and its watchers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[Report] = []
        self.watchers: dict[str, Pipe] = {}
        self.wanted: dict[str, Open] = {}
        self.reader, self.output = os.pipe()
        self.child = Child(os.geteuid(), Path("/"), windows=True, sound=True, say=self.said.append)
        monkeypatch.setattr(Child, "wanted", lambda _self, _endpoints: self.wanted)
        monkeypatch.setattr(module, "LOOK_S", 0.02)

    def want(self, name: str, refusal: Exception | None = None) -> None:
        """One more place; *refusal*: as long as it is wanted, opening it fails so."""

        def opener(sink: Sink) -> Pipe:
            if refusal is not None:
                raise refusal
            self.watchers[name] = Pipe(name, sink)
            return self.watchers[name]

        self.wanted[name] = opener

    def until(self, holds: Callable[[], object]) -> None:
        """Turn it until *holds*."""
        end_s = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < end_s, self.said
            assert self.child.turn(self.output)

    def health(self, name: str) -> Source | None:
        """The newest word on a source."""
        sources = [r.source for r in self.said if isinstance(r, SourceReport) and r.source.name == name]
        return sources[-1] if sources else None


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(monkeypatch)
    yield made
    made.child.close()
    assert all(w.closed for w in made.watchers.values())
    os.close(made.reader)
    os.close(made.output)


@pytest.mark.parametrize("error", [LostError("it ended"), OSError(5, "Input/output error"), KeyError("a bug of ours")])
def test_one_that_fails_takes_no_other_along_and_is_tried_again(bench: Bench, error: Exception) -> None:
    bench.want("windows: a")
    bench.want("windows: b")
    bench.until(lambda: len(bench.watchers) == 2)
    first = bench.watchers["windows: a"]
    first.error = error
    os.write(first.into, b"x")
    bench.until(lambda: bench.health("windows: a") is not None and first.closed)
    source = bench.health("windows: a")
    assert source is not None
    assert source.health is SourceHealth.ABSENT
    assert source.remedy
    os.write(bench.watchers["windows: b"].into, b"x")
    bench.until(lambda: any(isinstance(r, IdleReport) and r.source == "windows: b" for r in bench.said))
    bench.until(lambda: bench.watchers["windows: a"] is not first)


@pytest.mark.parametrize(
    ("error", "health", "text"),
    [
        (PermissionError(1, "no cookie fits"), SourceHealth.REFUSED, "no cookie fits"),
        (ConnectionRefusedError(111, "Connection refused"), SourceHealth.ABSENT, "Connection refused"),
        (ImportError("libpulse.so.0"), SourceHealth.ABSENT, "libpulse.so.0"),
    ],
)
def test_why_it_cannot_be_opened_is_said(bench: Bench, error: Exception, health: SourceHealth, text: str) -> None:
    bench.want("windows: x11 :7", error)
    bench.until(lambda: bench.health("windows: x11 :7"))
    source = bench.health("windows: x11 :7")
    assert source is not None
    assert source.health is health
    assert text in source.text
    assert ("xhost" in source.remedy) == (health is SourceHealth.REFUSED)


def test_what_does_not_run_yet_is_waited_for_in_silence(bench: Bench) -> None:
    bench.want("sound: pulseaudio", NotYetError("no pulseaudio runs"))
    end_s = time.monotonic() + 0.2
    bench.until(lambda: time.monotonic() > end_s)
    assert bench.said == []


def test_what_is_gone_is_closed_and_forgotten(bench: Bench) -> None:
    bench.want("windows: a")
    bench.until(lambda: bench.watchers)
    bench.wanted.clear()
    bench.until(lambda: GoneReport("windows: a") in bench.said)
    assert bench.watchers["windows: a"].closed


def test_it_ends_when_nobody_listens(bench: Bench) -> None:
    os.close(bench.reader)
    assert not bench.child.turn(bench.output)
    bench.reader = os.open("/dev/null", os.O_RDONLY)


def wanted_of(*endpoints: Endpoint, windows: bool = True, sound: bool = True) -> list[str]:
    return [*Child(1000, Path("/"), windows, sound, lambda _: None).wanted(endpoints)]


def test_what_is_opened_is_this_users() -> None:
    mine = Endpoint(Kind.SWAY, "/run/user/1000/sway-ipc.1000.1.sock", 1000)
    assert wanted_of(mine) == ["windows: sway"]
    assert wanted_of(Endpoint(Kind.SWAY, "/run/user/1001/sway-ipc.1001.1.sock", 1001)) == []
    assert wanted_of(Endpoint(Kind.X11, "/tmp/.X11-unix/X0", 0)) == [], "nobody of theirs uses that display"
    assert wanted_of(mine, windows=False) == []


def test_of_two_sockets_of_pipewires_the_managers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(Child, "_pipewire", lambda _self, endpoint, _sink: opened.append(endpoint.path))
    child = Child(1000, Path("/"), windows=False, sound=True, say=lambda _: None)
    found = [Endpoint(Kind.PIPEWIRE, f"/run/user/1000/pipewire-0{end}", 1000) for end in ("-manager", "")]
    (opener,) = child.wanted(found).values()
    opener(lambda _: None)
    assert opened == ["/run/user/1000/pipewire-0-manager"]
