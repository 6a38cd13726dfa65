"""A good model is let through by both evaluators; a tampered one is refused with its reason."""

import os
from pathlib import Path

import numpy as np
import pytest

from ranker.bundles import CASES, EXPECTED, copied
from smoothtask.config.bundle import ONNX, TREES
from smoothtask.ranker import checks
from smoothtask.ranker.apart import Trial
from smoothtask.ranker.checks import Contents, ModelRefusedError, load, try_out
from smoothtask.ranker.reading import check_folder, read_bundle


@pytest.mark.parametrize("kind", ["json", "onnx"])
def test_a_good_model_scores_within_a_hundred_thousandth_of_catboost(made, kind):
    """The manifest's scores are CatBoost's own."""
    folder, manifest = made
    model = load(read_bundle(folder), EXPECTED, kind)
    assert try_out(model) < checks.BUDGET_MS
    rows = np.array(manifest.self_test.values(), np.float32)
    apart = np.abs(model.evaluator.scores(rows) - np.array(manifest.self_test.scores)).max()
    assert apart <= (0.0 if kind == "json" else 1e-5)


def test_every_case_of_tampering_is_refused_with_its_reason(made, tmp_path):
    """With the graph run as well, so that no case depends on which evaluator is configured."""
    said = {}
    for n, (case, (tamper, _)) in enumerate(CASES.items()):
        folder = copied(made[0], tmp_path / str(n))
        tamper(folder)
        try:
            try_out(load(read_bundle(folder), EXPECTED, "onnx"))
        except ModelRefusedError as error:
            said[case] = str(error)
    assert said.keys() == CASES.keys()
    wrong = {case: said[case] for case, (_, reason) in CASES.items() if reason not in said[case]}
    assert wrong == {}


def test_what_others_may_write_to_is_no_folder_for_models(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(ModelRefusedError, match="others may write to it"):
        check_folder(tmp_path)
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(ModelRefusedError, match="is a link"):
        check_folder(tmp_path / "link")
    with pytest.raises(ModelRefusedError, match="is a link"):
        read_bundle(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_what_somebody_else_owns_is_refused_unless_it_was_named(made, tmp_path):
    folder = copied(made[0], tmp_path / "theirs")
    os.chown(folder / TREES, 1000, 1000)
    with pytest.raises(ModelRefusedError, match="belongs to uid 1000"):
        read_bundle(folder)
    assert read_bundle(folder, trusted=frozenset()).trees


def test_a_model_that_is_too_slow_is_refused(made, monkeypatch):
    monkeypatch.setattr(checks, "BUDGET_MS", 0.0001)
    with pytest.raises(ModelRefusedError, match="ms of CPU"):
        try_out(load(read_bundle(made[0]), EXPECTED, "json"))


def test_the_child_says_the_same_and_has_no_rights(made, tmp_path):
    good = read_bundle(made[0])
    for kind in ("json", "onnx"):
        assert Trial(good, EXPECTED, kind).result().refused is None
    bad = Contents(good.manifest, good.onnx[:-1] + b"x", good.trees)
    refused = Trial(bad, EXPECTED, "onnx").result().refused
    assert refused is not None
    assert refused.startswith(ONNX)


def test_a_child_that_crashes_or_hangs_is_a_refusal(made):
    good = read_bundle(made[0])
    trial = Trial(good, EXPECTED, "json")
    os.kill(trial.pid, 11)
    assert "died of signal 11" in str(trial.result().refused)
    trial = Trial(good, EXPECTED, "json")
    os.kill(trial.pid, 19)  # stopped: it never answers
    trial._child._until_s = 0.0
    assert "more than" in str(trial.result().refused)
    with pytest.raises(ProcessLookupError):
        os.kill(trial.pid, 0)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes nobody")
def test_a_program_that_nobody_may_read_is_no_hindrance(made, tmp_path, monkeypatch):
    """A clone in somebody's home, run with sudo."""
    (tmp_path / "private").mkdir(0o700)
    (tmp_path / "private/site").symlink_to(Path(np.__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/private/site")
    for kind in ("json", "onnx"):
        assert Trial(read_bundle(made[0]), EXPECTED, kind).result().refused is None


def test_whatever_goes_wrong_in_the_child_is_said(made):
    good = read_bundle(made[0])
    refused = Trial(Contents(good.manifest, 5, good.trees), EXPECTED, "json").result().refused
    assert refused.startswith("trying it out failed: TypeError: ")


def test_the_child_is_nobody():
    """What root cannot lose, nothing can take."""
    import subprocess
    import sys

    code = (
        "import os, sys; from smoothtask.ranker.apart import become_nobody; become_nobody();"
        "status = open('/proc/self/status').read();"
        "print(os.getresuid(), os.getgroups(), status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "NoNewPrivs:\t1" in done.stdout
    if os.geteuid() == 0:
        assert done.stdout.startswith("(65534, 65534, 65534) []")
        assert "CapEff:\t0000000000000000" in done.stdout
        assert "CapPrm:\t0000000000000000" in done.stdout
