"""The whole of `smoothtask bench`, on real programs: it measures, and leaves nothing behind however it ends."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.test_results import measured
from family import below
from smoothtask.bench import loads, probes
from smoothtask.bench.guard import FolderError, hand_over, read_theirs
from smoothtask.bench.results import Measured
from smoothtask.bench.scenarios import IDLE, SCENARIOS, Need
from smoothtask.bench.stage import limits_memory, read_complaints, read_counters, read_rows
from smoothtask.classifier.apart import Reading
from smoothtask.classifier.layers import RuleFiles
from smoothtask.cli import main
from smoothtask.collector.identity import read_identity
from smoothtask.config.paths import Paths
from smoothtask.kernel import sched

NOBODY = 65534
ROUND_SLEEPS = 10
"""More than any probe's start takes after it has made its file, with a measurement more."""
STARTED: "list[subprocess.Popen[str]]" = []
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

BENCH = """
import json, sys
from pathlib import Path
from smoothtask.bench import command, results
from smoothtask.bench.scenarios import Pace
from smoothtask.config.paths import find_paths
pace = Pace(warm_s=1.0, settle_s=0.5, block_s=float(sys.argv[1]), rounds=1)
wanted = command.Wanted(tuple(sys.argv[2].split(",")), pace=pace, use_daemon="--use-daemon" in sys.argv)
report = command.run(wanted, find_paths(), lambda text: print(text, file=sys.stderr, flush=True))
print(json.dumps(results.to_json(report)))
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose folders are this test's own; nothing of the bench is left at the end."""
    STARTED.clear()
    yield {
        **os.environ,
        "SMOOTHTASK_RUNTIME_DIR": str(tmp_path / "run"),
        "SMOOTHTASK_STATE_DIR": str(tmp_path / "state"),
    }
    for process in STARTED:
        process.terminate()
        process.communicate()
    until(lambda: leftovers() == [])


def leftovers() -> list[str]:
    """Programs and folders of the bench."""
    found = [str(p) for p in Path("/var/tmp").glob(f"smoothtask-bench-{os.geteuid()}")]
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(
            w.endswith(("/loads.py", "/probes.py", "bench.stage", "bench.switch")) for w in words
        ):
            found.append(" ".join(words))
    return found


