"""`smoothtask tune`: looks for settings under which recorded moments would have been decided better (by replay).

The search sees the first 60 % of the recorded time. What it finds is proposed only if it is better on both of two
later stretches, which it has not seen; and a setting that makes no difference stays as it is. Nothing here says that
the machine gets faster: the recorded policy was deterministic, so what another one would have caused is not in the
recording. `smoothtask tune --live` measures that.
"""

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smoothtask.config.settings import Settings
from smoothtask.engine.parameters import parameters_of
from smoothtask.store.frames import RecordedFrame, read_frames
from smoothtask.store.migrate import up_to_date
from smoothtask_trainer.measures import Measures, blocks_of, culprits_of, measure
from smoothtask_trainer.replay import Fidelity, fidelity, replay
from smoothtask_trainer.space import Knob, Value, knobs, rounded, value_of, with_values

if TYPE_CHECKING:
    import optuna

SHARES = (0.6, 0.2, 0.2)
SEARCH, TESTS = 0, (1, 2)
STRETCHES = ("searched", "first test", "second test")
LEAST_S, LEAST_LABELS, LEAST_BAD_S = 120.0, 5, 10.0
RUNS_OF_A_FILE = 1 << 40
MOST_SNAPSHOTS = 20_000
"""What is looked at: at one a second under contention, more than five bad hours."""
IDLE_CORES = 0.02
"""A group that never uses or wants more keeps nobody waiting, and nobody notices how it waits."""
BELIEVED = 0.9
"""Below this share of recorded decisions that come out again, a replay tells nothing."""
WORSE = {"agreement": 0.005, "coverage": 0.01}
"""By so much a measure may fall and count as no worse."""
CHANGES_WEIGHT, NEEDLESS_WEIGHT = 0.25, 0.5
"""Half of the changes fewer are worth as much as 12 points of coverage, 10 points of needless time as 5."""
LEAST_CHANGES_PER_H = 60.0
"""Of fewer changes than that nobody wants still fewer: they are compared with this number."""


class TuneError(Exception):
    """Nothing can be tuned; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One setting that changes."""

    key: str
    old: Value
    new: Value


@dataclass(frozen=True, slots=True)
class Compared:
    """One stretch of the recording under both settings."""

    stretch: str
    now: Measures
    then: Measures


@dataclass(frozen=True, slots=True)
class Shift:
    """Decisions that would come out otherwise."""

    label: str
    old: str
    new: str
    snapshots: int
    why: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was found, and what speaks for it."""

    turns: tuple[Turn, ...]
    """Empty: nothing passed."""
    compared: tuple[Compared, ...]
    shifts: tuple[Shift, ...]
    replayed_as_recorded: float
    """Share of recorded decisions that come out again under the settings in force."""
    snapshots: int
    trials: int
    seed: int
    said: tuple[str, ...] = ()
    """What a person should know."""


@dataclass(slots=True)
class Bench:
    """A recording, ready to be decided again and again."""

    recorded: list[RecordedFrame]
    settings: Settings
    _blocks: list[int] = field(default_factory=list)
    _culprits: dict[int, str | None] = field(default_factory=dict)
    _known: dict[tuple[tuple[str, Value], ...], list[Measures]] = field(default_factory=dict)

    _thin: list[RecordedFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._blocks = blocks_of(self.recorded, SHARES)
        self._culprits = culprits_of(self.recorded)
        self._thin = thinned(self.recorded)

    def measures(self, values: Mapping[str, Value]) -> list[Measures]:
        """Of each stretch, with *values* in place of the settings. Raises BadValueError."""
        key = tuple(sorted(values.items()))
        if key not in self._known:
            replayed = replay(self._thin, parameters_of(with_values(self.settings, values)))
            self._known[key] = measure(replayed, self._blocks, len(SHARES), self._culprits)
        return self._known[key]

    def fidelity(self) -> Fidelity:
        """Whether the settings in force give what was recorded."""
        return fidelity(replay(self.recorded, parameters_of(self.settings)))

    def knows_a_person(self) -> bool:
        """Whether anything of a person is in the recording."""
        return any(
            r.frame.person.active is not None
            or any(g.group.attention.visible or g.group.attention.typed_s is not None for g in r.frame.groups)
            for r in self.recorded
        )


def thinned(recorded: Sequence[RecordedFrame]) -> list[RecordedFrame]:
    """*recorded* without groups that never do anything that counts: most of a desktop's, and most of the work."""
    counts = {(r.run, said.group) for r in recorded for said in r.said}
    for r in recorded:
        for g in r.frame.groups:
            if g.group.metrics.cpu + g.group.metrics.wait >= IDLE_CORES:
                counts |= {(r.run, g.group.id), (r.run, g.group.parent or g.group.id)}
    return [
        replace(r, frame=replace(r.frame, groups=tuple(g for g in r.frame.groups if (r.run, g.group.id) in counts)))
        for r in recorded
    ]


