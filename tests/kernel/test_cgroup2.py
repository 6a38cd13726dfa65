"""kernel.cgroup2 on a directory that looks like a hierarchy; the real one is tests/vm's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.kernel import cgroup2

names = st.binary(min_size=1, max_size=20).map(
    lambda b: b.replace(b"/", b"-").replace(b"\0", b"-").replace(b"\n", b"-")
)
sane = st.lists(names.filter(lambda n: n not in {b".", b".."}), max_size=5).map(lambda parts: b"/" + b"/".join(parts))


def as_text(path: bytes) -> str:
    """As everywhere in this program."""
    return path.decode("utf-8", "surrogateescape")


@given(sane.filter(lambda p: not p.endswith(b" (deleted)")))
def test_a_membership_is_what_the_kernel_wrote(path: bytes) -> None:
    """Whatever bytes it has; lines of v1 hierarchies are passed over."""
    v1 = b"12:cpu,cpuacct:/x\n1:name=systemd:/y\n"
    assert cgroup2.parse_membership(v1 + b"0::" + path + b"\n") == as_text(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"1:cpu:/x\n", b"0::\n", b"0::/../../x\n", b"0::/..\n", b"0::x\n", b"0::/a (deleted)\n", b"0::/a/./b\n"],
)
def test_what_is_out_of_sight_is_none(data: bytes) -> None:
    """Another namespace's, a removed one's, no v2 hierarchy's."""
    assert cgroup2.parse_membership(data) is None


@given(st.binary().filter(lambda b: b"\n" not in b))
def test_only_a_newline_ends_a_line(name: bytes) -> None:
    """A cgroup's name may hold what looks like another line."""
    line = b"0::/a" + name
    assert cgroup2.parse_memberships(b"1:cpu,cpuacct:/x\n" + line + b"\n") == {b"cpu,cpuacct": b"/x", b"": line[3:]}


@given(st.binary())
def test_no_membership_is_an_error(data: bytes) -> None:
    """And what comes out stays below the mount."""
    path = cgroup2.parse_membership(data)
    assert path is None or cgroup2.sound(path)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "\0", " "]), max_size=6).map("/".join))
def test_a_sound_path_stays_below_the_mount(path: str) -> None:
    """However it is written."""
    if cgroup2.sound(path):
        assert os.path.normpath(cgroup2.directory(path, "/m")).startswith("/m")
    else:
        with pytest.raises(ValueError, match="not a cgroup path"):
            cgroup2.directory(path)


@pytest.mark.parametrize("path", ["/../etc", "etc", "", "/a/../../b", "/a/..", "/.", "/a\0b"])
def test_a_hostile_path_is_refused_by_everything(tmp_path: Path, path: str) -> None:
    """Nothing is opened for it."""
    root = str(tmp_path / "sys")
    with pytest.raises(ValueError, match="not a cgroup path"):
        cgroup2.read(path, "cpu.weight", root)
    with pytest.raises(ValueError, match="not a cgroup path"):
        cgroup2.move(1, path, root)
    with pytest.raises(ValueError, match="not a cgroup path"):
        cgroup2.make(path, root)
    with pytest.raises(ValueError, match="not a cgroup path"):
        cgroup2.remove(path, root)
    with pytest.raises(ValueError, match="not a cgroup path"):
        cgroup2.pids(path, root)
    with pytest.raises(ValueError, match="not a cgroup path"):
        cgroup2.cgroup_id(path, root)
    assert not list(tmp_path.iterdir())


@given(st.integers(1, 10_000), st.lists(st.tuples(st.integers(0, 255), st.integers(1, 10_000)), max_size=3))
def test_weights(weight: int, devices: list[tuple[int, int]]) -> None:
    """cpu.weight is a number; io.weight has lines of devices beside it."""
    lines = [f"8:{minor} {w}" for minor, w in devices]
    assert cgroup2.parse_weight(str(weight)) == weight
    assert cgroup2.parse_weight("\n".join([f"default {weight}", *lines])) == weight


@given(st.text())
def test_no_weight_is_an_error(text: str) -> None:
    """What is not understood is not told."""
    found = cgroup2.parse_weight(text)
    assert found is None or found >= 0


