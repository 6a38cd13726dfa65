"""Whose streams a PipeWire server has, and which of them run.

Whose a stream is the kernel says (`pipewire.sec.pid`, SO_PEERCRED of its client's socket). For clients of
pipewire-pulse and of the portal that is the go-between: there the client's own claim is checked (see `claims`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smoothtask.model.person import Direction, Stream
from smoothtask.model.text import sanitise
from smoothtask.person.audio import claims, pod
from smoothtask.person.audio.limits import CLAIMED, MAX_CLIENTS, MAX_STREAMS, NAME_LIMIT, parse_pid
from smoothtask.person.audio.pod import Pod
from smoothtask.person.audio.protocol import INTERFACE, Protocol

CHECK_PAUSE_S: Final = 1.0
CHECKS: Final = 32
"""Claims that are checked together: each looks into /proc."""
_RUNNING: Final = 3
"""Of enum pw_node_state."""
_DIRECTIONS: Final = {"Stream/Output/Audio": Direction.PLAYBACK, "Stream/Input/Audio": Direction.CAPTURE}
_DEVICES: Final = frozenset({"Audio/Sink", "Audio/Source", "Audio/Duplex", "Audio/Source/Virtual"})
_NUMBER_DIGITS: Final = 10
_SERIAL_DIGITS: Final = 20


@dataclass(slots=True)
class _Client:
    """One that has, or may come to have, streams."""

    pid: int | None
    """The kernel's word on who connected."""
    uid: int | None
    is_bound: bool = False
    name: str = ""
    owner: tuple[int | None, float] | None = None
    """Whose its streams are, and how sure that is; `None`: it has not said what it is."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What is to be checked."""

    client: _Client
    pid: int
    is_pulse: bool
    """It came through pipewire-pulse, not through the portal."""


@dataclass(slots=True)
class _Node:
    """A stream."""

    key: str
    client: int | None
    direction: Direction | None
    """`None`: its ports will tell."""
    name: str
    is_heard: bool = False
    """It has said what it is."""
    is_wanted: bool = True
    """It does more than listen to what others play."""
    is_corked: bool = False
    start_ns: int | None = None
    """CLOCK_MONOTONIC; `None`: it does not run."""
    latency_ms: float | None = None
    xruns: int = 0


