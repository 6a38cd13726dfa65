"""Every figure of the project, measured here, into docs/performance.md: `make bench`.

    sudo .venv/bin/python bench/all.py [--only NAME …] [--quick] [--out FILE]

Runs each benchmark of this folder, one after the other, and `smoothtask bench`; a figure that is not reached is shown
as that, and so is a benchmark that could not be run. --only: these alone (`frames`, `smoothtask-bench`, …), while
what is known of the others stays, each with its date, if it was measured on this machine; --only without a name
writes the page anew and runs nothing. --quick: the short `smoothtask bench`. What was measured is kept beside the page,
in a file of the same name that ends in .json.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness import FIGURES, SKIPPED, log
from smoothtask.bench.document import Block, Code, Heading, Paragraph, Table, to_markdown
from smoothtask.bench.machine import describe
from smoothtask.bench.show import number

HERE = Path(__file__).parent
NO_BENCHMARKS = {"all", "harness", "soak"}
"""The last takes an hour, and its outcome is no figure (docs/reliability.md)."""
OWN = "smoothtask-bench"
MARK = "SMOOTHTASK_BENCHMARK"
LIMIT_S = 1800.0
TITLE = "Performance"
SAME = ("CPU", "memory", "kernel", "system", "cgroups", "autogroups")
"""What makes two machines one, as far as figures are concerned."""
PASSING = ("date", "load before")
"""What is of a moment, and shown with each benchmark."""
TOOLS = ("gcc", "make", "htop", "btop", "glances", "pipewire", "sway")


@dataclass
class Ran:
    """One benchmark."""

    name: str
    command: str
    status: int
    output: str
    seconds: float
    figures: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] | None = None
    """Of `smoothtask bench`."""
    at: str = ""
    """When."""
    machine: dict[str, str] = field(default_factory=dict)
    """Where, as it was just before."""


def end_what_is_left(name: str) -> None:
    """What a benchmark has not ended would be measured by the next one; it is known by its environment."""
    for process in psutil.process_iter(["environ", "name"]):
        if (process.info["environ"] or {}).get(MARK) == name:
            log(f"{name} left {process.info['name']} ({process.pid}) behind: it is ended")
            with suppress(psutil.NoSuchProcess):
                process.kill()


def run(name: str, quick: bool, under: list[str]) -> Ran:
    """Run one benchmark to its end, and show what it said."""
    if name == OWN:
        shown = f"smoothtask bench {'--quick' if quick else '--full'} --json"
        words = [sys.executable, "-m", *shown.split()]
    else:
        shown, words = f"bench/{name}.py", [sys.executable, "-u", str(HERE / f"{name}.py")]
    log(f"== {shown}")
    machine = {**describe(), **versions()}
    begun = time.monotonic()
    with tempfile.NamedTemporaryFile("r", prefix="smoothtask-figures-", suffix=".jsonl") as figures:
        environment = {**os.environ, FIGURES: figures.name, MARK: name}
        try:
            errors = None if name == OWN else subprocess.STDOUT  # its progress is for who looks on
            done = subprocess.run(
                [*under, *words], env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=LIMIT_S,
                check=False,
            )  # fmt: skip
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            status, output = -1, f"{(error.stdout or b'').decode(errors='replace')}\nnot done within {LIMIT_S:g} s"
        found = [json.loads(line) for line in figures]
    end_what_is_left(name)
    ran = Ran(name, shown, status, output.replace(f"{HERE.parent}/", ""), time.monotonic() - begun, found)
    ran.at, ran.machine = machine["date"], machine
    if name == OWN and status == 0:
        ran.report = json.loads(output)
        ran.figures = list(own_figures(ran.report))
    log("" if name == OWN else ran.output)
    return ran


def own_figures(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The promises of `smoothtask bench`, as the other benchmarks write theirs."""
    for outcome in report["outcomes"]:
        for check in outcome["checks"]:
            named = f"{outcome['name']}: {check['name']}"
            yield {"kind": "verdict", "name": named, **{k: check[k] for k in ("value", "limit", "unit", "holds")}}


