"""The control socket's language: one JSON value a line, described in docs/control.md (pure)."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from smoothtask.control.excerpt import excerpt
from smoothtask.model.classes import Limits, PriorityClass
from smoothtask.model.command import Command, Pause, PinApp, Reply
from smoothtask.model.frame import Frame
from smoothtask.model.text import sanitise

PROTOCOL = 1
"""Raised whenever an older client could misunderstand what is said."""
REQUEST_LIMIT = 64 * 1024
"""Bytes of a client's line, its end included."""
ANSWER_LIMIT = 4 * 1024 * 1024
"""Bytes of the server's."""
NUMBER_BYTES = 64
"""Room for what `numbered` adds."""
GROUPS = 1000
"""Of one frame, at most; fewer when their texts are long."""
TEXT_LIMIT = 4096


class ProtocolError(Exception):
    """What was said cannot be understood; the text is for the one who said it."""

    def __init__(self, message: str, request: int | None = None) -> None:
        super().__init__(message)
        self.request = request
        """The request's number, when it could be read."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A command to carry out."""

    id: int | None
    command: Command


@dataclass(frozen=True, slots=True)
class Look:
    """`frame`: the newest frame, once; `subscribe`: every frame from now on."""

    id: int | None
    op: Literal["frame", "subscribe"]


Request = Ask | Look


@dataclass(frozen=True, slots=True)
class Answer:
    """Any line of the server: which fields are there tells what it is."""

    hello: str | None = None
    protocol: int | None = None
    version: str | None = None
    pid: int | None = None
    id: int | None = None
    ok: bool | None = None
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    frame: Frame | None = None

    @property
    def reply(self) -> Reply | None:
        """The reply to a command, when it is one."""
        return None if self.ok is None else Reply(self.ok, self.message, self.data)


# Schemas are built when first needed: a daemon that nobody talks to does not hold them.
@cache
def _frames() -> TypeAdapter[Frame]:
    return TypeAdapter(Frame)


@cache
def _answers() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)


@cache
def _commands() -> dict[str, tuple[TypeAdapter[Any], frozenset[str]]]:
    """Op → how to read it, and the names it may have."""
    return {
        kind.__dataclass_fields__["op"].default: (TypeAdapter(kind), frozenset(f.name for f in fields(kind)))
        for kind in get_args(Command)
    }


@cache
def installed_version() -> str:
    """Of SmoothTask, as installed."""
    from importlib.metadata import version  # noqa: PLC0415 (slow to import, and rarely needed)

    return version("smoothtask")


def encode_hello() -> bytes:
    """What the server says first."""
    return _line({"hello": "smoothtask", "protocol": PROTOCOL, "version": installed_version(), "pid": os.getpid()})


def encode_frame(frame: Frame) -> bytes:
    """A frame for subscribers: as much of it as an answer may hold."""
    most = GROUPS
    line = _encode_frame(excerpt(frame, most))
    while len(line) > ANSWER_LIMIT - NUMBER_BYTES and most > 1:
        most //= 2
        line = _encode_frame(excerpt(frame, most))
    return line


def _encode_frame(frame: Frame) -> bytes:
    try:
        data = _frames().dump_json(frame)
    except PydanticSerializationError:
        # A path that is not UTF-8 slipped in: what cannot be said becomes a question mark.
        plain = _frames().dump_python(frame, mode="json")
        data = json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace")
    return b'{"frame":' + data + b"}\n"


def numbered(frame_line: bytes, request: int | None) -> bytes:
    """The line of `encode_frame` as the answer to *request*."""
    return b'{"id":' + to_json(request) + b"," + frame_line[1:]


def encode_reply(request: int | None, reply: Reply) -> bytes:
    """The answer to a request; one that is too long loses its data and says so."""
    said = {"id": request, "ok": reply.ok, "message": sanitise(reply.message, TEXT_LIMIT)}
    try:
        line = _line({**said, "data": reply.data} if reply.data else said)
    except PydanticSerializationError as error:
        return encode_reply(request, Reply(False, f"the answer cannot be sent: {error}"))
    if len(line) > ANSWER_LIMIT:
        return encode_reply(request, Reply(reply.ok, f"{reply.message} (details left out: too long)"))
    return line


def encode_request(command: Command | Literal["frame", "subscribe"], request: int = 1) -> bytes:
    """What a client says."""
    if isinstance(command, str):
        return _line({"id": request, "op": command})
    said = {"id": request, **asdict(command)}
    if isinstance(said.get("target"), PriorityClass):
        said["target"] = said["target"].name
    if isinstance(command, PinApp) and not command.limits:
        del said["limits"]
    if isinstance(command, Pause) and not command.passing:
        del said["passing"]
    return _line(said)


def decode_request(line: bytes) -> Request:
    """A client's line. Raises ProtocolError; its `request` is set when the line was JSON with a number."""
    try:
        said = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise ProtocolError(f"not JSON: {error}") from error
    if not isinstance(said, dict):
        raise ProtocolError("expected a JSON object")
    request = said.pop("id", None)
    if request is not None and (type(request) is not int or abs(request) >= 1 << 53):
        raise ProtocolError("expected a whole number as id")
    op = said.get("op")
    if op in ("frame", "subscribe"):  # a tuple: op may be anything
        if len(said) > 1:
            raise _RefusedError(request, f"{op} takes nothing else")
        return Look(request, op)
    return Ask(request, _command(request, op, said))


def decode_answer(line: bytes) -> Answer:
    """A server's line. Raises ProtocolError."""
    try:
        return _answers().validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ProtocolError(f"the daemon's answer is not understood: {where}: {first['msg']}") from error


def _command(request: int | None, op: object, said: dict[str, Any]) -> Command:
    known = _commands().get(op) if isinstance(op, str) else None
    if known is None:
        names = ", ".join(sorted([*_commands(), "frame", "subscribe"]))
        raise _RefusedError(request, f"unknown op {op!r:.60}: expected one of {names}")
    adapter, names_known = known
    unknown = said.keys() - names_known
    if unknown:
        raise _RefusedError(request, f"{op} has no {min(unknown)!r:.60}")
    limits = said.get("limits")
    odd = limits.keys() - {f.name for f in fields(Limits)} if isinstance(limits, dict) else set()
    if odd:
        raise _RefusedError(request, f"{op}: limits have no {min(odd)!r:.60}")
    cleaned = {k: sanitise(v, TEXT_LIMIT) if isinstance(v, str) else v for k, v in said.items()}
    target = cleaned.get("target")
    if op not in {"explain", "detail"} and isinstance(target, str) and target in PriorityClass.__members__:
        cleaned["target"] = PriorityClass[target]
    try:
        command: Command = adapter.validate_python(cleaned)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _RefusedError(request, f"{op}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return command


class _RefusedError(ProtocolError):
    """The line was understood as JSON, but is no request: the connection may go on."""

    def __init__(self, request: int | None, message: str) -> None:
        super().__init__(sanitise(message, 400), request)


def is_refusal(error: ProtocolError) -> bool:
    """Whether the connection may go on after *error*."""
    return isinstance(error, _RefusedError)


def _line(value: dict[str, Any]) -> bytes:
    return to_json(value) + b"\n"
