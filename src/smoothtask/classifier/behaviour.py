"""What processes do, whatever they are called (pure, one numpy pass for all of them).

A *hog* wants a CPU all the time (running or waiting for one) and gives it up only when pushed off:
between two voluntary sleeps it computes for tens of milliseconds. A *steady* process sleeps and wakes
many times a second and computes briefly each time, as a frame loop, an editor or a call does. Under
contention both may be using all they can get; the length of the bursts still tells them apart, and of several threads
those that hardly slept. Who starts one
short-lived child after another that compute as much together is a hog as well: a *storm*. So is a *crowd*: more
threads than any machine has CPUs for, whose bursts are short because they are in each other's way.

Who mostly waits for what it wants computes and starts less: that alone does not acquit it, and what it has done before
counts on for as long.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smoothtask.model.group import Behaviour
from smoothtask.model.tasks import Array

QUIET, STEADY, HOG = range(3)
STORM_SHARE = 0.4
"""So much of what makes a hog must short-lived children have used, at least."""
CROWD = 4.0
"""Threads that want a CPU for each there is, from which on they are counted together."""
AWAKE_SHARE, AWAKE_VCSW = 0.8, 30.0
"""Threads that hardly sleep make a hog when they are so much of it, and all together sleep less than a frame loop."""
CHILDREN_SHARE = 2.0
"""A storm's children use so much more than itself."""
NAMES = (Behaviour.QUIET, Behaviour.STEADY, Behaviour.HOG)

STATE_DTYPE = np.dtype(
    [
        ("key", "<u8"),  # `process_codes`
        ("hog_s", "<f4"),  # how long it has hogged without a break
        ("calm_s", "<f4"),  # how long it has not, since it last did
        ("steady_s", "<f4"),
        ("kind", "u1"),
        ("kind_s", "<f4"),  # how long it has been of this kind
    ],
)


@dataclass(frozen=True, slots=True)
class BehaviourLimits:
    """What counts as what."""

    hog_demand: float = 0.5
    """Cores used or waited for."""
    hog_burst_ms: float = 30.0
    """CPU time between two voluntary sleeps."""
    hog_window_s: float = 2.0
    calm_window_s: float = 4.0
    """A hog is one until it has behaved this long."""
    steady_vcsw: float = 5.0
    """Voluntary switches a second."""
    steady_window_s: float = 0.8


def process_codes(processes: Array) -> npt.NDArray[np.uint64]:
    """One number a process, unique while the machine is up: start time and pid (pid_max is 2^22)."""
    starts = processes["start_ticks"].astype(np.uint64)
    pids = processes["pid"].astype(np.uint64)
    return (starts << np.uint64(22)) | pids


def observe(
    before: Array | None,
    codes: npt.NDArray[np.uint64],
    rates: Array,
    ages_s: npt.NDArray[np.float32],
    elapsed_s: float,
    limits: BehaviourLimits,
    cpus: int = 1,
) -> Array:
    """The behaviour of each process after a tick of *elapsed_s* on so many *cpus*; rows as in *codes* and *rates*."""
    state, known = _carry_over(before, codes)
    # A process that is new has behaved as its first rates say for as long as it lives.
    span = np.where(known, np.float32(elapsed_s), np.minimum(ages_s, np.float32(10)))
    demand = rates["cpu"] + rates["wait"]
    sleeps = np.maximum(rates["vcsw"], np.float32(0.5))
    burst_ms = 1000 * rates["cpu"] / sleeps
    burst_ms = np.where(demand >= CROWD * cpus, burst_ms * demand, burst_ms)
    awake = rates["awake"] >= np.maximum(limits.hog_demand, AWAKE_SHARE * demand)
    awake &= rates["vcsw"] < AWAKE_VCSW
    hogging = awake | ((demand >= limits.hog_demand) & (burst_ms >= limits.hog_burst_ms))
    got = rates["cpu"] + rates["children"]
    waiting = rates["wait"] > got
    by_children = rates["children"] >= CHILDREN_SHARE * rates["cpu"]
    # What its children wait for is counted nowhere: of one that waits half of it is enough.
    least = np.where(waiting & by_children, limits.hog_demand / 2, limits.hog_demand)
    storming = ~hogging & (rates["children"] >= STORM_SHARE * least) & (demand + rates["children"] >= least)
    steady = ~hogging & ~storming & (rates["vcsw"] >= limits.steady_vcsw) & (burst_ms < limits.hog_burst_ms)

    was_hog = state["kind"] == HOG
    kept = was_hog & waiting & (demand >= least) & by_children & (rates["children"] > 0)

    # A long-lived child is counted all at once when it ends: one look at that proves nothing.
    span_of_hog = np.where(storming, np.minimum(span, np.float32(limits.hog_window_s / 2)), span)
    hogging |= storming
    hogged_s = np.where(waiting, np.clip(state["hog_s"], 0, limits.hog_window_s) - span, 0)
    state["hog_s"] = np.where(hogging, state["hog_s"] + span_of_hog, np.maximum(hogged_s, 0))
    state["calm_s"] = np.where(hogging | kept, 0, state["calm_s"] + span)
    state["steady_s"] = np.where(steady, state["steady_s"] + span, 0)
    is_hog = (state["hog_s"] >= limits.hog_window_s) | (was_hog & (state["calm_s"] < limits.calm_window_s))
    is_steady = ~is_hog & (state["steady_s"] >= limits.steady_window_s)
    kind = np.where(is_hog, HOG, np.where(is_steady, STEADY, QUIET)).astype(np.uint8)
    state["kind_s"] = np.where(kind == state["kind"], state["kind_s"], 0) + span
    state["kind"] = kind
    return state


def _carry_over(before: Array | None, codes: npt.NDArray[np.uint64]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The state of those seen before in the order of *codes*, zeros for the others; and who was seen."""
    state = np.zeros(len(codes), STATE_DTYPE)
    state["key"] = codes
    if before is None or not len(before):
        return state, np.zeros(len(codes), np.bool_)
    known = before[np.argsort(before["key"], kind="stable")]
    at = np.minimum(np.searchsorted(known["key"], codes), len(known) - 1)
    found = known["key"][at] == codes
    state[found] = known[at[found]]
    return state, found
