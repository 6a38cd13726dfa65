"""What each command does; each returns an exit status."""
# ruff: noqa: PLC0415 - late imports: no command pays for another's libraries

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from smoothtask.cli import show
from smoothtask.cli.exits import CONFIG, FAILED, OK, REFUSED
from smoothtask.config.paths import Paths, find_paths
from smoothtask.control import client
from smoothtask.model.classes import Limits, PriorityClass
from smoothtask.model.command import (
    Command,
    Explain,
    LabelGroup,
    LabelMoment,
    Pause,
    PinApp,
    Redo,
    Rehearse,
    Reload,
    Reply,
    SetOverride,
    Undo,
    Unpin,
)
from smoothtask.model.text import sanitise

if TYPE_CHECKING:
    from smoothtask.classifier.apart import Reading
    from smoothtask.config.settings import Settings

Options = argparse.Namespace


class CannotError(Exception):
    """A command that cannot be carried out; the text is a sentence for a person."""


class HeldError(CannotError):
    """Another SmoothTask has this runtime directory, and nobody answers at its socket: it starts, or ends."""


STARTS_WITHIN_S, LOOK_EVERY_S = 10.0, 0.1
"""How long `top` waits for such a one, and how often it looks."""


def paths_of(options: Options) -> Paths:
    """Flags, else environment, else defaults."""
    flag = vars(options).get
    return find_paths(flag("config"), flag("runtime_dir"), flag("state_dir"), scope=flag("scope"))


def settings_of(paths: Paths) -> "Settings":
    """Raises ConfigError."""
    from smoothtask.config.settings import load_settings

    return load_settings(paths.config_file, required=paths.config_required)


def _is_on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _top(options: Options) -> int:
    if not _is_on_terminal():
        raise CannotError("top needs a terminal: `smoothtask status` prints, `smoothtask --daemon` needs none")
    paths = paths_of(options)
    until = time.monotonic() + STARTS_WITHIN_S
    waits = False
    while True:
        try:
            socket = client.find_daemon(paths.sockets)
            break
        except client.NoDaemonError:
            pass
        try:
            return _top_here(options, paths, waits=waits)
        except HeldError as held:
            gc.enable()  # it is not our engine that will start
            if time.monotonic() > until:
                raise
            if not waits:
                print(f"smoothtask: {held}; waiting until it answers (Ctrl-C gives up) …", file=sys.stderr)
            waits = True
            time.sleep(LOOK_EVERY_S)
    from smoothtask_tui.app import run_dashboard

    return run_dashboard(client.RemoteEngine(socket), paths=paths)


def _top_here(options: Options, paths: Paths, *, waits: bool) -> int:
    """The dashboard around an engine in this process, which others may reach through the socket.

    *waits*: for another one to go, so that this will hardly start: no child begins to read rules for it.
    """
    gc.disable()  # what is made now stays; once that is done `tidy_memory` enables it
    settings = settings_of(paths)
    paths.prepare()
    reading = None if waits else _begin_reading(settings, paths)
    from smoothtask.control.local import LocalEngine
    from smoothtask.control.server import SocketTakenError
    from smoothtask.daemon.build import build
    from smoothtask.daemon.headless import serve
    from smoothtask.daemon.process import AlreadyRunning, LockedError

    try:
        observe = getattr(options, "observe", False)
        host = build(
            settings, paths, observe=observe, reading=reading, meanwhile=lambda: import_module("smoothtask_tui.app")
        )
        server = serve(host, paths, settings)
    except LockedError as error:
        raise HeldError(str(error)) from error
    except (AlreadyRunning, SocketTakenError) as error:
        raise CannotError(str(error)) from error
    from smoothtask_tui.app import run_dashboard

    return run_dashboard(LocalEngine(host, on_close=server.close), paths=paths)


def _begin_reading(settings: "Settings", paths: Paths) -> "Reading":
    """A child reads the rules, unless they are known, while we load the rest."""
    from smoothtask.classifier.apart import Reading
    from smoothtask.classifier.layers import rule_files

    return Reading(rule_files(settings, paths), paths.rules_kept)


def _daemon(options: Options) -> int:
    gc.disable()  # as in `_top_here`
    paths = paths_of(options)
    settings = settings_of(paths)
    paths.prepare()
    reading = _begin_reading(settings, paths)
    from smoothtask.control.server import SocketTakenError
    from smoothtask.daemon.headless import run_daemon
    from smoothtask.daemon.process import AlreadyRunning

    try:
        return run_daemon(settings, paths, observe=getattr(options, "observe", False), reading=reading)
    except (AlreadyRunning, SocketTakenError) as error:
        raise CannotError(str(error)) from error


