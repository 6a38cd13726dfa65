"""The scripts behind `make`, run in a made-up tree with made-up tools on the path."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "cat", "cksum", "cp", "dirname", "env", "grep", "pwd", "readlink", "rm", "touch", "mkdir", "printf")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the scripts and nothing installed, and a folder `bin` that is the whole path."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (tmp_path / "bin" / tool).symlink_to(found)
    program(tmp_path, "id", "echo 1000")
    return tmp_path


def program(tree: Path, name: str, script: str, folder: str = "bin") -> None:
    path = tree / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(tree: Path, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree / "bin" / "sh", f"tools/{script}", *arguments],
        cwd=tree,
        env={"PATH": str(tree / "bin"), "TREE": str(tree), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


# Makes a `.venv` whose python notes what pip is asked to install.
VENV_PYTHON = r"""#!/bin/sh
case "$*" in *"pip install"*) echo "$*" >>"$TREE/installed"; touch "$TREE/.venv/bin/smoothtask" ;; esac
"""
VENV_MAKER = r"""
case "$*" in
    "-m venv .venv") mkdir -p .venv/bin; cp venv-python .venv/bin/python ;;
esac
"""


def make_python(tree: Path, venv_python: str = VENV_PYTHON) -> None:
    program(tree, "python3", VENV_MAKER)
    (tree / "venv-python").write_text(venv_python)
    (tree / "venv-python").chmod(0o755)


def make_smoothtask_executable(tree: Path) -> None:
    program(tree, "smoothtask", 'echo "smoothtask $*"', ".venv/bin")


def test_setup_says_what_to_install_when_it_may_not(tree: Path) -> None:
    """Debian's python3 as it comes: no venv, and an ordinary user without sudo."""
    program(tree, "python3", 'case "$*" in *ensurepip*) exit 1 ;; esac')
    done = run(tree, "setup.sh", "run")
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr
    assert not (tree / ".venv").exists()


def test_setup_refuses_an_old_python(tree: Path) -> None:
    program(tree, "python3", 'case "$*" in *version_info*) exit 1 ;; --version) echo Python 3.9.2 ;; esac')
    done = run(tree, "setup.sh", "run")
    assert done.returncode != 0
    assert "3.11 or newer is needed" in done.stderr


def test_setup_does_its_work_once_until_pyproject_changes(tree: Path) -> None:
    make_python(tree)
    installed = tree / "installed"
    assert run(tree, "setup.sh", "run").returncode == 0
    make_smoothtask_executable(tree)
    assert run(tree, "setup.sh", "run").returncode == 0
    assert installed.read_text().count("--editable .\n") == 1
    with (tree / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert run(tree, "setup.sh", "run").returncode == 0
    assert installed.read_text().count("--editable .\n") == 2


def test_setup_for_tests_covers_what_the_program_needs(tree: Path) -> None:
    make_python(tree)
    assert run(tree, "setup.sh", "dev").returncode == 0
    make_smoothtask_executable(tree)
    assert run(tree, "setup.sh", "run").returncode == 0
    assert (tree / "installed").read_text().count("pip install") == 1


def test_failed_installation_is_tried_again(tree: Path) -> None:
    make_python(tree, VENV_PYTHON.replace("touch", "exit 1; touch"))
    assert run(tree, "setup.sh", "run").returncode != 0
    assert run(tree, "setup.sh", "run").returncode != 0
    assert (tree / "installed").read_text().count("pip install") == 2


@pytest.mark.parametrize("sudo", [None, "exit 1"])
def test_run_observes_when_there_is_no_root(tree: Path, sudo: str | None) -> None:
    make_smoothtask_executable(tree)
    if sudo is not None:
        program(tree, "sudo", sudo)
    done = run(tree, "run.sh", "--once")
    assert done.stdout == "smoothtask top --observe --once\n"


def test_run_goes_through_sudo_when_it_may(tree: Path) -> None:
    make_smoothtask_executable(tree)
    program(tree, "sudo", 'shift; [ "$1" = true ] && exit 0; echo "as root: $*"')
    assert run(tree, "run.sh").stdout == "as root: .venv/bin/smoothtask top\n"


def test_run_needs_no_sudo_for_root(tree: Path) -> None:
    make_smoothtask_executable(tree)
    program(tree, "id", "echo 0")
    assert run(tree, "run.sh").stdout == "smoothtask top\n"


VM = 'case "$*" in "tools/vm "*) echo "$*" >>"$TREE/booted"; exit $STATUS ;; esac'
BOOT = "tools/vm -- .venv/bin/python -m pytest -p no:cacheprovider"
BOOTS = [f"{BOOT} tests/vm -m not slow"]
BARE = ["tools/vm --bare -- .venv/bin/python -m pytest -p no:cacheprovider tests/vm/bare"]


@pytest.mark.parametrize(
    ("vm_status", "status", "boots"), [(0, 0, BOOTS + BARE), (77, 0, BOOTS), (1, 1, BOOTS), (126, 126, BOOTS)]
)
def test_tests_in_the_vm_fail_when_they_fail_but_not_for_lack_of_a_vm(
    tree: Path, vm_status: int, status: int, boots: list[str]
) -> None:
    program(tree, "python", VM, ".venv/bin")
    assert run(tree, "test-vm.sh", STATUS=str(vm_status)).returncode == status
    assert (tree / "booted").read_text().splitlines() == boots


def test_some_tests_in_the_vm_take_one_boot(tree: Path) -> None:
    program(tree, "python", VM, ".venv/bin")
    assert run(tree, "test-vm.sh", "tests/vm/test_kernel.py", "-x", STATUS="0").returncode == 0
    assert (tree / "booted").read_text() == f"{BOOT} tests/vm/test_kernel.py -x\n"


@pytest.mark.parametrize("apt_status", [0, 1])
def test_packages_of_the_vm_are_installed_where_that_is_allowed(tree: Path, apt_status: int) -> None:
    program(tree, "id", "echo 0")
    program(tree, "dpkg-query", "exit 1")
    program(tree, "apt-get", f'echo "$*" >>"$TREE/apt"; exit {apt_status}')
    assert (run(tree, "setup.sh", "vm").returncode == 0) == (apt_status == 0)
    called = (tree / "apt").read_text()
    assert ("install" in called and "qemu-system-x86" in called) == (apt_status == 0)


def test_packages_of_the_vm_are_named_where_it_is_not(tree: Path) -> None:
    program(tree, "dpkg-query", "exit 1")
    program(tree, "apt-get", "exit 1")
    done = run(tree, "setup.sh", "vm")
    assert done.returncode == 0
    assert "qemu-system-x86" in done.stderr
    assert "skipped" in done.stderr


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_installation_is_for_root(tree: Path, action: str) -> None:
    done = run(tree, "install.sh", action, PREFIX=str(tree / "opt"))
    assert done.returncode != 0
    assert f"sudo make {action}" in done.stderr


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_a_folder_of_somebody_else_stays(tree: Path, action: str) -> None:
    program(tree, "id", "echo 0")
    precious = tree / "opt" / "precious"
    precious.parent.mkdir()
    precious.write_text("mine")
    done = run(tree, "install.sh", action, PREFIX=str(tree / "opt"))
    assert done.returncode != 0
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("script", ["setup.sh", "run.sh", "install.sh", "test-vm.sh"])
def test_scripts_are_valid(script: str) -> None:
    subprocess.run(["sh", "-n", ROOT / "tools" / script], check=True)


def test_ci_runs_the_tests_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["set -eu", 'cd "$(dirname "$0")/.."', "exec make test"]
