"""Runs scenarios: programs on a stage, SmoothTask switched on and off beside them, and what was measured."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from smoothtask.bench.guard import FolderError
from smoothtask.bench.results import Block, Measured
from smoothtask.bench.scenarios import OFF, ON, PROBES, Pace, Scenario, order
from smoothtask.bench.stage import COMPLAINTS_BYTES, WORK, read_complaints, read_counters, read_rows
from smoothtask.bench.stats import parse_rows
from smoothtask.bench.terminal import User
from smoothtask.kernel.powercap import EnergyCounter, joules_between, read_energy
from smoothtask.model.text import sanitise

END_LIMIT_S = 30.0
Tell = Callable[[str], None]


class BenchError(Exception):
    """Nothing can be measured; the text is a sentence for a person."""


@dataclass(slots=True)
class Helper:
    """A process of ours that is told by lines, answers by lines, and ends with its input."""

    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, module: str, *arguments: str) -> "Helper":
        """In a session of its own: a Ctrl-C is for us, and we end it."""
        # -P: nothing is imported from the current directory, which may be anybody's.
        words = [sys.executable, "-P", "-m", module, *arguments]
        pipe = subprocess.PIPE
        return cls(subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True))

    def hear(self) -> str:
        """The next line. Raises BenchError with its last words when there is none."""
        assert self.process.stdout is not None  # noqa: S101 - as it was started
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(self._last_words())
        return line.strip()

    def ask(self, word: str) -> str:
        """Say a word, and hear the answer. Raises BenchError."""
        assert self.process.stdin is not None  # noqa: S101
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise BenchError(self._last_words()) from error
        return self.hear()

    def close(self) -> None:
        """End its input, and wait for its end."""
        assert self.process.stdin is not None  # noqa: S101
        assert self.process.stdout is not None  # noqa: S101
        assert self.process.stderr is not None  # noqa: S101
        try:
            self.process.stdin.close()
            self.process.wait(END_LIMIT_S)
        except BrokenPipeError:
            self.process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def _last_words(self) -> str:
        assert self.process.stderr is not None  # noqa: S101
        self.process.wait(END_LIMIT_S)
        said = self.process.stderr.read().strip()
        return said[-1000:] or f"{self.process.args!r} ended with status {self.process.returncode}"


@dataclass(slots=True)
class Clock:
    """Tells what is done, and how long all of it will take."""

    total_s: float
    tell: Tell
    began_s: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """*text*, with the time left."""
        left_s = max(0.0, self.began_s + self.total_s - time.monotonic())
        self.tell(f"{text}, {left_s // 60:.0f}:{left_s % 60:02.0f} left")


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as whom the programs run."""

    folder: Path
    user: User | None

    @property
    def work(self) -> Path:
        """Where they write."""
        return self.folder / WORK


def measure(
    scenarios: Sequence[Scenario],
    pace: Pace,
    place: Place,
    switch: Helper | None,
    seed: int = 1,
    tell: Tell = lambda _text: None,
) -> Iterator[Measured]:
    """Each scenario, one after the other; without *switch* nothing is ever on. Raises BenchError."""
    arms = (ON, OFF) if switch is not None else (OFF,)
    own = None if switch is None else int(_told(switch, "who"))
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    clock = Clock(pace.seconds(len(arms)) * len(scenarios), tell)
    for number, scenario in enumerate(scenarios, 1):
        named = f"{scenario.name} ({number} of {len(scenarios)})"
        clock.say(f"{named}: starting")
        begun_s = time.monotonic()
        with _stage(scenario, place) as (stage, started):
            watched = _Watched(place.work, stage.process.pid, own, started)
            if switch is not None:
                _told(switch, f"root {stage.process.pid}")
                _told(switch, ON)
            time.sleep(pace.warm_s)
            blocks = []
            turns = order(pace.rounds, arms, chance)
            for turn, arm in enumerate(turns, 1):
                clock.say(f"{named}: block {turn} of {len(turns)}, SmoothTask {arm}")
                if switch is not None:
                    _told(switch, arm)
                time.sleep(pace.settle_s)
                blocks.append(_block(arm, pace.block_s, watched))
            if switch is not None:
                _told(switch, OFF)
            stage.ask("end")
            rows = {role: parse_rows(read_rows(place.work, role)) for role in PROBES}
        yield Measured(scenario, tuple(blocks), rows, time.monotonic() - begun_s)


@dataclass(frozen=True, slots=True)
class _Started:
    """See `stage.Started`."""

    probes: Mapping[str, int]
    work: Mapping[str, tuple[int, int]]
    workers: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class _Watched:
    """Whose CPU is counted."""

    folder: Path
    root: int
    """Pid of the stage."""
    own: int | None
    """Pid of SmoothTask, whose children are its own as well."""
    started: _Started


