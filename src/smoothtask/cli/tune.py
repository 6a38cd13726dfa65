"""`smoothtask tune`: a proposal from recordings, or measured here; written into the configuration only when asked."""
# ruff: noqa: PLC0415 - late imports: no command pays for another's libraries

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from smoothtask.cli.exits import FAILED, OK
from smoothtask.cli.verbs import CannotError, _print_json, paths_of, settings_of

if TYPE_CHECKING:
    from smoothtask.config.settings import Settings
    from smoothtask_trainer.configfile import Edit
    from smoothtask_trainer.live import Block
    from smoothtask_trainer.tune import Proposal

Options = argparse.Namespace
Values = Mapping[str, float]
VARIATIONS: dict[str, dict[str, float]] = {
    "eager": {"contention.hold_s": 8.0, "contention.cpu_some_pct": 5.0, "contention.group_wait": 0.1},
    "patient": {"contention.hold_s": 3.0, "contention.cpu_some_pct": 20.0, "contention.group_wait": 0.4},
}
"""What `--live` measures when nobody names candidates."""


def run(options: Options) -> int:
    """Find or read a proposal, or measure; then say, and apply when asked."""
    with _sentences():
        settings = settings_of(paths_of(options))
        return _measure(options, settings) if options.live else _search(options, settings)


@contextmanager
def _sentences() -> Iterator[None]:
    """What goes wrong is said in a sentence. Raises CannotError."""
    from smoothtask.store.frames import RecordError
    from smoothtask_trainer.configfile import EditError
    from smoothtask_trainer.evidence import ProposalError
    from smoothtask_trainer.space import BadValueError
    from smoothtask_trainer.tune import TuneError

    try:
        yield
    except ModuleNotFoundError as error:
        raise CannotError(
            f"tune needs {error.name}, which is not installed: `pip install 'smoothtask[trainer]'` brings it"
        ) from error
    except (RecordError, TuneError, ProposalError, BadValueError, EditError) as error:
        raise CannotError(f"tune: {error}") from error


def _search(options: Options, settings: "Settings") -> int:
    from smoothtask_trainer import evidence

    proposal = _proposal(options, settings)
    edit = _edit(options, {t.key: t.new for t in proposal.turns})
    if options.out:
        Path(options.out).write_text(json.dumps(evidence.to_json(proposal), indent=1) + "\n", encoding="utf-8")
    applied = _apply(edit) if options.apply and edit is not None else ""
    diff = edit.diff if edit is not None else ""
    if options.json:
        _print_json({**evidence.to_json(proposal), "diff": diff, "applied": bool(applied)})
        return OK
    print(*evidence.lines(proposal, diff), sep="\n")
    if proposal.turns:
        print("", applied or "Nothing is changed yet: --apply writes it into the configuration.", sep="\n")
    return OK


def _proposal(options: Options, settings: "Settings") -> "Proposal":
    from smoothtask_trainer import evidence
    from smoothtask_trainer.tune import compare, read_recordings, tune

    if options.proposal:
        return evidence.load(Path(options.proposal))
    since = None if options.last is None else time.time() - options.last
    paths = [Path(p) for p in options.recordings] or [paths_of(options).database_at(settings.store.path)]
    recorded = read_recordings(paths, since)
    if options.values:
        return compare(recorded, settings, dict(options.values))
    return tune(
        recorded, settings, trials=options.trials, reach=options.reach / 100, seed=options.seed, tell=_progress()
    )


def _measure(options: Options, settings: "Settings") -> int:
    from smoothtask.daemon.process import AlreadyRunning
    from smoothtask_trainer import evidence, live
    from smoothtask_trainer.generate import RecordingError

    candidates: dict[str, Values] = {}
    if options.proposal:
        candidates["proposed"] = {t.key: t.new for t in evidence.load(Path(options.proposal)).turns}
    if options.values:
        candidates["yours"] = dict(options.values)
    candidates = {name: values for name, values in candidates.items() if values} or dict(VARIATIONS)
    try:
        blocks = live.measure_live(
            settings, candidates, paths_of(options).held,
            rounds=options.rounds, seconds=options.seconds, seed=options.seed, tell=_progress(),
        )  # fmt: skip
    except (RecordingError, AlreadyRunning) as error:
        raise CannotError(f"tune --live: {error}") from error
    best = live.best(blocks)
    edit = _edit(options, candidates[best]) if best else None
    applied = _apply(edit) if options.apply and edit is not None else ""
    if options.json:
        _print_json({**live.to_json(blocks), "best": best, "diff": edit.diff if edit else "", "applied": bool(applied)})
        return OK
    _say_measured(blocks, best, edit, applied)
    return FAILED if options.apply and not applied else OK


def _say_measured(blocks: "list[Block]", best: str | None, edit: "Edit | None", applied: str) -> None:
    from smoothtask_trainer import live

    print(*live.lines(blocks), sep="\n")
    if best is None or edit is None:
        print("No candidate is surely better than the settings in force: they stay as they are.")
        return
    print("", edit.diff, applied or f"{best} is better; nothing is changed yet: --apply writes it.", sep="\n")


def _edit(options: Options, values: Values) -> "Edit | None":
    """What the configuration becomes with *values*."""
    from smoothtask_trainer.configfile import edited

    return edited(paths_of(options).config_file, values) if values else None


def _apply(edit: "Edit") -> str:
    """Write it; a sentence on what was done. Raises CannotError, PermissionError."""
    from smoothtask_trainer import configfile

    try:
        kept = configfile.apply(edit, datetime.now(UTC))
    except PermissionError:
        raise
    except OSError as error:
        raise CannotError(f"{error.filename or edit.path}: {error.strerror or error}") from error
    old = f"; the old file is {kept}" if kept is not None else ""
    return f"{edit.path} is written{old}. `smoothtask reload` makes a daemon read it."


def _progress() -> Callable[[str], None]:
    """Where a person looks on: one line on stderr, over and over."""
    if not sys.stderr.isatty():
        return lambda _text: None

    def tell(text: str) -> None:
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    return tell
