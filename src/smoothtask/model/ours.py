"""The names of the cgroups that we make: what is in one is seen as if it were where it came from."""

SCOPE_PREFIX = "smoothtask-"
TREE = "/smoothtask"


def is_ours(cgroup: str) -> bool:
    """Whether a cgroup path lies in a scope or a tree that we make."""
    parts = cgroup.split("/")
    return parts[1:2] == [TREE[1:]] or any(p.startswith(SCOPE_PREFIX) and p.endswith(".scope") for p in parts)
