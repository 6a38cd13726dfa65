"""Questions to an X server about its windows, many in one round trip, and what their answers mean.

Each `ask_…` queues, `Connection.settle` sends and waits, and the rest reads what was said: an error is no answer.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from Xlib import X
from Xlib.ext import res
from Xlib.protocol import request

from smoothtask.model.text import sanitise
from smoothtask.person.windows.limits import CLAIMED, MAX_PID, NAME_LIMIT, TITLE_LIMIT
from smoothtask.person.windows.x11_wire import Connection, said

_TITLE_LONGS: Final = 64
_ALL_DESKTOPS: Final = 0xFFFFFFFF
_ICONIC: Final = 3

ROOT_NAMES = (
    "_NET_CLIENT_LIST",
    "_NET_CLIENT_LIST_STACKING",
    "_NET_ACTIVE_WINDOW",
    "_NET_CURRENT_DESKTOP",
    "_NET_SUPPORTING_WM_CHECK",
)
STATE_NAMES = ("_NET_WM_STATE", "WM_STATE", "_NET_WM_DESKTOP")
TITLE_NAMES = ("_NET_WM_NAME", "WM_NAME")
_OTHER_NAMES = (
    "_NET_WM_STATE_HIDDEN",
    "_NET_WM_STATE_FULLSCREEN",
    "_NET_WM_PID",
    "WM_CLASS",
    "WM_CLIENT_MACHINE",
)


@dataclass(frozen=True, slots=True)
class State:
    """What the manager says of a window's."""

    hidden: bool = False
    iconic: bool = False
    fullscreen: bool = False
    desktop: int | None = None


class Questions:
    """About windows, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._x = connection
        self.atoms = connection.atoms(ROOT_NAMES + STATE_NAMES + TITLE_NAMES + _OTHER_NAMES)
        self.names = {number: name for name, number in self.atoms.items()}
        self.res_opcode = self._trusted_res()
        """Of X-Resource, which tells the pids of clients; `None`: they are claims here."""

    def ask(self, kind: Any, **fields: Any) -> Any:
        """One of python-xlib's requests that expect an answer."""
        return kind(display=self._x, defer=True, **fields)

    def property(self, window: int, name: str, longs: int) -> Any:
        """At most *longs* × 4 bytes of it."""
        return self.ask(
            request.GetProperty,
            delete=0,
            window=window,
            property=self.atoms[name],
            type=X.AnyPropertyType,
            long_offset=0,
            long_length=longs,
        )

    def cards_now(self, window: int, name: str) -> list[int]:
        """A property of one 32-bit number, asked for at once."""
        asked = self.property(window, name, 1)
        self._x.settle()
        return cards(asked)

    def select(self, window: int, mask: int) -> None:
        """Have these events of a window."""
        request.ChangeWindowAttributes(display=self._x, window=window, event_mask=mask)

    def ask_title(self, window: int) -> tuple[Any, ...]:
        """For `title_of`."""
        return tuple(self.property(window, name, _TITLE_LONGS) for name in TITLE_NAMES)

    def ask_states(self, windows: Iterable[int]) -> dict[int, tuple[Any, ...]]:
        """For `state`, by window."""
        return {w: tuple(self.property(w, name, 32) for name in STATE_NAMES) for w in windows}

    def state(self, answers: tuple[Any, ...]) -> State:
        """See `ask_states`."""
        states, icccm, desktop = (cards(answer) for answer in answers)
        return State(
            hidden=self.atoms["_NET_WM_STATE_HIDDEN"] in states,
            iconic=icccm[:1] == [_ICONIC],
            fullscreen=self.atoms["_NET_WM_STATE_FULLSCREEN"] in states,
            desktop=desktop[0] if desktop and desktop[0] != _ALL_DESKTOPS else None,
        )

    # Whose a window is.

    def _trusted_res(self) -> int | None:
        """The opcode of X-Resource, if the pid that it tells of us is ours: else its pids are another namespace's."""
        extension = self._x.extension("X-Resource")
        if extension is None:
            return None
        opcode = extension[0]
        version = self.ask(res.QueryVersion, opcode=opcode, client_major=1, client_minor=2)
        self._x.settle()
        if said(version) is None or (said(version)["server_major"], said(version)["server_minor"]) < (1, 2):
            return None
        ours = self._ask_res(opcode, self._x.base)
        self._x.settle()
        return opcode if _res_pid(ours) == os.getpid() else None

    def _ask_res(self, opcode: int, resource: int) -> Any:
        specs = [{"client": resource, "mask": res.LocalClientPIDMask}]
        return self.ask(res.QueryClientIds, opcode=opcode, specs=specs)

    def ask_owner(self, window: int) -> tuple[Any, ...]:
        """For `owner`."""
        if self.res_opcode is not None:
            return (self._ask_res(self.res_opcode, window),)
        return self.property(window, "_NET_WM_PID", 1), self.property(window, "WM_CLIENT_MACHINE", _TITLE_LONGS)

    def owner(self, answers: tuple[Any, ...]) -> tuple[int | None, float]:
        """Pid and confidence: the server's word, or what the client itself claims."""
        if self.res_opcode is not None:
            pid = _res_pid(answers[0])
            return (pid, 1.0) if pid else (None, 0.0)
        claim, machine = answers
        claimed = cards(claim)
        if not claimed or not 1 <= claimed[0] <= MAX_PID or text_of(machine) != os.uname().nodename.encode():
            return None, 0.0
        return claimed[0], CLAIMED


def app_id(wm_class: bytes) -> str:
    """The class of WM_CLASS (`instance\\0class\\0`), else the instance."""
    instance, _, rest = wm_class.partition(b"\0")
    name = rest.partition(b"\0")[0] or instance
    return sanitise(name.decode("latin-1"), NAME_LIMIT)


def title_of(answers: tuple[Any, ...]) -> str:
    """The modern one, else the old one; bounded and made safe."""
    modern, old = (text_of(answer) for answer in answers)
    return sanitise(modern or old.decode("latin-1"), TITLE_LIMIT)


def cards(answered: Any) -> list[int]:
    """A property of 32-bit numbers; empty when it is missing, or something else."""
    value = (said(answered) or {}).get("value")
    return list(value[1]) if value and value[0] == 32 else []


def text_of(answered: Any) -> bytes:
    """A property of bytes; empty when it is missing, or something else."""
    value = (said(answered) or {}).get("value")
    return bytes(value[1]) if value and value[0] == 8 else b""


def _res_pid(answered: Any) -> int | None:
    for owner in (said(answered) or {}).get("ids", ()):
        for pid in owner["value"]:
            if 1 <= pid <= MAX_PID:
                return int(pid)
    return None
