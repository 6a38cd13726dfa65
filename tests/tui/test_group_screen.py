"""Everything known of one application: read at three sizes, and acted on from there."""

import unicodedata
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Command, Detail, PinApp, Reply, SetOverride, Undo
from smoothtask.model.detail import ClassChange, Clues, GroupDetail, InForce, Supposition, ThreadFrame
from smoothtask.model.group import UnitRef
from smoothtask.model.text import sanitise
from smoothtask_tui.screens.group import GroupScreen
from smoothtask_tui.screens.ordering import GroupsScreen
from tui.driving import A, B, C, Driver, dashboard
from tui.fakes import frame, group, process
from tui.test_dashboard import HOSTILE
from tui.test_history import recorded_frames, write_log

SIZES = [(60, 15), (80, 24), (200, 60)]
IDLE, NORMAL = PriorityClass.IDLE, PriorityClass.NORMAL
TOLD = GroupDetail(
    group="a",
    is_whole=True,
    mono_s=5.0,
    in_force=(InForce("scheduling of 6 threads", "nice 0", "nice +19", 1_700_000_000.0, "it hogs the processor"),),
    more_in_force=3,
    past=(ClassChange(1_700_000_000.0, NORMAL, IDLE, "while somebody waits"),),
    what_if=(
        Supposition("if somebody waited", IDLE, "used 1.3 cores for 60 s"),
        Supposition("pinned to NORMAL", NORMAL, ""),
    ),
    processes=(process(77, "a", "alpha --quiet"),),
    threads=(ThreadFrame(77, 78, "render", -4, 3, "R", 10**9, 0),),
    clues=Clues(exe="/usr/bin/alpha"),
)


def telling(told: GroupDetail | str = TOLD, asked: list[Command] | None = None) -> Any:
    """An engine that tells *told*."""

    def answer(command: Command) -> Reply:
        if not isinstance(command, Detail):
            return Reply(True, f"done: {command.op}; undo takes it back")
        if asked is not None:
            asked.append(command)
        return Reply(False, told) if isinstance(told, str) else Reply(True, "", asdict(told))

    return answer


async def opened(d: Driver, *keys: str) -> GroupScreen:
    """The details of the group under the cursor, answered."""
    await d.press(*keys, "enter")
    await d.until(lambda: isinstance(d.app.screen, GroupScreen))
    screen = d.app.screen
    assert isinstance(screen, GroupScreen)
    return screen


async def everything(d: Driver) -> str:
    """What can be read by scrolling through."""
    await d.press("home")
    seen = d.screen_text
    for _ in range(80):
        before = d.screen_text
        await d.press("pagedown")
        seen += "\n" + d.screen_text
        if d.screen_text == before:
            return seen
    raise AssertionError("no end")


@pytest.mark.parametrize("size", SIZES)
async def test_all_that_is_known_can_be_read_at_every_size(size: tuple[int, int]) -> None:
    unit = UnitRef(-1, "alpha.scope", "/user.slice/alpha.scope")
    full = replace(A, group=replace(A.group, units=(unit,), cgroups=("/user.slice/alpha.scope",)), effect="everywhere")
    async with dashboard(full, B, size=size) as d:
        d.client.answer = telling()
        await opened(d)
        await d.until(lambda: d.app.scene.details.get("a") is not None)
        await d.press("t")
        await d.until(lambda: bool(d.app.scene.threads))
        text = await everything(d)
        for part in (
            "because of Alpha", "apps.yaml:7", "if somebody waited", "○ Z idle", "used 1.3 cores", "pinned to NORMAL",
            "nice 0 → nice +19", "because it hogs", "and 3 more", "○ Z IDLE", "while somebody waits", "alpha --quiet",
            "render", "BATCH", "alpha.scope", "CPU %", "waits %", "class", "everywhere",
        ):  # fmt: skip
            assert part in text, part
        assert all(cell_len(row) <= size[0] for row in text.split("\n"))
        assert f" {d.app.screen.body.where} " in d.screen_text or not d.app.screen.body.where


async def test_the_past_is_drawn_with_the_class_of_each_moment() -> None:
    """A letter where a class begins; + and - show more and less of it."""
    async with dashboard() as d:
        d.client.answer = telling()
        screen = await opened(d)
        lower = replace(A, decision=replace(A.decision, target=IDLE, wanted=IDLE))
        for seq in range(2, 60):
            await d.push(frame(lower if seq > 30 else A, B, seq=seq))
        lane = next(
            line.text for line in screen.body.all_lines if line.text.strip().startswith("class ") and "━" in line.text
        )
        letters = [c for c in lane.split("class", 1)[1] if c.isalpha()]
        assert letters == ["I", "Z"]
        assert "the last 5m" in d.screen_text
        await d.press("minus")
        assert "the last 60s" in d.screen_text
        await d.press("minus", "plus", "plus", "plus")
        assert "the last 15m" in d.screen_text