@contextmanager
def _stage(scenario: Scenario, place: Place) -> Iterator[tuple[Helper, _Started]]:
    user = [] if place.user is None else ["--uid", str(place.user.uid), "--gid", str(place.user.gid)]
    arguments = ("--scenario", scenario.name, "--folder", str(place.folder), "--parent", str(os.getpid()))
    stage = Helper.start("smoothtask.bench.stage", *arguments, *user)
    try:
        said = json.loads(stage.hear())
        work = {role: (first, n) for role, (first, n) in said["work"].items()}
        yield stage, _Started(said["probes"], work, said["workers"])
    except FolderError as error:
        raise BenchError(str(error)) from error
    finally:
        stage.close()


def _told(switch: Helper, word: str) -> str:
    """What is said after `ok`. Raises BenchError."""
    answer = switch.ask(word)
    if not answer.startswith("ok"):
        raise BenchError(answer)
    return answer.removeprefix("ok").strip()


def _block(arm: str, seconds: float, watched: _Watched) -> Block:
    before, begin = read_counters(watched.folder), _used(watched)
    time.sleep(seconds)
    after, end = read_counters(watched.folder), _used(watched)
    took_s = end.at_s - begin.at_s
    joules = joules_between(begin.energy, end.energy)
    return Block(
        arm,
        begin.at_s,
        end.at_s,
        work={
            role: (sum(after[first : first + n]) - sum(before[first : first + n])) / took_s
            for role, (first, n) in watched.started.work.items()
        },
        probe_cores=(end.probes_s - begin.probes_s) / took_s,
        other_cores=max(0.0, end.others_s - begin.others_s) / took_s,
        own_cores=max(0.0, end.own_s - begin.own_s) / took_s,
        watts=None if joules is None else joules / took_s,
        cores={role: max(0.0, used_s - begin.loads_s[role]) / took_s for role, used_s in end.loads_s.items()},
    )


class _Used(NamedTuple):
    """CPU seconds so far."""

    at_s: float
    """CLOCK_MONOTONIC."""
    probes_s: float
    loads_s: Mapping[str, float]
    """Of each role."""
    own_s: float
    """Of SmoothTask."""
    others_s: float
    """Of everybody else who is not below the stage, and what a hypervisor took."""
    energy: tuple[EnergyCounter, ...]


def _used(watched: _Watched) -> _Used:
    """Raises BenchError when a program that is to run has ended, or SmoothTask has."""
    machine, started = psutil.cpu_times(), watched.started
    busy_s = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
    roles = {pid: role for role, pids in started.workers.items() for pid in pids}
    roles |= {pid: role for role, pid in started.probes.items()}
    parents, seconds = _below(watched.root)
    for pid, role in roles.items():
        if pid not in seconds:
            said = sanitise(read_complaints(watched.folder), COMPLAINTS_BYTES)
            raise BenchError(f"{role} has ended: {said or 'it says nothing of why'}")
    used_s = _by_role(parents, seconds, roles)
    probes_s = sum(used_s[role] for role in started.probes)
    loads_s = {role: used_s.get(role, 0.0) for role in started.workers}
    own_s = _own_s(watched.own)
    others_s = busy_s - sum(used_s.values()) - own_s
    return _Used(time.monotonic(), probes_s, loads_s, own_s, others_s, read_energy())


def _own_s(pid: int | None) -> float:
    """CPU seconds of SmoothTask and its children. Raises BenchError."""
    if pid is None:
        return 0.0
    try:
        return sum(_below(pid)[1].values())
    except psutil.NoSuchProcess as error:
        raise BenchError("SmoothTask has ended while it was measured") from error


def _below(root: int) -> tuple[dict[int, int], dict[int, float]]:
    """Of the process *root* and all below it: parents, and CPU seconds. Raises NoSuchProcess when *root* has ended."""
    first = psutil.Process(root)
    parents, seconds = {root: 0}, {root: _with_ended_s(first)}
    for child in first.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            parents[child.pid], seconds[child.pid] = child.ppid(), _with_ended_s(child)
    return parents, seconds


def _by_role(parents: Mapping[int, int], seconds: Mapping[int, float], roles: Mapping[int, str]) -> dict[str, float]:
    """CPU seconds by the role of the nearest one up that has one, else "".

    What has ended counts for whoever waited for it.
    """
    totals: dict[str, float] = {}
    for pid, used_s in seconds.items():
        above = pid
        while above not in roles and above in parents:
            above = parents[above]
        role = roles.get(above, "")
        totals[role] = totals.get(role, 0.0) + used_s
    return totals


def _with_ended_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
