"""How fast decisions follow a person's labels of one application: by lessons, and by retraining alone. On recordings.

    .venv/bin/python bench/personal.py [--minutes 4]
    .venv/bin/python bench/personal.py --learn A.db B.db --test C.db D.db

Without recordings it makes four of `smoothtask train record`, which run real programs and take all CPUs. `--test` holds
what is never labelled or trained on. For each
application and a class that the rules do not give it, 0, 1, 3, 5 and 10 moments of the first are labelled. Counted are
later moments of the same situation in which that class is decided ("follow"), and decisions about other applications
that change ("others"), each against no labels. Retraining: `smoothtask train` on the first with those labels, in hybrid
mode and nothing else; "alone" is the class that the model itself would give, without the rules' bounds.
What is decided is counted, not what it would cause.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import finish, log, verdict
from smoothtask.engine.hybrid import Seen, expected
from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.model.lesson import Lesson, Situation, Source
from smoothtask.policy.decide import Orders
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.personal import class_at, indexed, situation_of
from smoothtask.policy.ranking import coordinate
from smoothtask.policy.whatif import Situation as Asked
from smoothtask.ranker.checks import load
from smoothtask.ranker.reading import read_bundle
from smoothtask.store.frames import RecordedFrame, opened, read_frames
from smoothtask_trainer import ranker, table
from smoothtask_trainer.learn import Shape
from smoothtask_trainer.prepare import prepare
from smoothtask_tui.recorded import add_label

LABELS = (0, 1, 3, 5, 10)
SEEDS = (11, 22, 33, 44)
HELD = 60
"""Moments of the test that are asked about, evenly spread."""
FOLLOWED, OTHERS = 0.9, 0.0
PARAMETERS = PolicyParameters()
CASES = (
    ("firefox-content", PriorityClass.BACKGROUND),
    ("bash", PriorityClass.INTERACTIVE),
    ("tracker", PriorityClass.NORMAL),
    ("make", PriorityClass.IDLE),
    ("ffmpeg", PriorityClass.IDLE),
)
"""(application, what its person wants): other classes than the rules give."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One group in one snapshot."""

    log: Path
    recorded: RecordedFrame
    shown: GroupFrame
    situation: Situation


@dataclass(frozen=True, slots=True)
class Result:
    """Shares."""

    follow: float
    others: float
    alone: float | None = None


def main() -> None:
    """Measure, print a line for each number of labels, and leave with 1 when lessons do not follow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learn", type=Path, nargs="+", default=[])
    parser.add_argument("--test", type=Path, nargs="+", default=[])
    parser.add_argument("--minutes", type=float, default=4.0, help="of each recording that is made")
    parser.add_argument("--no-retraining", action="store_true", help="lessons alone, which takes seconds")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-") as scratch:
        if not options.learn or not options.test:
            made = [_recorded(Path(scratch, f"{seed}.db"), seed, options.minutes) for seed in SEEDS]
            options.learn, options.test = made[:2], made[2:]
        untouched = None if options.no_retraining else _retrained(Path(scratch, "none"), options.learn, [])
        for app, wanted in CASES:
            said, held = _moments(options.learn, app, wanted), _moments(options.test, app, wanted)
            if len(said) < max(LABELS) or not held:
                log(f"{app}: not often enough in these recordings: left out")
                continue
            situation = said[0].situation
            log(f"{app} should be {wanted.name} ({situation}); {len(held)} later moments of that situation")
            for n in LABELS:
                labels = said[:: max(1, len(said) // n)][:n] if n else []
                lessons = _by_lessons(labels, wanted, held)
                line = f"  {n:2} labels: lessons follow {lessons.follow:4.0%}, others {lessons.others:5.1%}"
                if untouched is not None:
                    model = _retrained(Path(scratch, f"{app}-{n}"), options.learn, labels, wanted) if n else untouched
                    again = _by_model(model, untouched, wanted, held)
                    line += f"; retraining {again.follow:4.0%} (alone {again.alone:4.0%}), others {again.others:5.1%}"
                log(line)
                if n == 5:
                    results.append(verdict(f"{app}: not followed after 5 labels", 1 - lessons.follow, 1 - FOLLOWED))
                    results.append(verdict(f"{app}: others moved", lessons.others, OTHERS))
    finish(results)


def _recorded(out: Path, seed: int, minutes: float) -> Path:
    words = ["train", "record", "--minutes", str(minutes), "--seed", str(seed), "--out", str(out)]
    subprocess.run([sys.executable, "-m", "smoothtask", *words], check=True)
    return out


def _moments(logs: Sequence[Path], app: str, wanted: PriorityClass) -> list[Moment]:
    """Those of the commonest situation in which the rules give another class, evenly spread over the logs.

    Without the grace of a young build, which nothing that is learnt shortens.
    """
    by_situation: dict[Situation, list[Moment]] = {}
    for path in logs:
        for recorded in read_frames(path):
            frame = recorded.frame
            groups = {g.group.id: g.group for g in frame.groups}
            for g in frame.groups:
                named = g.group.classification.app == app and g.decision.target is not wanted
                if not named or g.decision.protected or g.decision.reasons[0].rule == "grace":
                    continue
                parent = groups.get(g.group.parent or "")
                contended = frame.contention.active
                situation = situation_of(g.group, parent, PARAMETERS.person, contended=contended)
                by_situation.setdefault(situation, []).append(Moment(path, recorded, g, situation))
    found = max(by_situation.values(), key=len, default=[])
    return found[:: max(1, len(found) // HELD)][:HELD]


def _asked(frame: Frame) -> Asked:
    """The rules' decisions about *frame*; what was protected stays so."""
    closed = {g.group.id: "protected" for g in frame.groups if g.decision.protected}
    groups = tuple(g.group for g in frame.groups)
    return Asked(groups, frame.contention, Orders(), frame.mono_s, PARAMETERS, closed, frame.person)