def read_recordings(paths: Sequence[Path], since: float | None = None) -> list[RecordedFrame]:
    """The newest snapshots of *paths*, in order of time, each file's runs with numbers of their own.

    Logs of older versions are read as copies. Raises RecordError.
    """
    with tempfile.TemporaryDirectory(prefix="smoothtask-logs-") as scratch:
        logs = [
            deque(  # a whole log is gigabytes of frames
                (
                    replace(r, run=n * RUNS_OF_A_FILE + r.run)
                    for r in read_frames(up_to_date(path, Path(scratch)), since)
                ),
                maxlen=MOST_SNAPSHOTS,
            )
            for n, path in enumerate(paths)
        ]
    every = [r for log in sorted((log for log in logs if log), key=lambda log: log[0].frame.time) for r in log]
    return every[-MOST_SNAPSHOTS:]


def tune(
    recorded: list[RecordedFrame],
    settings: Settings,
    *,
    trials: int = 100,
    reach: float = 0.3,
    seed: int = 1,
    tell: Callable[[str], None] = lambda _text: None,
) -> Proposal:
    """The best settings within *reach* of *settings* for *recorded*. Raises TuneError."""
    bench = Bench(recorded, settings)
    now = bench.measures({})
    _check_enough(recorded, now)
    faithful = bench.fidelity()
    said = (*_left_out(recorded), *_caveats(faithful, now))
    if faithful.share < BELIEVED:
        return _result(bench, {}, faithful, 0, seed, said)
    turned = knobs(settings, reach, person=bench.knows_a_person())
    front = search(bench, turned, trials, seed, tell)
    passed = [v for v in (simplest(bench, values) for values in front) if v and passes(bench, v)]
    best = max(passed, key=lambda v: gain(now[SEARCH], bench.measures(v)[SEARCH]), default={})
    if not best:
        said = (*said, "Nothing that was tried is better on both later stretches: the settings stay as they are.")
    return _result(bench, best, faithful, trials, seed, said)


def compare(recorded: list[RecordedFrame], settings: Settings, values: Mapping[str, Value]) -> Proposal:
    """Somebody's own *values* against *settings*, on every stretch. Raises TuneError, BadValueError."""
    bench = Bench(recorded, settings)
    now = bench.measures({})
    _check_enough(recorded, now)
    faithful = bench.fidelity()
    said = _caveats(faithful, now)
    if not passes(bench, values):
        said = (*said, "These settings are not better on both later stretches.")
    return _result(bench, values, faithful, 1, 0, said)