def _status(options: Options) -> int:
    socket = client.find_daemon(paths_of(options).sockets)
    frame = client.newest_frame(socket)
    if options.json:
        # Groups and processes: `smoothtask groups --json`.
        data = _frame_data(frame)
        _print_json({k: v for k, v in data.items() if k not in {"groups", "processes"}})
    else:
        print(*show.status_lines(frame, f"daemon at {socket}"), sep="\n")
    return OK


def _groups(options: Options) -> int:
    frame = client.newest_frame(client.find_daemon(paths_of(options).sockets))
    if options.json:
        _print_json(_frame_data(frame)["groups"])
        return OK
    groups = show.in_order(frame.groups)
    shown = groups if options.all else [g for g in groups if show.is_busy(g)]
    show.print_table(show.GROUP_HEAD, show.group_rows(shown))
    if len(shown) < len(groups):
        print(f"({len(groups) - len(shown)} quiet ones: --all shows them)")
    if frame.left_out:
        print(f"(and {frame.left_out} more, which the daemon left out: {len(groups)} are as many as it sends)")
    return OK


def _explain(options: Options) -> int:
    reply = _ask(options, Explain(options.target))
    if options.json or not reply.ok:
        return _say(options, reply)
    print(*show.explain_lines(reply.data), sep="\n")
    rows = show.process_rows(reply.data)
    if rows:
        print()
        show.print_table(show.PROCESS_HEAD, rows)
    return OK


def _label(options: Options) -> Command:
    if options.target in {"laggy", "fine"} and options.class_name is None:
        return LabelMoment(options.target)
    if options.class_name is None:
        raise CannotError("label: expected GROUP CLASS, or laggy, or fine")
    return LabelGroup(options.target, PriorityClass[options.class_name])


def _override(options: Options) -> Command:
    target = None if options.class_name is None else PriorityClass[options.class_name]
    return SetOverride(options.target, target, options.seconds)


def _pin(options: Options) -> Command:
    o = options
    limits = Limits(o.cpu, o.cpu_idle, o.memory_high, o.io_read, o.io_write)
    return PinApp(o.target, PriorityClass[o.class_name], limits)


COMMANDS: dict[str, Callable[[Options], Command]] = {
    "pin": _pin,
    "unpin": lambda o: Unpin(o.target),
    "override": _override,
    "label": _label,
    "undo": lambda _: Undo(),
    "redo": lambda _: Redo(),
    "dry-run": lambda o: Rehearse(o.switch == "on"),
    "pause": lambda _: Pause(True),
    "resume": lambda _: Pause(False),
    "reload": lambda _: Reload(),
}
"""Commands that are one question to the engine."""


def _order(options: Options) -> int:
    return _say(options, _ask(options, COMMANDS[options.command](options)))


def _restore(options: Options) -> int:
    from smoothtask.daemon.restoring import restore_all

    restored = restore_all(paths_of(options))
    if options.json:
        _print_json({"ok": restored.whole, "said": restored.said})
    else:
        lines = (sanitise(line, 1000) for line in restored.said)
        print(*lines, sep="\n", file=sys.stdout if restored.whole else sys.stderr)
    return OK if restored.whole else FAILED


def _doctor(options: Options) -> int:
    from smoothtask.cli import doctor

    findings = doctor.examine(paths_of(options))
    if options.json:
        _print_json([f._asdict() for f in findings])
    else:
        print(*doctor.lines(findings), sep="\n")
    return FAILED if any(f.state is doctor.State.WRONG for f in findings) else OK


def _config(options: Options) -> int:
    from smoothtask.config.located import ConfigError

    paths = paths_of(options)
    file = paths.config_file
    try:
        settings = settings_of(paths)
    except ConfigError as error:
        if not options.json:
            raise
        _print_json({"ok": False, "problems": [_problem_data(p) for p in error.problems]})
        return CONFIG
    if options.what == "show":
        return _config_show(options, settings, f"{file}" if file.exists() else f"{file} is missing: all defaults")
    if options.json:
        _print_json({"ok": True, "problems": []})
    else:
        print(f"{file}: fine" if file.exists() else f"{file}: missing, so the defaults hold")
    return OK


