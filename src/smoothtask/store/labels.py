"""What people said of snapshots, read back: for `smoothtask label --list` and the trainer. `log.py` writes them."""

from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select

from smoothtask.model.classes import PriorityClass
from smoothtask.store.reading import open_for_reading
from smoothtask.store.tables import GroupProfile, Label


@dataclass(frozen=True, slots=True)
class LabelView:
    """One label with the group that it is about, as recorded (anonymised or not)."""

    id: int
    time_s: float
    """Unix time."""
    snapshot_id: int
    group_id: str | None
    """`None` for a label of the moment."""
    app: str | None
    group_label: str | None
    target: PriorityClass | None
    verdict: str | None
    """laggy or fine."""
    uid: int
    source: str
    """label, pin or override."""


def read_labels(path: Path, limit: int | None = None) -> tuple[LabelView, ...]:
    """The labels in the log at *path*, newest first, *limit* at most. Raises StoreError."""
    query = (
        select(Label, GroupProfile)
        .join(GroupProfile, col(Label.group_profile_id) == col(GroupProfile.id), isouter=True)
        .order_by(col(Label.time_s).desc(), col(Label.id).desc())
        .limit(limit)
    )
    with open_for_reading(path) as session:
        return tuple(_view(label, profile) for label, profile in session.exec(query))


def _view(label: Label, profile: GroupProfile | None) -> LabelView:
    return LabelView(
        id=label.id or 0,
        time_s=label.time_s,
        snapshot_id=label.snapshot_id,
        group_id=profile.group_id if profile else None,
        app=profile.app if profile else None,
        group_label=profile.label if profile else None,
        target=None if label.target_class is None else PriorityClass[label.target_class],
        verdict=label.verdict,
        uid=label.uid,
        source=label.source,
    )