def search(
    bench: Bench, turned: Sequence[Knob], trials: int, seed: int, tell: Callable[[str], None]
) -> list[dict[str, Value]]:
    """The trials that no other beats in every objective, on the first stretch alone."""
    import optuna  # noqa: PLC0415 - half a second, and an extra

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        directions=["maximize", "maximize", "minimize", "minimize"],
        sampler=optuna.samplers.NSGAIISampler(seed=seed, population_size=max(4, min(24, trials // 4))),
    )
    study.enqueue_trial({k.key: k.now for k in turned})

    def values_of(trial: "optuna.Trial") -> tuple[float, float, float, float]:
        values = {k.key: _suggest(trial, k) for k in turned}
        m = bench.measures(values)[SEARCH]
        return m.agreement or 0.0, m.coverage or 0.0, m.changes_per_h, m.needless

    def progress(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        tell(f"trial {trial.number + 1} of {trials}: {len(study.best_trials)} not beaten")

    study.optimize(values_of, n_trials=trials, callbacks=[progress])
    return [{key: rounded(value) for key, value in trial.params.items()} for trial in study.best_trials]


def _suggest(trial: "optuna.Trial", knob: Knob) -> Value:
    if knob.whole:
        return trial.suggest_int(knob.key, int(knob.low), int(knob.high))
    return rounded(trial.suggest_float(knob.key, knob.low, knob.high))


def simplest(bench: Bench, values: Mapping[str, Value]) -> dict[str, Value]:
    """*values* without those that make no difference on the first stretch."""
    kept = {key: value for key, value in values.items() if value != value_of(bench.settings, key)}
    wanted = bench.measures(kept)[SEARCH]
    for key in list(kept):
        fewer = {k: v for k, v in kept.items() if k != key}
        if bench.measures(fewer)[SEARCH] == wanted:
            kept = fewer
    return kept


def passes(bench: Bench, values: Mapping[str, Value]) -> bool:
    """Whether *values* are better on both stretches that the search has not seen, and worse in nothing."""
    now, then = bench.measures({}), bench.measures(values)
    return all(not is_worse(now[n], then[n]) and gain(now[n], then[n]) > 0 for n in TESTS)


def is_worse(now: Measures, then: Measures) -> bool:
    """Whether agreement or coverage has become worse by more than noise."""
    return (then.agreement or 0) < (now.agreement or 0) - WORSE["agreement"] or (then.coverage or 0) < (
        now.coverage or 0
    ) - WORSE["coverage"]


def gain(now: Measures, then: Measures) -> float:
    """One number: by how much *then* is better. Changes and needless time are its price, for what lowers a culprit
    changes a class, and holds it a little too long."""
    fewer = (now.changes_per_h - then.changes_per_h) / max(now.changes_per_h, LEAST_CHANGES_PER_H)
    return (
        (then.agreement or 0) - (now.agreement or 0) + (then.coverage or 0) - (now.coverage or 0)
        + CHANGES_WEIGHT * fewer - NEEDLESS_WEIGHT * (then.needless - now.needless)
    )  # fmt: skip


def _check_enough(recorded: Sequence[RecordedFrame], now: Sequence[Measures]) -> None:
    total_s = 3600 * sum(m.hours for m in now)
    labels, bad_s = sum(m.labels for m in now), sum(m.bad_s for m in now)
    how = "record more with the daemon (mode: dry-run is enough), or with `smoothtask train record --labels`"
    if total_s < LEAST_S:
        raise TuneError(
            f"{len(recorded)} snapshots of {total_s:.0f} s are too few, {LEAST_S:.0f} s is the least: {how}"
        )
    if labels < LEAST_LABELS and bad_s < LEAST_BAD_S:
        raise TuneError(
            f"{labels} labels and {bad_s:.0f} bad seconds with a culprit say too little, expected {LEAST_LABELS} or "
            f"{LEAST_BAD_S:.0f}: label moments with `smoothtask label` or in the history (H) of the dashboard, or {how}"
        )


def _left_out(recorded: Sequence[RecordedFrame]) -> tuple[str, ...]:
    most = len(recorded) >= MOST_SNAPSHOTS
    return (f"Only the newest {MOST_SNAPSHOTS:,} snapshots were looked at.",) if most else ()


def _caveats(faithful: Fidelity, now: Sequence[Measures]) -> tuple[str, ...]:
    said = []
    if faithful.differences:
        share, first = faithful.share, Counter(d.why for d in faithful.differences).most_common(1)[0][0]
        said.append(
            f"{share:.1%} of the recorded decisions come out under the settings in force; else mostly: {first}."
        )
    if faithful.share < BELIEVED:
        said.append("That is too few: it was recorded under other settings or by another version. Nothing is proposed.")
    if not sum(m.labels for m in now):
        said.append("There are no labels: agreement with a person is not measured.")
    if not sum(m.bad_s for m in now):
        said.append("There is no bad moment with a culprit: coverage is not measured.")
    return tuple(said)


def _result(
    bench: Bench, values: Mapping[str, Value], faithful: Fidelity, trials: int, seed: int, said: tuple[str, ...]
) -> Proposal:
    now, then, wanted = bench.measures({}), bench.measures(values), with_values(bench.settings, values)
    return Proposal(
        turns=tuple(Turn(key, value_of(bench.settings, key), value_of(wanted, key)) for key in sorted(values)),
        compared=tuple(Compared(*row) for row in zip(STRETCHES, now, then, strict=True)),
        shifts=shifts(bench, values) if values else (),
        replayed_as_recorded=faithful.share,
        snapshots=len(bench.recorded),
        trials=trials,
        seed=seed,
        said=said,
    )


def shifts(bench: Bench, values: Mapping[str, Value], most: int = 12) -> tuple[Shift, ...]:
    """Whose class would be another one, the most frequent first; with the reason that a snapshot gave."""
    old = replay(bench.recorded, parameters_of(bench.settings))  # everybody, also who does little
    new = replay(bench.recorded, parameters_of(with_values(bench.settings, values)))
    counts: Counter[tuple[str, str, str]] = Counter()
    why: dict[tuple[str, str, str], str] = {}
    for before, after in zip(old, new, strict=True):
        for shown in before.recorded.frame.groups:
            was, now = before.decisions[shown.group.id], after.decisions[shown.group.id]
            if was.target is not now.target:
                key = (shown.group.label, was.target.name, now.target.name)
                counts[key] += 1
                why.setdefault(key, "; ".join(r.text for r in now.reasons)[:200])
    return tuple(Shift(*key, n, why[key]) for key, n in counts.most_common(most))