class Graph:
    """Takes the registry's events. *path* is the server's socket."""

    def __init__(self, path: Path) -> None:
        self.profiler: int | None = None
        """The number of the profiler; `None`: the server has none."""
        self.now_s = 0.0
        """When the event that is taken was read."""
        self.check_at_s: float | None = None
        """When `check_claims` is wanted."""
        self._path = path
        self._clients: dict[int, _Client] = {}
        self._nodes: dict[int, _Node] = {}
        self._devices: set[int] = set()
        self._claims: list[_Claim] = []

    @property
    def has_sound(self) -> bool:
        """Whether there are devices for sound, or streams: some PipeWires are there for screens alone."""
        return bool(self._devices or self._nodes)

    def starts(self) -> dict[int, int]:
        """Node → CLOCK_MONOTONIC nanoseconds at which it began to run, for those that run."""
        return {number: node.start_ns for number, node in self._nodes.items() if node.start_ns is not None}

    def add_xruns(self, counts: Mapping[int, int]) -> None:
        """By node."""
        for number, count in counts.items():
            if number in self._nodes:
                self._nodes[number].xruns += count

    def streams(self, cycle_ms: float | None) -> tuple[Stream, ...]:
        """All that there are; *cycle_ms* is the latency of those that asked for none."""
        return tuple(self._stream(node, cycle_ms) for node in self._nodes.values() if self._is_shown(node))

    def on_registry(self, protocol: Protocol, opcode: int, arguments: Pod) -> None:
        """An object came or went. Raises LostError."""
        match opcode, arguments:
            case 0, [int(number), int(), str(kind), int(), properties, *_]:  # Global
                self._forget(number)
                said = pod.parse_dictionary(properties)
                if kind == INTERFACE + "Client":
                    self._meet_client(number, said)
                elif kind == INTERFACE + "Node":
                    self._meet_node(protocol, number, said)
                elif kind == INTERFACE + "Profiler":
                    self.profiler = number
            case 1, [int(number), *_]:  # GlobalRemove
                self._forget(number)

    def check_claims(self, now_s: float) -> None:
        """Look which of the clients that came through a go-between are whom they claim to be."""
        due, self._claims = self._claims[:CHECKS], self._claims[CHECKS:]
        self.check_at_s = now_s + CHECK_PAUSE_S if self._claims else None
        try:
            sockets = claims.read_sockets()
        except OSError:
            return  # what they claim stays a claim
        for claim in due:
            client = claim.client
            if client.pid is not None and client.uid is not None:
                held = claims.held_by(client.pid) if claim.is_pulse else None
                ends = claims.accepted(sockets, "" if claim.is_pulse else str(self._path), held)
                client.owner = claims.confirm(claim.pid, ends, client.uid)

    def _meet_client(self, number: int, said: Mapping[str, str]) -> None:
        if len(self._clients) < MAX_CLIENTS:
            self._clients[number] = _Client(
                pid=parse_pid(said.get("pipewire.sec.pid")), uid=_number(said.get("pipewire.sec.uid"))
            )

    def _meet_node(self, protocol: Protocol, number: int, said: Mapping[str, str]) -> None:
        kind = said.get("media.class", "")
        if kind in _DEVICES and len(self._devices) < MAX_STREAMS:
            self._devices.add(number)
        is_jack = not kind and said.get("media.type") == "Audio" and said.get("media.role") == "DSP"
        if len(self._nodes) >= MAX_STREAMS or not (kind in _DIRECTIONS or is_jack):
            return
        serial = said.get("object.serial", "")
        node = _Node(
            key=f"pipewire:{serial if _is_number(serial, _SERIAL_DIGITS) else number}",
            client=_number(said.get("client.id")),
            direction=_DIRECTIONS.get(kind),
            name=said.get("node.name", "")[: NAME_LIMIT + 1],
        )
        self._nodes[number] = node
        protocol.bind(number, "Node", lambda opcode, arguments: self._on_node(number, node, opcode, arguments))
        client = self._client_of(node)
        if node.client is not None and client is not None and not client.is_bound:
            client.is_bound = True
            protocol.bind(
                node.client,
                "Client",
                lambda opcode, arguments: self._on_client(client, opcode, arguments),
                lambda: self._on_client_unseen(client),
            )

    def _forget(self, number: int) -> None:
        self._clients.pop(number, None)
        self._nodes.pop(number, None)
        self._devices.discard(number)
        if number == self.profiler:
            self.profiler = None

    def _on_client(self, client: _Client, opcode: int, arguments: Pod) -> None:
        match opcode, arguments:
            case 0, [int(), int(), properties, *_]:  # Info
                said = pod.parse_dictionary(properties)
                client.name = said.get("application.name", client.name)[: NAME_LIMIT + 1]
                if client.owner is None and said:
                    self._find_owner(client, said)

    def _on_client_unseen(self, client: _Client) -> None:
        """The server does not show it to us."""
        client.owner = client.owner or (None, 0.0)

    def _find_owner(self, client: _Client, said: Mapping[str, str]) -> None:
        is_pulse = said.get("client.api") == "pipewire-pulse"
        is_portal = "pipewire.access.portal.app_id" in said or said.get("pipewire.access") == "portal"
        claimed = parse_pid(said.get("application.process.id"))
        if client.pid is not None and not (is_pulse or is_portal):
            client.owner = client.pid, 1.0
        elif claimed is None:
            client.owner = None, 0.0
        else:
            client.owner = claimed, CLAIMED
            if len(self._claims) < MAX_CLIENTS:
                self._claims.append(_Claim(client, claimed, is_pulse))
                if self.check_at_s is None:
                    self.check_at_s = self.now_s

    def _on_node(self, number: int, node: _Node, opcode: int, arguments: Pod) -> None:
        match opcode, arguments:
            case 0, [int(), int(), int(), int(), int(), int(outputs), int(state), _, properties, *_]:  # Info
                if self._nodes.get(number) is not node:
                    return
                node.is_heard = True
                self._learn(node, pod.parse_dictionary(properties))
                if node.direction is None and outputs > 0:
                    node.direction = Direction.PLAYBACK
                runs = state == _RUNNING and not node.is_corked
                if not runs:
                    node.start_ns = None
                elif node.start_ns is None:
                    node.start_ns = int(self.now_s * 1e9)

    def _learn(self, node: _Node, said: Mapping[str, str]) -> None:
        """All its properties, or none when they are as before."""
        if said:
            node.name = (said.get("application.name") or said.get("node.name") or node.name)[: NAME_LIMIT + 1]
            node.is_corked = said.get("pulse.corked") == "true"
            node.is_wanted = not (said.get("stream.monitor") == "true" or said.get("stream.capture.sink") == "true")
            node.latency_ms = parse_latency_ms(said.get("node.latency"))

    def _is_shown(self, node: _Node) -> bool:
        """Not before it is known whose it is: one report of a stream that comes, not two."""
        client = self._client_of(node)
        return node.is_wanted and node.is_heard and (client is None or client.owner is not None)

    def _client_of(self, node: _Node) -> _Client | None:
        return None if node.client is None else self._clients.get(node.client)

    def _stream(self, node: _Node, cycle_ms: float | None) -> Stream:
        client = self._client_of(node)
        pid, confidence = (client.owner if client is not None else None) or (None, 0.0)
        return Stream(
            key=node.key,
            pid=pid,
            confidence=confidence,
            app=sanitise(node.name or (client.name if client is not None else ""), NAME_LIMIT),
            direction=node.direction or Direction.CAPTURE,
            running=node.start_ns is not None,
            latency_ms=cycle_ms if node.latency_ms is None else node.latency_ms,
            xruns=node.xruns,
        )


def parse_latency_ms(text: str | None) -> float | None:
    """`node.latency`: frames by rate.

    >>> parse_latency_ms("4800/48000"), parse_latency_ms("1/0"), parse_latency_ms("soon")
    (100.0, None, None)
    """
    first, _, second = (text or "").partition("/")
    frames, rate_hz = _number(first), _number(second)
    return 1000 * frames / rate_hz if frames is not None and rate_hz else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _is_number(text, _NUMBER_DIGITS) else None


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= digits
