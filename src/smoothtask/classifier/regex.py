"""How long a regular expression can take on a hostile text, told from its parse tree (pure).

Python's matcher backtracks and cannot be stopped: `(a+)+b` or thirty times `a?` would hold the daemon for ever,
and a person's own rules as well as every command line are written by whoever likes to. So a pattern's worst case
is estimated before it is ever used: where it can go on in several ways, their number multiplies what follows. A
repeat whose characters cannot begin what follows it has one way only (`\\S+ `), and costs its length.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

REGEX_LIMIT = 512
HUGE = 1 << 60
SHARED_STEPS = 1 << 38
"""What one expression of the administrator's may cost: no three `.*` in a row, some seconds at worst."""
SHARED_TEXT = 2048
"""Characters of a command line that it sees."""
PERSONAL_STEPS = 1 << 24
"""The same for all the expressions of one person together: some 50 ms a process at the very worst."""
PERSONAL_TEXT = 512

# A set of characters is a bit mask: one bit for each below 256, one for all others, one for the end of the text.
_OTHER = 1 << 256
_END = 1 << 257
_ANY = _END - 1
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
_ONE_CHARACTER = {"LITERAL", "NOT_LITERAL", "ANY", "IN"}
_ESCAPES = {
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
# Inside a set the matcher is told of characters one by one; these change which ones, in ways not modelled here.
_FLAGS = re.compile(r"\(\?[imsx-]*[aLu]")
_IGNORES_CASE = re.compile(r"\(\?[msx-]*i")

Tree = Sequence[tuple[Any, Any]]


def check(pattern: str) -> None:
    """Raise ValueError for a pattern that is broken, too long, or can take very long on some text."""
    if steps(pattern, SHARED_TEXT) > SHARED_STEPS:
        raise ValueError("it can take for ever on some text: avoid repeats in repeats, and several .* in one")


def steps(pattern: str, length: int) -> int:
    """At most so many steps (of some nanoseconds each) to search *length* characters; at most HUGE.

    Raises ValueError for a pattern that is broken, longer than REGEX_LIMIT, or uses back references.
    """
    if len(pattern) > REGEX_LIMIT:
        raise ValueError(f"expected at most {REGEX_LIMIT} characters")
    if _FLAGS.search(pattern):
        raise ValueError("the flags a, L and u are not supported here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a later Python would understand otherwise
            re.compile(pattern)
        tree = list(re._parser.parse(pattern))  # type: ignore[attr-defined]
        anchored = bool(tree) and str(tree[0][1]) in {"AT_BEGINNING", "AT_BEGINNING_STRING"}
        _, cost = _Estimate(length, folds=bool(_IGNORES_CASE.search(pattern))).sequence(tree, 0)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    return min(HUGE, cost if anchored else cost * length)


class _Estimate:
    """(ways, steps) of the parts of one pattern: `follow` is what can begin the text after a part, 0 at the end."""

    def __init__(self, length: int, *, folds: bool) -> None:
        self._length = length
        self._folds = folds

    def sequence(self, tree: Tree, follow: int) -> tuple[int, int]:
        ways = cost = 1
        for i, (operation, argument) in enumerate(tree):
            w, s = self._part(str(operation), argument, self._first(tree[i + 1 :], follow))
            cost = min(HUGE, cost + ways * s)
            ways = min(HUGE, ways * w)
        return ways, cost

    def _part(self, operation: str, argument: Any, follow: int) -> tuple[int, int]:
        if operation in _ONE_CHARACTER:
            return 1, 1
        if operation == "AT":
            return 1, 0
        if operation in _REPEATS:
            return self._repeat(argument, follow, possessive=operation == "POSSESSIVE_REPEAT")
        if operation == "SUBPATTERN":
            return self.sequence(list(argument[3]), follow)
        if operation == "BRANCH":
            return self._branch([list(b) for b in argument[1]], follow)
        if operation in {"ASSERT", "ASSERT_NOT"}:
            return 1, self.sequence(list(argument[1]), 0)[1]
        if operation == "ATOMIC_GROUP":
            return 1, self.sequence(list(argument), 0)[1]
        raise ValueError("back references are not supported here")

    def _repeat(self, argument: Any, follow: int, *, possessive: bool) -> tuple[int, int]:
        low, high, body = min(int(argument[0]), self._length), min(int(argument[1]), self._length), list(argument[2])
        own = self._first(body, follow)
        w, s = self.sequence(body, own | follow)
        either = 1 if own & follow else 0  # at a character that may be one more round, or what follows
        if high <= 1:
            ways, cost = (w if low else w + either), s
        elif w > 1:
            ways = _powers(w, low, high)
            cost = s * ways
        else:
            ways, cost = 1 + either * (high - low), high * s
        return (1 if possessive else min(HUGE, ways)), min(HUGE, cost)

    def _branch(self, branches: Sequence[Tree], follow: int) -> tuple[int, int]:
        firsts = [self._first(b, follow) for b in branches]
        estimates = [self.sequence(b, follow) for b in branches]
        # The first character tells which branches it can be; the others end there.
        possible = [[e for e, f in zip(estimates, firsts, strict=True) if f & first] or [(1, 1)] for first in firsts]
        ways, cost = (max(sum(e[n] for e in these) for these in possible) for n in (0, 1))
        return min(HUGE, ways), min(HUGE, cost + len(branches))

    def _first(self, tree: Tree, follow: int) -> int:
        """What can begin the text that *tree* and then `follow` match."""
        for i, (operation, argument) in enumerate(tree):
            name = str(operation)
            if name in _ONE_CHARACTER:
                return self._characters(name, argument)
            if name == "AT" and str(argument) in {"AT_END", "AT_END_STRING"}:
                return _END | 1 << ord("\n")
            if name in _REPEATS:
                rest = self._first(tree[i + 1 :], follow)
                return self._first(list(argument[2]), rest) | (0 if argument[0] else rest)
            if name == "SUBPATTERN":
                return self._first(list(argument[3]), self._first(tree[i + 1 :], follow))
            if name == "ATOMIC_GROUP":
                return self._first(list(argument), self._first(tree[i + 1 :], follow))
            if name == "BRANCH":
                rest = self._first(tree[i + 1 :], follow)
                return _union(self._first(list(b), rest) for b in argument[1])
        return follow

    def _characters(self, name: str, argument: Any) -> int:
        """At least what one item matches: too many make the estimate higher, never lower."""
        if name == "ANY":
            return _ANY
        if name == "LITERAL":
            return self._both_cases(_bit(argument))
        if name == "NOT_LITERAL":
            return _ANY & ~(_bit(argument) & ~_OTHER)
        items = [(str(kind), value) for kind, value in argument]
        mask = _union(_item(kind, value) for kind, value in items if kind != "NEGATE")
        if items[0][0] == "NEGATE":
            return _ANY & ~mask | _OTHER
        return self._both_cases(mask)

    def _both_cases(self, mask: int) -> int:
        if not self._folds:
            return mask
        letters = [chr(n) for n in range(256) if mask >> n & 1]
        # Some letters beyond 255 equal one below it when case does not count.
        return _union(_bit(ord(c)) for letter in letters for c in letter.lower() + letter.upper()) | mask | _OTHER


def _powers(base: int, low: int, high: int) -> int:
    """base^low + … + base^high, at most HUGE; *base* is at least 2."""
    total = 0
    for exponent in range(low, high + 1):
        total += base**exponent if exponent < 61 else HUGE
        if total >= HUGE:
            return HUGE
    return total


def _item(kind: str, value: Any) -> int:
    if kind == "LITERAL":
        return _bit(value)
    if kind == "RANGE":
        low, high = value
        return _union(_bit(n) for n in range(low, min(high, 256) + 1)) | (_OTHER if high > 255 else 0)
    return _category(str(value))


@cache
def _category(name: str) -> int:
    matches = re.compile(_ESCAPES[name]).match
    return _union(_bit(n) for n in range(256) if matches(chr(n))) | _OTHER


def _bit(character: int) -> int:
    return 1 << character if character < 256 else _OTHER


def _union(masks: Iterable[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result
