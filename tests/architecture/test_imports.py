"""Who may import whom, and what the daemon must not load: seen in fresh processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from smoothtask_tui import screens
from smoothtask_tui.screens import MODULES

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "textual", "rich", "plotext", "catboost", "onnxruntime", "sqlmodel", "sqlalchemy", "pyarrow", "asyncio",
    "smoothtask_tui", "smoothtask_trainer",
}  # fmt: skip


def loaded_by(module: str) -> set[str]:
    """Top-level names of all modules in a fresh process that imports *module*."""
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def ours_loaded_by(module: str) -> set[str]:
    """The modules of the package in such a process."""
    code = f"import sys, {module}; print(*sorted(n for n in sys.modules if n.startswith('smoothtask.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["smoothtask.daemon.headless", "smoothtask.cli"])
def test_daemon_and_command_line_load_nothing_heavy(module: str) -> None:
    assert loaded_by(module) & HEAVY == set()


def test_the_daemon_loads_what_models_need_when_there_is_one() -> None:
    """1.5 MiB that most daemons never need."""
    models = {"smoothtask.ranker.serving", "smoothtask.policy.features", "smoothtask.config.bundle"}
    assert ours_loaded_by("smoothtask.daemon.headless") & models == set()


def test_what_restores_after_a_crash_needs_no_daemon() -> None:
    """It must start quickly on a machine in trouble, whatever else is broken."""
    loaded = ours_loaded_by("smoothtask.daemon.restoring")
    assert "smoothtask.actuator.restore" in loaded
    others = ("engine", "policy", "classifier", "control", "store", "daemon.build", "actuator.apply")
    assert [name for name in loaded if name.removeprefix("smoothtask.").startswith(others)] == []


def test_the_check_sees_what_is_loaded() -> None:
    assert "textual" in loaded_by("smoothtask_tui.app")


def test_the_first_picture_waits_for_no_other_screen() -> None:
    """What the list of groups does not show is loaded when it is asked for."""
    code = "import sys, smoothtask_tui.app; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    of_others = {f"smoothtask_tui.screens.{name}" for name in MODULES.values()}
    assert (
        loaded & (of_others | {"plotext", "pydantic", "sqlite3", "smoothtask_tui.report", "smoothtask_tui.byhand"})
        == set()
    )
    assert "smoothtask_tui.screens.main" in loaded


@pytest.mark.parametrize("name", MODULES)
def test_each_screen_is_found_by_its_name(name: str) -> None:
    assert getattr(screens, name).__name__ == name


def test_imports_keep_to_the_contracts() -> None:
    """The layers in pyproject.toml; the same command that `make lint` runs."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
