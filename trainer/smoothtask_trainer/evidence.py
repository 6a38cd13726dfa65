"""A proposal of the tuner as text (Markdown that reads well in a terminal) and as JSON, both ways."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smoothtask.model.text import sanitise
from smoothtask_trainer.measures import Measures
from smoothtask_trainer.tune import Compared, Proposal, Shift, Turn

FORMAT = "smoothtask-proposal-1"
NOT_AN_EFFECT = (
    "This is what the policy would decide, not what that would cause: the recorded policy was deterministic, so no "
    "gain in responsiveness can be told from it. `smoothtask tune --live --from FILE` measures that."
)
ROWS = (
    ("agreement with labels", "agreement", "labels"),
    ("labels met exactly", "exact", "labels"),
    ("bad time with the culprit lowered", "coverage", "bad_s"),
    ("changes of class an hour", "changes_per_h", "hours"),
    ("good time with somebody restrained", "needless", "hours"),
)


class ProposalError(Exception):
    """A file holds no proposal; the text is a sentence for a person."""


def lines(proposal: Proposal, diff: str) -> list[str]:
    """The whole story, for a person."""
    said = [f"{proposal.snapshots} snapshots, {proposal.trials} trials, seed {proposal.seed}"]
    said += [
        f"{proposal.replayed_as_recorded:.1%} of the recorded decisions come out again under the settings in force"
    ]
    said += ["", *table(proposal.compared)]
    if proposal.turns:
        said += ["", "Changes:", *(f"- {t.key}: {t.old} → {t.new}" for t in proposal.turns)]
        if diff:
            said += ["", "```diff", *diff.rstrip("\n").splitlines(), "```"]
    if proposal.shifts:
        said += ["", "Decisions that come out otherwise:"]
        said += [f"- {sanitise(s.label)}: {s.old} → {s.new}, {s.snapshots} snapshots ({sanitise(s.why, 200)})"
                 for s in proposal.shifts]  # fmt: skip
    said += ["", *proposal.said] if proposal.said else []
    return [*said, "", NOT_AN_EFFECT]


def table(compared: Sequence[Compared]) -> list[str]:
    """A Markdown table: each measure, each stretch, now → then."""
    head = ["", *(f"{c.stretch} ({60 * c.now.hours:.0f} min)" for c in compared)]
    body = [[name, *(cell(c, key, by) for c in compared)] for name, key, by in ROWS]
    widths = [max(len(row[n]) for row in [head, *body]) for n in range(len(head))]
    ruled = [head, ["-" * w for w in widths], *body]
    return ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in ruled]


def cell(compared: Compared, key: str, by: str) -> str:
    """`now → then` of one measure, and by how much there was to measure."""
    now, then = (_text(m, key) for m in (compared.now, compared.then))
    amount = {"labels": f" of {compared.now.labels}", "bad_s": f" of {compared.now.bad_s:.0f} s"}.get(by, "")
    return f"{now} → {then}{amount}" if now != "–" else "–"


def _text(measures: Measures, key: str) -> str:
    value = getattr(measures, key)
    if value is None:
        return "–"
    return f"{value:.0f}" if key == "changes_per_h" else f"{100 * value:.1f} %"


def to_json(proposal: Proposal) -> dict[str, Any]:
    """Everything, as plain values."""
    return {"format": FORMAT, **asdict(proposal)}


def load(path: Path) -> Proposal:
    """What `to_json` made. Raises ProposalError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ProposalError(f"{path} is no proposal of this version")
        return Proposal(**{
            **data,
            "turns": tuple(Turn(**t) for t in data["turns"]),
            "compared": tuple(
                Compared(c["stretch"], Measures(**c["now"]), Measures(**c["then"])) for c in data["compared"]
            ),
            "shifts": tuple(Shift(**s) for s in data["shifts"]),
            "said": tuple(map(str, data["said"])),
        })  # fmt: skip
    except OSError as error:
        raise ProposalError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProposalError(f"{path} holds no proposal of `smoothtask tune --out`") from error
