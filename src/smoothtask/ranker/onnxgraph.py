"""A bounded reader of ONNX files that lets one ensemble of regression trees through, and nothing else (pure).

onnxruntime is native code that trusts a graph's indices more than it should. Whatever is not on the list here (other
operators, subgraphs, tensors, external data, functions, fields of a later version) never gets to it. The format is
protocol buffers (protobuf.dev/programming-guides/encoding); field numbers are those of onnx.proto.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from smoothtask.config.bundle import INPUT, MAX_DEPTH, MAX_LEAF, MAX_TREES, METADATA_HASH, OUTPUT

MAX_NODES = MAX_TREES * (2 << MAX_DEPTH)
MODES = frozenset({b"BRANCH_GT", b"LEAF"})
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT = 1
"""TensorProto.FLOAT."""


class GraphError(Exception):
    """The file is not what may be run; a sentence for a person."""


@dataclass(slots=True)
class Attribute:
    """One attribute of a node."""

    name: str = ""
    ints: list[int] = field(default_factory=list)
    floats: list[float] = field(default_factory=list)
    strings: list[bytes] = field(default_factory=list)


def check_onnx(data: bytes, width: int, schema_hash: str) -> None:
    """That *data* is one tree ensemble over *width* features that was trained with that schema. Raises GraphError."""
    try:
        graph, metadata = _model(data)
        _check_metadata(metadata, schema_hash)
        _check_ensemble(_graph(graph, width), width)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise GraphError(f"not an ONNX file ({error})") from error


def _model(data: bytes) -> tuple[bytes, dict[str, str]]:
    """The graph and the metadata of a ModelProto."""
    graphs: list[bytes] = []
    metadata: dict[str, str] = {}
    for number, value in _fields(data):
        match number:
            case 1 | 2 | 3 | 4 | 5 | 6 | 8:  # versions, names, texts, opsets
                pass
            case 7:
                graphs.append(_blob(value))
            case 14:
                key, text = _pair(_blob(value))
                metadata[key] = text
            case _:
                _refuse(f"holds more than a graph (field {number} of the model)")
    if len(graphs) != 1:
        _refuse(f"holds {len(graphs)} graphs, expected one")
    return graphs[0], metadata


def _check_metadata(metadata: dict[str, str], schema_hash: str) -> None:
    if metadata.get(METADATA_HASH) != schema_hash:
        _refuse("its ONNX file was made for other features")


def _graph(data: bytes, width: int) -> dict[str, Attribute]:
    """The attributes of the only node of a GraphProto."""
    nodes, inputs, outputs = [], [], []
    for number, value in _fields(data):
        match number:
            case 2 | 10:  # its name, its text
                pass
            case 1:
                nodes.append(_blob(value))
            case 11:
                inputs.append(_value_info(_blob(value)))
            case 12:
                outputs.append(_value_info(_blob(value)))
            case _:
                _refuse(f"holds tensors or more (field {number} of the graph)")
    if len(nodes) != 1:
        _refuse(f"has {len(nodes)} operators, expected one")
    if inputs != [(INPUT, _FLOAT, width)]:
        _refuse(f"expected the input {INPUT} of {width} floats, found {inputs}")
    if [name for name, *_ in outputs] != [OUTPUT] or outputs[0][1:] not in {(_FLOAT, 1), (_FLOAT, None)}:
        _refuse(f"expected the output {OUTPUT} of one float, found {outputs}")
    return _node(nodes[0])


def _node(data: bytes) -> dict[str, Attribute]:
    attributes: dict[str, Attribute] = {}
    texts: dict[int, list[bytes]] = {}
    for number, value in _fields(data):
        match number:
            case 1 | 2 | 3 | 4 | 6 | 7:
                texts.setdefault(number, []).append(_blob(value))
            case 5:
                attribute = _attribute(_blob(value))
                if attribute.name in attributes:
                    _refuse(f"names {attribute.name!r:.60} twice")
                attributes[attribute.name] = attribute
            case _:
                _refuse(f"holds more than an operator (field {number} of the node)")
    found = (texts.get(7), texts.get(4), texts.get(1), texts.get(2))
    if found != ([b"ai.onnx.ml"], [b"TreeEnsembleRegressor"], [INPUT.encode()], [OUTPUT.encode()]):
        _refuse(f"expected the operator ai.onnx.ml.TreeEnsembleRegressor alone, found {found!r:.100}")
    return attributes


def _attribute(data: bytes) -> Attribute:
    found = Attribute()
    for number, value in _fields(data):
        match number:
            case 1:
                found.name = _blob(value).decode()
            case 2:
                found.floats.append(_float(value))
            case 3:
                found.ints.append(_signed(value))
            case 4 | 9:
                found.strings.append(_blob(value))
            case 7:
                found.floats += _packed_floats(value)
            case 8:
                found.ints += _packed_ints(value)
            case 13 | 20:  # its text, its type: what is there tells its type
                pass
            case _:
                _refuse(f"attribute {found.name!r:.60} holds a tensor or a graph (field {number})")
        if max(len(found.ints), len(found.floats), len(found.strings)) > MAX_NODES:
            _refuse(f"attribute {found.name!r:.60} has more than {MAX_NODES} values")
    return found


_ROWS = ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids",
         "nodes_missing_value_tracks_true")  # fmt: skip
_LEAVES = ("target_treeids", "target_nodeids", "target_ids")
_KNOWN = {*_ROWS, *_LEAVES, "nodes_modes", "nodes_values", "nodes_hitrates", "target_weights", "n_targets",
          "post_transform", "aggregate_function", "base_values"}  # fmt: skip


def _check_ensemble(a: dict[str, Attribute], width: int) -> None:
    """Every index in range, every number finite, every branch onwards in its tree."""
    unknown = a.keys() - _KNOWN
    if unknown:
        _refuse(f"has the unknown attribute {min(unknown)!r:.60}")
    nodes = _ints(a, "nodes_nodeids")
    if not nodes or len(nodes) > MAX_NODES:
        _refuse(f"has {len(nodes)} nodes, expected 1 to {MAX_NODES}")
    for name in _ROWS[:5]:
        if len(_ints(a, name)) != len(nodes):
            _refuse(f"has {len(_ints(a, name))} {name} for {len(nodes)} nodes")
    modes, values = a.get("nodes_modes", Attribute()).strings, a.get("nodes_values", Attribute()).floats
    if len(modes) != len(nodes) or not MODES.issuperset(modes):
        _refuse("has branches that are no comparison `>`")
    if len(values) != len(nodes) or any(math.isnan(v) for v in values):
        _refuse("compares with what is no number")
    if any(not 0 <= f < width for f in _ints(a, "nodes_featureids")):
        _refuse(f"uses a feature that there is not (there are {width})")
    _check_branches(a, modes)
    _check_leaves(a)


def _check_branches(a: dict[str, Attribute], modes: list[bytes]) -> None:
    """From each branch on to two nodes of the same tree that come later: no ring, nothing out of range."""
    place: dict[tuple[int, int], int] = {}
    for key in zip(_ints(a, "nodes_treeids"), _ints(a, "nodes_nodeids"), strict=True):
        if key in place:
            _refuse(f"has two nodes {key[1]} in tree {key[0]}")
        place[key] = len(place)
    if len({tree for tree, _ in place}) > MAX_TREES:
        _refuse(f"has more than {MAX_TREES} trees")
    yes, no = _ints(a, "nodes_truenodeids"), _ints(a, "nodes_falsenodeids")
    for n, (tree, _) in enumerate(place):
        if modes[n] == b"LEAF":
            continue
        if any(place.get((tree, onward), -1) <= n for onward in (yes[n], no[n])):
            _refuse(f"has a branch in tree {tree} that leads nowhere")


def _check_leaves(a: dict[str, Attribute]) -> None:
    weights = a.get("target_weights", Attribute()).floats
    for name in _LEAVES:
        if len(_ints(a, name)) != len(weights):
            _refuse(f"has {len(_ints(a, name))} {name} for {len(weights)} leaves")
    known = set(zip(_ints(a, "nodes_treeids"), _ints(a, "nodes_nodeids"), strict=True))
    if not known.issuperset(zip(_ints(a, "target_treeids"), _ints(a, "target_nodeids"), strict=True)):
        _refuse("gives a weight to a leaf that there is not")
    if any(_ints(a, "target_ids")) or _ints(a, "n_targets") not in ([1], []):
        _refuse("scores more than one thing")
    base = a.get("base_values", Attribute()).floats
    if len(base) > 1 or any(not abs(w) <= MAX_LEAF for w in [*weights, *base]):  # not: NaN is no number within
        _refuse(f"has leaves that are not within ±{MAX_LEAF:g}")
    if a.get("post_transform", Attribute()).strings not in ([], [b"NONE"]):
        _refuse("transforms its scores")
    if a.get("aggregate_function", Attribute()).strings not in ([], [b"SUM"]):
        _refuse("does not add up its trees")


def _ints(a: dict[str, Attribute], name: str) -> list[int]:
    return a[name].ints if name in a else []


def _value_info(data: bytes) -> tuple[str, int, int | None]:
    """(name, element type, length of a row) of a ValueInfoProto that is a tensor."""
    name, kind, row = "", 0, None
    for number, value in _fields(data):
        if number == 1:
            name = _blob(value).decode()
        elif number == 2:
            kind, row = _tensor_type(_blob(value))
    return name, kind, row


def _tensor_type(data: bytes) -> tuple[int, int | None]:
    kind, shape = 0, b""
    for number, value in _fields(data):
        if number != 1:  # TypeProto.tensor_type
            _refuse("has an input or output that is no tensor")
        for inner, part in _fields(_blob(value)):
            if inner == 1:
                kind = _int(part)
            elif inner == 2:
                shape = _blob(part)
    sizes = [next((_int(v) for n, v in _fields(_blob(dim)) if n == 1), None) for _, dim in _fields(shape)]
    return kind, sizes[-1] if len(sizes) == 2 else None


def _pair(data: bytes) -> tuple[str, str]:
    both = {number: _blob(value).decode() for number, value in _fields(data)}
    return both.get(1, ""), both.get(2, "")


# --- protocol buffers -----------------------------------------------------------------------------------


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field: an int for varints and fixed widths' bytes, bytes for what has a length."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in {_FIXED32, _FIXED64}:
            length = 4 if wire == _FIXED32 else 8
        else:
            _refuse(f"is no ONNX file (wire type {wire})")
        if at + length > len(data):
            _refuse("is cut off")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]  # IndexError: cut off
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            _refuse("is no ONNX file (a number that does not end)")


def _blob(value: Any) -> bytes:
    if not isinstance(value, bytes):
        _refuse("is no ONNX file (a number where there should be text)")
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int):
        _refuse("is no ONNX file (text where there should be a number)")
    return value


def _signed(value: Any) -> int:
    number = _int(value)
    return number - (1 << 64) if number >= 1 << 63 else number


def _float(value: Any) -> float:
    return float(struct.unpack("<f", _blob(value))[0])


def _packed_floats(value: Any) -> list[float]:
    blob = _blob(value)
    return list(struct.unpack(f"<{len(blob) // 4}f", blob))


def _packed_ints(value: Any) -> list[int]:
    if isinstance(value, int):
        return [_signed(value)]
    numbers, at = [], 0
    blob = _blob(value)
    while at < len(blob):
        number, at = _varint(blob, at)
        numbers.append(_signed(number))
    return numbers


def _refuse(what: str) -> NoReturn:
    raise GraphError(what)
