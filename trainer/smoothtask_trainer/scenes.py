"""The scenes that `smoothtask train record` plays: which programs run when, and what each is for (pure; seeded)."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from smoothtask.model.classes import PriorityClass

SHORTEST_S, LONGEST_S = 35.0, 70.0
PAUSE_S = 3.0
"""Between two scenes nothing runs."""


@dataclass(frozen=True, slots=True)
class Part:
    """One program of a scene. In the command, `{s}` is the seconds left and `{cores}` the number of CPUs."""

    command: str
    terminal: int | None = None
    """Typed into the shell of this terminal; `None`: started by itself, as a desktop does."""
    begin: float = 0.0
    """Share of the scene after which it begins."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of a person's day at the machine."""

    name: str
    parts: tuple[Part, ...]
    seconds: float = 0.0


OUGHT = {
    "firefox": PriorityClass.INTERACTIVE,
    "frame-loop": PriorityClass.INTERACTIVE,
    "ffmpeg": PriorityClass.BACKGROUND,
    "make": PriorityClass.BACKGROUND,
    "qzxv-worker": PriorityClass.BACKGROUND,
    "tracker-miner-f": PriorityClass.IDLE,
}
"""Program (comm) → the class that the scene's author means it to have: what `--labels` writes."""

_PAGES = Part("firefox browse {s} 6")
_HEAVY_PAGE = Part("firefox browse {s} 5")
_FRAMES = Part("frame-loop frames {s} > /dev/null &", terminal=0)
_BUILD = Part("make -s -j$(({cores} + 1)) clean all", terminal=1, begin=0.2)
_BUILD_BESIDE = replace(_BUILD, terminal=0)
_ENCODE = Part("ffmpeg encode {s} {cores} &", terminal=0, begin=0.25)
_INDEX = Part("tracker-miner-fs-3 walk {s} /usr", begin=0.15)
_HOGS = Part("for i in $(seq $(({cores} + 2))); do qzxv-worker crunch {s} & done", terminal=0, begin=0.2)

SCENES: tuple[Scene, ...] = (
    Scene("pages, and nothing else", (_PAGES,)),
    Scene("frames in a terminal while the indexer runs", (_FRAMES, _INDEX)),
    Scene("a build in one terminal, pages beside it", (_PAGES, _BUILD)),
    Scene("a build in the terminal of the frames", (_FRAMES, _BUILD_BESIDE)),
    Scene("an encoder behind the frames", (_PAGES, _FRAMES, _ENCODE)),
    Scene("unknown programs hog beside the frames", (_FRAMES, _HOGS)),
    Scene("a page that hogs, and the indexer", (_HEAVY_PAGE, _INDEX)),
    Scene("everything at once", (_PAGES, _FRAMES, _BUILD, replace(_ENCODE, begin=0.5), _INDEX)),
)

LIVE_BEGIN = 0.25


def live(seconds: float, output: str) -> Scene:
    """Frames, and unknown programs that hog beside them from a quarter on; *output*: where the frames are written.

    Three hogs a CPU: a fair share is then less than the frames need.
    """
    frames = Part(f"frame-loop frames {{s}} > {output} &", terminal=0)
    hogs = replace(_HOGS, command=_HOGS.command.replace("{cores} + 2", "{cores} * 3"), begin=LIVE_BEGIN)
    return Scene("measured: frames, and unknown programs beside them", (frames, hogs), seconds)


def program(minutes: float, seed: int) -> Iterator[Scene]:
    """Scenes that fill *minutes* in all, in an order and of lengths that *seed* decides; each before one again."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    left_s = 60 * minutes
    waiting: list[Scene] = []
    while left_s > 0:
        if not waiting:
            waiting = list(SCENES)
            chance.shuffle(waiting)
        seconds = min(left_s, chance.uniform(SHORTEST_S, LONGEST_S))
        parts = tuple(replace(p, begin=p.begin * chance.uniform(0.5, 1.5)) for p in waiting[-1].parts)
        yield replace(waiting.pop(), parts=parts, seconds=seconds)
        left_s -= seconds + PAUSE_S
