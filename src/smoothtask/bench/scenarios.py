"""What is run beside the probes, and for how long (pure)."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

PROBES = ("frames", "audio", "typing", "start")
"""Roles of `probes.py`."""


class Need(StrEnum):
    """What a scenario cannot do without."""

    COMPILER = "make and a C compiler (apt-get install make gcc libc6-dev)"
    MEMORY = "a memory limit (the memory controller of cgroups), which root alone may set"


@dataclass(frozen=True, slots=True)
class Load:
    """Processes of one role of `loads.py`. In *arguments*, `{folder}` is the stage's, `{jobs}` one more than CPUs."""

    role: str
    processes: int = 1
    per_cpu: int = 0
    """So many more processes for each CPU."""
    threads: int = 1
    """Of each process; 0: one for each CPU."""
    arguments: tuple[str, ...] = ()
    with_person: bool = False
    """From the shell in which the frames are drawn, not from a session of its own."""
    limited: bool = False
    """Within a memory limit."""

    def count(self, cpus: int) -> int:
        """How many processes."""
        return self.processes + self.per_cpu * cpus

    def threads_on(self, cpus: int) -> int:
        """Threads of each."""
        return self.threads or cpus


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load."""

    name: str
    text: str
    loads: tuple[Load, ...] = ()
    needs: frozenset[Need] = frozenset()
    quick: bool = False
    """Part of the short run."""


_BUILD = Load("build", arguments=("{folder}/project", "{jobs}"))
_ENCODER = Load("encode", threads=0, arguments=("{folder}/home",))
_DISK = Load("disk", processes=4, arguments=("{folder}/blocks",))

IDLE = Scenario("idle", "nothing else runs", quick=True)
SCENARIOS: tuple[Scenario, ...] = (
    IDLE,
    Scenario("compile", "make -j of C, in a terminal of its own", (_BUILD,), frozenset({Need.COMPILER}), quick=True),
    Scenario(
        "terminal",
        "three unknown programs a CPU that compute, from the shell in which the frames are drawn",
        (Load("threads", processes=0, per_cpu=3, with_person=True),),
        quick=True,
    ),
    Scenario("encode", "an encoder: a thread a CPU that computes, and a file that grows", (_ENCODER,)),
    Scenario("threads", "one program of 64 threads that compute", (Load("threads", threads=64),), quick=True),
    Scenario("sessions", "six unknown programs that compute, each in a session of its own", (Load("threads", 6),)),
    Scenario("forks", "programs that are started and end at once, two a CPU", (Load("storm", 0, per_cpu=2),)),
    Scenario("disk", "four programs that read and write here and there on a disk", (_DISK,)),
    Scenario(
        "memory",
        "a program that needs more memory than it may have",
        (Load("memory", arguments=("{folder}/blocks", str(64 << 20)), limited=True),),
        frozenset({Need.MEMORY}),
    ),
    Scenario(
        "mix",
        "a build, an encoder, the disk and short-lived programs at once",
        (_BUILD, _ENCODER, _DISK, Load("storm")),
        frozenset({Need.COMPILER}),
        quick=True,
    ),
)
MEMORY_LIMIT_BYTES = 128 << 20

ON, OFF = "on", "off"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of each part of a scenario."""

    warm_s: float
    """From the beginning of the load to the first block, with SmoothTask on."""
    settle_s: float
    """From a switch to what is counted."""
    block_s: float
    rounds: int
    """Blocks of each arm."""
    around_s: float = 1.6
    """Starting and ending the programs."""

    def seconds(self, arms: int) -> float:
        """What one scenario takes, about."""
        return self.around_s + self.warm_s + arms * self.rounds * (self.settle_s + self.block_s)


# Rounds tell more than seconds: intervals come from how they differ (`stats.py`).
QUICK = Pace(warm_s=3.0, settle_s=0.7, block_s=0.8, rounds=4)
FULL = Pace(warm_s=5.0, settle_s=1.5, block_s=3.0, rounds=6)


def order(rounds: int, arms: Sequence[str], chance: random.Random) -> list[str]:
    """The arm of each block: each arm once a round, in an order drawn by lot."""
    blocks = []
    for _ in range(rounds):
        blocks += chance.sample(arms, len(arms))
    return blocks
