"""`smoothtask train report`: what was recorded, how decisions compare with people's words, and what would change.

One content, two renderings: a page of HTML that needs nothing else, and Markdown. Beside them `report.json` for
programs. What the trainer learnt is read from its folder (`training.json`, `model.cbm`, `rows.npz`), when one is named.
"""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from smoothtask.bench.document import Block, Code, Figure, Heading, Paragraph, Points, Table, to_html, to_markdown
from smoothtask.model.classes import PriorityClass
from smoothtask.store.frames import RecordedFrame
from smoothtask_trainer import evidence, plots
from smoothtask_trainer.learnt import Learnt
from smoothtask_trainer.measures import culprit_of, spans
from smoothtask_trainer.tune import Proposal, read_recordings

TITLE = "SmoothTask: what was recorded and learnt"
CLASSES = tuple(c.name for c in sorted(PriorityClass, reverse=True))
SPELLS, SPELL_GAP_S = 6, 5.0
DRAWN = 4000
"""Points of a timeline at most."""
LIMITS = (
    "A replay tells what would be decided, not what that would cause.",
    "Bad moments are judged by wake-up latency, waiting and sound as measured.",
    "A culprit is who takes most CPU of those that nobody uses: a heuristic, not a cause.",
    "Between snapshots that were recorded the machine was calm as far as the policy of that time could tell.",
)


@dataclass(slots=True)
class Data:
    """What is in the recordings."""

    files: list[tuple[str, str]]
    """Name and SHA-256."""
    snapshots: int = 0
    runs: int = 0
    hours: float = 0.0
    bad_s: float = 0.0
    contended_s: float = 0.0
    anonymised: bool = False
    apps: Counter[str] = field(default_factory=Counter)
    """Application → snapshots."""
    causes: Counter[str] = field(default_factory=Counter)
    class_ms: Counter[str] = field(default_factory=Counter)
    """Class → group seconds."""
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(said, decided) → labels of groups."""
    verdicts: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    culprits: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of bad moments."""

    begin_s: float
    """Unix time."""
    seconds: float
    reason: str
    culprit: str
    culprit_class: str


def gather(paths: Sequence[Path]) -> tuple[Data, list[RecordedFrame]]:
    """Everything about the recordings *paths*. Raises RecordError."""
    recorded = read_recordings(paths)
    data = Data([(path.name, _hash(path)) for path in paths])
    for one, seconds in zip(recorded, spans(recorded), strict=True):
        _count(data, one, seconds)
    data.runs = len({r.run for r in recorded})
    return data, recorded


def _count(data: Data, one: RecordedFrame, seconds: float) -> None:
    frame = one.frame
    data.snapshots += 1
    data.hours += seconds / 3600
    data.bad_s += seconds * frame.scores.bad
    data.contended_s += seconds * frame.contention.active
    data.anonymised |= one.anonymised
    decided = {g.group.id: g.decision.target.name for g in frame.groups}
    labels = {g.group.id: g.group.label for g in frame.groups}
    data.apps.update({g.group.label for g in frame.groups})
    for target in decided.values():
        data.class_ms[target] += round(seconds * 1000)
    if frame.scores.bad:
        data.culprits[labels.get(culprit_of(frame) or "", "nobody alone")] += 1
    for said in one.said:
        data.sources[said.source] += 1
        if said.verdict is not None:
            data.verdicts[said.verdict] += 1
        elif said.target is not None and said.group in decided:
            data.labels[said.target.name, decided[said.group]] += 1


def spells(recorded: Iterable[RecordedFrame]) -> list[Spell]:
    """The longest stretches in which somebody would have noticed."""
    found: list[list[RecordedFrame]] = []
    for one in recorded:
        if not one.frame.scores.bad:
            continue
        last = found[-1][-1] if found else None
        if last is None or last.run != one.run or one.frame.mono_s - last.frame.mono_s > SPELL_GAP_S:
            found.append([])
        found[-1].append(one)
    return sorted((_spell(s) for s in found), key=lambda s: -s.seconds)[:SPELLS]


def _spell(snapshots: list[RecordedFrame]) -> Spell:
    first, last = snapshots[0].frame, snapshots[-1].frame
    reasons = Counter(r for s in snapshots for r in s.frame.scores.reasons[:1])
    blamed = Counter(c for s in snapshots if (c := culprit_of(s.frame)) is not None)
    who = blamed.most_common(1)[0][0] if blamed else None
    shown = next((g for s in snapshots for g in s.frame.groups if g.group.id == who), None)
    return Spell(
        first.time,
        last.mono_s - first.mono_s,
        reasons.most_common(1)[0][0] if reasons else "",
        shown.group.label if shown else "nobody alone",
        shown.decision.target.name if shown else "",
    )


