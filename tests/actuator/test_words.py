"""The ledger's entries in words, for people."""

from smoothtask.actuator.ledger import UNSET, Entry
from smoothtask.actuator.words import kept_values
from smoothtask.model.change import (
    Caps,
    ControllersTarget,
    HomeTarget,
    IoPrio,
    Knob,
    SchedAttr,
    Target,
    UnitTarget,
)

OLD, NEW = SchedAttr(0, 0, 0, reset_on_fork=False), SchedAttr(0, 19, 0, reset_on_fork=True)


def thread(tid: int, at: int, **more: object) -> Entry:
    """A thread at nice 19."""
    values = {"knob": Knob.SCHED, "target": Target(10, 1000, tid, tid), "old": OLD, "new": NEW, **more}
    return Entry(group="g", why="it hogs", sid=10, at_ticks=at, **values)  # type: ignore[arg-type]


def test_threads_alike_are_one_and_the_newest_comes_first() -> None:
    """Times are Unix time: 5,000 ticks are 50 s."""
    io = thread(12, 900, knob=Knob.IOPRIO, old=IoPrio(0, 0), new=IoPrio(3, 7))
    first, second = kept_values([thread(10, 300), io, thread(11, 400)], 1_000_000.0, 5000)
    assert (first.what, first.old, first.new, first.at) == (
        "IO priority of thread 12", "ionice none", "ionice idle", 1_000_000.0 - 41.0,
    )  # fmt: skip
    assert (second.what, second.old, second.new) == (
        "scheduling of 2 threads", "nice 0", "nice +19, not inherited by children",
    )  # fmt: skip
    assert (second.at, second.why) == (1_000_000.0 - 46.0, "it hogs")


def test_other_kinds_are_said_each_by_its_own() -> None:
    """Units, disks, sessions, cgroups and controllers; hostile names are made safe."""
    entries = [
        thread(0, 1, knob=Knob.AUTOGROUP, old=0, new=19),
        thread(0, 2, knob=Knob.UNIT, target=UnitTarget(-1, "a\x1b.scope", "CPUWeight", "/a"), old=UNSET, new=25),
        thread(0, 3, knob=Knob.UNIT, target=UnitTarget(-1, "b.scope", "IOReadBandwidthMax", "/b"), old=Caps(),
               new=Caps((("/dev/sda", 5000),))),
        thread(0, 4, knob=Knob.HOME, target=HomeTarget("/ours", "/theirs", 5, -1, ""), old="/theirs", new="/ours"),
        thread(0, 5, knob=Knob.CONTROLLERS, target=ControllersTarget("/", 1, "cpu io"), old="", new="cpu io"),
    ]  # fmt: skip
    said = [(k.what, k.old, k.new) for k in reversed(kept_values(entries, 0.0, 10))]
    assert said == [
        ("autogroup of the session of process 10", "nice +0", "nice +19"),
        ("CPUWeight of a\ufffd.scope", "not set", "25"),
        ("IOReadBandwidthMax of b.scope", "not set", "/dev/sda 5000 B/s"),
        ("cgroup of its processes", "/theirs", "/ours"),
        ("controllers below /", "without cpu io", "with cpu io"),
    ]
