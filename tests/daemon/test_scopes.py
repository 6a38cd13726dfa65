"""Real daemons with scopes: side by side when apart, refused when not, and a killed one is in nobody's way."""

import json
import os
from dataclasses import replace

import pytest

from daemon.places import NOBODY, Place, hogs_of, nices, until
from smoothtask.config.paths import Paths, find_paths
from smoothtask.daemon.restoring import restore_all

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change priorities"),
]
OTHER = 12345


def test_daemons_with_scopes_apart_run_side_by_side_and_touch_their_own_alone(place: Place) -> None:
    """One lowers nobody's hogs; the other one has nothing to do, and leaves them and everybody else alone."""
    hogs, others = hogs_of(NOBODY, place), hogs_of(1, place)
    first = place.start("nobody", str(NOBODY))
    second = place.start("other", str(OTHER))
    assert until(lambda: min(nices(hogs)) > 0)
    assert nices(others) == {0}
    shown = place.groups("other", str(OTHER))
    assert {g["decision"]["rule"] for g in _first_reasons(shown)} == {"scope"}
    status = place.run("status", *place.options("nobody", str(NOBODY)))
    assert f"scope       uid {NOBODY}\n" in status.stdout
    second.terminate()
    assert second.wait(30) == 0
    assert min(nices(hogs)) > 0, "the other one's end changes nothing here"
    first.terminate()
    assert first.wait(30) == 0
    assert nices(hogs) == {0}
    assert [p.name for p in (place.root / "held").iterdir()] == ["registry"]


def _first_reasons(shown: list[dict[str, object]]) -> list[dict[str, dict[str, object]]]:
    """The reason that decided each group, in place of its decision."""
    return [{"decision": g["decision"]["reasons"][0]} for g in shown]  # type: ignore[index]


def test_an_overlapping_daemon_is_refused_and_told_what_to_do(place: Place) -> None:
    """Also the whole machine's; one that only observes is welcome."""
    first = place.start("nobody", str(NOBODY))
    for scope, words in ((None, "the whole machine"), ("nobody", f"uid {NOBODY}")):
        refused = place.run("daemon", *place.options("second", scope))
        assert refused.returncode == 1
        assert refused.stderr == (
            f"smoothtask: the SmoothTask with pid {first.pid} ({place.root}/nobody) manages uid {NOBODY}, which "
            f"overlaps with {words}: stop that one, or give both scopes that have no process in common "
            "(--scope CGROUP|UID)\n"
        )
    place.start("second", None, "--observe")
    doctor = place.run("doctor", *place.options("second", None))
    assert f"scope: uid {NOBODY} is managed by pid {first.pid} ({place.root}/nobody)\n" in doctor.stdout


def test_a_killed_daemon_is_in_nobodys_way_and_what_it_changed_is_told(place: Place) -> None:
    """The next one may have another scope: it cannot put back what is in another one's ledger, but says so."""
    hogs = hogs_of(NOBODY, place)
    first = place.start("nobody", str(NOBODY))
    assert until(lambda: min(nices(hogs)) > 0)
    first.kill()
    first.wait()
    advice = f"smoothtask --runtime-dir {place.root}/nobody restore"
    assert advice in place.run("doctor", *place.options("whole", None)).stdout
    place.start("other", str(OTHER))
    frame = json.loads(place.run("status", "--json", *place.options("other", str(OTHER))).stdout)
    assert any(advice in event["text"] for event in frame["events"])
    assert advice in place.run("doctor", *place.options("whole", None)).stdout, "also once another one has started"
    assert restore_all(_whole(place)).whole
    assert nices(hogs) == {0}
    assert advice not in place.run("doctor", *place.options("whole", None)).stdout


def _whole(place: Place) -> Paths:
    """As of a plain `smoothtask restore`."""
    named = find_paths(runtime_dir=f"{place.root}/whole", state_dir=f"{place.root}/whole-state")
    return replace(named, runtime_named=False, held=place.root / "held")


def test_a_plain_restore_puts_back_what_any_dead_daemon_left(place: Place) -> None:
    """And leaves alone what a living one does."""
    ours, others = hogs_of(NOBODY, place), hogs_of(OTHER, place)
    dead, _living = place.start("nobody", str(NOBODY)), place.start("other", str(OTHER))
    assert until(lambda: min(nices(ours) | nices(others)) > 0, 60)
    dead.kill()
    dead.wait()
    assert any(line.startswith(f"uid {NOBODY}: restored: ") for line in restore_all(_whole(place)).said)
    assert nices(ours) == {0}
    assert min(nices(others)) > 0


@pytest.mark.parametrize("scope", ["/no/such/cgroup", "no-such-user"])
def test_a_scope_that_is_not_there_is_a_wrong_command_line(place: Place, scope: str) -> None:
    """And nothing was made."""
    refused = place.run("daemon", "--observe", *place.options("x", scope))
    assert refused.returncode == 2
    assert refused.stderr.startswith("smoothtask: --scope: ")
    assert "there is no such" in refused.stderr
