"""A model in use: noticed, swapped between looks, dropped on any doubt, and never used again after a crash."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranker.bundles import CASES, EXPECTED, copied, replaced
from smoothtask.config.bundle import CURRENT, MANIFEST, ONNX, TREES
from smoothtask.ranker import serving as serving_of
from smoothtask.ranker.checks import ModelRefusedError
from smoothtask.ranker.reading import read_bundle
from smoothtask.ranker.serving import GOOD_LOOKS, STRIKES, Ranker
from smoothtask.ranker.shelf import KEPT, LOADING, Shelf

WIDTH = len(EXPECTED.columns)
ROWS = np.zeros((5, WIDTH), np.float32)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models")


def other(made: Path, folder: Path, n: int) -> Path:
    """The same model under another id."""
    import json

    copied(made, folder)
    found = json.loads((folder / MANIFEST).read_text())
    found["trained_at"] += n
    (folder / MANIFEST).write_text(json.dumps(found))
    return folder


def settled(ranker: Ranker) -> Ranker:
    """Beat until nothing is being tried out."""
    deadline = time.perf_counter() + 20
    ranker.beat()
    while ranker.child is not None:
        assert time.perf_counter() < deadline
        time.sleep(0.01)
        ranker.beat()
    return ranker


def serving(shelf: Shelf, kind="json") -> tuple[Ranker, list[str]]:
    said: list[str] = []
    ranker = Ranker(shelf, EXPECTED, kind, lambda _kind, text: said.append(text))
    ranker.start()
    return settled(ranker), said


def test_without_a_model_rules_decide(shelf):
    ranker, said = serving(shelf)
    assert (ranker.scores(ROWS), ranker.status, said) == (None, "off: no model is installed", [])


@pytest.mark.parametrize("kind", ["json", "onnx"])
def test_a_model_that_is_installed_is_used_at_once_and_another_swapped_in(made, shelf, tmp_path, kind):
    ranker, said = serving(shelf, kind)
    shelf.install(read_bundle(made[0]))
    settled(ranker)
    first = ranker.model.id
    assert ranker.status.startswith(f"model {first} ({kind})")
    before = ranker.scores(ROWS)
    assert before.shape == (5,)
    shelf.install(read_bundle(other(made[0], tmp_path / "other", 1)))
    ranker.beat()
    assert np.array_equal(ranker.scores(ROWS), before)  # the old one goes on while the new one is tried out
    settled(ranker)
    assert ranker.model.id != first
    shelf.roll_back()
    assert settled(ranker).model.id == first
    assert len(said) == 3
    ranker.close()


def test_tampering_with_the_model_in_use_leaves_the_rules(made, shelf):
    name = shelf.install(read_bundle(made[0]))
    ranker, said = serving(shelf)
    assert ranker.scores(ROWS) is not None
    CASES["one byte changed"][0](shelf.folder / name)
    settled(ranker)
    assert ranker.scores(ROWS) is None
    assert ranker.status == f"off: {ONNX}: is not the file that {MANIFEST} names (SHA-256 differs)"
    assert said[-1].startswith("rules decide alone, the model is not used")
    settled(ranker)
    assert len(said) == 2  # said once
    shelf.install(read_bundle(made[0]))
    assert settled(ranker).scores(ROWS) is not None, ranker.status
    (shelf.folder / CURRENT).unlink()
    assert settled(ranker).scores(ROWS) is None
    assert "was taken away" in said[-1]


@pytest.mark.parametrize("target", ["/etc", "../../etc", "..", "."])
def test_a_link_to_elsewhere_is_refused(made, shelf, target):
    shelf.install(read_bundle(made[0]))
    (shelf.folder / CURRENT).unlink()
    (shelf.folder / CURRENT).symlink_to(target)
    ranker, _ = serving(shelf)
    assert "expected a folder beside it" in ranker.status


def test_a_daemon_that_dies_while_it_begins_with_a_model_never_does_so_again(made, shelf):
    shelf.install(read_bundle(made[0]))
    ranker, _ = serving(shelf)
    assert shelf.loading() == (ranker.model.id, 1)  # and dies here
    again, said = serving(shelf)
    assert again.scores(ROWS) is None
    assert "the daemon died when it began to use this model" in again.status
    assert "smoothtask model install" in again.status
    assert shelf.loading() is None
    assert serving(shelf)[0].scores(ROWS) is None  # for good
    shelf.install(read_bundle(made[0]))
    assert settled(again).scores(ROWS) is not None
    assert said


def test_after_a_few_good_looks_a_model_has_gone_well(made, shelf):
    shelf.install(read_bundle(made[0]))
    ranker, _ = serving(shelf)
    for _ in range(GOOD_LOOKS - 1):
        ranker.scores(ROWS)
        assert shelf.loading() is not None
    ranker.scores(ROWS)
    assert shelf.loading() is None


def well(ranker: Ranker) -> Ranker:
    for _ in range(GOOD_LOOKS):
        assert ranker.scores(ROWS) is not None
    return ranker


def test_a_power_cut_is_no_models_fault(made, shelf):
    """The note that is found is of another boot."""
    shelf.install(read_bundle(made[0]))
    assert serving(shelf)[0].model is not None  # and the power is cut here
    assert shelf.loading() is not None
    after = replace(shelf, boot_id="the-next-one")
    assert after.loading() is None
    assert serving(after)[0].model is not None
    (shelf.folder / LOADING).write_text("77ba631606ec")  # as it was written once
    assert serving(shelf)[0].model is not None


def test_a_model_that_went_well_once_is_put_aside_after_the_third_death(made, shelf):
    """It may have been killed for whatever reason: in another's memory shortage, by hand."""
    shelf.install(read_bundle(made[0]))
    well(serving(shelf)[0]).close()
    for _ in range(STRIKES):
        assert serving(shelf)[0].model is not None  # and dies here
    assert "the daemon died" in serving(shelf)[0].status
    shelf.install(read_bundle(made[0]))
    for _ in range(STRIKES - 1):
        assert serving(shelf)[0].model is not None
    well(serving(shelf)[0])
    assert shelf.loading() is None  # deaths are counted anew


