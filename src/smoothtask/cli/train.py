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
        every_s = options.label_every if options.labels else None
        made = generate.record(
            settings_of(paths_of(options)), options.minutes, out, options.seed, label_every_s=every_s
        )
    except generate.RecordingError as error:
        raise CannotError(f"train record: {error}") from error
    if options.json:
        _print_json({"file": str(out), "looks": made.looks, "labels": made.labels, "scenes": made.scenes})
    else:
        print(f"{out}: {made.looks} looks at {len(made.scenes)} scenes, {made.labels} labels")
    return OK


def _report(options: Options) -> int:
    from smoothtask.store.frames import RecordError
    from smoothtask_trainer import evidence, report
    from smoothtask_trainer.configfile import edited
    from smoothtask_trainer.learnt import LearntError, read_learnt

    paths = paths_of(options)
    logs = [Path(p) for p in options.recordings] or [paths.database_at(settings_of(paths).store.path)]
    try:
        learnt = None if options.model is None else read_learnt(Path(options.model))
        proposal = None if options.proposal is None else evidence.load(Path(options.proposal))
        turned = {} if proposal is None else {t.key: t.new for t in proposal.turns}
        diff = edited(paths.config_file, turned).diff if turned else ""
        data, recorded = report.gather(logs)
        blocks = report.build(data, recorded, learnt, proposal, diff)
        written = report.write(Path(options.out), data, blocks, learnt, proposal)
    except ModuleNotFoundError as error:
        raise CannotError(f"train report needs {error.name}: `pip install 'smoothtask[trainer]'` brings it") from error
    except (RecordError, LearntError, evidence.ProposalError, ValueError) as error:
        raise CannotError(f"train report: {error}") from error
    if options.json:
        _print_json({"files": [str(file) for file in written]})
    else:
        print(*written, sep="\n")
    return OK


def _ranker(options: Options) -> int:
    from smoothtask.cli import learn

    return learn.run(options)


def _data(options: Options) -> int:
    from smoothtask.cli import learn

    return learn.prepare_only(options)


VERBS: dict[str, Callable[[Options], int]] = {"ranker": _ranker, "data": _data, "record": _record, "report": _report}