@pytest.mark.parametrize("text", ["", "max", "8:0 100", "-5", "default", "100 x"])
def test_what_is_no_weight(text: str) -> None:
    """None, not zero."""
    assert cgroup2.parse_weight(text) is None


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A hierarchy of plain files: /a with processes 10 and 11, /a/b with 12."""
    for path, pids, files in (
        ("a", "10\n11\n", {"cpu.weight": "50\n", "cpu.idle": "0\n", "io.weight": "default 30\n8:0 7\n"}),
        ("a/b", "12\n", {"cpu.weight": "0\n", "cpu.idle": "1\n"}),
        ("c", "", {}),
    ):
        folder = tmp_path / path
        folder.mkdir()
        (folder / "cgroup.procs").write_text(pids)
        for name, text in files.items():
            (folder / name).write_text(text)
    (tmp_path / "cgroup.controllers").write_text("cpu io memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    return str(tmp_path)


def test_reading(root: str) -> None:
    """A controller that is off, and a cgroup that is gone, are None."""
    assert cgroup2.weight("/a", "cpu.weight", root) == 50
    assert cgroup2.weight("/a", "io.weight", root) == 30
    assert cgroup2.weight("/a/b", "cpu.weight", root) == 0
    assert cgroup2.weight("/c", "cpu.weight", root) is None
    assert cgroup2.weight("/gone", "cpu.weight", root) is None
    assert cgroup2.read("/gone", "cpu.max", root) is None
    assert cgroup2.controllers("/", root) == {"cpu", "io", "memory"}
    assert cgroup2.enabled("/", root) == {"cpu"}
    assert cgroup2.controllers("/gone", root) == frozenset()
    assert cgroup2.controllers("/" + "x" * 256, root) == frozenset()
    assert cgroup2.cgroup_id("/" + "x" * 256, root) is None


def test_processes_of_a_cgroup_and_below(root: str) -> None:
    """None of one that is gone."""
    assert cgroup2.pids("/a", root) == {10, 11, 12}
    assert cgroup2.pids("/a/b", root) == {12}
    assert cgroup2.pids("/gone", root) == frozenset()


@pytest.mark.parametrize(("deep", "wide"), [(1100, 0), (0, 300)])
def test_processes_of_a_tree_that_somebody_made_deep_or_wide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deep: int, wide: int
) -> None:
    """Those near are found, as many as are looked for."""
    monkeypatch.setattr(cgroup2, "FOLDERS", 200)
    build = (
        "import os, sys\n"
        "def fill(pid): open('cgroup.procs', 'w').write(f'{pid}\\n')\n"
        "fill(1)\n"
        "for n in range(int(sys.argv[2])): os.mkdir(f'w{n}')\n"
        "for n in range(int(sys.argv[1])):\n"
        "    os.mkdir('d')\n"
        "    os.chdir('d')\n"
        "    fill(n + 2)\n"
    )
    top = tmp_path / "top"
    top.mkdir()
    try:
        subprocess.run([sys.executable, "-S", "-c", build, str(deep), str(wide)], cwd=top, check=True)
        found = cgroup2.pids("/top", str(tmp_path))
        assert found == set(range(1, min(deep + 1, cgroup2.FOLDERS) + 1))
    finally:
        subprocess.run(["rm", "-rf", str(top)], check=True)


def test_a_tree_deeper_than_the_kernel_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies deeper is left out."""
    monkeypatch.setattr(cgroup2, "FOLDERS", 1 << 20)
    build = "import os\nfor _ in range(30):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\n"
    top = tmp_path / "top"
    top.mkdir()
    (top / "cgroup.procs").write_text("7\n")
    try:
        subprocess.run([sys.executable, "-S", "-c", build], cwd=top, check=True)
        assert cgroup2.pids("/top", str(tmp_path)) == {7}
    finally:
        subprocess.run(["rm", "-rf", str(top)], check=True)


def test_writing(root: str) -> None:
    """One value; into one that is gone it is an error."""
    cgroup2.write("/a", "cpu.weight", "77", root)
    assert Path(root, "a/cpu.weight").read_text().startswith("77")
    cgroup2.switch("/", ["+io", "-cpu"], root)
    assert Path(root, "cgroup.subtree_control").read_text().startswith("+io -cpu")
    cgroup2.move(99, "/c", root)
    assert cgroup2.pids("/c", root) == {99}
    with pytest.raises(FileNotFoundError):
        cgroup2.write("/gone", "cpu.weight", "1", root)
    with pytest.raises(FileNotFoundError):
        cgroup2.write("/c", "cpu.weight", "1", root)  # nothing is ever created


def test_made_and_removed(root: str) -> None:
    """Twice is fine; another one of that name has another number."""
    cgroup2.make("/x/y", root)
    cgroup2.make("/x/y", root)
    assert cgroup2.cgroup_id("/x/y", root) == Path(root, "x/y").stat().st_ino
    with pytest.raises(OSError, match="not empty"):
        cgroup2.remove("/x", root)
    cgroup2.remove("/x/y", root)
    cgroup2.remove("/x/y", root)
    assert cgroup2.cgroup_id("/x/y", root) is None


def test_emptied_though_some_fork_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks again until nobody is left, and a process that exits is news."""
    inside = [{1, 2}, {3}, {4, 0}, set()]
    moved = []

    def move(pid: int, path: str, root: str) -> None:
        if pid == 4:
            raise ProcessLookupError
        moved.append((pid, path, root))

    monkeypatch.setattr(cgroup2, "pids", lambda *_: frozenset(inside.pop(0)))
    monkeypatch.setattr(cgroup2, "move", move)
    assert cgroup2.empty_into("/a", "/b", "/m") == 3
    assert sorted(moved) == [(1, "/b", "/m"), (2, "/b", "/m"), (3, "/b", "/m")]


def test_emptying_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when they fork faster than they are moved."""
    monkeypatch.setattr(cgroup2, "pids", lambda *_: frozenset({1}))
    monkeypatch.setattr(cgroup2, "move", lambda *_: None)
    assert cgroup2.empty_into("/a", "/b") < 100


def test_a_directory_is_no_mount(tmp_path: Path) -> None:
    """On v1 machines there is one in its place."""
    assert not cgroup2.mounted(str(tmp_path))
    assert not cgroup2.mounted(str(tmp_path / "gone"))


def test_our_own_cgroup() -> None:
    """The kernel's own words; a pid that cannot be is in none."""
    own = cgroup2.of_process(os.getpid())
    assert own is None or cgroup2.sound(own)
    assert cgroup2.of_process(1 << 30) is None


def test_a_process_that_leaves_while_it_is_looked_at(tmp_path: Path) -> None:
    """Its file is there and empty, or not there."""
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "cgroup").write_bytes(b"")
    assert cgroup2.of_process(5, str(tmp_path)) is None
    assert cgroup2.of_process(6, str(tmp_path)) is None
