"""What a tuner may turn, and how far: settings of the policy that a replay can tell anything about."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from smoothtask.config.settings import Section, Settings

Value = float | int
TURNED = {
    "contention": ("cpu_some_pct", "io_some_pct", "memory_some_pct", "latency_p99_ms", "group_wait", "hold_s"),
    "hysteresis": ("snapshots", "min_class_s"),
    "person": ("active_s", "focus_memory_s", "typed_s", "terminal_grace_s", "xrun_s"),
}
"""Not `bad`: it is the yardstick. Not `behaviour` and `tick`: their results are recorded, not what they see."""
PERSONAL = "person"
DIGITS = 2
LEAST_SHARE = 0.05
"""Of what holds now: 0 is not less of something, but without it."""


class BadValueError(ValueError):
    """A setting that cannot be; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting, and the range that it is looked for in."""

    section: str
    name: str
    now: Value
    low: Value
    high: Value

    @property
    def key(self) -> str:
        """`hysteresis.snapshots`."""
        return f"{self.section}.{self.name}"

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.now, int)


def knobs(settings: Settings, reach: float, *, person: bool) -> tuple[Knob, ...]:
    """Every setting that may be turned, by the share *reach* up and down at most.

    *person*: whether the recording knows anything of a person; without it those settings change nothing.
    """
    found = []
    for section, names in TURNED.items():
        if section == PERSONAL and not person:
            continue
        held: Section = getattr(settings, section)
        for name in names:
            now: Value = getattr(held, name)
            low, high = _bounds(held, name)
            step = max(1, round(now * reach)) if isinstance(now, int) else now * reach
            least = low if isinstance(now, int) else max(low, now * LEAST_SHARE)
            found.append(Knob(section, name, now, max(least, now - step), min(high, now + step)))
    return tuple(k for k in found if k.low < k.high)


def with_values(settings: Settings, values: Mapping[str, Value]) -> Settings:
    """*settings* with `section.name` → value, checked as a configuration file is. Raises BadValueError."""
    data: dict[str, Any] = settings.model_dump()
    for key, value in values.items():
        section, _, name = key.partition(".")
        if name not in data.get(section, {}):
            raise BadValueError(f"{key}: there is no such setting")
        # 10 for 10.0 is meant well; 2.5 for a number of snapshots is not.
        whole = isinstance(data[section][name], int)
        data[section][name] = int(value) if whole and float(value).is_integer() else value if whole else float(value)
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}") from error


def value_of(settings: Settings, key: str) -> Value:
    """The value of `section.name`."""
    section, _, name = key.partition(".")
    value: Value = getattr(getattr(settings, section), name)
    return value


def rounded(value: Value) -> Value:
    """With so many digits as a person would write."""
    if isinstance(value, int) or value == 0:
        return value
    digits = DIGITS - 1 - math.floor(math.log10(abs(value)))
    return round(value, max(0, digits))


def _bounds(section: Section, name: str) -> tuple[Value, Value]:
    """What the schema allows."""
    low, high = -math.inf, math.inf
    for rule in type(section).model_fields[name].metadata:
        for bound in (getattr(rule, "ge", None), getattr(rule, "gt", None)):
            low = low if bound is None else max(low, float(bound))
        for bound in (getattr(rule, "le", None), getattr(rule, "lt", None)):
            high = high if bound is None else min(high, float(bound))
    return low, high
