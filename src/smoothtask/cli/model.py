"""`smoothtask model …` and `smoothtask learned …`: models in use, tried out and installed; what people have taught."""
# ruff: noqa: PLC0415 - late imports: no command pays for another's libraries

import argparse
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smoothtask.cli import show
from smoothtask.cli.exits import FAILED, OK
from smoothtask.cli.verbs import CannotError, _ask, _print_json, _say, paths_of, settings_of
from smoothtask.control import client
from smoothtask.model.command import Forget, ListLessons
from smoothtask.model.text import sanitise

if TYPE_CHECKING:
    from smoothtask.config.paths import Paths
    from smoothtask.ranker.checks import Contents, Kind
    from smoothtask.ranker.shelf import Shelf

Options = argparse.Namespace
TOLD = ("test.ndcg_at_5", "test.labels.pairs", "test.labels.agreement", "test.labels.rules_agreement",
        "test.teacher.exact", "test.teacher.within_one")  # fmt: skip
"""Of the metrics in the manifest; `--json` and `smoothtask train report` have all."""


def _status(options: Options) -> int:
    """What is installed, whether it may be used, and what a daemon says of it."""
    shelf = _shelf(options)
    data = {"folder": str(shelf.folder), "daemon": _daemon_says(options), **examined(shelf, _kinds(options))}
    if options.json:
        _print_json(data)
    else:
        print(*_status_lines(data), sep="\n")
    return FAILED if data["refused"] else OK


def examined(shelf: "Shelf", kinds: "tuple[Kind, ...]") -> dict[str, Any]:
    """What is installed (`current`, None for nothing), and whether each of *kinds* may use it (`refused`: why not)."""
    from smoothtask.config.bundle import Manifest
    from smoothtask.ranker.checks import ModelRefusedError

    found: dict[str, Any] = {"current": None, "id": None, "refused": None, "kept": []}
    try:
        found["kept"] = shelf.names()
        found["current"] = shelf.current()
        contents = shelf.read_current()
        if contents is None:
            return found
        found["id"] = contents.model
        found["refused"] = shelf.refused(contents.model)
        if found["refused"] is None:
            found["cpu_ms"] = _tried_out(contents, kinds)
            manifest = Manifest.model_validate_json(contents.manifest)
            found |= {"trained_at": manifest.trained_at, "metrics": manifest.metrics, "data": manifest.data}
    except FileNotFoundError:
        pass  # no folder of models: nothing is installed
    except ModelRefusedError as error:
        found["refused"] = str(error)
    return found


def _status_lines(data: dict[str, Any]) -> list[str]:
    lines = [f"daemon     {data['daemon']}"]
    if data["current"] is None and not data["refused"]:
        return [*lines, "installed  none: `smoothtask train` makes one, `smoothtask model install DIR` installs it"]
    lines.append(f"installed  {data['current']}")
    if data["refused"]:
        lines.append(f"refused    {data['refused']}: rules decide alone")
    else:
        when = datetime.fromtimestamp(data["trained_at"]).astimezone().isoformat(" ", "minutes")
        speed = ", ".join(f"{kind} {ms:.2f} ms" for kind, ms in data["cpu_ms"].items())
        lines += [f"trained    {when}", f"scores     200 groups: {speed} of CPU"]
        lines += [f"           {name}: {value}" for name, value in _flat(data["metrics"]) if name in TOLD]
    lines.append(f"kept       {', '.join(data['kept']) or 'none'}")
    return [sanitise(line, 400) for line in lines]


