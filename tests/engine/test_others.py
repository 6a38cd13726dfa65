"""Other programs that set priorities come and go, on a world of values."""

from collections import Counter
from dataclasses import replace
from typing import Any

from scenery import identity, known
from smoothtask.engine.others import EVERY_S, LOOKS, READ_AT_MOST, Eyes, Others
from smoothtask.engine.world import World
from smoothtask.kernel.owners import recognise
from smoothtask.model.identity import Identity
from smoothtask.model.owner import NOTHING_LEFT, LeftTo, Owner, OwnerKind
from smoothtask.model.tasks import ProcKey

ANANICY = identity(50, name="ananicy-cpp", uid=0, exe="/usr/bin/ananicy-cpp")
GAMEMODED = identity(51, name="gamemoded", exe="/usr/bin/gamemoded")


class Rig:
    """A world, and everything that was asked and heard."""

    def __init__(self, *living: Identity) -> None:
        self.people: dict[int, Identity] = {}
        self.world = World(lambda pid, _start: self.people.get(pid), self._classify, lambda _pid: None)
        self.asked: Counter[str] = Counter()
        self.maps: Counter[int] = Counter()
        self.using: set[ProcKey] = set()
        self.daemons: tuple[Owner, ...] = ()
        self.trouble: OSError | None = None
        self.heard: list[LeftTo] = []
        self.sources: dict[str, str] = {}
        self.now_s = 100.0
        self.others = Others(
            Eyes(self._recognise, self._complete, self._uses, self._daemons), self.heard.append, self.sources
        )
        for i in living:
            self.add(i)

    @staticmethod
    def _classify(i: Identity, _ancestors: Any) -> Any:
        return known(i.name, type="game" if i.name.startswith("game-") else "tool")

    def _recognise(self, i: Identity) -> Owner | None:
        self.asked["recognise"] += 1
        return recognise(i)

    def _complete(self, among: Any) -> tuple[Owner, ...]:
        return tuple(among)

    def _uses(self, key: ProcKey) -> bool:
        self.maps[key.pid] += 1
        return key in self.using

    def _daemons(self) -> tuple[Owner, ...]:
        if self.trouble is not None:
            raise self.trouble
        return self.daemons

    def add(self, i: Identity) -> None:
        """*i* starts, or executes another program."""
        self.people[i.key.pid] = i
        self.world.admit(i.key)

    def end(self, i: Identity) -> None:
        """*i* is gone."""
        del self.people[i.key.pid]
        self.world._placed.pop(i.key.pid)
        self.world._touch()

    def look(self) -> list[str]:
        """The next look that is due."""
        self.now_s += EVERY_S
        return self.others.look(self.world, self.now_s)


def test_one_comes_and_goes() -> None:
    """Said once each, and the actuator hears what is left."""
    rig = Rig(identity(10))
    assert rig.look() == []
    assert rig.sources == {"owners": "none"}
    rig.add(ANANICY)
    assert "ananicy-cpp sets priorities here" in rig.look()[0]
    assert rig.sources == {"owners": "ananicy-cpp"}
    assert rig.heard[-1].everywhere.threads
    assert rig.look() == []
    rig.end(ANANICY)
    assert "is gone" in rig.look()[0]
    assert rig.heard[-1] == NOTHING_LEFT
    assert rig.sources == {"owners": "none"}


def test_nobody_is_looked_at_before_it_is_due_or_when_nobody_came() -> None:
    """What does not change costs nothing, and is not told to the actuator again."""
    rig = Rig(identity(10), ANANICY)
    rig.look()
    before, heard = rig.asked["recognise"], len(rig.heard)
    assert before == 2
    rig.add(identity(11))
    assert rig.others.look(rig.world, rig.now_s + EVERY_S - 0.1) == []
    assert rig.asked["recognise"] == before, "not due"
    rig.look()
    assert rig.asked["recognise"] == before + 3
    rig.look()
    assert rig.asked["recognise"] == before + 3, "the same world"
    assert len(rig.heard) == heard


def test_a_user_s_own_program_of_that_name_owns_nothing() -> None:
    rig = Rig(replace(ANANICY, uid=1000))
    assert rig.look() == []
    assert not rig.heard[-1]


def test_games_that_use_gamemode_are_left_to_it() -> None:
    """Those of its user only; who does not use it is not asked for ever, but anew after an exec."""
    game, plain = identity(20, name="game-a", exe="/g/a"), identity(21, name="game-b", exe="/g/b")
    steam = identity(22, environ=frozenset({("SteamAppId", "7")}))
    stranger, tool = identity(23, name="game-c", uid=1001), identity(24)
    rig = Rig(GAMEMODED, game, plain, steam, stranger, tool)
    rig.using = {game.key, stranger.key, tool.key}
    placed = rig.world.get(20)
    assert placed is not None
    assert "(1 now)" in rig.look()[0]
    assert set(rig.heard[-1].groups) == {rig.world.group_of(placed)}
    for _ in range(LOOKS + 2):
        assert rig.look() == []
    assert rig.maps == {20: 1, 21: LOOKS, 22: LOOKS}
    later = replace(plain, exe="/g/other")
    rig.add(later)
    rig.using.add(later.key)
    assert "(2 now)" in rig.look()[0]
    rig.end(game)
    rig.end(later)
    assert "(none now)" in rig.look()[0]
    assert not rig.heard[-1]


def test_a_crowd_of_games_is_read_bit_by_bit() -> None:
    """Everybody gets a turn before anybody gets a second one."""
    crowd = [identity(pid, name=f"game-{pid}") for pid in range(1000, 1000 + READ_AT_MOST + 10)]
    rig = Rig(GAMEMODED, *crowd)
    rig.look()
    assert rig.maps.total() == READ_AT_MOST
    rig.look()
    assert set(rig.maps) == {i.key.pid for i in crowd}
    assert rig.maps.total() == 2 * READ_AT_MOST


def test_daemons_that_cannot_be_seen_are_said_once_and_taken_to_be_there_still() -> None:
    rig = Rig()
    rig.daemons = (Owner(OwnerKind.SMOOTHTASK, "another SmoothTask", 0, 7, "uid 1000"),)
    assert "another SmoothTask" in rig.look()[0]
    rig.trouble = PermissionError(13, "Permission denied")
    assert rig.look() == ["whether another SmoothTask runs cannot be seen: [Errno 13] Permission denied"]
    assert rig.look() == []
    assert rig.heard[-1].everywhere.units_cpu
    rig.trouble, rig.daemons = None, ()
    assert "is gone" in rig.look()[0]
    rig.trouble = OSError("again")
    assert rig.look() == ["whether another SmoothTask runs cannot be seen: again"]
