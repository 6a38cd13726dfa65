"""How much of the loop's time each user may have: what they took is owed, and paid off by waiting (pure)."""

from dataclasses import dataclass, field

SHARE = 0.05
"""Of the loop's time that one user may have, on average."""
SHARE_TOGETHER = 0.2
"""The same for all users: one person may have many uids (subuid(5))."""
SHARE_REFUSED = 0.05
"""Of the loop's time for turning connections away, whosever they are."""
CREDIT_S = 0.25
"""What may be owed before somebody is made to wait."""
LONGEST_S = 10.0
"""Of waiting, whatever one order took: it may have waited for a disk that others kept busy."""
LONGEST_TOGETHER_S = 2.0
"""The same for what others took."""
LONGEST_REFUSED_S = 0.1
"""Of the door's being shut: everybody stands before it."""
KEPT = 256
"""Users remembered, before those who owe nothing are forgotten."""


@dataclass(slots=True)
class _Debt:
    """Seconds of the loop's time that were taken and not yet paid off."""

    share: float
    longest_s: float
    """Of waiting."""
    owed_s: float = 0.0
    at_s: float = 0.0

    def pay_off(self, now_s: float) -> float:
        """What is owed at *now_s*."""
        self.owed_s = max(0.0, self.owed_s - self.share * max(0.0, now_s - self.at_s))
        self.at_s = now_s
        return self.owed_s

    def charge(self, cost_s: float, now_s: float) -> None:
        """*cost_s* more, up to the longest wait."""
        self.owed_s = min(self.pay_off(now_s) + cost_s, CREDIT_S + self.share * self.longest_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until no more is owed than may be."""
        return max(0.0, (self.pay_off(now_s) - CREDIT_S) / self.share)


@dataclass(slots=True)
class Allowance:
    """Who owes how much. Times are seconds of one monotonic clock."""

    _own: dict[int, _Debt] = field(default_factory=dict)
    _together: _Debt = field(default_factory=lambda: _Debt(SHARE_TOGETHER, LONGEST_TOGETHER_S))
    _refused: _Debt = field(default_factory=lambda: _Debt(SHARE_REFUSED, LONGEST_REFUSED_S))

    def charge(self, uid: int, cost_s: float, now_s: float) -> None:
        """*uid* was served for *cost_s*, until *now_s*."""
        self._charge(uid, cost_s, now_s)
        self._together.charge(cost_s, now_s)

    def charge_refusal(self, uid: int, cost_s: float, now_s: float) -> None:
        """*uid* was turned away. Others need not pay for that: it has no end."""
        self._charge(uid, cost_s, now_s)
        self._refused.charge(cost_s, now_s)

    def door_wait_s(self, now_s: float) -> float:
        """Seconds until somebody may be let in again or turned away; 0: now."""
        return self._refused.wait_s(now_s)

    def wait_s(self, uid: int, now_s: float) -> float:
        """Seconds until *uid* may be listened to again; 0: now."""
        own = self._own.get(uid)
        return max(self._together.wait_s(now_s), 0.0 if own is None else own.wait_s(now_s))

    def _charge(self, uid: int, cost_s: float, now_s: float) -> None:
        if uid not in self._own and len(self._own) >= KEPT:
            self._own = {u: d for u, d in self._own.items() if d.pay_off(now_s) > 0}
        self._own.setdefault(uid, _Debt(SHARE, LONGEST_S)).charge(cost_s, now_s)