def test_without_a_process_a_model_is_tried_out_later(made, shelf, monkeypatch):
    def fails(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    shelf.install(read_bundle(made[0]))
    descriptors = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", fails)
        ranker, said = serving(shelf)
        ranker.beat()
    assert ranker.status == "off: it cannot be tried out now: Resource temporarily unavailable"
    assert len(said) == 1
    assert len(os.listdir("/proc/self/fd")) == descriptors
    ranker.beat()
    assert ranker.child is None  # not at each tick
    ranker._again_s = 0.0
    assert settled(ranker).scores(ROWS) is not None


class FullAtFirst(Shelf):
    """There is no room for a note, twice."""

    def begin(self, model):
        if failures:
            raise failures.pop()
        super().begin(model)


failures: list[OSError] = []


def test_a_disk_that_is_full_for_a_moment_puts_no_model_aside(made, shelf, monkeypatch):
    """It is tried again after 10 s, then after 20: a trial costs a process."""
    now_s = [1000.0]
    monkeypatch.setattr(serving_of.time, "monotonic", lambda: now_s[0])
    failures[:] = [OSError(28, "No space left on device"), OSError(28, "No space left on device")]
    shelf.install(read_bundle(made[0]))
    ranker, said = serving(FullAtFirst(shelf.folder))
    for wait_s in (10, 20):
        assert ranker.status == "off: it cannot be used now: No space left on device"
        now_s[0] += wait_s - 1
        assert settled(ranker).scores(ROWS) is None
        now_s[0] += 1
        settled(ranker)
    assert ranker.scores(ROWS) is not None, ranker.status
    assert shelf.refused(ranker.model.id) is None
    assert len(said) == 2  # of the failure once, and that it is used


class FullDisk(Shelf):
    """Nothing can be noted."""

    def end(self):
        raise OSError(30, "Read-only file system")


def test_a_shelf_that_cannot_be_written_to_is_news_and_no_end(made, shelf):
    shelf.install(read_bundle(made[0]))
    full = FullDisk(shelf.folder)
    ranker, said = serving(full)
    well(ranker)
    assert "cannot be noted: [Errno 30] Read-only file system" in said[-1]
    ranker.model = replace(ranker.model, evaluator=Odd(float("nan")))
    for _ in range(STRIKES):
        ranker.scores(ROWS)
    assert ranker.model is None
    ranker.close()
    shelf.install(read_bundle(made[0]))
    again, said = serving(full)
    again.close()
    assert "cannot be noted" in said[-1]


def test_an_end_in_order_is_no_crash(made, shelf):
    shelf.install(read_bundle(made[0]))
    ranker, _ = serving(shelf)
    ranker.close()
    assert serving(shelf)[0].model is not None


class Odd:
    """In the place of an evaluator that goes wrong."""

    def __init__(self, value):
        self.value = value

    def scores(self, rows):
        if self.value is None:
            raise RuntimeError("native trouble")
        return np.full(len(rows), self.value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [(float("nan"), "no number"), (float("inf"), "no number"), (1e5, "far outside"), (None, "native trouble")],
)
def test_three_strikes_put_a_model_aside_until_it_is_installed_again(made, shelf, value, reason):
    shelf.install(read_bundle(made[0]))
    ranker, _ = serving(shelf)
    good = ranker.model
    ranker.model = replace(good, evaluator=Odd(value))
    for _ in range(STRIKES - 1):
        assert ranker.scores(ROWS) is None
        assert ranker.model is not None
    ranker.model = replace(good)
    assert ranker.scores(ROWS) is not None  # a good look: the count begins again
    ranker.model = replace(good, evaluator=Odd(value))
    for _ in range(STRIKES):
        assert ranker.scores(ROWS) is None
    assert ranker.model is None
    assert reason in ranker.status
    assert settled(ranker).model is None
    assert serving(shelf)[0].model is None
    shelf.install(read_bundle(made[0]))
    assert settled(ranker).model is not None


def test_slow_looks_are_strikes(made, shelf):
    shelf.install(read_bundle(made[0]))
    ranker, _ = serving(shelf)
    clock = iter(range(100))
    ranker.cpu_s = lambda: float(next(clock))
    for _ in range(STRIKES):
        assert ranker.scores(ROWS) is None
    assert "ms of CPU, 3 times in a row" in ranker.status


def test_the_last_three_are_kept_and_rolled_back_to(made, shelf, tmp_path):
    names = []
    for n in range(5):
        names.append(shelf.install(read_bundle(other(made[0], tmp_path / str(n), n))))
        os.utime(shelf.folder / names[-1] / MANIFEST, (n, n))
    assert shelf.names() == names[: -KEPT - 1 : -1]
    assert (shelf.roll_back(), shelf.roll_back()) == (names[3], names[2])
    with pytest.raises(ModelRefusedError, match="no older model"):
        shelf.roll_back()
    assert shelf.current() == names[2]


def test_installing_the_model_in_use_again_keeps_it(made, shelf):
    assert shelf.install(read_bundle(made[0]))
    assert shelf.install(read_bundle(made[0]))
    assert shelf.current() in shelf.names()
    assert not [p for p in shelf.folder.iterdir() if p.name.startswith(".")]


def test_a_damaged_note_of_what_was_refused_is_no_reason_to_fail(made, shelf):
    shelf.install(read_bundle(made[0]))
    (shelf.folder / "refused.json").write_bytes(b"[]\xff")
    (shelf.folder / LOADING).write_bytes(b"\xff\xfe")
    assert serving(shelf)[0].model is not None


def test_onnxruntime_is_loaded_for_an_onnx_model_alone_and_tells_nobody(made, tmp_path):
    """In a fresh process with a fresh home: no file of its telemetry, no thread of it."""
    folder, home = made[0], tmp_path / "home"
    home.mkdir()
    code = (
        "import os, sys, threading\n"
        "from pathlib import Path\n"
        "import smoothtask.daemon.headless\n"
        "from smoothtask.engine.hybrid import expected\n"
        "from smoothtask.ranker.checks import load, try_out\n"
        "from smoothtask.ranker.reading import read_bundle\n"
        f"files = read_bundle(Path({str(folder)!r}))\n"
        "light = load(files, expected(), 'json'); try_out(light)\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "full = load(files, expected(), 'onnx'); try_out(full)\n"
        "assert 'onnxruntime' in sys.modules\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []
    assert done.stdout.strip() == "0"
    assert TREES in {p.name for p in folder.iterdir()}


def test_the_check_of_telemetry_sees_it_when_it_is_there(tmp_path):
    """Without the variable the library leaves files or a thread behind, in versions that report."""
    home = tmp_path / "home"
    home.mkdir()
    code = "import onnxruntime, os; print(onnxruntime.__version__, len(os.listdir('/proc/self/task')))"
    environment = {k: v for k, v in os.environ.items() if k not in {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**environment, "HOME": str(home)}
    )
    version = tuple(map(int, done.stdout.split()[0].split(".")[:2]))
    if version < (1, 29):
        pytest.skip(f"onnxruntime {version} does not report")
    assert list(home.rglob("*")) != []


def test_a_graph_of_another_model_is_not_swapped_in(made, shelf):
    """Both evaluators see the same model, whichever is configured."""
    name = shelf.install(read_bundle(made[0]))
    CASES["another model's graph"][0](shelf.folder / name)
    assert "self-test" in serving(shelf, "onnx")[0].status
    light, _ = serving(shelf, "json")
    assert light.model is not None
    light.close()
    replaced(shelf.folder / name, ONNX, b"\x00")
    assert ONNX in serving(shelf, "json")[0].status