def benefit(ran: Ran, report: dict[str, Any]) -> list[Block]:
    """What `smoothtask bench` says, in short."""
    rows = []
    for o in report["outcomes"]:
        if o["skipped"]:
            rows.append((o["name"], o["text"], "not run", o["skipped"], "", "", "", "", ""))
        elif set(o["arms"]) == {"on", "off"}:
            off, on = o["arms"]["off"], o["arms"]["on"]
            done = [f"{role} {number(off['work'][role])} → {number(on['work'][role])}" for role in off["work"]]
            rows.append(
                (
                    o["name"],
                    o["text"],
                    f"{value(off['missed'])} → {value(on['missed'])} %",
                    interval(o["missed_change"]),
                    "–" if not off["frame"] else f"{off['frame']['p99']:.1f} → {on['frame']['p99']:.1f} ms",
                    f"{value(off['broken'], 2)} → {value(on['broken'], 2)} %",
                    interval(o.get("sound_change"), 2),
                    ", ".join(done) or "–",
                    f"{value(o['lost_pct'])} % ({interval(o['lost_pct'])})" if o["lost_pct"] else "–",
                )
            )
    head = (
        "load", "what it is", "frames missed, off → on", "points, 95 %", "frame p99, off → on",
        "sound periods missed, off → on", "points, 95 %", "done a second, off → on", "lost of what the CPU left allows",
    )  # fmt: skip
    notes = [Paragraph(note) for note in (f"{ran.command}, {ran.at}:", report["verdict"], *report["notes"])]
    return [Heading("What it is for"), *notes, Table(head, rows)]


def value(estimate: dict[str, Any] | None, digits: int = 1) -> str:
    """Of an estimate, where there is one."""
    return "–" if estimate is None or estimate["value"] is None else f"{estimate['value']:.{digits}f}"


def interval(estimate: dict[str, Any] | None, digits: int = 1) -> str:
    """`-1.2 to +0.3`; of too few rounds none."""
    if estimate is None or estimate["low"] is None or estimate["high"] is None:
        return "–"
    return f"{estimate['low']:+.{digits}f} to {estimate['high']:+.{digits}f}"


def beside(ran: Ran) -> list[Block]:
    """What others cost; nothing where nobody was measured."""
    peers = [f for f in ran.figures if f["kind"] == "peer"]
    if not peers:
        return []
    own = next(p["cpu_pct"] for p in peers if p["name"] == "SmoothTask daemon")
    rows = [
        (
            p["name"],
            "at once" if p.get("together", True) else "afterwards",
            f"{p['cpu_pct']:.2f} %",
            f"{p['cpu_pct'] / max(own, 1e-9):.1f}",
            f"{p['rss_mib']:.0f}",
            p["version"],
        )
        for p in peers
    ]
    text = (
        f"{ran.command}, {ran.at}: monitors and priority daemons that were there, beside the same 1,000 processes; all "
        "at once, in the same seconds, and afterwards the daemon with a dashboard attached, while the others go on."
    )
    head = ("program", "measured", "of a core", "× the daemon", "MiB", "version")
    return [Heading("Beside others"), Paragraph(text), Table(head, rows)]


def not_measured(ran: list[Ran], missing: list[str]) -> Iterator[tuple[str, str]]:
    """(what, why): what failed, what cannot be measured on this machine, and what was not asked for."""
    for r in ran:
        if r.status != 0 and not any(f["kind"] == "verdict" and not f["holds"] for f in r.figures):
            yield r.command, last_line(r.output)
        for outcome in [] if r.report is None else r.report["outcomes"]:
            if outcome["skipped"]:
                yield f"{r.command}: {outcome['name']}", outcome["skipped"]
    for name in missing:
        yield name, "not asked for"


