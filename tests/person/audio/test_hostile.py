"""What is no PipeWire: any bytes are read, refused, or end the watcher; recorded ones, changed, are no worse."""

import contextlib
import functools
import gzip
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from person.audio.servers import Heard
from smoothtask.model.person import SourceHealth
from smoothtask.person.audio.claims import parse_sockets
from smoothtask.person.audio.graph import parse_latency_ms
from smoothtask.person.audio.pipewire import open_pipewire
from smoothtask.person.audio.pod import PodError, integer, parse, string, structure
from smoothtask.person.audio.profiler import Meter, parse_cycles
from smoothtask.person.hearing import parse_line
from smoothtask.person.lines import line_of
from smoothtask.person.watcher import LostError, SoundReport

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*-stopped.gz"))
SESSIONS = sorted((Path(__file__).parent / "recorded").glob("*-session.bin.gz"))
"""All that servers of two versions said to a watcher: streams of pw-cat and paplay came, ran and went."""
HEADER = struct.Struct("=IIII")


def messages(file: Path) -> list[bytes]:
    """The PODs of a recorded profiler's messages."""
    data, at, found = gzip.decompress(file.read_bytes()), 0, []
    while at + HEADER.size <= len(data):
        length = HEADER.unpack_from(data, at)[1] & 0xFFFFFF
        found.append(data[at + HEADER.size : at + HEADER.size + length])
        at += HEADER.size + length
    return found


@pytest.mark.parametrize("file", RECORDED, ids=lambda f: f.name)
def test_recorded_cycles_of_both_versions_are_read(file: Path) -> None:
    cycles = [cycle for message in messages(file) for cycle in parse_cycles(parse(message))]
    assert len(cycles) > 100
    assert all(cycle.blocks[0].node == cycle.driver for cycle in cycles)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    with contextlib.suppress(PodError):
        parse_cycles(parse(data))


SOME = [message for file in RECORDED for message in messages(file)[:6]]


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_a_recorded_message_may_be_changed_anywhere(data: st.DataObject) -> None:
    message = bytearray(data.draw(st.sampled_from(SOME)))
    for _ in range(data.draw(st.integers(1, 8))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    meter = Meter()
    meter.begin()
    with contextlib.suppress(PodError):
        for cycle in parse_cycles(parse(bytes(message))):
            meter.add(cycle, {})
    window = meter.end({})
    assert window is None or window.missing_cycles >= 0


@given(
    st.integers(0, 2**31 - 1), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
)
def test_what_is_written_is_what_is_read(number: int, text: str) -> None:
    assert parse(structure(integer(number), string(text))) == [number, text]


@given(st.text(max_size=20))
def test_any_latency_is_one_or_none(text: str) -> None:
    latency = parse_latency_ms(text)
    assert latency is None or latency >= 0


@given(st.binary(max_size=300))
def test_any_dump_of_sockets_is_read_or_an_error(data: bytes) -> None:
    with contextlib.suppress(OSError):
        parse_sockets(data)


@contextlib.contextmanager
def impostor() -> Iterator[tuple[Path, socket.socket]]:
    """A socket as PipeWire's."""
    with tempfile.TemporaryDirectory(prefix="st-") as home, socket.socket(socket.AF_UNIX) as server:
        path = Path(home) / "pipewire-0"
        server.bind(str(path))
        server.listen()
        yield path, server


def listen_to(said: bytes) -> None:
    """A watcher at somebody who says *said*, for a moment: LostError or nothing."""
    with impostor() as (path, server):
        heard = Heard()
        heard.watcher = watcher = open_pipewire(path, heard)
        connection, _ = server.accept()
        with connection, contextlib.suppress(LostError):
            connection.sendall(said)
            for _ in range(4):
                if watcher.filenos():
                    watcher.ready(time.monotonic())
        watcher.close()


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_who_says_anything_at_all_does_no_harm(said: bytes) -> None:
    listen_to(said)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(0, 4),
            st.lists(st.integers(0, 2**31 - 1) | st.text("ab:PipWrentfac", max_size=24), max_size=6),
        ),
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_messages_of_the_right_form_and_wrong_content_do_no_harm(said: list[tuple[int, int, list[int | str]]]) -> None:
    data = b""
    for number, opcode, values in said:
        body = structure(*(integer(v) if isinstance(v, int) else string(v) for v in values))
        data += HEADER.pack(number, opcode << 24 | len(body), 0, 0) + body
    listen_to(data or b"\0")


