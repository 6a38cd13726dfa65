"""Processes → applications (pure): container, systemd unit, nearest group root, session, in this order.

Rule 1: an id is derived from what a group is (container, unit, root pid and start time), never counted.
Rule 2: a process keeps its group while it runs one program: a parent's exit moves nobody.
Rule 3: a part that is decided apart has the id of its application, a slash, and its role.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from smoothtask.model.group import Behaviour, Classification, Membership, ProcessType, UnitRef
from smoothtask.model.identity import Identity
from smoothtask.model.tasks import ProcKey

KERNEL_GROUP = "kernel"
_ROOT_TYPES = frozenset({ProcessType.GUI, ProcessType.AUDIO_CLIENT, ProcessType.DAEMON, ProcessType.SERVICE})
# Units that hold many applications: the tree below them is looked at instead.
_SHARED_UNIT = re.compile(r"(session-[^/]*|init|user@\d+|smoothtask-[^/]*)\.(scope|service)$")
# Only the outermost: what is below a container, or has a name that its maker chose, may look like one.
_USER_MANAGER = re.compile(r"/user\.slice/user-\d+\.slice/user@(\d+)\.service/")
_STRANGE = re.compile(r"[^\w.+:@\\-]+")


@dataclass(frozen=True, slots=True)
class Placed:
    """A process with all that grouping needs to know of it."""

    identity: Identity
    classification: Classification
    membership: Membership


def place(
    identity: Identity,
    classification: Classification,
    parent: Placed | None,
    session_leader: Placed | None,
) -> Membership:
    """Where a process belongs. *parent* and *session_leader* are `None` when they are gone or unknown."""
    if identity.kernel_thread:
        return Membership(KERNEL_GROUP)
    around = _outer_group(identity)
    if around is None:
        if _is_root(identity, classification, parent):
            return Membership(_root_id(identity.key))
        shelter = next((p for p in (parent, session_leader) if p is not None and _can_hold(p)), None)
        if shelter is None:
            return Membership(_root_id(identity.key))
        around = shelter.membership.group
    beside = parent if parent is not None and parent.membership.group == around else None
    return Membership(around, _part(around, classification, beside))


def unit_of(identity: Identity) -> UnitRef | None:
    """The unit of systemd that *identity* is in, unless it holds many applications (or is one of ours)."""
    return _unit_ref(identity.cgroup, identity.unit) if identity.unit and identity.cgroup else None


@lru_cache(maxsize=4096)
def _unit_ref(cgroup: str, unit: str) -> UnitRef | None:
    manager = _USER_MANAGER.match(cgroup)
    parts = cgroup.split("/")
    if _SHARED_UNIT.search(unit) or unit not in parts or not cgroup.startswith("/"):
        return None
    # What is below a unit (a container's own tree) belongs to it.
    return UnitRef(int(manager[1]) if manager else -1, unit, "/".join(parts[: parts.index(unit) + 1]))


def split_hogs(
    members: Mapping[str, Iterable[tuple[ProcKey, str, Behaviour, bool]]],
) -> dict[ProcKey, str]:
    """Which processes of which groups are decided apart because they hog where others don't.

    *members*: group id → (process, name, behaviour, starts others) of each process in no named part.
    A group that does nothing but hog is one hog; a group in which somebody else sleeps and wakes, or a shell
    waits for the next line, has its hogs in parts of their own, one a program name.
    """
    apart: dict[ProcKey, str] = {}
    for group, processes in members.items():
        listed = list(processes)
        hogs = [(key, name) for key, name, behaviour, _ in listed if behaviour is Behaviour.HOG]
        if hogs and any(b is Behaviour.STEADY or (starts and b is not Behaviour.HOG) for _, _, b, starts in listed):
            apart.update((key, f"{group}/hog:{_slug(name)}") for key, name in hogs)
    return apart


def _outer_group(identity: Identity) -> str | None:
    """The group that something outside the process tree defines; of each user's manager another one.

    A user's manager takes any name for a scope, that of root's container as well.
    """
    manager = _USER_MANAGER.match(identity.cgroup or "")
    whose = f"@{manager[1]}" if manager else ""
    if identity.container:
        return f"container:{_word(identity.container)}{whose}"
    if identity.flatpak:
        return f"flatpak:{_word(identity.flatpak)}@{identity.uid}"
    if identity.unit and not _SHARED_UNIT.search(identity.unit):
        return f"unit:{_word(identity.unit)}{whose}"
    return None


def _is_root(identity: Identity, classification: Classification, parent: Placed | None) -> bool:
    """Whether a process begins a group of its own."""
    if classification.part or (parent is not None and parent.classification.app == classification.app):
        return identity.tty is not None and identity.sid == identity.key.pid
    if identity.sid == identity.key.pid:  # a terminal's shell, a login, a daemon
        return True
    known = classification.source is not None and not classification.starts_others
    return known and classification.process_type in _ROOT_TYPES


def _can_hold(parent: Placed) -> bool:
    """Whether its children may be counted to its group: not those of init or a session manager."""
    return parent.identity.key.pid > 2 and not parent.classification.protected


def _part(group: str, classification: Classification, parent: Placed | None) -> str | None:
    """The part of *group* that a process belongs to: its own role, else the one it was started in."""
    if classification.part:
        return f"{group}/{_slug(classification.part)}"
    inherited = parent.membership.subgroup if parent is not None else None
    if inherited is not None:
        return inherited
    runs_in_a_shell = parent is not None and parent.classification.starts_others
    if runs_in_a_shell and classification.source is not None and not classification.starts_others:
        return f"{group}/app:{_slug(classification.app)}"
    return None


def _root_id(key: ProcKey) -> str:
    return f"proc:{key.pid}-{key.start_ticks}"


def _slug(text: str) -> str:
    """*text* as the end of an id."""
    return _word(text)[:48] or "_"


def _word(text: str) -> str:
    """*text* as part of an id: no slash, which would make it a part of another's group; no space."""
    return _STRANGE.sub("_", text)