def build(
    data: Data, recorded: Sequence[RecordedFrame], learnt: Learnt | None = None, proposal: Proposal | None = None,
    diff: str = "",
) -> list[Block]:  # fmt: skip
    """The report's blocks."""
    blocks: list[Block] = [Points(_headlines(data, learnt, proposal))]
    blocks += _data_blocks(data, recorded)
    blocks += _label_blocks(data)
    blocks += _bad_blocks(data, recorded)
    blocks += _learnt_blocks(learnt)
    blocks += _replay_blocks(proposal, diff)
    return [*blocks, *_closing(data)]


def _headlines(data: Data, learnt: Learnt | None, proposal: Proposal | None) -> list[str]:
    said = [
        f"{data.snapshots} snapshots of {data.hours:.2f} h in {data.runs} runs",
        f"{sum(data.labels.values())} labels of applications, {sum(data.verdicts.values())} of moments",
        f"in {data.bad_s:.0f} s somebody would have noticed",
    ]
    said.append("no model: only the rules' decisions are shown" if learnt is None else f"model: {learnt.headline}")
    if proposal is not None:
        n = len(proposal.turns)
        said.append(f"the tuner proposes {n} changes of settings" if n else "the tuner proposes nothing")
    return said


def _data_blocks(data: Data, recorded: Sequence[RecordedFrame]) -> list[Block]:
    step = max(1, len(recorded) // DRAWN)
    drawn = recorded[::step]
    total = sum(data.class_ms.values()) or 1
    rows = [
        ["recordings", ", ".join(name for name, _ in data.files)],
        ["time with contention", f"{data.contended_s:.0f} s"],
        ["time somebody would have noticed", f"{data.bad_s:.0f} s"],
        ["applications", str(len(data.apps))],
        ["names", "hashed" if data.anonymised else "as they are"],
        *([f"time of groups in {c}", f"{data.class_ms[c] / total:.1%}"] for c in CLASSES),
    ]
    blocks: list[Block] = [Heading("Data"), Table(["", ""], rows)]
    if drawn:
        times = [r.frame.time for r in drawn]
        bad = [r.frame.scores.bad for r in drawn]
        late = [r.frame.system.latency.p99_ms if r.frame.system.latency else None for r in drawn]
        blocks.append(
            Figure(plots.timeline(times, late, bad, "late by (ms, p99)"), "How late sleepers woke, and bad moments.")
        )
        pressure = [r.frame.system.cpu_some_pct for r in drawn]
        blocks.append(Figure(plots.timeline(times, pressure, bad, "CPU pressure (%)"), "Share of time with waiting."))
    return blocks


def _label_blocks(data: Data) -> list[Block]:
    blocks: list[Block] = [Heading("What people said")]
    if not data.labels and not data.verdicts:
        how = "`smoothtask label`, or the history (H) of the dashboard"
        return [*blocks, Paragraph(f"Nothing: agreement with a person cannot be measured. Label by {how}.", note=True)]
    counts = [[data.labels[said, decided] for decided in CLASSES] for said in CLASSES]
    met = sum(data.labels[c, c] for c in CLASSES)
    total = sum(data.labels.values())
    if total:
        blocks.append(Paragraph(f"{met} of {total} labels are what was decided ({met / total:.1%})."))
        blocks.append(Figure(plots.matrix(CLASSES, counts, "said", "decided"), "Labels against recorded decisions."))
        named = zip(CLASSES, counts, strict=True)
        blocks.append(Table(["said, decided →", *CLASSES], [[c, *map(str, row)] for c, row in named]))
    rows = [[name, str(n)] for name, n in (data.sources + data.verdicts).most_common()]
    return [*blocks, Table(["source or verdict", "labels"], rows)]


def _bad_blocks(data: Data, recorded: Sequence[RecordedFrame]) -> list[Block]:
    blocks: list[Block] = [Heading("Bad moments")]
    found = spells(recorded)
    if not found:
        return [*blocks, Paragraph("There is none.")]
    rows = [[f"{s.seconds:.1f} s", s.reason, s.culprit, s.culprit_class] for s in found]
    blocks.append(Table(["longest", "mostly because", "who takes most", "its class then"], rows))
    names, counts = zip(*data.culprits.most_common(10), strict=True)
    blocks.append(Figure(plots.bars(names, counts, "bad snapshots"), "Who takes most in bad moments."))
    return blocks


def _learnt_blocks(learnt: Learnt | None) -> list[Block]:
    blocks: list[Block] = [Heading("What was learnt")]
    if learnt is None:
        return [*blocks, Paragraph("No folder of a trained model was named (--model).")]
    if learnt.doubts:
        blocks.append(Paragraph(f"It is not used: {'; '.join(learnt.doubts)}.", note=True))
    blocks.append(Table(["metric", "value"], [[name, value] for name, value in learnt.metrics]))
    if learnt.confusion:
        names, counts = learnt.classes, learnt.confusion
        blocks.append(Figure(plots.matrix(names, counts, "rules", "model"), "Classes by the rules and by the model."))
        named = zip(names, counts, strict=True)
        blocks.append(Table(["rules, model →", *names], [[c, *map(str, row)] for c, row in named]))
    if learnt.importance:
        names, values = zip(*learnt.importance, strict=True)
        blocks.append(Figure(plots.bars(names, values, "mean |SHAP|"), "Which features move the score, and how much."))
        blocks.append(Table(["feature", "mean |SHAP|"], [[n, f"{v:.4f}"] for n, v in learnt.importance]))
        blocks.append(
            Paragraph(
                "What is the same for all groups of a snapshot acts only together with others: little is not nothing."
            )
        )
    if learnt.examples:
        blocks.append(Heading("Decisions that the model changes"))
        blocks.append(Table(["application", "rules", "model", "because"], learnt.examples))
    return blocks


def _replay_blocks(proposal: Proposal | None, diff: str) -> list[Block]:
    blocks: list[Block] = [Heading("Replay: before and after")]
    if proposal is None:
        return [*blocks, Paragraph("No proposal was named (--proposal): `smoothtask tune --out FILE` makes one.")]
    head = ["", *(c.stretch for c in proposal.compared)]
    rows = [[name, *(evidence.cell(c, key, by) for c in proposal.compared)] for name, key, by in evidence.ROWS]
    share = proposal.replayed_as_recorded
    blocks += [
        Paragraph(f"{share:.1%} of the recorded decisions come out again under the settings in force."),
        Table(head, rows),
        Points(proposal.said) if proposal.said else Paragraph("Search and tests saw different stretches of time."),
    ]
    if proposal.turns:
        names = [f"{c.stretch}: bad time covered" for c in proposal.compared]
        now = [100 * (c.now.coverage or 0) for c in proposal.compared]
        then = [100 * (c.then.coverage or 0) for c in proposal.compared]
        blocks.append(Figure(plots.pairs(names, now, then, "%"), "Bad time in which the culprit was lowered."))
        blocks.append(Table(["setting", "now", "then"], [[t.key, str(t.old), str(t.new)] for t in proposal.turns]))
        if diff:
            blocks.append(Code(diff))
    if proposal.shifts:
        blocks.append(Heading("Decisions that come out otherwise"))
        rows = [[s.label, s.old, s.new, str(s.snapshots), s.why] for s in proposal.shifts]
        blocks.append(Table(["application", "now", "then", "snapshots", "why"], rows))
    return [*blocks, Paragraph(evidence.NOT_AN_EFFECT, note=True)]


def _closing(data: Data) -> list[Block]:
    rows = [[name, digest] for name, digest in data.files]
    made_by = [["Python", platform.python_version()]]
    made_by += [[name, found] for name in ("smoothtask", "catboost", "optuna") if (found := _version(name))]
    return [Heading("Limits"), Points(LIMITS), Heading("Made from"), Table(["file", "SHA-256"], rows + made_by)]


def write(
    folder: Path, data: Data, blocks: Sequence[Block], learnt: Learnt | None, proposal: Proposal | None
) -> tuple[Path, ...]:
    """report.html, report.md and report.json in *folder*. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.html": to_html(TITLE, blocks),
        "report.md": to_markdown(TITLE, blocks),
        "report.json": json.dumps(as_json(data, learnt, proposal), indent=1, ensure_ascii=True) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(folder / name for name in texts)


def as_json(data: Data, learnt: Learnt | None, proposal: Proposal | None) -> dict[str, Any]:
    """The numbers of the report."""
    plain = {f.name: getattr(data, f.name) for f in fields(data)}
    plain["labels"] = [[*pair, n] for pair, n in data.labels.items()]
    return {
        "data": plain,
        "learnt": None if learnt is None else asdict(learnt),
        "proposal": None if proposal is None else evidence.to_json(proposal),
    }


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
