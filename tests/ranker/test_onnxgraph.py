"""One tree ensemble passes, as CatBoost writes it; everything else is refused with a reason."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.config.bundle import ONNX
from smoothtask.policy.features import COUNT, schema_hash
from smoothtask.ranker.onnxgraph import GraphError, check_onnx

onnx = pytest.importorskip("onnx", reason="needs the trainer's libraries")


@pytest.fixture
def data(made) -> bytes:
    return (made[0] / ONNX).read_bytes()


def refusal(data: bytes, width: int = COUNT) -> str:
    with pytest.raises(GraphError) as caught:
        check_onnx(data, width, schema_hash())
    return str(caught.value)


def changed(data: bytes, change) -> bytes:
    model = onnx.load_from_string(data)
    change(model)
    return model.SerializeToString()


def attribute(model, name: str):
    return next(a for a in model.graph.node[0].attribute if a.name == name)


def test_what_the_exporter_writes_is_let_through(data):
    check_onnx(data, COUNT, schema_hash())


def test_another_schema_or_width_is_refused(data):
    with pytest.raises(GraphError, match="made for other features"):
        check_onnx(data, COUNT, "0" * 64)
    assert "expected the input" in refusal(data, COUNT - 1)


def test_numbers_may_be_packed_or_not(data):
    """protobuf allows both."""
    name = b"nodes_treeids"
    at = data.index(name)
    assert data[at + len(name)] == (8 << 3)  # CatBoost's: one number at a time
    proto = onnx.load_from_string(data)
    ids = list(attribute(proto, "nodes_treeids").ints)
    attribute(proto, "nodes_treeids").ClearField("ints")
    packed = proto.SerializeToString()
    node, size = packed.index(name), len(ids)
    assert max(ids) < 0x80
    # The list goes behind the name; every message around it grows by as much.
    blob = bytes([8 << 3 | 2]) + _varint(size) + bytes(ids)
    check_onnx(_grown(packed, node + len(name), blob), COUNT, schema_hash())


def _varint(n: int) -> bytes:
    return bytes([n]) if n < 0x80 else bytes([n & 0x7F | 0x80]) + _varint(n >> 7)


def _grown(data: bytes, at: int, blob: bytes) -> bytes:
    """*data* with *blob* put in at *at*, inside of model > graph > node > attribute."""
    inner = data
    heads, start = [], 0
    for number in (7, 1, 5):  # graph, node, the attribute that holds *at*
        place = 0
        while True:
            tag, place_after = _read(inner, place)
            length, body = _read(inner, place_after) if tag & 7 == 2 else (0, place_after)
            if tag & 7 == 0:
                _, body = _read(inner, place_after)
            if tag >> 3 == number and body <= at - start < body + length + 1:
                break
            place = body + length
        heads.append((inner[:place], tag, inner[body + length :]))
        inner, start = inner[body : body + length], start + body
    inner = inner[: at - start] + blob + inner[at - start :]
    for before, tag, after in reversed(heads):
        inner = before + _varint(tag) + _varint(len(inner)) + inner + after
    return inner


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7


def _swap(name: str, what):
    def change(model):
        values = attribute(model, name)
        what(values.ints or values.floats or values.strings)

    return change


def _set(values, n, value):
    values[n] = value


def _set_type(model, name: str) -> None:
    model.graph.node[0].op_type = name


def _set_input(model) -> None:
    model.graph.input[0].name = "x"


CASES = {
    "another operator": (lambda m: _set_type(m, "Identity"), "expected the operator"),
    "two operators": (lambda m: m.graph.node.append(m.graph.node[0]), "2 operators"),
    "a tensor": (lambda m: m.graph.initializer.add(name="x"), "holds tensors"),
    "a function": (lambda m: m.functions.add(name="f"), "more than a graph"),
    "training": (lambda m: m.training_info.add(), "more than a graph"),
    "a subgraph": (lambda m: attribute(m, "nodes_values").g.CopyFrom(onnx.GraphProto()), "tensor or a graph"),
    "external data": (lambda m: attribute(m, "nodes_values").t.CopyFrom(onnx.TensorProto(data_location=1)), "a tensor"),
    "a feature too many": (_swap("nodes_featureids", lambda v: _set(v, 0, COUNT)), "a feature that there is not"),
    "a feature below": (_swap("nodes_featureids", lambda v: _set(v, 0, -1)), "a feature that there is not"),
    "a branch out of range": (_swap("nodes_truenodeids", lambda v: _set(v, 0, 1 << 40)), "leads nowhere"),
    "a ring": (_swap("nodes_falsenodeids", lambda v: _set(v, 0, 0)), "leads nowhere"),
    "a leaf that is NaN": (_swap("target_weights", lambda v: _set(v, 3, float("nan"))), "within"),
    "a huge leaf": (_swap("target_weights", lambda v: _set(v, 3, 1e30)), "within"),
    "a border that is NaN": (_swap("nodes_values", lambda v: _set(v, 0, float("nan"))), "no number"),
    "another comparison": (_swap("nodes_modes", lambda v: _set(v, 0, b"BRANCH_EQ")), "no comparison"),
    "a target that is not": (_swap("target_ids", lambda v: _set(v, 0, 7)), "more than one thing"),
    "a leaf that is not": (_swap("target_nodeids", lambda v: _set(v, 0, 999)), "a leaf that there is not"),
    "lists of unlike length": (_swap("nodes_treeids", lambda v: v.pop()), "nodes_treeids for"),
    "no sum": (lambda m: m.graph.node[0].attribute.add(name="aggregate_function", s=b"MAX", type=3), "add up"),
    "an odd attribute": (lambda m: m.graph.node[0].attribute.add(name="x", i=1, type=2), "unknown attribute"),
    "another input": (_set_input, "expected the input"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_tampered_graph_is_refused_with_its_reason(data, case):
    change, reason = CASES[case]
    assert reason in refusal(changed(data, change))


def test_cut_off_empty_or_random_bytes_are_refused(data):
    for cut in (0, 1, 7, 100, len(data) // 2, len(data) - 1):
        assert refusal(data[:cut])
    chance = np.random.default_rng(1)
    for _ in range(50):
        assert refusal(chance.bytes(400))
    assert refusal(struct.pack("<q", -1) * 4)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes):
    assert refusal(data)
