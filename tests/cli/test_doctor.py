"""The doctor on made-up machines, and on this one."""

import json
import os
from pathlib import Path

import pytest

from smoothtask.cli import doctor, main
from smoothtask.cli.doctor import Finding, State
from smoothtask.config.paths import Paths

OWNER = "sets priorities, too"


def examine(root: Path) -> dict[str, Finding]:
    paths = Paths(root / "run/x", root / "state/not/there/yet", root / "config.yaml")
    return {f.name: f for f in doctor.examine(paths, root)}


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_an_empty_machine_lacks_everything_and_says_what_that_costs(tmp_path: Path) -> None:
    found = examine(tmp_path)
    for name in (
        "kernel type information (BTF)",
        "libbpf",
        "autogroup",
        "cgroup v2",
        "systemd",
        "system D-Bus",
        "graphical session",
        "input devices",
        "audio server",
        "energy",
        "pressure of cpu (PSI)",
    ):
        assert found[name].state is State.ABSENT
        assert found[name].without
    assert found["configuration"].state is State.WORKS
    assert OWNER not in found


def test_a_machine_that_has_it_all(tmp_path: Path) -> None:
    write(
        tmp_path,
        sys__kernel__btf__vmlinux="",
        usr__lib64__x="",
        proc__sys__kernel__sched_autogroup_enabled="1\n",
        sys__fs__cgroup__x="",
        run__systemd__system__x="",
        sys__block__sda__queue__scheduler="none mq-deadline [bfq]\n",
        sys__block__nvme0n1__queue__scheduler="[none] mq-deadline\n",
        sys__block__loop0__queue__scheduler="[none]\n",
        sys__kernel__sched_ext__state="enabled\n",
        sys__kernel__sched_ext__root__ops="lavd\n",
        proc__pressure__cpu="some avg10=0.00\n",
        dev__input__event3="",
    )
    write(tmp_path / "usr/lib64", **{"libbpf.so.1": ""})
    write(tmp_path / "sys/fs/cgroup", **{"cgroup.controllers": "cpuset cpu io memory pids\n"})
    (tmp_path / "run/user/1000").mkdir(parents=True)
    (tmp_path / "run/user/1000/pipewire-0").touch()
    (tmp_path / "run/user/1000/wayland-0").touch()
    found = examine(tmp_path)
    for name in (
        "kernel type information (BTF)",
        "libbpf",
        "autogroup",
        "cgroup v2",
        "systemd",
        "IO priorities on sda",
        "graphical session",
        "input devices",
        "audio server",
        "pressure of cpu (PSI)",
        "space",
    ):
        assert found[name].state is State.WORKS, found[name]
    assert found["IO priorities on nvme0n1"].state is State.ABSENT
    assert "IO priorities on loop0" not in found
    assert "lavd" in found[OWNER].detail


def process(root: Path, pid: int, exe: str, uid: int = 0) -> None:
    """As much of /proc/PID as tells what runs."""
    name = exe.rpartition("/")[2]
    folder = root / "proc" / str(pid)
    write(folder, status=f"Name:\t{name[:15]}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nNSpid:\t{pid}\n")
    write(folder, cmdline=f"{exe}\0start\0", cgroup="0::/system.slice/x.service\n", comm=name)
    (folder / "exe").symlink_to(exe)


def test_every_owner_is_told_with_what_is_left_and_what_to_do(tmp_path: Path) -> None:
    """By the file that runs and its owner: a name, or a user's copy, is nobody."""
    process(tmp_path, 812, "/usr/bin/ananicy-cpp")
    process(tmp_path, 813, "/usr/bin/system76-scheduler")
    process(tmp_path, 814, "/usr/bin/gamemoded", uid=1000)
    process(tmp_path, 815, "/home/x/ananicy-rs", uid=1000)
    paths = Paths(tmp_path / "run/x", tmp_path / "state", tmp_path / "config.yaml")
    notes = [f for f in doctor.examine(paths, tmp_path) if f.name == OWNER]
    assert [f.detail.partition(": ")[0] for f in notes] == [
        "ananicy-cpp, pid 812",
        "gamemoded of uid 1000, pid 814",
        "system76-scheduler, pid 813",
    ]
    said = "\n".join(doctor.lines(notes))
    assert "ananicy-cpp, pid 812: left to it: nice, policy and IO priority of threads; weights of units" in said
    assert "to do: run one of the two: `systemctl disable --now ananicy-cpp` gives threads back" in said


def test_missing_controllers_are_named(tmp_path: Path) -> None:
    write(tmp_path / "sys/fs/cgroup", **{"cgroup.controllers": "memory pids\n"})
    assert examine(tmp_path)["cgroup v2"].detail == "without cpu, io"


def test_a_wrong_configuration_is_found(tmp_path: Path) -> None:
    write(tmp_path, **{"config.yaml": "mode: turbo\n"})
    finding = examine(tmp_path)["configuration"]
    assert finding.state is State.WRONG
    assert "config.yaml:1: mode" in finding.detail
    assert "to do: `smoothtask config check`" in "\n".join(doctor.lines([finding]))


def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SMOOTHTASK_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("SMOOTHTASK_CONFIG", raising=False)
    assert main(["doctor", "--json"]) == 0
    found = {f["name"]: f for f in json.loads(capsys.readouterr().out)}
    assert found["root"]["state"] == ("works" if os.geteuid() == 0 else "refused")
    assert found["BPF task iterator"]["state"] in {"works", "absent", "refused"}
    assert main(["doctor"]) == 0
    assert "BPF task iterator" in capsys.readouterr().out
