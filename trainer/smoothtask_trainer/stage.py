"""Plays scenes: starts real programs, types into real terminals, and ends whatever it started, however it ends.

A process of its own (`python -m smoothtask_trainer.stage`), so that all that runs below it, and nothing else, is
recorded. Orphans come back to it (prctl(2), PR_SET_CHILD_SUBREAPER), and it ends with whoever started it.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from smoothtask.bench.guard import FolderError, bind_to_parent, end_children, only_ours, reap
from smoothtask.bench.project import write_project
from smoothtask.bench.terminal import open_terminal, press_key, read_screen
from smoothtask_trainer.scenes import PAUSE_S, Part, Scene, live, program

NAMES = ("firefox", "frame-loop", "ffmpeg", "qzxv-worker", "tracker-miner-fs-3")
"""Under which `actor.c` is run."""
STEP_S = 0.1
LAST_WORDS_S = 1.0
WORKED_IN, TYPE_EVERY_S = 0, 4.0
"""The terminal that somebody types into, and how often."""


class StageError(Exception):
    """No scene can be played here; the text is a sentence for a person."""


class _Ended(Exception):  # noqa: N818 (news, not a mistake)
    """Somebody asked the stage to end."""


@dataclass(slots=True)
class Stage:
    """The programs of the scenes, in a folder of their own."""

    folder: Path
    _terminals: dict[int, int] = field(default_factory=dict)
    """Terminal → the descriptor of its keyboard and screen."""

    def play(self, scene: Scene, more_s: float = 0.0) -> None:
        """From the first program to the end of the last; *more_s* are left to those who are done to say so."""
        end_s = time.monotonic() + scene.seconds
        waiting = sorted(scene.parts, key=lambda p: p.begin)
        begun_s = typed_s = time.monotonic()
        while (now_s := time.monotonic()) < end_s + more_s:
            while waiting and now_s - begun_s >= waiting[0].begin * scene.seconds:
                self._begin(waiting.pop(0), end_s - now_s)
            if now_s - typed_s >= TYPE_EVERY_S:
                typed_s = now_s
                self._type()
            for keyboard in self._terminals.values():
                read_screen(keyboard)
            reap()
            time.sleep(STEP_S)
        self.clear()

    def clear(self) -> None:
        """End every program."""
        end_children()
        while self._terminals:
            os.close(self._terminals.popitem()[1])

    def _begin(self, part: Part, left_s: float) -> None:
        command = part.command.format(s=f"{left_s:.1f}", cores=os.cpu_count() or 1)
        if part.terminal is not None:
            os.write(self._terminal(part.terminal), command.encode() + b"\n")
            return
        environment = self._environment()
        words = shlex.split(command)
        binary = str(self.folder / "bin" / words[0])
        subprocess.Popen(
            words, executable=binary, env=environment, cwd=self.folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _terminal(self, number: int) -> int:
        """The terminal of that number, with a shell in it."""
        if number not in self._terminals:
            self._terminals[number] = open_terminal(self.folder / "project", self._environment()).keyboard
        return self._terminals[number]

    def _type(self) -> None:
        """A letter and its removal into the first terminal: somebody works there."""
        keyboard = self._terminals.get(WORKED_IN)
        if keyboard is not None:
            press_key(keyboard)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        path = f"{self.folder / 'bin'}:{os.environ.get('PATH', os.defpath)}"
        return {**kept, "PATH": path, "HOME": str(self.folder), "TERM": "dumb", "HISTFILE": "/dev/null"}


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A stage in *folder* with everything that scenes need; gone at the end. Raises StageError."""
    for wanted in ("gcc", "make", "bash"):
        if shutil.which(wanted) is None:
            raise StageError(f"recording scenes needs {wanted}: install it (apt-get install gcc make bash)")
    with _ours(folder):
        make_actors(folder / "bin", NAMES)
        write_project(folder / "project")
        played = Stage(folder)
        try:
            yield played
        finally:
            played.clear()


@contextlib.contextmanager
def _ours(folder: Path) -> Iterator[None]:
    """`only_ours`, whose complaint is a StageError."""
    try:
        with only_ours(folder):
            yield
    except FolderError as error:
        raise StageError(str(error)) from error


def make_actors(folder: Path, names: tuple[str, ...]) -> None:
    """Compile `actor.c` into *folder*, once for each name. Raises StageError."""
    folder.mkdir(parents=True)
    source, first = Path(__file__).with_name("actor.c"), folder / names[0]
    done = subprocess.run(
        ["gcc", "-O1", "-pthread", "-o", str(first), str(source)], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise StageError(f"gcc cannot compile {source.name}: {done.stderr.strip()[:400]}")
    for name in names[1:]:
        shutil.copy(first, folder / name)


def _end(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows ends everybody
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Ended


def main(arguments: list[str] | None = None) -> int:
    """Play for so many minutes; a line on stdout before each scene."""
    parser = argparse.ArgumentParser(prog="python -m smoothtask_trainer.stage", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--live", metavar="FILE", help="play the scene that is measured; its frames go there")
    parser.add_argument("--folder", type=Path, required=True, help="made, and removed at the end")
    parser.add_argument("--parent", type=int, required=True, help="pid of whoever starts this: it ends with that one")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    bind_to_parent()
    if os.getppid() != options.parent:  # it died before we were bound to it
        return 1
    try:
        with stage(options.folder) as played:
            if options.live is not None:
                played.play(live(60 * options.minutes, shlex.quote(options.live)), more_s=LAST_WORDS_S)
                return 0
            for scene in program(options.minutes, options.seed):
                sys.stdout.write(f"{scene.seconds:.0f} s: {scene.name}\n")
                sys.stdout.flush()
                played.play(scene)
                time.sleep(PAUSE_S)
    except _Ended:
        end_children()
    except StageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
