"""What may stand on the command line."""

import argparse
import re
from collections.abc import Callable
from typing import TypeVar

from smoothtask.cli.exits import MEANINGS
from smoothtask.model import amounts

T = TypeVar("T")
N = TypeVar("N", int, float)

CLASSES = ("LATENCY_CRITICAL", "INTERACTIVE", "NORMAL", "BACKGROUND", "IDLE")
"""`model.classes.PriorityClass`, by name; a test compares them."""
MATCHES = ("exe", "name", "unit", "flatpak", "snap", "wine", "cmdline")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TARGET = "a pid, a name such as firefox, or a group id"


def class_name(text: str) -> str:
    """`latency-critical` → `LATENCY_CRITICAL`. Raises ArgumentTypeError."""
    name = text.upper().replace("-", "_")
    if name not in CLASSES:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(CLASSES)}, got {text!r}")
    return name


def duration_s(text: str) -> float:
    """`90`, `90s`, `10m`, `2h` or `1d` → seconds. Raises ArgumentTypeError."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", text, re.ASCII)
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"expected a time such as 90s, 10m or 2h, got {text!r}")
    return float(match[1]) * _UNITS[match[2] or "s"]


def size_bytes(text: str) -> int:
    """`500M` or `2G` → bytes. Raises ArgumentTypeError."""
    return _amount(amounts.parse_size, text)


def percent(text: str) -> float:
    """`80%` or `80` → 80.0. Raises ArgumentTypeError."""
    return _amount(amounts.parse_percent, text)


def _amount(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


class _Version(argparse.Action):
    """--version, without reading the package's metadata until it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415

        print(f"smoothtask {version('smoothtask')}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    places = _places()
    parser = argparse.ArgumentParser(
        prog="smoothtask",
        description="Keeps a Linux machine responsive at 100 % CPU.",
        parents=[places],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit status:\n" + "\n".join(f"  {code:<4}{meaning}" for code, meaning in MEANINGS.items()),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    parser.add_argument("--daemon", action="store_true", help="the same as the command daemon")
    parser.add_argument("--observe", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--foreground", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    verbs = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    json = argparse.ArgumentParser(add_help=False)
    json.add_argument("--json", action="store_true", help="print JSON")

    def verb(name: str, text: str, *, prints: bool = True) -> argparse.ArgumentParser:
        parents = [places, json] if prints else [places]
        return verbs.add_parser(name, help=text, description=text, parents=parents, allow_abbrev=False)

    top = verb("top", "the dashboard; attaches to a running daemon, or runs the engine itself", prints=False)
    _add_observe(top)
    daemon = verb("daemon", "manage the machine without a dashboard", prints=False)
    _add_observe(daemon)
    daemon.add_argument("--foreground", action="store_true", help="stay in the foreground (this is the default)")

    verb("status", "how the machine is, and what SmoothTask does")
    groups = verb("groups", "the applications, their classes and why")
    groups.add_argument("--all", action="store_true", help="the quiet ones too")
    verb("explain", "everything known about one application").add_argument("target", help=_TARGET)
    pin = verb("pin", "give an application a class for good")
    pin.add_argument("target", metavar="GROUP", help=_TARGET)
    _add_class(pin)
    _add_limits(pin)
    verb("unpin", "take a pin away").add_argument("target", metavar="GROUP", help=f"{_TARGET}, or an app key")
    override = verb("override", "give one running application a class, until it exits")
    override.add_argument("target", metavar="GROUP", help=_TARGET)
    override.add_argument("class_name", metavar="CLASS", type=_class_or_off, help=f"{', '.join(CLASSES)}, or off")
    override.add_argument("--for", dest="seconds", metavar="TIME", type=duration_s, help="such as 90s, 10m or 2h")
    label = verb("label", "say what class an application should have had, or how the machine felt")
    label.add_argument("target", metavar="GROUP|laggy|fine", help=_TARGET)
    label.add_argument("class_name", metavar="CLASS", type=class_name, nargs="?", help=", ".join(CLASSES))
    verb("undo", "take back your latest pin, unpin, override, label, pause or dry-run")
    verb("redo", "do again what your latest undo took back")
    dry = verb("dry-run", "undo every change and only say what would be done, or apply decisions again")
    dry.add_argument("switch", choices=("on", "off"))
    verb("pause", "undo every change and apply nothing")
    verb("resume", "go on after pause")
    verb("reload", "read configuration and rules again")
    verb("restore", "put back what a daemon that died has changed")
    verb("doctor", "what works here, what does not, and what to do about it")
    for family in (_add_config, _add_rules, _add_train, _add_model):
        family(verbs, places, json)
    _add_bench(verb("bench", "measure what SmoothTask does for this machine, beside loads that it starts"))
    _add_export(verb("export", "write the snapshot log to files"))
    _add_gnome_extension(
        verb("gnome-extension", "the GNOME Shell extension that tells which window is in focus", prints=False)
    )
    _add_completion(verb("completion", "print a completion script", prints=False))
    return parser


def _add_completion(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=("bash", "zsh"))


def _add_gnome_extension(command: argparse.ArgumentParser) -> None:
    text = "copy it to where your GNOME Shell finds it, or take it away"
    command.add_argument("what", choices=("install", "uninstall"), help=text)


def _places() -> argparse.ArgumentParser:
    """The flags that may stand before or after the command."""
    places = argparse.ArgumentParser(add_help=False)
    group = places.add_argument_group("places")
    for flag, metavar, text in (
        ("--config", "FILE", "the configuration (or SMOOTHTASK_CONFIG)"),
        ("--runtime-dir", "DIR", "socket, lock and ledger (or SMOOTHTASK_RUNTIME_DIR)"),
        ("--state-dir", "DIR", "pins and snapshots (or SMOOTHTASK_STATE_DIR)"),
        ("--scope", "CGROUP|UID", "manage this cgroup or user alone, or ask who does (or SMOOTHTASK_SCOPE)"),
    ):
        # Without a default, so that the command's parser does not overwrite what stood before the command.
        group.add_argument(flag, metavar=metavar, default=argparse.SUPPRESS, help=text)
    return places


def _add_observe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--observe", action="store_true", default=argparse.SUPPRESS, help="decide and show, apply nothing"
    )


def _add_class(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("class_name", metavar="CLASS", type=class_name, help=", ".join(CLASSES))


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "limits", "hold in whatever class it is; they need a unit or a cgroup of the application's own"
    )
    for flag, metavar, kind, text in (
        ("--cpu", "PERCENT", percent, "of one CPU: 150%% is one and a half"),
        ("--memory-high", "SIZE", size_bytes, "above this it is slowed and reclaimed, never killed"),
        ("--io-read", "SIZE", size_bytes, "bytes a second read from disks"),
        ("--io-write", "SIZE", size_bytes, "bytes a second written to disks"),
    ):
        group.add_argument(flag, metavar=metavar, type=kind, help=text)
    group.add_argument("--cpu-idle", action="store_true", help="only CPU that nobody else wants")


def _class_or_off(text: str) -> str | None:
    return None if text == "off" else class_name(text)


def _add_config(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    places: argparse.ArgumentParser,
    json: argparse.ArgumentParser,
) -> None:
    config = verbs.add_parser("config", help="check or show the configuration", allow_abbrev=False)
    what = config.add_subparsers(dest="what", metavar="check|show", required=True)
    for name, text in (("check", "say every error of the configuration"), ("show", "print the settings in force")):
        what.add_parser(name, help=text, description=text, parents=[places, json], allow_abbrev=False)


def _add_rules(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    places: argparse.ArgumentParser,
    json: argparse.ArgumentParser,
) -> None:
    rules = verbs.add_parser("rules", help="check, ask or list the rules", allow_abbrev=False)
    what = rules.add_subparsers(dest="what", metavar="lint|which|list|make", required=True)
    for name, text in (
        ("lint", "every broken, undefined, shadowed or unsafe rule"),
        ("which", "which rule wins for a process, and why"),
        ("list", "every rule in force"),
        ("make", "always treat an application so: a rule in your own layer, checked before it is saved"),
    ):
        verb = what.add_parser(name, help=text, description=text, parents=[places, json], allow_abbrev=False)
        if name in {"which", "make"}:
            verb.add_argument("target", metavar="PID|NAME")
        if name == "make":
            verb.add_argument("--class", dest="class_name", metavar="CLASS", type=class_name, required=True)
            verb.add_argument("--match", choices=MATCHES, help="by what to know it again (default: the most certain)")
            verb.add_argument(
                "--type", help="what kind of application it is (default: the one it has, or a fitting one)"
            )
            verb.add_argument("--dry-run", action="store_true", help="only show what the file would become")


def _add_train(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    places: argparse.ArgumentParser,
    json: argparse.ArgumentParser,
) -> None:
    text = "learn what a person waits for from recordings"
    train = verbs.add_parser("train", help=text, description=text, parents=[places, json], allow_abbrev=False)
    _add_ranker(train)
    what = train.add_subparsers(dest="what", metavar="data|record|report", title="instead of training")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return what.add_parser(name, help=text, description=text, parents=[places, json], allow_abbrev=False)

    text = "look for better settings in recordings, or measure some on this machine"
    _add_tune(verbs.add_parser("tune", help=text, description=text, parents=[places, json], allow_abbrev=False))
    record = verb("record", "run real programs in scenes, apply nothing, and record what happens")
    record.add_argument("--minutes", metavar="N", type=_minutes, required=True, help="how long, such as 10")
    record.add_argument("--out", metavar="FILE", required=True, help="the recording, a new snapshot log")
    record.add_argument("--seed", metavar="N", type=int, default=1, help="of the order and length of the scenes")
    record.add_argument("--labels", action="store_true", help="write down what the scenes' author means as labels")
    record.add_argument("--label-every", metavar="TIME", type=duration_s, default=15.0, help="how often (default 15s)")
    data = verb("data", "make a table to learn from, and say what is in it")
    data.add_argument(
        "sources", metavar="FILE", nargs="*", help="snapshot logs and tables (default: this machine's log)"
    )
    data.add_argument("--out", metavar="FILE", required=True, help="the table, as Parquet")
    _add_data(data)
    report = verb("report", "a page about recordings, what was learnt from them and what would change")
    report.add_argument("recordings", metavar="FILE", nargs="*", help="snapshot logs; without any, this machine's own")
    report.add_argument("--out", metavar="DIR", required=True, help="report.html, report.md and report.json go there")
    report.add_argument("--model", metavar="DIR", help="what the trainer wrote")
    report.add_argument("--proposal", metavar="FILE", help="what `smoothtask tune --out` wrote")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--test", dest="tested", metavar="FILE", action="append", default=[],
                        help="a log or table to measure on, and not to train on; repeatable")  # fmt: skip
    parser.add_argument("--every", metavar="TIME", type=duration_s, default=5.0,
                        help="one of the snapshots of so long, unless something changes (default 5s)")  # fmt: skip


def _add_ranker(train: argparse.ArgumentParser) -> None:
    train.add_argument("--from", dest="sources", metavar="FILE", action="append", default=[],
                       help="a snapshot log or a table; repeatable (default: this machine's own log)")  # fmt: skip
    _add_data(train)
    train.add_argument("--out", metavar="DIR", help="a new folder for the model, which is not put to use then")
    train.add_argument("--loss", choices=("QueryRMSE", "YetiRank", "PairLogit"), default="QueryRMSE")
    train.add_argument("--trees", metavar="N", type=_between(int, 1, 2000), default=300, help="at most (default 300)")
    train.add_argument("--depth", metavar="N", type=_between(int, 1, 10), default=5, help="of a tree (default 5)")
    train.add_argument("--rate", metavar="X", type=_between(float, 0.001, 1), default=0.08,
                       help="of learning (default 0.08)")  # fmt: skip
    train.add_argument("--search", metavar="N", type=_count, default=0, help="try N shapes by cross-validation first")
    train.add_argument("--seed", metavar="N", type=int, default=1, help="the same seed learns the same (default 1)")
    train.add_argument("--threads", metavar="N", type=_count, default=-1, help="CPUs to use (default all)")
    train.add_argument("--classifier", action="store_true",
                       help="train what tells kinds of processes by what they do, instead of the ranker")  # fmt: skip
    behind = train.add_argument_group("in the background")
    behind.add_argument("--now", action="store_true", help="begin behind this terminal, at idle priority, and return")
    behind.add_argument("--progress", action="store_true", help="say how far the training in the background is")
    behind.add_argument("--background", metavar="LOCK", type=int, help=argparse.SUPPRESS)


def _add_model(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    places: argparse.ArgumentParser,
    json: argparse.ArgumentParser,
) -> None:
    model = verbs.add_parser("model", help="the learned model in use", allow_abbrev=False)
    of_model = model.add_subparsers(dest="what", metavar="status|install|rollback|preview", required=True)
    learned = verbs.add_parser("learned", help="what your pins and labels have taught", allow_abbrev=False)
    of_learned = learned.add_subparsers(dest="what", metavar="list|forget", required=True)

    def verb(
        of: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
    ) -> argparse.ArgumentParser:
        return of.add_parser(name, help=text, description=text, parents=[places, json], allow_abbrev=False)

    verb(of_model, "status", "which one is installed, whether it may be used, and why not")
    install = verb(of_model, "install", "try a model out, keep a copy of it, and use it from now on")
    install.add_argument("directory", metavar="DIR", help="what the trainer wrote")
    verb(of_model, "rollback", "go back to the model before")
    preview = verb(of_model, "preview", "what a model would change now, and in what was recorded")
    preview.add_argument(
        "directory", metavar="DIR", nargs="?", help="what the trainer wrote; without it, the one in use"
    )
    preview.add_argument("--log", metavar="FILE", help="a snapshot log; without it, this machine's own")
    preview.add_argument("--last", metavar="TIME", type=duration_s, default=86400.0, help="so far back (default 1d)")
    verb(of_learned, "list", "what is learnt of each application, and in which situation")
    forget = verb(of_learned, "forget", "forget what you have taught of one application (as root: everybody)")
    forget.add_argument("app", metavar="APP", help="an app key, as `smoothtask learned list` shows it")


def _add_tune(tune: argparse.ArgumentParser) -> None:
    tune.add_argument("recordings", metavar="FILE", nargs="*", help="snapshot logs; without any, this machine's own")
    tune.add_argument("--last", metavar="TIME", type=duration_s, help="only snapshots of the last 10m, 2h, 7d, …")
    tune.add_argument("--trials", metavar="N", type=_count, default=100, help="settings to try (default 100)")
    tune.add_argument(
        "--reach", metavar="PERCENT", type=percent, default=30.0, help="how far from now at most (default 30%%)"
    )
    tune.add_argument("--seed", metavar="N", type=int, default=1, help="the same seed finds the same (default 1)")
    tune.add_argument("--out", metavar="FILE", help="write the proposal there, for --from")
    tune.add_argument("--from", dest="proposal", metavar="FILE", help="a proposal that was found before")
    tune.add_argument("--set", dest="values", metavar="SETTING=VALUE", action="append", type=_setting, default=[],
                      help="a candidate of your own, such as hysteresis.snapshots=2; repeatable")  # fmt: skip
    tune.add_argument("--apply", action="store_true", help="write it into the configuration; the old file is kept")
    live = tune.add_argument_group("measuring on this machine (needs root)")
    live.add_argument("--live", action="store_true", help="measure missed frames beside a load that is started for it")
    live.add_argument("--rounds", metavar="N", type=_count, default=4, help="blocks of each candidate (default 4)")
    live.add_argument("--seconds", metavar="N", type=float, default=12.0, help="length of a block (default 12)")


def _add_bench(bench: argparse.ArgumentParser) -> None:
    length = bench.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="some 80 seconds: four loads, short blocks (the default)")
    length.add_argument("--full", action="store_true", help="about ten minutes: every load, longer blocks")
    bench.add_argument("--scenario", dest="scenarios", metavar="NAME", action="append", default=[],
                       help="only this load, beside the idle machine; repeatable")  # fmt: skip
    bench.add_argument("--seed", metavar="N", type=int, default=1, help="of the order of the blocks (default 1)")
    bench.add_argument("--out", metavar="DIR", help="write report.json, report.md, report.html and PNGs there")
    bench.add_argument(
        "--use-daemon", action="store_true", help="pause and resume the daemon that runs, for its blocks"
    )


