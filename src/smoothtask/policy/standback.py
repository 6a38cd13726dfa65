"""What is left to other programs that set priorities: one table, with a reason for every line (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smoothtask.model.owner import Left, LeftTo, Owner, OwnerKind


@dataclass(frozen=True, slots=True)
class Rule:
    """What is left to one kind of owner."""

    left: Left
    """`{who}` stands for the owner's name."""
    says: str
    """What is left, for people."""
    remedy: str
    everywhere: bool = True
    """False: only the groups that the owner names, or else those of its user."""


_THREADS = "{who} sets nice, policy and IO priority of threads by rules of its own"
_SCHED_EXT = "{who} (sched_ext) schedules: what nice, slices and weights mean is up to it"
_WEIGHTS = "{who} sets CPUWeight and IOWeight of this user's units"
_OF_USERS = "the weights of whole users, which SmoothTask never sets"
_NOTHING_TO_DO = "nothing: they get on"
_MASTER = "another SmoothTask manages these processes"

TABLE: Mapping[OwnerKind, Rule] = {
    OwnerKind.ANANICY: Rule(
        Left(threads=_THREADS, ionice=_THREADS, autogroups=_THREADS),
        "nice, policy and IO priority of threads; weights of units stay ours",
        "run one of the two: `systemctl disable --now {unit}` gives threads back to SmoothTask",
    ),
    OwnerKind.SYSTEM76: Rule(
        Left(threads=_THREADS, ionice=_THREADS, autogroups=_THREADS),
        "nice, policy and IO priority of threads; weights of units stay ours",
        "run one of the two: `systemctl disable --now com.system76.Scheduler` gives threads back to SmoothTask",
    ),
    OwnerKind.TUNED: Rule(
        Left(threads="{who} sets policy and nice of the threads its profile names"),
        "nice and policy of threads; IO priorities and weights of units stay ours",
        "choose a profile without groups in [scheduler]: `tuned-adm profile balanced`",
    ),
    OwnerKind.URESOURCED: Rule(
        Left(units_cpu=_WEIGHTS, units_io=_WEIGHTS),
        "CPU and IO weights of its user's units; threads stay ours",
        "run one of the two: `systemctl --user disable --now uresourced` as that user",
        everywhere=False,
    ),
    OwnerKind.GAMEMODE: Rule(
        Left(
            threads="{who} takes care of this game's threads",
            ionice="{who} takes care of this game's threads",
            autogroups="{who} takes care of this game's threads",
        ),
        "threads of the games that use it; weights of their units stay ours",
        _NOTHING_TO_DO,
        everywhere=False,
    ),
    OwnerKind.SCHED_EXT: Rule(
        Left(threads=_SCHED_EXT, autogroups=_SCHED_EXT, units_cpu=_SCHED_EXT),
        "all that is about CPU; IO priorities and IO weights stay ours",
        "stop the scheduler (`systemctl stop scx`, `scx_loader`) to have CPU time managed by SmoothTask",
    ),
    OwnerKind.SMOOTHTASK: Rule(
        Left(_MASTER, _MASTER, _MASTER, _MASTER, _MASTER),
        "everything",
        "run one of the two, or give each its own `--scope`",
    ),
}


def left_to(owners: Iterable[Owner]) -> LeftTo:
    """What is left to *owners*. More owners never leave us more."""
    everywhere = Left()
    by_uid: dict[int, Left] = {}
    groups: dict[str, Left] = {}
    for owner in owners:
        rule, left = TABLE[owner.kind], _named(TABLE[owner.kind].left, owner.name)
        if rule.everywhere:
            everywhere |= left
        elif owner.kind is OwnerKind.GAMEMODE:
            for group in owner.groups:
                groups[group] = groups.get(group, Left()) | left
        elif owner.uid != 0:  # its part of root weighs whole users, which we never do
            by_uid[owner.uid] = by_uid.get(owner.uid, Left()) | left
    return LeftTo(everywhere, by_uid, groups)


def _named(left: Left, who: str) -> Left:
    values = (left.threads, left.ionice, left.autogroups, left.units_cpu, left.units_io)
    return Left(*(None if v is None else v.replace("{who}", who) for v in values))


def what_is_left(owner: Owner) -> str:
    """What is left to *owner* now, for people."""
    if owner.kind is OwnerKind.GAMEMODE:
        return f"{says(owner)} ({len(owner.groups) or 'none'} now)"
    return says(owner)


def says(owner: Owner) -> str:
    """What is left to such an owner, for people."""
    return _OF_USERS if _weighs_users(owner) else TABLE[owner.kind].says


def remedy(owner: Owner) -> str:
    """What a person may do about *owner*."""
    return _NOTHING_TO_DO if _weighs_users(owner) else TABLE[owner.kind].remedy.replace("{unit}", owner.name)


def _weighs_users(owner: Owner) -> bool:
    """uresourced has a part that runs as root, which weighs whole users."""
    return owner.kind is OwnerKind.URESOURCED and owner.uid == 0


def title(owner: Owner) -> str:
    """*owner*, for people: `gamemoded of uid 1000`."""
    detail = f" ({owner.detail})" if owner.detail else ""
    kind = f" ({owner.kind})" if owner.kind is OwnerKind.SCHED_EXT else ""
    return owner.name + (f" of uid {owner.uid}" if owner.uid else "") + kind + detail


def summary(owners: Iterable[Owner]) -> str:
    """All of them in one line; `none` for none."""
    return ", ".join(map(title, owners)) or "none"


def news(before: Iterable[Owner], now: Iterable[Owner]) -> list[str]:
    """What to tell people when the set changes: who came (or holds other groups than before), and who went."""
    old, new = ({(o.kind, o.name, o.uid): o for o in owners} for owners in (before, now))
    came = [o for key, o in new.items() if key not in old or _said(old[key]) != _said(o)]
    went = [o for key, o in old.items() if key not in new]
    return [
        *(f"{title(o)} sets priorities here: left to it: {what_is_left(o)}" for o in came),
        *(f"{title(o)} is gone: what was left to it is managed again" for o in went),
    ]


def _said(owner: Owner) -> tuple[str, str]:
    return title(owner), what_is_left(owner)