def _flat(metrics: dict[str, Any], head: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in metrics.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{head}{name}.")
        elif isinstance(value, int | float | str):
            rows.append((f"{head}{name}", f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows


def _install(options: Options) -> int:
    name, cpu_ms = put_to_use(paths_of(options), Path(options.directory).absolute())
    if options.json:
        _print_json({"installed": name, "cpu_ms": cpu_ms})
    else:
        print(f"{name} is installed: a daemon in hybrid mode uses it from its next look on")
        print("`smoothtask model rollback` goes back to the one before")
    return OK


def put_to_use(paths: "Paths", folder: Path) -> tuple[str, dict[str, float]]:
    """Try the bundle *folder* out, copy it, and make it the one in use: its name, and how quick each evaluator is.

    Raises CannotError, PermissionError.
    """
    from smoothtask.ranker.checks import ModelRefusedError
    from smoothtask.ranker.reading import read_bundle
    from smoothtask.ranker.shelf import Shelf

    shelf = Shelf(paths.models)
    try:
        contents = read_bundle(folder, trusted=frozenset())
        cpu_ms = _tried_out(contents, ("json", "onnx"))
        paths.prepare()
        return shelf.install(contents), cpu_ms
    except ModelRefusedError as error:
        raise CannotError(f"not installed: {error}") from error
    except PermissionError:
        raise
    except OSError as error:
        raise CannotError(f"not installed: {error.filename or shelf.folder}: {error.strerror or error}") from error


def _rollback(options: Options) -> int:
    from smoothtask.ranker.checks import ModelRefusedError

    shelf = _shelf(options)
    try:
        name = shelf.roll_back()
    except FileNotFoundError as error:
        raise CannotError(f"no model was ever installed in {shelf.folder}") from error
    except ModelRefusedError as error:
        raise CannotError(f"not rolled back: {error}") from error
    if options.json:
        _print_json({"current": name})
    else:
        print(f"{name} is the one in use again")
    return OK


def _preview(options: Options) -> int:
    from smoothtask.cli import preview

    return preview.run(options, _shelf(options))


def _shelf(options: Options) -> "Shelf":
    from smoothtask.ranker.shelf import Shelf

    return Shelf(paths_of(options).models)


def _kinds(options: Options) -> "tuple[Kind, ...]":
    evaluator = settings_of(paths_of(options)).ranker.evaluator
    return ("json",) if evaluator == "off" else (evaluator,)


def _tried_out(contents: "Contents", kinds: "tuple[Kind, ...]") -> dict[str, float]:
    """Milliseconds for 200 groups by each evaluator. Raises ModelRefusedError."""
    from smoothtask.engine.hybrid import expected
    from smoothtask.ranker.apart import Trial
    from smoothtask.ranker.checks import ModelRefusedError

    found: dict[str, float] = {}
    for kind in kinds:
        verdict = Trial(contents, expected(), kind).result()
        if verdict.refused is not None:
            raise ModelRefusedError(verdict.refused)
        found[kind] = verdict.cpu_ms or 0.0
    return found


def _daemon_says(options: Options) -> str:
    try:
        frame = client.newest_frame(client.find_daemon(paths_of(options).sockets))
    except (client.NoDaemonError, client.DaemonError) as error:
        return f"none that answers ({error})"
    return f"{frame.mode}: {frame.sources.get('model', 'says nothing of models')}"


def _learned_list(options: Options) -> int:
    reply = _ask(options, ListLessons())
    if options.json or not reply.ok:
        return _say(options, reply)
    rows = _lesson_rows(reply.data.get("lessons", []))
    if not rows:
        print("nothing is learnt yet: pins, overrides and labels teach")
        return OK
    show.print_table(("APP", "UID", "SITUATION", "LESSONS", "SAY", "LATEST"), rows)
    return OK


def _lesson_rows(lessons: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """One for each application, user and situation."""
    cells: dict[tuple[str, int, str, bool], list[dict[str, Any]]] = {}
    for x in lessons:
        cells.setdefault((x["app"], x["uid"], x["attended"], x["contended"]), []).append(x)
    rows: list[tuple[str, ...]] = []
    for (app, uid, attended, contended), some in sorted(cells.items()):
        classes: dict[str, int] = {}
        for x in some:
            classes[x["class"]] = classes.get(x["class"], 0) + 1
        says = ", ".join(f"{name} × {n}" if len(classes) > 1 else name for name, n in classes.items())
        latest = datetime.fromtimestamp(max(x["made_at"] for x in some)).astimezone().isoformat(" ", "minutes")
        situation = f"{attended}, {'somebody waits' if contended else 'nobody waits'}"
        rows.append((app, str(uid), situation, str(len(some)), says, latest))
    return rows


def _learned_forget(options: Options) -> int:
    return _say(options, _ask(options, Forget(options.app)))


MODEL: dict[str, Callable[[Options], int]] = {
    "status": _status,
    "install": _install,
    "rollback": _rollback,
    "preview": _preview,
}
LEARNED: dict[str, Callable[[Options], int]] = {"list": _learned_list, "forget": _learned_forget}