def _shares(pairs: Iterator[tuple[Moment, Asked, Asked]], wanted: PriorityClass) -> Result:
    """Of (moment, without labels, with them)."""
    follow = total = moved = others = 0
    for moment, without, with_them in pairs:
        before, after = without.decisions(), with_them.decisions()
        total += 1
        follow += after[moment.shown.group.id].target is wanted
        app = moment.shown.group.classification.app
        for g in with_them.groups:
            if g.classification.app != app:
                others += 1
                moved += after[g.id].target is not before[g.id].target
    return Result(follow / total, moved / max(1, others))


def _by_lessons(labels: Sequence[Moment], wanted: PriorityClass, held: Sequence[Moment]) -> Result:
    lessons = [
        Lesson(
            m.shown.group.classification.app,
            m.shown.group.uid,
            m.situation,
            wanted,
            Source.LABEL,
            m.recorded.frame.time,
        )
        for m in labels
    ]
    orders = Orders(learnt=indexed(lessons))
    pairs = ((m, asked, replace(asked, orders=orders)) for m in held for asked in (_asked(m.recorded.frame),))
    return _shares(pairs, wanted)


def _by_model(model: Seen, untouched: Seen, wanted: PriorityClass, held: Sequence[Moment]) -> Result:
    def pairs() -> Iterator[tuple[Moment, Asked, Asked]]:
        for m in held:
            frame, asked = m.recorded.frame, _asked(m.recorded.frame)
            seen = [s.look(asked.groups, frame.system, frame.person, frame.contention) for s in (untouched, model)]
            yield m, replace(asked, opinions=seen[0]), replace(asked, opinions=seen[1])

    alone = 0
    for m in held:
        frame = m.recorded.frame
        opinions = model.look([g.group for g in frame.groups], frame.system, frame.person, frame.contention)
        alone += class_at(coordinate(opinions.scores[m.shown.group.id], opinions.cuts)) is wanted
    return replace(_shares(pairs(), wanted), alone=alone / len(held))


def _retrained(
    folder: Path, logs: Sequence[Path], labels: Sequence[Moment], wanted: PriorityClass = PriorityClass.NORMAL
) -> Seen:
    """`smoothtask train` on copies of *logs* whose only labels are *labels*."""
    folder.mkdir()
    copies = {path: Path(shutil.copy(path, folder / f"{n}.db")) for n, path in enumerate(logs)}
    for copy in copies.values():
        with opened(copy, "rw") as db:
            db.execute("DELETE FROM label")
    for m in labels:
        add_label(copies[m.log], m.recorded.snapshot, 0, m.recorded.frame.time, group=m.shown.group.id, target=wanted)
    data = folder / "table.parquet"
    about = prepare(list(copies.values()), data, PARAMETERS, folder).as_json()
    ranker.train(table.load(data), about, folder / "bundle", Shape(trees=200, threads=1), time.time())
    return Seen(load(read_bundle(folder / "bundle", trusted=frozenset()), expected(), "json"))


if __name__ == "__main__":
    sys.exit(main())
