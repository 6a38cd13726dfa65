"""PipeWire's native protocol at our end: greets, binds remote objects to handlers, and answers for the core object.

Opcodes are the positions of methods and events in pipewire/core.h, pipewire/client.h of PipeWire's source.
"""

from collections.abc import Callable
from typing import Final

from smoothtask.model.text import sanitise
from smoothtask.person.audio import pod
from smoothtask.person.audio.limits import MAX_CLIENTS, MAX_STREAMS, NAME_LIMIT
from smoothtask.person.audio.pod import Pod, PodError, integer, string, structure
from smoothtask.person.audio.wire import Connection, Message
from smoothtask.person.watcher import LostError

INTERFACE: Final = "PipeWire:Interface:"
_CORE, _CLIENT, _REGISTRY = 0, 1, 2
_VERSION: Final = 3
"""Of the protocol, and of every interface that is bound."""
_HELLO, _SYNC, _PONG, _GET_REGISTRY, _DESTROY = 1, 2, 3, 5, 7
_UPDATE_PROPERTIES: Final = 2
_BIND: Final = 1
_MAX_OBJECTS: Final = 4 * (MAX_STREAMS + MAX_CLIENTS)

Handler = Callable[[int, Pod], None]
"""Takes an event: its opcode and its arguments."""


class Protocol:
    """Greets at once. Every method raises LostError when the server is gone or makes no sense."""

    def __init__(self, connection: Connection, on_registry: Handler) -> None:
        self.version = ""
        """Of the server; empty until it says."""
        self._connection = connection
        self._handlers: dict[int, Handler] = {_CORE: self._on_core, _CLIENT: ignore, _REGISTRY: on_registry}
        self._free: list[int] = []
        """The server takes a number that it let go of, or one more than the highest: nothing else."""
        self._on_failure: dict[int, Callable[[], None]] = {}
        self._syncs: dict[int, Callable[[], None]] = {}
        self._synced = 0
        us = pod.dictionary({"application.name": "smoothtask"})
        connection.send(_CORE, _HELLO, structure(integer(_VERSION)))
        connection.send(_CLIENT, _UPDATE_PROPERTIES, structure(us))
        connection.send(_CORE, _GET_REGISTRY, structure(integer(_VERSION), integer(_REGISTRY)))

    def take(self, message: Message) -> None:
        """Hand an event to whoever bound its object."""
        handler = self._handlers.get(message.object_id, ignore)
        if handler is ignore:
            return
        try:
            arguments = pod.parse(message.body)
        except PodError as error:
            raise LostError(f"PipeWire makes no sense: {error}") from error
        handler(message.opcode, arguments)

    def sync(self, then: Callable[[], None]) -> None:
        """Do *then* when all that was asked so far is answered."""
        self._synced = (self._synced + 1) & 0x3FFFFFFF
        self._syncs[self._synced] = then
        self._connection.send(_CORE, _SYNC, structure(integer(0), integer(self._synced)))

    def bind(self, number: int, kind: str, handler: Handler, on_failure: Callable[[], None] | None = None) -> int:
        """Have the events of global object *number*; our own number for it."""
        if len(self._handlers) >= _MAX_OBJECTS:
            raise LostError("PipeWire lets go of nothing")
        ours = self._free.pop() if self._free else len(self._handlers)
        self._handlers[ours] = handler
        if on_failure is not None:
            self._on_failure[ours] = on_failure
        arguments = (integer(number), string(INTERFACE + kind), integer(_VERSION), integer(ours))
        self._connection.send(_REGISTRY, _BIND, structure(*arguments))
        return ours

    def destroy(self, ours: int) -> None:
        """Have no more events. Not for what the server removed: it lets go of that by itself."""
        if ours in self._handlers:
            self._handlers[ours] = ignore
        self._connection.send(_CORE, _DESTROY, structure(integer(ours)))

    def _on_core(self, opcode: int, arguments: Pod) -> None:
        match opcode, arguments:
            case 0, [int(), int(), str() | None, str() | None, str(version), *_]:  # Info
                self.version = sanitise(version, NAME_LIMIT)
            case 1, [int(), int(number), *_]:  # Done
                self._syncs.pop(number, _nothing)()
            case 2, [int(number), int(sequence), *_] if max(abs(number), abs(sequence)) < 1 << 31:  # Ping
                self._connection.send(_CORE, _PONG, structure(integer(number), integer(sequence)))
            case 3, [int(number), int(), int(), text, *_]:  # Error
                if number == _CORE:
                    raise LostError(f"PipeWire says: {sanitise(str(text), NAME_LIMIT)}")
                self._on_failure.get(number, _nothing)()
            case 4, [int(number), *_] if number > _REGISTRY and number in self._handlers:  # RemoveId
                self._release(number)

    def _release(self, number: int) -> None:
        del self._handlers[number]
        self._on_failure.pop(number, None)
        self._free.append(number)


def ignore(_opcode: int, _arguments: Pod) -> None:
    """An event of something of no interest."""


def _nothing() -> None:
    """Nobody waits for it."""
