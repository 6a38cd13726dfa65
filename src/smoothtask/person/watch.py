"""Everything that watches the person, put together: look once a tick, get one view."""

from collections.abc import Callable
from dataclasses import dataclass

from smoothtask.model.person import PersonView, SessionView, Source, SourceHealth
from smoothtask.person.children import Children, Readers
from smoothtask.person.input.evdev import InputDevices
from smoothtask.person.input.logind import Logind
from smoothtask.person.input.terminals import read_terminals
from smoothtask.person.merge import person_of


@dataclass(slots=True)
class PersonWatch:
    """Sessions' children, input devices, logind and terminals; each may be off (`None`)."""

    children: Children | None
    devices: InputDevices | None
    logind: Logind | None
    terminals: bool = True

    @classmethod
    def start(
        cls,
        readers: Readers,
        hasten: Callable[[], None],
        *,
        windows: bool,
        sound: bool,
        inputs: bool,
        only_uid: int | None,
    ) -> "PersonWatch":
        """With what is wanted; nothing is opened before the first look. *only_uid*: watch that user alone."""
        return cls(
            children=Children(readers, windows, sound, only_uid, hasten) if windows or sound else None,
            devices=InputDevices(readers, hasten) if inputs else None,
            logind=Logind(readers, hasten),
            terminals=inputs,
        )

    @property
    def pids(self) -> frozenset[int]:
        """Of processes that are ours."""
        return frozenset() if self.children is None else self.children.pids

    def look(self, now_s: float) -> PersonView:
        """What is known at *now_s* (CLOCK_MONOTONIC); called once a tick."""
        if self.logind is not None:
            self.logind.look(now_s)
        if self.devices is not None:
            self.devices.look(now_s)
        if self.children is not None:
            self.children.look(now_s)
        terminals = read_terminals(now_s) if self.terminals else ()
        sources = self._sources(len(terminals))
        return person_of(self._views(), self._inputs(), self._hints(now_s), terminals, sources)

    def close(self) -> None:
        """End the children, close everything."""
        for part in (self.children, self.devices, self.logind):
            if part is not None:
                part.close()

    def _views(self) -> tuple[SessionView, ...]:
        if self.children is None:
            return ()
        return self.children.views() if self.logind is None else self.children.views(self.logind.is_active)

    def _inputs(self) -> list[tuple[str, float]]:
        if self.devices is None or self.devices.last_s is None:
            return []
        return [("evdev", self.devices.last_s)]

    def _hints(self, now_s: float) -> list[tuple[str, float]]:
        last_s = None if self.logind is None or self.devices is None else self.logind.last_input_s(now_s)
        return [] if last_s is None else [("logind", last_s)]

    def _sources(self, terminals: int) -> tuple[Source, ...]:
        sources = [_off("input: evdev", "input") if self.devices is None else self.devices.source]
        if self.logind is not None:
            sources.append(self.logind.source)
        if not self.terminals:
            sources.append(_off("terminals", "input"))
        elif terminals:
            sources.append(Source("terminals", SourceHealth.WORKING, "when somebody last typed into each"))
        else:
            sources.append(Source("terminals", SourceHealth.ABSENT, "no terminal is open in /dev/pts", _NOTHING))
        children = self.children
        for kind, on in (("windows", children and children.windows), ("sound", children and children.sound)):
            if not on:
                sources.append(_off(kind, kind))
        if children is not None and not children.views():
            text = "nobody has a desktop on this machine"
            sources.append(Source("windows and sound", SourceHealth.ABSENT, text, "log in to one; else nothing"))
        return tuple(sources)


_NOTHING = "nothing: it is looked at again by itself"


def _off(name: str, setting: str) -> Source:
    return Source(name, SourceHealth.ABSENT, "off, as configured", f"set person.{setting} to true")