def _count(text: str) -> int:
    """A whole number from 1 on. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:9]) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def _between(kind: Callable[[str], N], low: float, high: float) -> Callable[[str], N]:
    """What reads a number from *low* to *high*. It raises ArgumentTypeError."""

    def read(text: str) -> N:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected a number from {low:g} to {high:g}, got {text[:40]!r}")
        return value

    return read


def _setting(text: str) -> tuple[str, float]:
    """`hysteresis.snapshots=2` → its name and its value. Raises ArgumentTypeError."""
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected such as hysteresis.snapshots=2, got {text!r}") from error


def _minutes(text: str) -> float:
    """`10` or `0.5`. Raises ArgumentTypeError."""
    return duration_s(f"{text}m" if text[-1:].isdigit() else text) / 60


def _add_export(export: argparse.ArgumentParser) -> None:
    export.add_argument("directory", metavar="DIR", help="where the files go, one for each table")
    export.add_argument("--format", choices=("parquet", "csv", "jsonl"), default="parquet")
    export.add_argument("--table", dest="tables", action="append", metavar="TABLE", help="only this one; repeatable")
    export.add_argument("--last", metavar="TIME", type=duration_s, help="only snapshots of the last 10m, 2h, 7d, …")
    export.add_argument("--force", action="store_true", help="replace files that exist")
