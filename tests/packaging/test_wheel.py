"""What a wheel holds, and that the program is whole when it is installed from one."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = (
    "smoothtask/py.typed",
    "smoothtask/data/vendor/types.yaml",
    "smoothtask/data/vendor/browsers.yaml",
    "smoothtask/data/README.md",
    "smoothtask/kernel/bpf/tasks.bpf.o",
    "smoothtask/kernel/bpf/tasks.bpf.c",
    "smoothtask/store/schema.sql",
    "smoothtask_tui/py.typed",
    "smoothtask_tui/app.tcss",
    "smoothtask_trainer/py.typed",
)


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree; hatchling is fetched when it is not here."""
    folder = tmp_path_factory.mktemp("wheel")
    here = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *here, "--wheel-dir", folder, ".")
    (made,) = folder.glob("smoothtask-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel installed by itself into a folder."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, wheel)
    return folder


def test_wheel_holds_three_packages_and_nothing_beside_them(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    packages = {top for top in tops if not top.endswith(".dist-info")}
    assert packages == {"smoothtask", "smoothtask_tui", "smoothtask_trainer"}
    assert [name for name in names if name.endswith((".pyc", ".orig", ".rej"))] == []


def test_wheel_holds_every_source_and_data_file(wheel: Path) -> None:
    """An unanchored line in .gitignore would silently leave files out."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert set(DATA) <= names
    for place, package in (("src", "smoothtask"), ("tui", "smoothtask_tui"), ("trainer", "smoothtask_trainer")):
        for path in (ROOT / place / package).rglob("*.py"):
            assert path.relative_to(ROOT / place).as_posix() in names


def test_wheel_carries_the_licence_and_the_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    texts = {name.rpartition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
    assert "licenses/LICENSE" in texts
    assert "smoothtask = smoothtask.cli:main" in archive.read(texts["entry_points.txt"]).decode()


def test_installed_wheel_works_outside_of_the_tree(installed: Path, tmp_path: Path) -> None:
    """-P and -S keep this tree and its editable installation out of sight; the libraries come from the path given."""
    libraries = [p for p in sys.path if p.endswith("site-packages")]
    code = f"""
import sys
sys.path[:0] = [{str(installed)!r}, *{libraries!r}]
import smoothtask, smoothtask_tui, smoothtask_trainer, smoothtask.cli
from importlib.resources import files
for module in (smoothtask, smoothtask_tui, smoothtask_trainer):
    assert module.__file__.startswith({str(installed)!r}), module.__file__
assert len(list((files("smoothtask") / "data" / "vendor").iterdir())) > 15
assert (files("smoothtask") / "kernel" / "bpf" / "tasks.bpf.o").read_bytes()[:4] == b"\\x7fELF"
assert callable(smoothtask.cli.main)
"""
    run(sys.executable, "-P", "-S", "-c", code, cwd=tmp_path)


def test_module_runs_as_the_command_does(tmp_path: Path) -> None:
    assert "daemon" in run(sys.executable, "-m", "smoothtask", "--help", cwd=tmp_path)
