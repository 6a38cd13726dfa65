"""A real daemon with a real model: in use, moved by labels at once, tampered with, and back to the rules."""

import os
from pathlib import Path

import pytest

from daemon.places import NOBODY, Place, hogs_of, nices, until
from smoothtask.config.bundle import TREES
from smoothtask.kernel import sched

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change priorities"),
]
SCOPE = str(NOBODY)


@pytest.fixture
def installed(place: Place) -> Path:
    """The state directory of the daemon `hybrid`, with a model."""
    for name in ("catboost", "onnx"):
        pytest.importorskip(name, reason="needs the trainer's libraries")
    from trainer.bundles import tiny_bundle

    tiny_bundle(place.root / "bundle")
    done = place.run("model", "install", str(place.root / "bundle"), *place.options("hybrid", SCOPE))
    assert done.returncode == 0, done.stderr
    return place.root / "hybrid-state"


def says(place: Place, line: str) -> bool:
    return line in place.run("status", *place.options("hybrid", SCOPE)).stdout


def test_a_daemon_uses_its_model_follows_labels_and_falls_back_to_the_rules(place: Place, installed: Path) -> None:
    options = place.options("hybrid", SCOPE)
    daemon = place.start("hybrid", SCOPE)
    assert until(lambda: says(place, "model       model "))
    assert until(lambda: says(place, ", hybrid\n"))
    hogs = hogs_of(NOBODY, place)
    assert until(lambda: min(nices(hogs)) > 0)
    told = place.run("explain", str(hogs[0]), *options).stdout
    assert "before anything is known" in told
    assert "[hog]" in told

    for _ in range(3):
        done = place.run("label", str(hogs[0]), "INTERACTIVE", *options)
        assert done.returncode == 0, done.stderr
    assert until(lambda: max(nices(hogs)) <= 0), place.run("explain", str(hogs[0]), *options).stdout
    assert "learnt from 3 of the administrator's labels" in place.run("explain", str(hogs[0]), *options).stdout
    listed = place.run("learned", "list", *options).stdout
    assert "unattended, somebody waits" in listed
    app = listed.splitlines()[1].split("  ")[0]
    assert place.run("learned", "forget", app, *options).returncode == 0
    assert until(lambda: min(nices(hogs)) > 0)

    with (installed / "models" / "current" / TREES).open("r+b") as file:
        file.seek(500)
        file.write(b"7")
    assert until(lambda: says(place, f"off: {TREES}: is not the file"))
    assert until(lambda: says(place, ", rules-only\n"))  # with the next look
    assert min(nices(hogs)) > 0
    daemon.terminate()
    assert daemon.wait(30) == 0
    assert nices(hogs) == {0}


def test_lessons_outlive_the_daemon_and_a_killed_one_puts_its_new_model_aside(place: Place, installed: Path) -> None:
    options = place.options("hybrid", SCOPE)
    hogs = hogs_of(NOBODY, place)
    first = place.start("hybrid", SCOPE)
    assert until(lambda: min(nices(hogs)) > 0)
    for _ in range(3):
        assert place.run("label", str(hogs[0]), "INTERACTIVE", *options).returncode == 0
    assert until(lambda: max(nices(hogs)) <= 0)
    assert until(lambda: not (installed / "models" / "loading").exists())
    first.kill()
    first.wait()
    model = next((installed / "models").glob("2*")).name.partition("-")[2]
    third = f"{model} {sched.boot_id()} 3\n"  # it has gone well before: a death or two may be anybody's fault
    (installed / "models" / "loading").write_text(third)
    place.start("hybrid", SCOPE)
    assert until(lambda: says(place, "the daemon died when it began to use this model"))
    assert "administrator's labels" in place.run("explain", str(hogs[0]), *options).stdout
    assert max(nices(hogs)) <= 0
