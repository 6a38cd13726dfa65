"""How much may be recorded, so that no machine fills its disk: so many rows a day, and some at once (pure)."""

from dataclasses import dataclass, field
from typing import Final

DAY_S: Final = 86400.0
ROWS_A_DAY: Final = 500_000
"""Of some 145 bytes each, indices included: 72 MB (bench/scale.py measures it)."""
AT_ONCE: Final = 60_000
"""Half an hour of a busy desktop under contention."""


@dataclass(slots=True)
class Allowance:
    """A bucket that fills with time and is emptied by what is recorded. It may go below zero."""

    now_s: float
    rows: float = field(default_factory=lambda: AT_ONCE)

    def take(self, rows: int) -> None:
        """So many have been recorded."""
        self.rows -= rows

    def refill(self, now_s: float) -> None:
        """The time is *now_s*."""
        self.rows = min(AT_ONCE, self.rows + (now_s - self.now_s) * ROWS_A_DAY / DAY_S)
        self.now_s = now_s

    @property
    def spent(self) -> bool:
        """What repeats itself is left out until there is room again."""
        return self.rows <= 0

    @property
    def overdrawn(self) -> bool:
        """Nothing is recorded but what a person says."""
        return self.rows <= -AT_ONCE
