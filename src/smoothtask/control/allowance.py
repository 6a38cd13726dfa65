"""How much of the loop's time each user may have: what they took is owed, and paid off by waiting (pure)."""

from dataclasses import dataclass, field

SHARE = 0.05
"""Of the loop's time that one user may have, on average."""
SHARE_TOGETHER = 0.2
"""The same for all users: one person may have many uids (subuid(5))."""
CREDIT_S = 0.25
"""What may be owed before somebody is made to wait."""
KEPT = 256
"""Users remembered, before those who owe nothing are forgotten."""


@dataclass(slots=True)
class _Debt:
    """Seconds of the loop's time that were taken and not yet paid off."""

    share: float
    owed_s: float = 0.0
    at_s: float = 0.0

    def pay_off(self, now_s: float) -> float:
        """What is owed at *now_s*."""
        self.owed_s = max(0.0, self.owed_s - self.share * max(0.0, now_s - self.at_s))
        self.at_s = now_s
        return self.owed_s


@dataclass(slots=True)
class Allowance:
    """Who owes how much. Times are seconds of one monotonic clock."""

    _own: dict[int, _Debt] = field(default_factory=dict)
    _together: _Debt = field(default_factory=lambda: _Debt(SHARE_TOGETHER))

    def charge(self, uid: int, cost_s: float, now_s: float) -> None:
        """*uid* has had the loop for *cost_s*, until *now_s*."""
        if uid not in self._own and len(self._own) >= KEPT:
            self._own = {u: d for u, d in self._own.items() if d.pay_off(now_s) > 0}
        for debt in (self._own.setdefault(uid, _Debt(SHARE)), self._together):
            debt.pay_off(now_s)
            debt.owed_s += cost_s

    def wait_s(self, uid: int, now_s: float) -> float:
        """Seconds until *uid* may be listened to again; 0: now."""
        own = self._own.get(uid)
        debts = (self._together,) if own is None else (own, self._together)
        return max(0.0, *((d.pay_off(now_s) - CREDIT_S) / d.share for d in debts))
