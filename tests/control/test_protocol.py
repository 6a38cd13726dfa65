"""Frames and commands survive the socket; whatever else is said is refused in words."""

import contextlib
import dataclasses
import json
import math
import types
from typing import Any, Literal, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.hosts import frame
from smoothtask.control import protocol
from smoothtask.control.protocol import Ask, Look, ProtocolError
from smoothtask.model.classes import Limits, PriorityClass
from smoothtask.model.command import Command, Explain, LabelMoment, Pause, PinApp, Reply, SetOverride
from smoothtask.model.frame import Frame

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a model's type."""
    if isinstance(kind, types.UnionType):
        return st.one_of([values(k) for k in get_args(kind)])
    origin, inner = getattr(kind, "__origin__", None), get_args(kind)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(values(inner[0]), max_size=2).map(tuple)
        return st.tuples(*map(values, inner))
    if origin is frozenset:
        return st.frozensets(values(inner[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(TEXT, TEXT, max_size=2)
    if dataclasses.is_dataclass(kind):
        hints = {f.name: f.type for f in dataclasses.fields(kind)}
        return st.builds(kind, **{name: values(hint) for name, hint in hints.items()})
    if isinstance(kind, type) and issubclass(kind, bool | types.NoneType):
        return st.booleans() if kind is bool else st.none()
    if isinstance(kind, type) and hasattr(kind, "__members__"):
        return st.sampled_from(list(kind))
    return {int: st.integers(-(2**63), 2**63), float: NUMBER, str: TEXT}[kind]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(values(Frame))
def test_a_frame_comes_back_as_it_was(sent: Frame) -> None:
    line = protocol.encode_frame(sent)
    assert line.count(b"\n") == 1
    got = protocol.decode_answer(line).frame
    assert got == sent
    assert protocol.decode_answer(protocol.numbered(line, 7)) == protocol.Answer(id=7, frame=sent)


def test_a_name_that_is_no_utf8_does_not_stop_frames() -> None:
    sent = dataclasses.replace(frame(), sources={"rules": "/etc/\udcff.yaml"})
    got = protocol.decode_answer(protocol.encode_frame(sent)).frame
    assert got == dataclasses.replace(sent, sources={"rules": "/etc/?.yaml"})


def test_sets_and_enums_come_back_as_themselves() -> None:
    got = protocol.decode_answer(protocol.encode_frame(frame())).frame
    assert got is not None
    shown = got.groups[0]
    assert isinstance(shown.marks, frozenset)
    assert isinstance(shown.decision.target, PriorityClass)
    assert isinstance(got.system.cpu_pct, tuple)


@settings(max_examples=200, deadline=None)
@given(st.one_of([values(k) for k in get_args(Command)]), st.integers(-(2**52), 2**52))
def test_a_command_comes_back_as_it_was(command: Command, number: int) -> None:
    line = protocol.encode_request(command, number)
    assert line.count(b"\n") == 1
    got = protocol.decode_request(line)
    assert isinstance(got, Ask)
    assert got.id == number
    # Text is made safe on the way in.
    unsafe = any(isinstance(v, str) and not v.isprintable() for v in dataclasses.asdict(command).values())
    assert got.command == command or unsafe


@pytest.mark.parametrize("op", ["frame", "subscribe"])
def test_looks(op: Any) -> None:
    assert protocol.decode_request(protocol.encode_request(op, 3)) == Look(3, op)


def test_a_class_goes_by_name_or_number() -> None:
    by_name = protocol.decode_request(b'{"op": "pin", "group": "g", "target": "IDLE"}')
    assert by_name == protocol.decode_request(b'{"op": "pin", "group": "g", "target": 0}')
    assert by_name == Ask(None, PinApp("g", PriorityClass.IDLE))
    assert json.loads(protocol.encode_request(PinApp("g", PriorityClass.IDLE)))["target"] == "IDLE"
    # A program may be called like a class.
    assert protocol.decode_request(b'{"op": "explain", "target": "IDLE"}') == Ask(None, Explain("IDLE"))


@pytest.mark.parametrize(
    ("line", "said", "goes_on"),
    [
        (b"", "not JSON", False),
        (b"{", "not JSON", False),
        (b"\xff\xfe", "not JSON", False),
        (b'{"op":"override","group":"g","target":"IDLE","seconds":NaN}', "not JSON", False),
        (b"[" * 5000, "not JSON", False),
        (b"[]", "expected a JSON object", False),
        (b'{"id": "x"}', "whole number as id", False),
        (b'{"id": true}', "whole number as id", False),
        (b'{"id": 1e999}', "", False),
        (b"{}", "unknown op None", True),
        (b'{"op": "fly"}', "unknown op 'fly': expected one of", True),
        (b'{"op": {"a": 1}}', "unknown op", True),
        (b'{"op": "frame", "x": 1}', "frame takes nothing else", True),
        (b'{"op": "pin", "group": "g"}', "pin: target: Field required", True),
        (b'{"op": "pin", "group": "g", "target": "HIGH"}', "pin: target", True),
        (b'{"op": "pin", "group": "g", "target": 9}', "pin: target", True),
        (b'{"op": "pin", "group": 5, "target": 0}', "pin: group", True),
        (b'{"op": "override", "group": "g", "target": 0, "sekonds": 5}', "override has no 'sekonds'", True),
        (b'{"op": "undo", "\\u001b[31m": 1}', "undo has no", True),
        (b'{"op": "label-moment", "verdict": "great"}', "label-moment: verdict", True),
    ],
)
def test_what_is_not_understood_is_said(line: bytes, said: str, goes_on: bool) -> None:
    with pytest.raises(ProtocolError) as caught:
        protocol.decode_request(line)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert protocol.is_refusal(caught.value) is goes_on


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=80).map(lambda t: t.encode("utf-8", "surrogatepass"))))
def test_any_bytes_are_a_request_or_a_protocol_error(line: bytes) -> None:
    for decode in (protocol.decode_request, protocol.decode_answer):
        with contextlib.suppress(ProtocolError):
            assert isinstance(decode(line), Ask | Look | protocol.Answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["id", "group", "target", "seconds", "verdict", "on"])