def start(place: dict[str, str], seconds: float, scenarios: str, *more: str) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", BENCH, str(seconds), scenarios, *more]
    STARTED.append(subprocess.Popen(words, env=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return STARTED[-1]


def start_stage(python: str, scenario: str, folder: Path, *more: str, env: dict[str, str]) -> "subprocess.Popen[str]":
    """The programs alone."""
    words = [python, "-m", "smoothtask.bench.stage", "--scenario", scenario, "--folder", str(folder)]
    pipe = subprocess.PIPE
    arguments = [*words, "--parent", str(os.getpid()), *more]
    STARTED.append(subprocess.Popen(arguments, env=env, stdin=pipe, stdout=pipe, text=True))
    return STARTED[-1]


def until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sleeps(pid: int) -> int:
    """How often a process has given up the CPU to wait: each measurement of a probe begins with it."""
    return psutil.Process(pid).num_ctx_switches().voluntary


def needs_python_for_all() -> None:
    """Where the interpreter is in a folder of root's, nobody else can be measured."""
    try:
        subprocess.run([Path(sys.executable).resolve(), "-c", ""], user=NOBODY, group=NOBODY, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("this Python may be used by root alone")


def runnable() -> str:
    """Loads of every kind that this machine can run."""
    missing = set() if shutil.which("make") and shutil.which("cc") else {Need.COMPILER}
    missing |= set() if limits_memory() else {Need.MEMORY}
    kinds = {"compile", "encode", "forks", "disk", "memory"}
    return ",".join(s.name for s in SCENARIOS if s.name in kinds and not s.needs & missing)


@root
def test_loads_are_measured_on_and_off(place, tmp_path):
    done = start(place, 2.0, runnable())
    stdout, stderr = done.communicate(timeout=180)
    assert done.returncode == 0, stderr
    report = json.loads(stdout)
    for outcome in report["outcomes"]:
        assert set(outcome["arms"]) == {"on", "off"}
        for arm in outcome["arms"].values():
            assert arm["frame"]["count"] > 0  # a crowded machine may draw few in a block
            assert arm["probes"]["typing"]["count"] > 0
        # Within two seconds, lowered and beside other work, a build may finish no file.
        done_by = {load: sum(arm["work"][load] for arm in outcome["arms"].values()) for load in arm["work"]}
        assert all(count > 0 for count in done_by.values()), outcome["name"]
    assert "left" in stderr  # the time
    assert not (tmp_path / "run/bench").exists()


def test_a_load_that_ends_is_said_and_never_taken_for_one_that_waits(place):
    bench = start(place, 3.0, "encode")

    def end_the_encoder() -> bool:
        for p in below(bench.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(w.endswith("/loads.py") for w in p.cmdline()):
                    p.kill()
                    return True
        return False

    until(end_the_encoder)
    _, stderr = bench.communicate(timeout=90)
    assert bench.returncode == 1
    assert "encode has ended" in stderr


@root
def test_what_it_did_not_start_is_not_touched(place):
    outside = psutil.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True)
    before = outside.nice()
    try:
        bench = start(place, 3.0, "terminal")
        lowered: set[int] = set()

        def is_lowered() -> bool:
            for p in below(bench.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    lowered.update({p.pid} if p.nice() > before else ())
            return bool(lowered)

        until(is_lowered)
        assert outside.nice() == before
        bench.communicate(timeout=90)
        assert outside.nice() == before
    finally:
        outside.kill()
        outside.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_interrupted(place, number, tmp_path):
    bench = start(place, 3.0, "terminal")  # after the idle machine
    until(lambda: any("loads.py threads" in line for line in leftovers()))
    time.sleep(1.5)  # in the middle of it
    bench.send_signal(number)
    bench.communicate(timeout=30)
    assert bench.returncode != 0
    until(lambda: leftovers() == [])
    until(lambda: not (tmp_path / "run/bench").exists())


def test_what_was_left_by_one_that_was_killed_goes_at_the_next_start(place):
    folder = Path(f"/var/tmp/smoothtask-bench-{os.geteuid()}")
    (folder / "out").mkdir(parents=True)
    (folder / "out/frames").write_text("old")
    stage = subprocess.run(
        [sys.executable, "-m", "smoothtask.bench.stage", "--scenario", "idle", "--folder", str(folder), "--parent",
         str(os.getpid())],
        env=place, input="", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert stage.returncode == 0, stage.stderr
    assert not folder.exists()


def test_a_folder_of_somebody_else_is_not_used(tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    words = [sys.executable, "-m", "smoothtask.bench.stage", "--scenario", "idle", "--parent", str(os.getpid())]
    done = subprocess.run(
        [*words, "--folder", str(tmp_path / "link")], input="", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "link" in done.stderr
    assert Path("/etc/passwd").exists()


def test_without_a_compiler_a_build_is_left_out(place, monkeypatch, tmp_path):
    """And with a hostile environment everything else is as it was."""
    from smoothtask.bench import command

    monkeypatch.setenv("PATH", str(tmp_path))
    build = next(s for s in SCENARIOS if s.name == "compile")
    assert "apt-get install" in command._missing(build)
    odd = {
        "PATH": "",
        "HOME": "/nonexistent",
        "LANG": "\x1b[31m",
        "TMPDIR": "/nonexistent",
        "PYTHONPATH": "/tmp:",
        "TERM": "x",
    }
    words = [sys.executable, "-m", "smoothtask.bench.stage", "--scenario", "idle", "--parent", str(os.getpid())]
    done = subprocess.run(
        [*words, "--folder", f"/var/tmp/smoothtask-bench-{os.geteuid()}"],
        env=odd, input="", capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout.splitlines()[0])["probes"]) == {"frames", "audio", "typing", "start"}


def test_the_load_of_the_bench_itself_is_nobody_else_s(monkeypatch, tmp_path):
    from smoothtask.bench import command

    seen = [0.0]
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, seen[-1]))

    def measure(*_arguments: object) -> list[Measured]:
        seen.append(99.0)
        return [measured(IDLE, 5, 5)]

    monkeypatch.setattr(command, "measure", measure)
    paths = Paths(tmp_path / "run", tmp_path / "state", tmp_path / "config.yaml")
    monkeypatch.setattr(command, "_switch", lambda *_: contextlib.nullcontext((None, "")))
    report = command.run(command.Wanted(("idle",)), paths, lambda _text: None)
    assert seen == [0.0, 99.0]
    assert not any("Others use this machine" in note for note in report.notes)


@root
def test_who_may_not_act_measures_without(place, tmp_path):
    needs_python_for_all()
    tmp_path.chmod(0o755)
    words = [sys.executable, "-c", BENCH, "1.0", "terminal"]
    done = subprocess.run(
        words, env={**place, "HOME": str(tmp_path), "SMOOTHTASK_RUNTIME_DIR": "/tmp/none-such/run"}, user=NOBODY,
        group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "No module named" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("nobody may not read this clone")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report["outcomes"][1]["arms"]) == {"off"}
    assert "Not root" in report["how"]
    assert not Path(f"/var/tmp/smoothtask-bench-{NOBODY}").exists()


def python_for_all() -> tuple[str, dict[str, str]]:
    """An interpreter that anybody may run, of our version, and what it needs to find our packages."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    paths = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    for found in (str(Path(sys.executable).resolve()), f"/usr/bin/python{version}"):
        with contextlib.suppress(OSError):
            if subprocess.run([found, "-c", ""], user=NOBODY, group=NOBODY, check=False).returncode == 0:
                return found, paths
    pytest.skip("no Python here that anybody may run")


@root
def test_programs_run_as_the_person_who_called_sudo(place):
    python, paths = python_for_all()
    folder = Path(f"/var/tmp/smoothtask-bench-{os.geteuid()}")
    stage = start_stage(python, "terminal", folder, "--uid", str(NOBODY), "--gid", str(NOBODY), env={**place, **paths})
    assert stage.stdin is not None
    assert stage.stdout is not None
    started = json.loads(stage.stdout.readline())["probes"]
    assert set(started) == {"frames", "audio", "typing", "start"}
    until(lambda: any("loads.py threads" in line for line in leftovers()))
    uids = set()
    for p in below(stage.pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            uids.add(p.uids().effective)
    assert uids == {NOBODY}
    asleep = {role: sleeps(pid) for role, pid in started.items()}
    until(lambda: all(sleeps(pid) >= asleep[role] + ROUND_SLEEPS for role, pid in started.items()))
    stage.stdin.write("end\n")
    stage.stdin.flush()
    assert stage.stdout.readline() == "done\n"
    rows = {role: (folder / "work/out" / role).stat().st_size for role in started}
    assert all(rows.values()), rows
    stage.communicate()
    assert stage.returncode == 0


SWAP = """
import os, sys, time
folder, target = sys.argv[1:]
parent = os.getppid()
while os.getppid() == parent:
    for name in ("complaints", "counters"):
        try:
            os.symlink(target, f"{folder}/swapped")
            os.replace(f"{folder}/swapped", f"{folder}/{name}")
        except OSError:
            pass
    try:
        os.unlink(f"{folder}/out/typing")
        os.mkfifo(f"{folder}/out/typing")
    except FileExistsError:
        pass
    except OSError:
        continue
    time.sleep(0.001)
"""


@root
def test_whom_the_programs_run_as_cannot_lead_root_elsewhere(place, tmp_path):
    """They swap files for links and pipes from the first moment on, while root starts more of them."""
    python, paths = python_for_all()
    folder = Path(f"/var/tmp/smoothtask-bench-{os.geteuid()}")
    target = tmp_path / "of root"  # in a folder that root alone may enter
    hostile = subprocess.Popen(
        [python, "-c", SWAP, str(folder / "work"), str(target)], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/"
    )
    stage = start_stage(python, "encode", folder, "--uid", str(NOBODY), "--gid", str(NOBODY), env={**place, **paths})
    try:
        assert stage.stdin is not None
        assert stage.stdout is not None
        assert json.loads(stage.stdout.readline())["workers"]
        stage.stdin.write("end\n")
        stage.stdin.flush()
        assert stage.stdout.readline() == "done\n"
        pipe = folder / "work/out/typing"
        until(pipe.is_fifo)
        hostile.kill()
        hostile.wait()
        if not pipe.exists():  # it was about to make it anew
            os.mkfifo(pipe)
        with pytest.raises(FolderError, match="out/typing"):
            read_rows(folder / "work", "typing")  # and does not wait for a writer
        assert len(read_counters(folder / "work")) > 0
        assert read_complaints(folder / "work") is not None
        assert not target.exists()
    finally:
        hostile.kill()
        hostile.wait()
        stage.communicate()


def test_what_somebody_else_may_have_swapped_is_read_with_care(tmp_path):
    """No link, no pipe, and no more than was asked for."""
    (tmp_path / "long").write_bytes(b"x" * 10 + b"end")
    assert read_theirs(tmp_path / "long", 3) == b"end"
    (tmp_path / "link").symlink_to(tmp_path / "long")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "none", "."):
        with pytest.raises(FolderError):
            read_theirs(tmp_path / name, 3)


@root
def test_a_link_is_handed_over_and_what_it_names_is_not(tmp_path):
    (tmp_path / "outside").touch()
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside")
    hand_over(tmp_path / "inside", NOBODY, NOBODY)
    assert (tmp_path / "inside/link").lstat().st_uid == NOBODY
    assert (tmp_path / "outside").stat().st_uid == 0


@pytest.mark.parametrize("text", ["", "x", "-1", "99999999999999999999", "0"])
def test_a_sudo_uid_that_means_nobody_is_none(monkeypatch, text):
    from smoothtask.bench.command import _person

    monkeypatch.setenv("SUDO_UID", text)
    monkeypatch.delenv("PKEXEC_UID", raising=False)
    assert _person() is None


def test_no_rule_knows_these_programs(tmp_path):
    """They are judged by what they do."""
    files = RuleFiles(runtime=tmp_path, ananicy=None, homes=False)
    rules = Reading(files, tmp_path / "kept").result().rules
    for script in (loads.__file__, probes.__file__):
        copied = shutil.copy(script, tmp_path)
        arguments = (
            ["threads", str(tmp_path / "n"), "0", "1"] if script == loads.__file__ else ["audio", str(tmp_path / "o")]
        )
        (tmp_path / "n").write_bytes(bytes(64))
        process = psutil.Popen([sys.executable, "-I", copied, *arguments], stderr=subprocess.DEVNULL)
        try:
            until(lambda p=process: str(tmp_path) in " ".join(p.cmdline()))
            ticks = sched.start_ticks(process.pid)
            assert ticks is not None
            identity = read_identity(process.pid, ticks)
            assert identity is not None
            found = rules.classify(identity, ())
            assert (found.target, found.protected, found.certain) == (None, False, False)
        finally:
            process.kill()
            process.wait()


@root
def test_a_daemon_is_asked_only_when_that_is_allowed(place, tmp_path):
    daemon = subprocess.Popen([sys.executable, "-m", "smoothtask", "daemon", "--scope", str(NOBODY)], env=place)
    scoped = {**place, "SMOOTHTASK_SCOPE": str(NOBODY)}

    def mode() -> str:
        said = subprocess.run(
            [sys.executable, "-m", "smoothtask", "status", "--json"],
            env=scoped,
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(said.stdout)["mode"] if said.returncode == 0 else ""

    try:
        until(lambda: mode() == "rules-only")
        refused = start(scoped, 1.0, "idle")
        _, stderr = refused.communicate(timeout=60)
        assert "--use-daemon" in stderr
        allowed = start(scoped, 8.0, "idle", "--use-daemon")
        until(lambda: mode() == "paused")
        allowed.kill()  # even so
        allowed.communicate(timeout=30)
        until(lambda: mode() == "rules-only")
        until(lambda: leftovers() == [])
    finally:
        daemon.terminate()
        daemon.wait(30)


@pytest.mark.parametrize("arguments", [["--quick", "--full"], ["--seed", "x"]])
def test_a_wrong_command_line_is_refused(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", *arguments])
    assert "smoothtask bench" in capsys.readouterr().err


def test_an_unknown_load_is_a_sentence(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SMOOTHTASK_RUNTIME_DIR", str(tmp_path))
    assert main(["bench", "--scenario", "no-such"]) == 1
    assert "expected idle, compile" in capsys.readouterr().err
