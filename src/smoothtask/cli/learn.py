"""`smoothtask train` and `smoothtask train data`: from recordings to a table, a model, and a model in use."""
# ruff: noqa: PLC0415 - late imports: no command pays for another's libraries

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smoothtask.cli.exits import DOUBTFUL, FAILED, OK, TOO_LITTLE
from smoothtask.cli.verbs import CannotError, _print_json, paths_of, settings_of

if TYPE_CHECKING:
    from smoothtask.config.paths import Paths
    from smoothtask_trainer.learn import Shape
    from smoothtask_trainer.prepare import Prepared
    from smoothtask_trainer.ranker import Trained
    from smoothtask_trainer.table import Data

Options = argparse.Namespace
Tell = Callable[[str], None]
KEPT = 3
"""Trainings; older ones are removed, and what is in use is a copy."""


def prepare_only(options: Options) -> int:
    """`train data`: write the table, and say what is in it."""
    with _sentences("train data"), tempfile.TemporaryDirectory(prefix="smoothtask-data-") as scratch:
        from smoothtask_trainer.prepare import lines

        made = _prepare(options, Path(options.out), Path(scratch))
    if options.json:
        _print_json(made.as_json())
    else:
        print(*lines(made, Path(options.out)), sep="\n")
    return OK


def run(options: Options) -> int:
    """`train`: here, in the background, or how far that is."""
    from smoothtask.config.paths import make_folder
    from smoothtask_trainer import background

    paths = paths_of(options)
    if options.progress:
        return _progress(options, paths)
    if options.now:
        try:
            begun = background.start(paths.training, _again(options, paths))
        except background.BusyError as error:
            raise CannotError(f"train: {error}") from error
        text = f"training in the background (pid {begun.pid}); `smoothtask train --progress` says how far it is"
        log = str(paths.training / background.LOG)
        _print_json({**begun._asdict(), "log": log}) if options.json else print(text)
        return OK
    if options.background is not None:
        return _train_behind(options, paths)
    make_folder(paths.state_dir, background.FOLDER_MODE)
    make_folder(paths.training, background.FOLDER_MODE)
    with _sentences("train"), background.only_one(paths.training):
        return _train(options, paths, _line())


def _again(options: Options, paths: "Paths") -> list[str]:
    """The same command, for a process elsewhere."""
    said = ["--state-dir", str(paths.state_dir), "--runtime-dir", str(paths.runtime_dir)]
    if getattr(options, "scope", None):
        said += ["--scope", options.scope]
    if paths.config_required or paths.config_file.exists():
        said += ["--config", str(paths.config_file)]
    for flag, files in (("--from", options.sources), ("--test", options.tested)):
        said += [word for file in files for word in (flag, str(Path(file).absolute()))]
    said += ["--out", str(Path(options.out).absolute())] if options.out else []
    for flag in ("every", "loss", "trees", "depth", "rate", "seed"):
        said += [f"--{flag}", str(getattr(options, flag))]
    said += ["--search", str(options.search)] if options.search else []
    said += ["--threads", str(options.threads)] if options.threads > 0 else []
    return [*said, "--classifier"] if options.classifier else said


def _progress(options: Options, paths: "Paths") -> int:
    from dataclasses import asdict

    from smoothtask_trainer import background

    now = background.read(paths.training)
    if now is None:
        raise CannotError("no training has been begun in the background: `smoothtask train --now` does")
    if options.json:
        _print_json(asdict(now))
    else:
        print(f"{now.state}, {time.time() - now.started_at:.0f} s after its start: {now.text}")
    return FAILED if now.state == "failed" else OK


def _train_behind(options: Options, paths: "Paths") -> int:
    """What `--now` started; the lock has come with it."""
    from smoothtask_trainer import background

    background.step_back()
    reporter = background.Reporter(paths.training)
    reporter.tell("starting")
    said = "it failed: see the log"
    status = FAILED
    try:
        with _sentences("train"):
            status = _train(options, paths, reporter.tell)
        said = {OK: "a new model is installed", DOUBTFUL: "the new model is no better: it is kept, but not used"}.get(
            status,
            f"there is too little recorded to learn from: {paths.training / background.LOG} says what is missing",
        )
    except CannotError as error:
        said = str(error)
        raise
    finally:
        reporter.end(said, well=status in {OK, DOUBTFUL})
    return status


def _train(options: Options, paths: "Paths", tell: Tell) -> int:
    return _classifier(options, paths, tell) if options.classifier else _ranker(options, paths, tell)


def _ranker(options: Options, paths: "Paths", tell: Tell) -> int:
    from smoothtask.cli.model import put_to_use
    from smoothtask_trainer import ranker

    data, about = _table_of(options, tell)
    out = _new_folder(options, paths)
    try:
        trained = ranker.train(data, about, out, _shape(options), time.time(), trials=options.search, tell=tell)
    except ranker.NotEnoughError as error:
        print(f"smoothtask: train: {error}", file=sys.stderr)
        return TOO_LITTLE
    tell("")
    used = None if options.out or trained.doubts else put_to_use(paths, out)[0]
    _say(options, trained, out, used)
    return DOUBTFUL if trained.doubts else OK


