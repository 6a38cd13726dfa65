"""Reads what a session's child says (see `lines`): strict, bounded, made safe; anything else ends that child."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from smoothtask.model.person import Direction, Sound, Source, SourceHealth, Stream, Window
from smoothtask.model.text import sanitise
from smoothtask.person.watcher import (
    GoneReport,
    IdleReport,
    LostError,
    Report,
    SoundReport,
    SourceReport,
    WindowsReport,
)

_MAX_PID: Final = 1 << 22
"""PID_MAX_LIMIT (include/linux/threads.h)."""
_COUNT: Final = 1 << 53

Name = Annotated[str, Field(max_length=128)]
Text = Annotated[str, Field(max_length=512)]
Pid = Annotated[int, Field(ge=1, le=_MAX_PID)]
Count = Annotated[int, Field(ge=0, le=_COUNT)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Window(_Strict):
    key: Name
    pid: Pid | None
    confidence: Share
    app_id: Name
    focused: bool
    visible: bool
    minimised: bool
    fullscreen: bool
    workspace: Name | None
    title: Text

    def value(self) -> Window:
        return Window(
            key=sanitise(self.key, 64),
            pid=self.pid,
            confidence=self.confidence,
            app_id=sanitise(self.app_id, 64),
            focused=self.focused,
            visible=self.visible,
            minimised=self.minimised,
            fullscreen=self.fullscreen,
            workspace=None if self.workspace is None else sanitise(self.workspace, 64),
            title=sanitise(self.title, 120),
        )


class _Stream(_Strict):
    key: Name
    pid: Pid | None
    confidence: Share
    app: Name
    direction: Literal["playback", "capture"]
    running: bool
    latency_ms: Amount | None
    xruns: Count

    def value(self) -> Stream:
        return Stream(
            key=sanitise(self.key, 64),
            pid=self.pid,
            confidence=self.confidence,
            app=sanitise(self.app, 64),
            direction=Direction(self.direction),
            running=self.running,
            latency_ms=self.latency_ms,
            xruns=self.xruns,
        )


class _WindowsLine(_Strict):
    kind: Literal["windows"]
    source: Name
    windows: Annotated[list[_Window], Field(max_length=512)]

    def value(self) -> Report:
        return WindowsReport(sanitise(self.source, 64), tuple(w.value() for w in self.windows))


class _SoundLine(_Strict):
    kind: Literal["sound"]
    source: Name
    server: Name
    streams: Annotated[list[_Stream], Field(max_length=512)]
    quantum: Count | None
    rate_hz: Count | None
    dsp_load: Amount | None
    xruns: Count
    missing_cycles: Count

    def value(self) -> Report:
        sound = Sound(
            server=sanitise(self.server, 64),
            streams=tuple(s.value() for s in self.streams),
            quantum=self.quantum,
            rate_hz=self.rate_hz,
            dsp_load=self.dsp_load,
            xruns=self.xruns,
            missing_cycles=self.missing_cycles,
        )
        return SoundReport(sanitise(self.source, 64), sound)


class _IdleLine(_Strict):
    kind: Literal["idle"]
    source: Name
    idle_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    mono_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    def value(self) -> Report:
        return IdleReport(sanitise(self.source, 64), self.idle_s, self.mono_s)


class _SourceLine(_Strict):
    kind: Literal["source"]
    name: Name
    health: Literal["working", "absent", "refused"]
    text: Text
    remedy: Text

    def value(self) -> Report:
        return SourceReport(
            Source(sanitise(self.name, 64), SourceHealth(self.health), sanitise(self.text), sanitise(self.remedy))
        )


class _GoneLine(_Strict):
    kind: Literal["gone"]
    source: Name

    def value(self) -> Report:
        return GoneReport(sanitise(self.source, 64))


_AnyLine = _WindowsLine | _SoundLine | _IdleLine | _SourceLine | _GoneLine
_Line = TypeAdapter[_AnyLine](Annotated[_AnyLine, Field(discriminator="kind")])


def parse_line(line: bytes, now_s: float) -> Report:
    """The report in *line*; no moment is later than *now_s* (CLOCK_MONOTONIC). Raises LostError at anything else."""
    try:
        report = _Line.validate_json(line).value()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = sanitise(".".join(map(str, first["loc"])), 80)
        raise LostError(f"it said what it may not say: {where}: {sanitise(first['msg'], 120)}") from error
    if isinstance(report, IdleReport):
        return IdleReport(report.source, report.idle_s, min(report.mono_s, now_s))
    return report
