"""Who may give whom which class: the engine asks it of each order, the dashboard before it offers one (pure)."""

from dataclasses import dataclass

from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import AppGroup


@dataclass(frozen=True, slots=True)
class Rights:
    """What holds in one engine."""

    owner_uid: int = 0
    """Who runs it: root, or the person who watches without privileges."""
    may_raise: bool = False
    """Whether an ordinary user may go above NORMAL (`control.allow_users_above_normal`)."""

    def is_owner(self, uid: int) -> bool:
        """Whether *uid* may do everything, pausing included."""
        return uid in {0, self.owner_uid}

    def refusal(self, uid: int, group: AppGroup, target: PriorityClass | None) -> str | None:
        """Why *uid* may not give *group* that class; `None` when it may."""
        if self.is_owner(uid):
            return None
        if group.uid != uid:
            return f"{group.label} belongs to uid {group.uid}: only it and root may change that"
        if target is not None and target > PriorityClass.NORMAL and not self.may_raise:
            return (
                f"only root may raise above NORMAL here "
                f"(control.allow_users_above_normal in the configuration changes that), not to {target.name}"
            )
        return None


OWNERS_ONLY = Rights()
