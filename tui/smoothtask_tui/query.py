"""The filter language: words that must all hold, such as `fire class:idle cpu>50 !by:pin` (pure).

Rule 1: words are separated by blanks, and all must hold; `!` in front turns a word round.
Rule 2: `field:text` matches the beginning of a field, `field=text` the whole; `field>n` and `field<n` compare a number.
Rule 3: anything else is looked for in names; no text is an error, so typing never fails.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from smoothtask.model.decision import Stage
from smoothtask.model.frame import GroupFrame
from smoothtask.model.group import GroupMetrics

_WORD = re.compile(r"(!?)(?:([a-z]+)([:=<>])(.*)|(.*))\Z", re.DOTALL)
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{0,6})?)([kmgt]?)\Z")
_UNITS = {"": 1.0, "k": 2.0**10, "m": 2.0**20, "g": 2.0**30, "t": 2.0**40}

NUMBERS: dict[str, Callable[[GroupMetrics], float]] = {
    "cpu": lambda m: m.cpu * 100,
    "wait": lambda m: m.wait * 100,
    "io": lambda m: m.read_bps + m.write_bps,
    "mem": lambda m: m.rss_bytes,
    "procs": lambda m: m.processes,
    "threads": lambda m: m.threads,
}
"""Fields that compare; cpu and wait in percent of a core, io and mem in bytes (`mem>1g`)."""


def _pressure(g: GroupFrame) -> float:
    worst = g.pressure.worst if g.pressure is not None else None
    return worst[1] if worst is not None else 0.0


OWN_NUMBERS: dict[str, Callable[[GroupFrame], float]] = {"psi": _pressure, "for": lambda g: g.decision.since_s}
"""The same of the group without its parts: pressure in percent of the time, seconds in its class."""

SHOWN_AS: dict[Stage, str] = {Stage.OVERRIDE: "you", Stage.RANKER: "model"}
"""What the list calls a stage, where that is another word than the stage's own."""


def _deciders(g: GroupFrame) -> list[str]:
    stage = g.decision.decided_by
    return [stage.value, SHOWN_AS.get(stage, stage.value)]


TEXTS: dict[str, Callable[[GroupFrame], list[str]]] = {
    "class": lambda g: [g.decision.target.name.casefold()],
    "type": lambda g: [g.group.classification.type],
    "tag": lambda g: sorted(g.group.classification.tags),
    "by": _deciders,
    "decided": _deciders,
    "app": lambda g: [g.group.classification.app.casefold()],
    "mark": lambda g: [m.value for m in g.marks],
    "does": lambda g: [g.group.behaviour.value],
    "layer": lambda g: [g.group.classification.source.layer] if g.group.classification.source is not None else [],
    "unit": lambda g: [(g.group.unit or "").casefold()],
    "uid": lambda g: [str(g.group.uid)],
}
"""Fields that are compared as text; `user` is one more, for which names are looked up."""

Test = Callable[[GroupFrame, GroupMetrics], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A filter ready to use; `tests` empty passes everything."""

    text: str
    tests: tuple[Test, ...]

    def matches(self, group: GroupFrame, metrics: GroupMetrics) -> bool:
        """Whether *group*, using *metrics* with all its parts, passes."""
        return all(test(group, metrics) for test in self.tests)


def parse_query(text: str, user_of: Callable[[int], str] = str) -> Query:
    """What a person typed → a filter. Never fails (Rule 3). *user_of*: the name of a uid."""
    words = text.casefold().split()
    return Query(text.strip(), tuple(_test(w, user_of) for w in words if w != "!"))


def _test(word: str, user_of: Callable[[int], str]) -> Test:
    found = _WORD.match(word)
    negate, name, operator, value, plain = found.groups() if found else ("", None, "", "", word)
    test = _field_test(name, operator, value, user_of) if name else None
    if test is None:
        test = _name_test(plain if name is None else word.removeprefix("!"))
    if not negate:
        return test
    wanted = test
    return lambda g, m: not wanted(g, m)


def _field_test(name: str, operator: str, value: str, user_of: Callable[[int], str]) -> Test | None:
    if operator in {":", "="}:
        fits = str.startswith if operator == ":" else str.__eq__
        if name == "user":
            return lambda g, _: fits(user_of(g.group.uid).casefold(), value) or str(g.group.uid) == value
        read = TEXTS.get(name)
        if read is None:
            return None
        return lambda g, _: any(fits(t, value) for t in read(g))
    measure = _measure(name)
    number = _NUMBER.match(value)
    if measure is None or number is None:
        # `cpu>` while a person is still typing passes everything.
        return (lambda _g, _m: True) if measure is not None and not value else None
    limit = float(number[1]) * _UNITS[number[2]]
    if operator == ">":
        return lambda g, m: measure(g, m) > limit
    return lambda g, m: measure(g, m) < limit


def _measure(name: str) -> Callable[[GroupFrame, GroupMetrics], float] | None:
    own, of_all = OWN_NUMBERS.get(name), NUMBERS.get(name)
    if own is not None:
        return lambda g, _: own(g)
    return None if of_all is None else lambda _, m: of_all(m)


def _name_test(text: str) -> Test:
    return lambda g, _: (
        text in g.group.label.casefold()
        or text in g.group.classification.app.casefold()
        or text == g.group.classification.type
    )