def page(ran: list[Ran], missing: list[str]) -> list[Block]:
    """docs/performance.md."""
    figures = [(r, f) for r in ran for f in r.figures if f["kind"] == "verdict"]
    failed = [f for _, f in figures if not f["holds"]]
    blocks: list[Block] = [
        Paragraph(
            "Every figure that the project promises, measured on one machine, each benchmark when the table says. make "
            "bench measures yours and writes this page anew. Read ratios rather than absolute values, and compare "
            "within one benchmark: machines differ, and are noisy."
        ),
        Paragraph(f"{len(figures) - len(failed)} of {len(figures)} figures are reached.", note=bool(failed)),
        Table(
            ("figure", "measured", "promised", "of the promised", "", "command", "when"),
            [(*row(r, f), r.at) for r, f in figures],
        ),
    ]
    blocks += [b for r in ran if r.report is not None for b in benefit(r, r.report)]
    blocks += [b for r in ran for b in beside(r)]
    if rows := list(not_measured(ran, missing)):
        blocks += [Heading("Not measured"), Table(("what", "why"), rows)]
    newest = max(ran, key=lambda r: r.at).machine if ran else {}
    blocks += [Heading("The machine")]
    blocks += [Table(("", ""), [(name, text) for name, text in newest.items() if name not in PASSING])]
    blocks += [Heading("What each said")]
    for r in ran:
        if r.name != OWN:
            load = f", load before {r.machine['load before']}" if "load before" in r.machine else ""
            said = f"{r.command}, {r.at}, {r.seconds:.0f} s{load}"
            blocks += [Paragraph(said), Code(r.output.strip() or "(nothing)")]
    return blocks


def row(ran: Ran, figure: dict[str, Any]) -> tuple[str, ...]:
    """One figure."""
    value, limit, unit = figure["value"], figure["limit"], figure["unit"]
    if value is None:
        return figure["name"], "not measured", f"≤ {limit:.3g}{unit}", "", "FAILED", ran.command
    share = f"{100 * value / limit:.0f} %" if limit else ""
    word = "ok" if figure["holds"] else "FAILED"
    return figure["name"], f"{value:.3g}{unit}", f"≤ {limit:.3g}{unit}", share, word, ran.command


def elsewhere(known: Iterable[Ran], machine: dict[str, str]) -> list[str]:
    """What was measured on another machine than this one, and how that differs."""
    return [
        f"{r.name}: {', '.join(f'{n} was {r.machine.get(n)!r}, is {machine[n]!r}' for n in differing)}"
        for r in known
        if (differing := [n for n in SAME if r.machine.get(n) != machine[n]])
    ]


def last_line(text: str) -> str:
    """What it ended with."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def versions() -> dict[str, str]:
    """Of what is used beside SmoothTask."""
    found = {}
    for tool in TOOLS:
        if shutil.which(tool) and shutil.which("dpkg-query"):
            words = ["dpkg-query", "-W", "-f", "${Version}", tool]
            said = subprocess.run(words, capture_output=True, text=True, check=False)
            found[tool] = said.stdout.strip() or "there"
    return found


def main() -> None:
    """Run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*sorted(p.stem for p in HERE.glob("*.py") if p.stem not in NO_BENCHMARKS), OWN]
    parser.add_argument("--only", metavar="NAME", nargs="*", choices=names, help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="the short `smoothtask bench`")
    parser.add_argument(
        "--under", default="", metavar="COMMAND", help="run each by this, such as `flock FILE` or `chrt`"
    )
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs/performance.md", help="the page")
    options = parser.parse_args()
    in_part = options.only is not None
    chosen = options.only if in_part else names
    kept = options.out.with_suffix(".json")
    known = {r["name"]: Ran(**r) for r in json.loads(kept.read_text())} if in_part and kept.exists() else {}
    if others := elsewhere((r for name, r in known.items() if name not in chosen), describe()):
        told = "\n  ".join(others)
        sys.exit(f"{kept} has figures of another machine: leave out --only, or name another --out\n  {told}")
    ran = [run(name, options.quick, shlex.split(options.under)) for name in chosen]
    known |= {r.name: r for r in ran}
    shown = [known[name] for name in names if name in known]
    kept.write_text(json.dumps([asdict(r) for r in shown], indent=1) + "\n")
    options.out.write_text(to_markdown(TITLE, page(shown, [n for n in names if n not in known])))
    log(f"{options.out} and {kept.name} are written")
    sys.exit(1 if any(r.status not in {0, SKIPPED} for r in ran) else 0)


if __name__ == "__main__":
    main()
