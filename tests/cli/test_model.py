"""The commands about models and lessons: installed, tried out, refused, rolled back, previewed, listed, forgotten."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smoothtask.cli import main
from smoothtask.config.bundle import ONNX, TREES
from trainer.recordings import busy, calm, recorded


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("catboost", "onnx"):
        pytest.importorskip(name, reason="needs the trainer's libraries")
    from trainer.bundles import tiny_bundle

    folder = tmp_path_factory.mktemp("cli") / "bundle"
    tiny_bundle(folder)
    return folder


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    return ["--state-dir", str(tmp_path / "state"), "--runtime-dir", str(tmp_path / "run")]


def test_a_model_is_installed_looked_at_and_rolled_back(bundle, places, capsys, tmp_path):
    assert main(["model", "status", *places]) == 0
    assert "installed  none" in capsys.readouterr().out
    assert main(["model", "install", str(bundle), *places]) == 0
    assert "is installed" in capsys.readouterr().out
    assert main(["model", "status", "--json", *places]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["refused"], data["kept"]) == (None, [data["current"]])
    assert data["cpu_ms"]["json"] < 10
    assert main(["model", "rollback", *places]) == 1
    assert "no older model" in capsys.readouterr().err


def test_a_model_that_is_no_good_is_not_installed_and_the_reason_said(bundle, places, capsys, tmp_path):
    bad = shutil.copytree(bundle, tmp_path / "bad")
    (bad / ONNX).write_bytes(b"nonsense")
    assert main(["model", "install", str(bad), *places]) == 1
    assert f"not installed: {ONNX}: has 8 bytes" in capsys.readouterr().err
    assert not (tmp_path / "state" / "models").exists()
    assert main(["model", "install", str(tmp_path / "nowhere"), *places]) == 1
    assert "No such file" in capsys.readouterr().err


def test_doctor_and_status_say_why_an_installed_model_is_not_used(bundle, places, capsys, tmp_path):
    from smoothtask.cli import doctor
    from smoothtask.config.paths import find_paths

    assert main(["model", "install", str(bundle), *places]) == 0
    paths = find_paths(runtime_dir=str(tmp_path / "run"), state_dir=str(tmp_path / "state"))
    (good,) = doctor._model(paths)
    assert good.state is doctor.State.WORKS
    with (paths.models / "current" / TREES).open("ab") as file:
        file.write(b" ")
    assert main(["model", "status", *places]) == 1
    assert f"refused    {TREES}: has" in capsys.readouterr().out
    (bad,) = doctor._model(paths)
    assert (bad.state, bad.without) == (doctor.State.REFUSED, "rules decide alone")


def test_doctor_says_that_no_model_is_installed_or_wanted(tmp_path):
    from smoothtask.cli import doctor
    from smoothtask.config.paths import find_paths

    config = tmp_path / "config.yaml"
    config.write_text("mode: hybrid\n")
    paths = find_paths(config_file=str(config), state_dir=str(tmp_path / "state"))
    assert "none is installed" in next(iter(doctor._model(paths))).detail
    config.write_text("ranker: {evaluator: off}\n")
    assert "off, as configured" in next(iter(doctor._model(paths))).detail


def test_a_preview_says_what_would_change_in_a_recording_and_applies_nothing(bundle, places, capsys, tmp_path):
    log = tmp_path / "log.db"
    recorded(log, [*calm(5), *busy(30)])
    asked = ["model", "preview", str(bundle), "--log", str(log), "--last", "3650d"]
    assert main([*asked, *places]) == 0
    said = capsys.readouterr().out
    assert "no daemon tells" in said
    assert "recorded:" in said
    assert "not what it would have caused" in said
    assert main([*asked, "--json", *places]) == 0
    data = json.loads(capsys.readouterr().out)["recorded"]
    assert data["decisions"] == 3 * data["snapshots"]
    assert data["changed"] == sum(row["decisions"] for row in data["by_app"])
    assert main(["model", "preview", *places]) == 1
    assert "no model is installed" in capsys.readouterr().err


def test_commands_about_models_load_onnxruntime_in_their_child_alone(bundle, places):
    """The command itself stays light."""
    code = (
        "import sys; from smoothtask.cli import main;"
        f"status = main(['model', 'install', {str(bundle)!r}, *{places!r}]);"
        "assert 'onnxruntime' not in sys.modules; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_lessons_are_shown_by_application_and_situation():
    from smoothtask.cli.model import _lesson_rows

    said = [
        {"app": "vim", "uid": 0, "attended": "visible", "contended": True, "class": c, "source": "label", "made_at": n}
        for n, c in enumerate(("IDLE", "IDLE", "NORMAL"))
    ]
    (row,) = _lesson_rows(said)
    assert row[:5] == ("vim", "0", "visible, somebody waits", "3", "IDLE × 2, NORMAL × 1")
