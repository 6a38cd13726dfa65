"""SPA PODs, the values of PipeWire's native protocol: a bounded reader, and the few writers that a watcher needs.

Each is a header of eight bytes (size of the body, type), the body, and padding to eight bytes; spa/pod/pod.h in
PipeWire's source has the layout, spa/utils/type.h the types.
"""

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_DEPTH: Final = 8
MAX_VALUES: Final = 16_384
"""In one message: the profiler's, the longest of those asked for, have some 1,500."""

_BOOL, _ID, _INT, _LONG, _FLOAT, _DOUBLE, _STRING = range(2, 9)
_RECTANGLE, _FRACTION = 10, 11
_STRUCT, _OBJECT = 14, 15

_HEADER: Final = struct.Struct("=II")
_SINGLE: Final = {
    _BOOL: struct.Struct("=i"),
    _ID: struct.Struct("=I"),
    _INT: struct.Struct("=i"),
    _LONG: struct.Struct("=q"),
    _FLOAT: struct.Struct("=f"),
    _DOUBLE: struct.Struct("=d"),
}
_PAIR: Final = {_RECTANGLE: _HEADER, _FRACTION: _HEADER}

Pod: TypeAlias = "int | float | str | tuple[int, int] | list[Pod] | Object | None"
"""A Struct is a list, a Bool an int; what no watcher wants (Bytes, Array, Choice …) is `None`."""


@dataclass(frozen=True, slots=True)
class Object:
    """An Object of SPA: its properties have numbers."""

    type: int
    id: int
    properties: list[tuple[int, Pod]]


class PodError(ValueError):
    """These bytes are no POD, or one that is too large or too deep."""


def parse(data: bytes) -> Pod:
    """The first POD in *data*; what follows it (a message's footer) is left alone. Raises PodError.

    >>> parse(structure(integer(7), string("seven")))
    [7, 'seven']
    """
    return _Reader(data).first()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_VALUES

    def first(self) -> Pod:
        if len(self._data) < _HEADER.size:
            raise PodError("no header")
        size, kind = _HEADER.unpack_from(self._data)
        if _HEADER.size + size > len(self._data):
            raise PodError("longer than its message")
        return self._body(_HEADER.size, size, kind, MAX_DEPTH)

    def _body(self, at: int, size: int, kind: int, depth: int) -> Pod:
        if (single := _SINGLE.get(kind)) is not None:
            if size < single.size:
                raise PodError("too short for its type")
            value: int | float = single.unpack_from(self._data, at)[0]
            return value
        if kind == _STRING:
            return self._data[at : at + size].split(b"\0", 1)[0].decode("utf-8", "replace")
        if kind == _STRUCT:
            return self._structure(at, at + size, depth)
        if kind == _OBJECT:
            return self._object(at, at + size, depth)
        if (pair := _PAIR.get(kind)) is not None:
            if size < pair.size:
                raise PodError("too short for its type")
            first, second = pair.unpack_from(self._data, at)
            return first, second
        return None

    def _structure(self, at: int, end: int, depth: int) -> list[Pod]:
        values: list[Pod] = []
        while at + _HEADER.size <= end:
            value, at = self._inner(at, end, depth)
            values.append(value)
        return values

    def _object(self, at: int, end: int, depth: int) -> Object:
        if at + _HEADER.size > end:
            raise PodError("an object without a type")
        kind, number = _HEADER.unpack_from(self._data, at)
        at += _HEADER.size
        properties: list[tuple[int, Pod]] = []
        while at + 2 * _HEADER.size <= end:
            (key, _flags) = _HEADER.unpack_from(self._data, at)
            value, at = self._inner(at + _HEADER.size, end, depth)
            properties.append((key, value))
        return Object(kind, number, properties)

    def _inner(self, at: int, end: int, depth: int) -> tuple[Pod, int]:
        """The POD at *at* inside another that ends at *end*, and where the next begins."""
        size, kind = _HEADER.unpack_from(self._data, at)
        at += _HEADER.size
        self._left -= 1
        if at + size > end or depth == 0 or self._left < 0:
            raise PodError("longer than what holds it, too deep, or too much")
        return self._body(at, size, kind, depth - 1), at + size + (-size & 7)


def integer(value: int) -> bytes:
    """An Int."""
    return _written(_INT, struct.pack("=i", value))


def string(text: str) -> bytes:
    """A String."""
    return _written(_STRING, text.encode() + b"\0")


def structure(*parts: bytes) -> bytes:
    """A Struct of what is written already."""
    return _written(_STRUCT, b"".join(parts))


def dictionary(items: dict[str, str]) -> bytes:
    """How the protocol writes a dictionary: a Struct of the count, keys and values in turn."""
    return structure(integer(len(items)), *(string(text) for item in items.items() for text in item))


def parse_dictionary(pod: Pod) -> dict[str, str]:
    """See `dictionary`; what is not text in it is left out.

    >>> parse_dictionary([1, "node.name", "pw-play"])
    {'node.name': 'pw-play'}
    """
    if not isinstance(pod, list):
        return {}
    pairs = zip(pod[1::2], pod[2::2], strict=False)
    return {key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str)}


def _written(kind: int, body: bytes) -> bytes:
    return _HEADER.pack(len(body), kind) + body + bytes(-len(body) & 7)
