"""Whether a process that a protecting rule matches is that program, or only calls itself so (pure).

A process writes its argv[0] and comm itself, and a user's service manager starts whatever the user likes under any
unit's name. So what is never touched, not even for root, must be known by what only root can write:

Rule 1: what runs as root is root's. In a container nothing else is believed: who made it chose its files and units.
Rule 2: a rule that asks for a path or a user is believed, and so is one that asks for a unit or a cgroup, unless the
user's own service manager made it.
Rule 3: else the program's file is where only root writes, and has one of the rule's names; or an interpreter that is
there runs a script of which both are true.

What this cannot see: a program that writes another script into its own arguments, and one in a mount namespace that
its user made, where any file may seem to be anywhere.
"""

import re
from collections.abc import Mapping

from smoothtask.classifier.clues import script_of
from smoothtask.model.identity import Identity

PLACES = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/", "/etc/", "/nix/store/", "/gnu/store/", "/snap/")
"""Where programs are that root, or the package manager for root, has put there. Not /app: a flatpak may be a user's."""
_USERS_MANAGER = "/user@"
_WRAPPED = re.compile(r"\.(.+?)-wrapped_*")
"""NixOS keeps a program under this name beside the script that starts it."""


def is_believed(identity: Identity, alternative: Mapping[str, object], names: frozenset[str]) -> bool:
    """Whether *identity*, which *alternative* of a protecting rule matches, is what the rule means.

    *names*: all those of the rule.
    """
    if identity.uid == 0:
        return True
    if identity.container or identity.foreign_namespace:
        return False
    if not alternative.keys().isdisjoint({"exe", "user"}):
        return True
    if not alternative.keys().isdisjoint({"unit", "cgroup"}) and _USERS_MANAGER not in (identity.cgroup or ""):
        return True
    script = script_of(identity)
    paths = [identity.exe or "", *([] if script is None else [script])]
    return all(p.startswith(PLACES) for p in paths) and _name(paths[-1]) in names


def _name(path: str) -> str:
    name = path.rpartition("/")[2]
    wrapped = _WRAPPED.fullmatch(name)
    return wrapped[1] if wrapped else name
