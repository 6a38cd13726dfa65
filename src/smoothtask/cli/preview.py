"""`smoothtask model preview`: what a model would change, now and in what was recorded. Nothing is applied."""
# ruff: noqa: PLC0415 - late imports: no command pays for another's libraries

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smoothtask.cli import show
from smoothtask.cli.exits import OK
from smoothtask.cli.verbs import CannotError, _print_json, paths_of, settings_of
from smoothtask.control import client
from smoothtask.model.frame import Frame
from smoothtask.model.text import sanitise
from smoothtask.policy.parameters import PolicyParameters

if TYPE_CHECKING:
    from smoothtask.engine.hybrid import Seen
    from smoothtask.ranker.shelf import Shelf

SHOWN = 40
HEAD = ("GROUP", "BY THE RULES", "WITH IT", "SCORE", "WHY")


@dataclass(slots=True)
class Changes:
    """What would be otherwise in a log."""

    snapshots: int = 0
    decisions: int = 0
    changed: int = 0
    by_app: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(application, class by the rules, class with the model) → decisions."""


def run(options: argparse.Namespace, shelf: "Shelf") -> int:
    """Print both; a daemon or a log that is not there is left out, and said."""
    from smoothtask.engine.parameters import parameters_of

    paths = paths_of(options)
    settings = settings_of(paths)
    seen = _seen(options, shelf, settings)
    parameters = parameters_of(settings)
    try:
        frame = client.newest_frame(client.find_daemon(paths.sockets))
    except (client.NoDaemonError, client.DaemonError) as error:
        rows, now = [], f"no daemon tells what is going on now ({error})"
    else:
        rows = _now(frame, seen, parameters)
        now = "" if rows else "now it would change nothing, even if somebody waited"
    log = Path(options.log) if options.log else paths.database_at(settings.store.path)
    changes, recorded = _recorded(log, time.time() - options.last, seen, parameters)
    if options.json:
        _print_json({"model": seen.model.id, "now": [dict(zip(_KEYS, r, strict=True)) for r in rows], "said": now,
                     "recorded": _as_json(changes), "recorded_said": recorded})  # fmt: skip
        return OK
    print(f"model {seen.model.id}; while somebody waits:", *([now] if now else []), sep="\n")
    if rows:
        show.print_table(HEAD, rows)
    print("", *(_lines(changes) if changes is not None else [recorded]), sep="\n")
    return OK


_KEYS = ("group", "rules", "model", "score", "why")


def _seen(options: argparse.Namespace, shelf: "Shelf", settings: Any) -> "Seen":
    """The model asked about, tried out in a process of its own first."""
    from smoothtask.engine.hybrid import Seen, expected, shares_of
    from smoothtask.ranker.apart import Trial
    from smoothtask.ranker.checks import ModelRefusedError, load
    from smoothtask.ranker.reading import read_bundle

    try:
        if options.directory:
            contents = read_bundle(Path(options.directory).absolute(), trusted=frozenset())
        else:
            found = shelf.read_current()
            if found is None:
                raise CannotError("no model is installed: name the folder of one")
            contents = found
        refused = Trial(contents, expected(), "json").result().refused
        if refused is not None:
            raise CannotError(f"the model is refused: {refused}")
        return Seen(load(contents, expected(), "json"), shares_of(settings))
    except ModelRefusedError as error:
        raise CannotError(f"the model is refused: {error}") from error


def _now(frame: Frame, seen: "Seen", parameters: PolicyParameters) -> list[tuple[str, ...]]:
    """Groups that would have another class, if somebody waited."""
    from smoothtask.policy.decide import Orders
    from smoothtask.policy.whatif import SOMEBODY_WAITS, Situation

    groups = tuple(g.group for g in frame.groups)
    closed = {g.group.id: g.decision.text for g in frame.groups if g.decision.protected}
    rules = Situation(groups, SOMEBODY_WAITS, Orders(), frame.mono_s, parameters, closed, frame.person)
    opinions = seen.look(groups, frame.system, frame.person, SOMEBODY_WAITS)
    without = rules.decisions()
    rows: list[tuple[str, ...]] = []
    for group, decision in replace(rules, opinions=opinions).decisions().items():
        if decision.target is not without[group].target:
            label = next(g.label for g in groups if g.id == group)
            score = f"{decision.score:.3f}" if decision.score is not None else "–"
            rows.append((label, without[group].target.name, decision.target.name, score, decision.text))
    return rows


def _recorded(log: Path, since: float, seen: "Seen", parameters: PolicyParameters) -> tuple[Changes | None, str]:
    """Every snapshot of *log* replayed with and without the model; what is wrong with the log, when something is."""
    from smoothtask.store.frames import RecordError, read_frames
    from smoothtask_trainer.replay import replay

    changes = Changes()
    try:
        frames = list(read_frames(log, since))
        pairs = zip(replay(frames, parameters), replay(frames, parameters, seen.look), strict=True)
        for without, ours in pairs:
            changes.snapshots += 1
            apps = {g.group.id: g.group.classification for g in ours.recorded.frame.groups}
            for group, decision in ours.decisions.items():
                changes.decisions += 1
                before = without.decisions[group].target
                if decision.target is not before:
                    changes.changed += 1
                    c = apps[group]
                    changes.by_app[c.label or c.app, before.name, decision.target.name] += 1
    except RecordError as error:
        return None, str(error)
    return changes, ""


def _lines(changes: Changes) -> list[str]:
    share = changes.changed / changes.decisions if changes.decisions else 0.0
    head = (
        f"recorded: {changes.snapshots} snapshots, {changes.decisions} decisions, "
        f"{changes.changed} otherwise with the model ({share:.1%})"
    )
    rows = [
        f"  {sanitise(app, 40):40} {before:>16} → {after:16} {n} times"
        for (app, before, after), n in changes.by_app.most_common(SHOWN)
    ]
    return [head, *rows, "What would be decided, not what it would have caused: the load stays as it was."]


def _as_json(changes: Changes | None) -> dict[str, Any] | None:
    if changes is None:
        return None
    rows = [
        {"app": app, "rules": before, "model": after, "decisions": n}
        for (app, before, after), n in changes.by_app.most_common()
    ]
    return {"snapshots": changes.snapshots, "decisions": changes.decisions, "changed": changes.changed, "by_app": rows}
