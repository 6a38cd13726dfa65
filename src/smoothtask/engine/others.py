"""Who else sets priorities here: looked for among the living every 10 s, the first time before anything is done.

What is left to them goes to the actuator when it changes. How Linux is asked is given by whoever puts the parts
together (`Eyes`); what is left to whom is a table (`policy.standback`).
"""

from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, replace

from smoothtask.engine.world import World
from smoothtask.grouper import Placed
from smoothtask.model.identity import Identity
from smoothtask.model.owner import LeftTo, Owner, OwnerKind
from smoothtask.model.tasks import ProcKey
from smoothtask.policy import standback

EVERY_S = 10.0
READ_AT_MOST = 16
"""Memory maps of possible games read at one look (3,000 mappings cost 2.7 ms): the rest waits for the next."""
LOOKS = 3
"""A process that did not use GameMode so often is not asked again: games load its library when they start."""
_GAME_VARIABLES = frozenset({"SteamAppId", "SteamGameId", "GAMEMODERUNEXEC", "LUTRIS_GAME_UUID", "HEROIC_APP_NAME"})

_Program = tuple[ProcKey, str | None]
"""A process and the file that it runs: one that executes another is asked anew."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """How others are seen."""

    recognise: Callable[[Identity], Owner | None]
    """The owner that a process is."""
    complete: Callable[[Iterable[Owner]], tuple[Owner, ...]]
    """All owners, given those among the processes."""
    uses_gamemode: Callable[[ProcKey], bool]
    """Whether a process has loaded GameMode's library."""
    daemons: Callable[[], tuple[Owner, ...]] = tuple
    """Other SmoothTask daemons that manage some of the same. May raise OSError."""


class Others:
    """Asked once a tick, when it is known who belongs to which group."""

    def __init__(
        self, eyes: Eyes, stand_back: Callable[[LeftTo], None], sources: MutableMapping[str, str] | None = None
    ) -> None:
        """*stand_back* hears what is left when that changes; a summary is kept in *sources* as `owners`."""
        self._eyes = eyes
        self._stand_back = stand_back
        self._sources = sources if sources is not None else {}
        self._games = Games(eyes.uses_gamemode)
        self._found: tuple[Owner, ...] = ()
        self._among: tuple[Owner, ...] = ()
        """Those among the processes of world version `_version`."""
        self._version = -1
        self._daemons: tuple[Owner, ...] = ()
        self._blind = False
        """Other daemons could not be asked for the last time."""
        self._next_s = float("-inf")

    def look(self, world: World, now_s: float) -> list[str]:
        """News for people; nothing is looked at unless that is due. *now_s*: CLOCK_MONOTONIC."""
        if now_s < self._next_s:
            return []
        self._next_s = now_s + EVERY_S
        troubles = self._ask_daemons()
        found = (*self._among_processes(world), *self._daemons)
        if found == self._found and "owners" in self._sources:
            return troubles
        news = standback.news(self._found, found)
        self._found = found
        self._sources["owners"] = standback.summary(found)
        self._stand_back(standback.left_to(found))
        return troubles + news

    def _among_processes(self, world: World) -> tuple[Owner, ...]:
        if world.version != self._version:
            self._version = world.version
            self._among = tuple(o for p in world.living() if (o := self._eyes.recognise(p.identity)) is not None)
        found = self._eyes.complete(self._among)
        uids = frozenset(o.uid for o in found if o.kind is OwnerKind.GAMEMODE)
        games = self._games.groups(world, uids) if uids else {}
        return tuple(replace(o, groups=games[o.uid]) if o.kind is OwnerKind.GAMEMODE else o for o in found)

    def _ask_daemons(self) -> list[str]:
        """Says once that they cannot be asked; those that were there are taken to be there still."""
        was_blind, self._blind = self._blind, False
        try:
            self._daemons = self._eyes.daemons()
        except OSError as error:
            self._blind = True
            return [] if was_blind else [f"whether another SmoothTask runs cannot be seen: {error}"]
        return []


class Games:
    """Which groups use GameMode. A process is read a few times at most, and never again once it does."""

    def __init__(self, uses_gamemode: Callable[[ProcKey], bool]) -> None:
        self._uses_gamemode = uses_gamemode
        self._asked: dict[_Program, int] = {}
        self._using: frozenset[_Program] = frozenset()

    def groups(self, world: World, uids: frozenset[int]) -> dict[int, tuple[str, ...]]:
        """For each of *uids* the groups of that user's games which use it."""
        games = {(p.identity.key, p.identity.exe): p for p in world.living() if _may_be_a_game(p, uids)}
        self._asked = {program: self._asked.get(program, 0) for program in games}
        using = {program for program in self._using if program in games}
        open_ones = [program for program, times in self._asked.items() if times < LOOKS and program not in using]
        for program in sorted(open_ones, key=self._asked.__getitem__)[:READ_AT_MOST]:
            self._asked[program] += 1
            if self._uses_gamemode(program[0]):
                using.add(program)
        self._using = frozenset(using)
        found = [games[program] for program in using]
        return {uid: tuple(sorted({world.group_of(p) for p in found if p.identity.uid == uid})) for uid in uids}


def _may_be_a_game(placed: Placed, uids: frozenset[int]) -> bool:
    if placed.identity.uid not in uids:
        return False
    return placed.classification.type == "game" or any(name in _GAME_VARIABLES for name, _ in placed.identity.environ)