def heard_of(said: list[bytes]) -> Heard:
    """A watcher at somebody who says these messages."""
    with impostor() as (path, server):
        heard = Heard()
        heard.watcher = watcher = open_pipewire(path, heard)
        connection, _ = server.accept()
        with connection, contextlib.suppress(LostError):
            began_s = time.monotonic()
            for number, message in enumerate(said):
                connection.sendall(message)
                if watcher.filenos():
                    watcher.ready(began_s + number / 50)
                watcher.wake(began_s + number / 50)
        watcher.close()
    return heard


@functools.cache
def recorded_session(file: Path) -> list[bytes]:
    """Its messages, with their headers."""
    data, at, found = gzip.decompress(file.read_bytes()), 0, []
    while at < len(data):
        end = at + HEADER.size + (HEADER.unpack_from(data, at)[1] & 0xFFFFFF)
        found.append(data[at:end])
        at = end
    return found


@pytest.mark.parametrize("file", SESSIONS, ids=lambda f: f.name)
def test_a_recorded_session_is_heard(file: Path) -> None:
    heard = heard_of(recorded_session(file))
    streams = {s.app: s for r in heard.reports if isinstance(r, SoundReport) for s in r.sound.streams}
    assert streams["pw-cat"].confidence == 1.0
    assert streams["paplay"].confidence == 0.5, "no such process holds the socket here"
    assert {r.sound.server for r in heard.reports if isinstance(r, SoundReport)} == {
        f"pipewire {file.name.partition('-')[0]}"
    }
    assert heard.source is not None
    assert heard.source.health is SourceHealth.WORKING


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_recorded_session_may_be_changed_anywhere(data: st.DataObject) -> None:
    """Bytes, and messages that are missing, come twice, or too early."""
    said = [bytearray(message) for message in recorded_session(data.draw(st.sampled_from(SESSIONS)))]
    for _ in range(data.draw(st.integers(0, 20))):
        message = said[data.draw(st.integers(0, len(said) - 1))]
        message[data.draw(st.integers(HEADER.size, max(HEADER.size, len(message) - 1)))] = data.draw(
            st.integers(0, 255)
        )
    for _ in range(data.draw(st.integers(0, 6))):
        at, to = (data.draw(st.integers(0, len(said) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(("drop", "double", "move"))):
            case "drop" if len(said) > 1:
                del said[at]
            case "double":
                said.insert(to, said[at])
            case "move":
                said[at], said[to] = said[to], said[at]
    for report in heard_of([bytes(message) for message in said]).reports:
        line = line_of(report).rstrip(b"\n")
        heard = parse_line(line, time.monotonic())
        assert type(heard) is type(report), "whatever is said can be passed on"


def test_a_message_of_a_gigabyte_is_not_waited_for() -> None:
    with impostor() as (path, server):
        watcher = open_pipewire(path, Heard())
        connection, _ = server.accept()
        with connection:
            connection.sendall(HEADER.pack(0, 0xFFFFFF, 0, 0))
            with pytest.raises(LostError):
                watcher.ready(time.monotonic())
        watcher.close()


def test_one_that_says_nothing_is_lost() -> None:
    with impostor() as (path, server):
        watcher = open_pipewire(path, Heard())
        connection, _ = server.accept()
        with connection, pytest.raises(LostError, match="said nothing"):
            watcher.wake(time.monotonic() + 60)
        watcher.close()
