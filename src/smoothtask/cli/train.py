"""`smoothtask train …`: what each of its commands does; each returns an exit status."""
# ruff: noqa: PLC0415 - late imports: no command pays for another's libraries

import argparse
from collections.abc import Callable
from pathlib import Path

from smoothtask.cli.exits import OK
from smoothtask.cli.verbs import CannotError, _print_json, paths_of, settings_of

Options = argparse.Namespace


def _record(options: Options) -> int:
    from smoothtask_trainer import generate

    out = Path(options.out)
    try:
        made = generate.record(
            settings_of(paths_of(options)), options.minutes, out, options.seed, labels=options.labels
        )
    except generate.RecordingError as error:
        raise CannotError(f"train record: {error}") from error
    if options.json:
        _print_json({"file": str(out), "looks": made.looks, "labels": made.labels, "scenes": made.scenes})
    else:
        print(f"{out}: {made.looks} looks at {len(made.scenes)} scenes, {made.labels} labels")
    return OK


VERBS: dict[str, Callable[[Options], int]] = {"record": _record}