def _config_show(options: Options, settings: "Settings", where: str) -> int:
    if options.json:
        _print_json(settings.model_dump(mode="json"))
        return OK
    import yaml

    print(f"# {where}")
    print(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")
    return OK


def _rules(options: Options) -> int:
    from smoothtask.classifier.layers import rule_files
    from smoothtask.cli import rules

    paths = paths_of(options)
    fine, lines, data = rules.run(options, rule_files(settings_of(paths), paths))
    if options.json:
        _print_json(data)
    else:
        print(*(sanitise(line, 1000) for line in lines), sep="\n")
    return OK if fine else FAILED


def _export(options: Options) -> int:
    from pathlib import Path

    from smoothtask.store import export as exporting
    from smoothtask.store.reading import StoreError

    paths = paths_of(options)
    configured = settings_of(paths).store.path
    try:
        written = exporting.export(
            paths.database_at(configured),
            Path(options.directory),
            options.format,
            tables=options.tables or exporting.TABLES,
            since=None if options.last is None else time.time() - options.last,
            force=options.force,
        )
    except StoreError as error:
        raise CannotError(str(error)) from error
    except PermissionError:
        raise
    except OSError as error:
        raise CannotError(f"{error.filename or options.directory}: {error.strerror or error}") from error
    if options.json:
        _print_json({str(path): rows for path, rows in written.items()})
    else:
        print(*(f"{path}: {rows} rows" for path, rows in written.items()), sep="\n")
    return OK


def _train(options: Options) -> int:
    from smoothtask.cli import train

    return train.VERBS[options.what or "ranker"](options)


def _model(options: Options) -> int:
    from smoothtask.cli import model

    return model.MODEL[options.what](options)


def _learned(options: Options) -> int:
    from smoothtask.cli import model

    return model.LEARNED[options.what](options)


def _tune(options: Options) -> int:
    from smoothtask.cli import tune

    return tune.run(options)


def _bench(options: Options) -> int:
    from smoothtask.cli import bench

    return bench.run(options)


def _gnome_extension(options: Options) -> int:
    """Into the home of whoever runs it, or out of it: a Shell runs no extension of another's."""
    from pathlib import Path

    from smoothtask.person.windows import gnome_install

    if os.geteuid() == 0:
        raise CannotError("gnome-extension: run it as the user whose desktop it is, without sudo")
    version = gnome_install.shell_version()
    try:
        if options.what == "uninstall":
            gone = gnome_install.uninstall_extension(Path.home())
            print("not installed" if gone is None else f"{sanitise(str(gone), 4096)}: removed")
            return OK
        folder = gnome_install.install_extension(Path.home(), version)
    except PermissionError:
        raise
    except OSError as error:
        raise CannotError(f"{error.filename}: {error.strerror or error}") from error
    whom = "a new GNOME Shell, for none is installed here" if version is None else f"GNOME Shell {version}"
    print(f"{sanitise(str(folder), 4096)}: installed for {whom}", "Log out and in again, then run", sep="\n")
    print(f"    gnome-extensions enable {gnome_install.uuid()}")
    return OK


def _completion(options: Options) -> int:
    import shtab

    from smoothtask.cli.parser import make_parser

    print(shtab.complete(make_parser(), options.shell))
    return OK


VERBS: dict[str, Callable[[Options], int]] = {
    "top": _top,
    "daemon": _daemon,
    "status": _status,
    "groups": _groups,
    "explain": _explain,
    **dict.fromkeys(COMMANDS, _order),
    "restore": _restore,
    "doctor": _doctor,
    "config": _config,
    "rules": _rules,
    "export": _export,
    "train": _train,
    "tune": _tune,
    "bench": _bench,
    "model": _model,
    "learned": _learned,
    "gnome-extension": _gnome_extension,
    "completion": _completion,
}


def _ask(options: Options, command: Command) -> Reply:
    return client.request(client.find_daemon(paths_of(options).sockets), command)


def _say(options: Options, reply: Reply) -> int:
    if options.json:
        _print_json({"ok": reply.ok, "message": reply.message, "data": reply.data})
    else:
        print(sanitise(reply.message, 4096), file=sys.stdout if reply.ok else sys.stderr)
    if reply.ok:
        return OK
    return REFUSED if reply.data.get("refused") else FAILED


def _frame_data(frame: Any) -> dict[str, Any]:
    from smoothtask.control.protocol import encode_frame

    data: dict[str, Any] = json.loads(encode_frame(frame))["frame"]
    for shown in data["groups"]:
        decision = shown["decision"]
        for name in ("target", "wanted", "rules"):
            decision[name] = None if decision[name] is None else PriorityClass(decision[name]).name
    return data


def _problem_data(problem: Any) -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line, "field": problem.field, "message": problem.message}


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()
