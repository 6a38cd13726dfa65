"""`smoothtask bench`: measure what SmoothTask does for this machine."""
# ruff: noqa: PLC0415 - late imports: no command pays for another's libraries

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from smoothtask.cli.exits import OK
from smoothtask.cli.tune import _progress
from smoothtask.cli.verbs import CannotError, _print_json, paths_of, settings_of

if TYPE_CHECKING:
    from smoothtask.bench.results import Report

Options = argparse.Namespace


def run(options: Options) -> int:
    """Measure, and tell; files go where they are asked for."""
    from smoothtask.bench import command, results, show
    from smoothtask.bench.measure import BenchError

    paths = paths_of(options)
    settings_of(paths)  # a configuration that is wrong is said before anything runs
    wanted = command.Wanted(tuple(options.scenarios), options.full, options.seed, options.use_daemon)
    tell = _progress()
    try:
        report = command.run(wanted, paths, tell)
    except BenchError as error:
        raise CannotError(f"bench: {error}") from error
    finally:
        tell("")
    if options.json:
        _print_json(results.to_json(report))
    else:
        cells = show.terminal_cells()
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        drawn = show.bars(report.outcomes, cells, coloured=coloured)
        print(*([drawn] if drawn else []), *show.lines(report, cells), sep="\n")
    if options.out:
        _write(Path(options.out), report, quiet=options.json)
    return OK


def _write(folder: Path, report: "Report", *, quiet: bool) -> None:
    from smoothtask.bench import page

    try:
        written = page.write(folder, report)
    except PermissionError:
        raise
    except OSError as error:
        raise CannotError(f"bench: {error.filename or folder}: {error.strerror or error}") from error
    if not quiet:
        print(*written, *filter(None, [page.missing_for_drawings()]), sep="\n")