async def test_the_plots_begin_with_what_was_recorded(tmp_path: Path) -> None:
    """A daemon's log tells what was before the dashboard was opened; without one they begin with it."""
    log = tmp_path / "snapshots.db"
    calm, waits, *_ = recorded_frames()
    write_log(log, [calm, replace(waits, seq=60, time=calm.time + 60, mono_s=60.0)])
    lower = group("b", label="Beta", cpu=0.5, target=IDLE)
    for path, letters in ((log, ["N", "Z"]), (tmp_path / "none.db", ["Z"])):
        async with dashboard(log_path=path, size=(200, 60), first=frame(lower, seq=120)) as d:
            d.client.answer = telling(replace(TOLD, group="b"))
            screen = await opened(d)
            await d.until(lambda: d.app.scene.details.get("b") is not None)
            await d.until(lambda s=screen: all(w.is_finished for w in s.workers if w.name == "recall"))  # type: ignore[misc]

            def lane(s: GroupScreen = screen) -> str:
                return next(line.text for line in s.body.all_lines if "class " in line.text and "now" not in line.text)

            await d.push(frame(lower, seq=121))
            drawn = lane().rpartition("class")[2]
            assert [c for c in drawn if c.isalpha()] == letters


@pytest.mark.parametrize(
    ("keys", "command"),
    [
        (("c", "4"), SetOverride("b", PriorityClass.BACKGROUND)),
        (("o", "t", "5"), SetOverride("b", IDLE, 600.0)),
        (("p", "2"), PinApp("b", PriorityClass.INTERACTIVE)),
        (("f7",), SetOverride("b", PriorityClass.INTERACTIVE)),
        (("z",), Undo()),
    ],
)
async def test_orders_are_about_the_group_of_the_screen(keys: tuple[str, ...], command: Command) -> None:
    """Wherever the list's cursor and order have gone meanwhile, and whoever is marked there."""
    async with dashboard() as d:
        d.client.answer = telling()
        await d.press("space")
        assert d.cursor == "b"
        await opened(d)
        await d.push(frame(group("n", cpu=9.0), C, B, A, seq=2))
        await d.press(*keys)
        await d.asked()
        assert d.client.asked == [command]
        await d.until(lambda: "undo takes it back" in d.status)
        await d.press("escape")
        assert isinstance(d.app.screen, GroupsScreen)
        assert d.cursor == "b"


async def test_a_group_that_exits_stays_to_be_read_and_takes_no_orders() -> None:
    """Also when its menu is open: nobody inherits the key."""
    async with dashboard() as d:
        d.client.answer = telling()
        await opened(d)
        await d.until(lambda: d.app.scene.details.get("a") is not None)
        await d.press("c")
        await d.push(frame(B, C, seq=2))
        assert "has exited" in d.screen_text
        assert "if somebody waited" in d.screen_text
        await d.press("4")
        assert "Alpha has exited meanwhile" in d.status
        await d.press("f8", "p")
        assert "Alpha has exited: nothing is done" in d.status
        assert d.client.asked == []


async def test_why_there_is_no_detail_is_said() -> None:
    """An older daemon knows no `detail`; a strange answer is not understood."""
    async with dashboard(size=(80, 24)) as d:
        d.client.answer = telling("unknown op 'detail'")
        await opened(d)
        await d.until(lambda: "unknown op" in d.screen_text)
        d.client.answer = lambda _: Reply(True, "", {"group": 7})
        await d.push(frame(A, B, seq=2))
        await d.until(lambda: "not understood" in d.screen_text)


async def test_of_somebody_elses_group_it_is_said_what_is_not_told() -> None:
    async with dashboard(size=(200, 60)) as d:
        d.client.answer = telling(replace(TOLD, is_whole=False, threads=()))
        await opened(d)
        await d.until(lambda: "it is somebody else's" in d.screen_text)
        await d.press("t")
        await d.until(lambda: "somebody else's: not told" in d.screen_text)


async def test_threads_are_asked_for_on_demand_only() -> None:
    async with dashboard() as d:
        asked: list[Command] = []
        d.client.answer = telling(asked=asked)
        await opened(d)
        await d.until(lambda: len(asked) > 0)
        assert asked[-1] == Detail("a", threads=False)
        await d.press("t")
        await d.until(lambda: asked[-1] == Detail("a", threads=True))


async def test_no_cursor_no_detail() -> None:
    async with dashboard() as d:
        await d.push(frame(B, seq=2))
        assert d.cursor is None
        await d.press("enter")
        assert isinstance(d.app.screen, GroupsScreen)
        assert "no application is under the cursor" in d.status


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_in_every_section(size: tuple[int, int]) -> None:
    names = [sanitise(n) for n in HOSTILE]
    told = replace(
        TOLD,
        in_force=tuple(InForce(n, n, n, 0.0, n) for n in names),
        past=tuple(ClassChange(1.0, NORMAL, IDLE, n) for n in names),
        what_if=tuple(Supposition(n, IDLE, n) for n in names),
        processes=tuple(process(i, "a", n) for i, n in enumerate(names, 1)),
        threads=tuple(ThreadFrame(i, i, n, 0, 0, "R", 0, 0) for i, n in enumerate(names, 1)),
    )
    for name in (names[0], names[5]):
        hostile = group("a", label=name, cpu=0.9)
        hostile = replace(
            hostile, mechanism=name, effect=name, group=replace(hostile.group, cgroups=tuple(names), unit=name)
        )
        async with dashboard(hostile, size=size) as d:
            d.client.answer = telling(told)
            await opened(d)
            await d.until(lambda d=d: d.app.scene.details.get("a") is not None)  # type: ignore[misc]
            await d.press("t")
            text = await everything(d)
            assert all(cell_len(row) <= size[0] for row in text.split("\n")), name
            assert not [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"]
            assert "[/nope]" in text