def _shape(options: Options) -> "Shape":
    from smoothtask_trainer.learn import Shape

    return Shape(options.loss, options.trees, options.depth, options.rate, seed=options.seed, threads=options.threads)


def _classifier(options: Options, paths: "Paths", tell: Tell) -> int:
    from smoothtask_trainer import classifier
    from smoothtask_trainer.ranker import NotEnoughError

    out = _new_folder(options, paths)
    try:
        made = classifier.train(_table_of(options, tell)[0], out, _shape(options), time.time(), tell=tell)
    except NotEnoughError as error:
        print(f"smoothtask: train: {error}", file=sys.stderr)
        return TOO_LITTLE
    tell("")
    if options.json:
        _print_json({"folder": str(out), **made})
    else:
        print(*classifier.lines(made), f"{out} holds it.", sep="\n")
    return OK


def _table_of(options: Options, tell: Tell) -> "tuple[Data, dict[str, Any]]":
    """What there is to learn from, and what is in it."""
    from smoothtask_trainer import table

    with tempfile.TemporaryDirectory(prefix="smoothtask-data-") as scratch:
        made = Path(scratch, "table.parquet")
        tell("reading recordings")
        about = _prepare(options, made, Path(scratch)).as_json()
        return table.load(made), about


def _prepare(options: Options, out: Path, scratch: Path) -> "Prepared":
    from smoothtask.engine.parameters import parameters_of
    from smoothtask_trainer.prepare import prepare

    paths = paths_of(options)
    settings = settings_of(paths)
    sources = [Path(p) for p in options.sources] or [paths.database_at(settings.store.path)]
    return prepare(
        sources, out, parameters_of(settings), scratch,
        tested=[Path(p) for p in options.tested], every_s=options.every,
    )  # fmt: skip


def _new_folder(options: Options, paths: "Paths") -> Path:
    """Where the model goes; the oldest of our own make room."""
    if options.out:
        return Path(options.out)
    import shutil

    old = sorted(p for p in paths.training.iterdir() if p.is_dir() and not p.is_symlink())
    for folder in old[: -(KEPT - 1)]:
        shutil.rmtree(folder)
    return paths.training / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"


def _say(options: Options, trained: "Trained", out: Path, used: str | None) -> None:
    from smoothtask_trainer.ranker import headline

    if options.json:
        _print_json({
            "folder": str(out), "in_use": used, "doubts": list(trained.doubts), "metrics": trained.metrics,
            "headline": headline(trained.metrics),
        })  # fmt: skip
        return
    print(headline(trained.metrics))
    print(*_table(trained.metrics), sep="\n")
    for doubt in trained.doubts:
        print(f"It is not used: {doubt}.")
    print(f"{out} holds it; `smoothtask train report --model {out} --out DIR` makes a page of it.")
    if used is not None:
        print(f"{used} is installed: a daemon in hybrid mode uses it from its next look on")
        print(
            "`smoothtask model rollback` goes back to the one before, `smoothtask model preview` shows what it changes"
        )


def _table(metrics: Any) -> list[str]:
    test, labels = metrics["test"], metrics["test"]["labels"]

    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.1%}"

    def both(ours: float | None, theirs: float | None) -> str:
        return f"{shown(ours)}, {shown(theirs)}"

    teacher, crossed = test["teacher"], metrics["cross_validation"]["pairs_in_order"]
    rows = [
        ("snapshots and rows of the test", f"{test['queries']}, {test['rows']}"),
        ("NDCG at 5, at 10", f"{test['ndcg_at_5'] or 0:.4f}, {test['ndcg_at_10'] or 0:.4f}"),
        ("labelled pairs in order: model, rules", both(labels["agreement"], labels["rules_agreement"])),
        (
            "labels met exactly: model, rules",
            both(labels["classes"].get("exact"), labels["rules_classes"].get("exact")),
        ),
        ("classes as the rules', at most one off", both(teacher["exact"], teacher["within_one"])),
        ("pairs in order, cross-validated", ", ".join(shown(c) for c in crossed)),
    ]
    return [f"  {name:40} {value}" for name, value in rows]


@contextmanager
def _sentences(command: str) -> Iterator[None]:
    """What goes wrong is said in a sentence. Raises CannotError."""
    from smoothtask.store.frames import RecordError
    from smoothtask_trainer.background import BusyError
    from smoothtask_trainer.export import ExportError
    from smoothtask_trainer.table import TableError

    try:
        yield
    except ModuleNotFoundError as error:
        raise CannotError(f"{command} needs {error.name}: `pip install 'smoothtask[trainer]'` brings it") from error
    except (RecordError, TableError, ExportError, BusyError) as error:
        raise CannotError(f"{command}: {error}") from error


def _line() -> Tell:
    """Where a person looks on: one line on stderr, over and over."""
    if not sys.stderr.isatty():
        return lambda _text: None

    def tell(text: str) -> None:
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    return tell
