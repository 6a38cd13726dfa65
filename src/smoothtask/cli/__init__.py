"""The command line: `smoothtask …`. Imports late, so that --help and completion are quick."""
# ruff: noqa: PLC0415

import os
import sys
from collections.abc import Sequence

from smoothtask.cli.exits import CONFIG, FAILED, NO_DAEMON, REFUSED, USAGE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status (`smoothtask --help` lists them)."""
    from smoothtask.cli.parser import make_parser

    parser = make_parser()
    options = parser.parse_args(arguments)
    if getattr(options, "daemon", False):
        if options.command is not None:
            parser.error("--daemon takes no command")
        options.command = "daemon"
    if options.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    try:
        status = _run(options.command, options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has had enough; the interpreter's own flush at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130
    return status


def _run(command: str, options: object) -> int:
    """Carry out *command*; every expected failure becomes a sentence and an exit status."""
    from smoothtask.cli.verbs import VERBS, CannotError
    from smoothtask.config.located import ConfigError
    from smoothtask.config.paths import UnsafeDirectoryError
    from smoothtask.control.client import DaemonError, DaemonRefusedError, NoDaemonError
    from smoothtask.model.scope import ScopeError

    try:
        return VERBS[command](options)  # type: ignore[arg-type]
    except ConfigError as error:
        return _fail(str(error), CONFIG)
    except ScopeError as error:
        return _fail(f"--scope: {error}", USAGE)
    except NoDaemonError as error:
        return _fail(f"{error}; `smoothtask top` or `smoothtask --daemon` starts one", NO_DAEMON)
    except DaemonRefusedError as error:
        return _fail(str(error), REFUSED)
    except (DaemonError, UnsafeDirectoryError, CannotError) as error:
        return _fail(str(error), FAILED)
    except PermissionError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), REFUSED)


def _fail(text: str, status: int) -> int:
    print(*(f"smoothtask: {line}" for line in text.splitlines()), sep="\n", file=sys.stderr)
    return status