OPS = st.sampled_from(
    ["pin", "unpin", "override", "label", "label-moment", "undo", "redo", "dry-run", "pause", "explain", "reload"]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=4), OPS)
def test_any_fields_are_a_command_or_a_protocol_error(fields: dict[str, Any], op: str) -> None:
    with contextlib.suppress(ProtocolError):
        got = protocol.decode_request(json.dumps({**fields, "op": op}).encode())
        assert isinstance(got, Ask)
        assert isinstance(got.command, get_args(Command))


def test_an_answer_is_made_safe_and_bounded() -> None:
    line = protocol.encode_reply(1, Reply(False, "no group is called \x1b[31m\ud800\n"))
    assert line.count(b"\n") == 1
    assert "\x1b" not in json.loads(line)["message"]
    assert protocol.decode_answer(line).reply == Reply(False, "no group is called \ufffd[31m\ufffd\ufffd")
    huge = protocol.encode_reply(1, Reply(True, "fine", {"x": "y" * protocol.ANSWER_LIMIT}))
    assert len(huge) < 1000
    assert json.loads(huge)["ok"] is True
    unsendable = protocol.encode_reply(1, Reply(True, "fine", {"x": object()}))
    assert json.loads(unsendable)["ok"] is False


def test_limits_of_a_pin() -> None:
    """Travel, are left out when there are none, and what is none is refused by name."""
    limited = PinApp("g", PriorityClass.IDLE, Limits(cpu_pct=40.0, io_read_bps=1 << 20))
    assert protocol.decode_request(protocol.encode_request(limited)) == Ask(1, limited)
    assert b"limits" not in protocol.encode_request(PinApp("g", PriorityClass.IDLE))
    for wrong in ('{"gpu":1}', '{"cpu_pct":"much"}', '"40%"', '{"cpu_idle":{}}'):
        with pytest.raises(ProtocolError, match="limits"):
            protocol.decode_request(f'{{"op":"pin","group":"g","target":"IDLE","limits":{wrong}}}'.encode())


def test_time_limits_are_numbers() -> None:
    got = protocol.decode_request(b'{"op":"override","group":"g","target":null,"seconds":90}')
    assert got == Ask(None, SetOverride("g", None, 90.0))
    assert math.isfinite(90.0)
    assert protocol.decode_request(b'{"op":"pause","on":true}') == Ask(None, Pause(True))
    assert b"passing" not in protocol.encode_request(Pause(True))
    passing = Pause(False, passing=True)
    assert protocol.decode_request(protocol.encode_request(passing)) == Ask(1, passing)
    assert protocol.decode_request(b'{"op":"label-moment","verdict":"laggy"}') == Ask(None, LabelMoment("laggy"))
