"""The dashboard driven by keys, with an engine that the test plays."""

import contextlib
import os
import signal
import subprocess
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from smoothtask.config.paths import find_paths
from smoothtask.kernel.sched import start_ticks
from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import (
    LabelGroup,
    LabelMoment,
    Pause,
    PinApp,
    Redo,
    Rehearse,
    Reply,
    SetOverride,
    Undo,
    Unpin,
)
from smoothtask.model.frame import Mark, Mode, ProcessFrame
from smoothtask.model.text import sanitise
from smoothtask_tui.app import Dashboard
from smoothtask_tui.palette import DARK, LIGHT
from smoothtask_tui.rows import HOLD_TICKS, SortKey
from smoothtask_tui.screens.group import GroupScreen
from smoothtask_tui.screens.help import HelpScreen
from smoothtask_tui.screens.ordering import GroupsScreen
from smoothtask_tui.screens.responsiveness import ResponsivenessScreen
from tui.driving import LIMIT_S, PART, A, B, C, Driver, dashboard
from tui.fakes import FakeClient, event, frame, group, process, without_psi_and_probe


async def test_the_first_paint_does_not_wait_for_a_frame():
    client = FakeClient()
    app = Dashboard(client, observe_reason="not root")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = Driver(app, client, pilot).screen_text
        assert "waiting for the first tick" in text
        assert "test engine" in text
        assert "not root" in text


async def test_groups_are_shown_with_class_and_letters():
    async with dashboard(size=(130, 30)) as d:
        for part in ("Alpha", "▲I interact", "Beta", "●N normal", "Gamma", "○Z idle", "nice +5", "CPU%▼"):
            assert part in d.screen_text


@pytest.mark.parametrize(("key", "target"), [("f7", 4), ("right_square_bracket", 4), ("f8", 2), ("[", 2)])
async def test_boost_and_calm_move_one_class(key, target):
    async with dashboard() as d:
        await d.press(key)
        await d.asked()
        assert d.client.asked == [SetOverride("a", PriorityClass(target))]
        await d.until(lambda: "done: override" in d.status)


async def test_boosting_twice_before_the_next_frame_goes_on_from_the_first():
    async with dashboard(C) as d:
        await d.press("f7", "f7")
        await d.asked(2)
        assert [c.target for c in d.client.asked] == [PriorityClass.BACKGROUND, PriorityClass.NORMAL]


async def test_beyond_the_last_class_nothing_is_asked():
    async with dashboard(C) as d:
        await d.press("f8")
        assert "no class beyond" in d.status
        assert d.client.asked == []


@pytest.mark.parametrize(
    ("keys", "command"),
    [
        (("c", "4"), SetOverride("a", PriorityClass.BACKGROUND)),
        (("c", "0"), SetOverride("a", None)),
        (("o", "t", "5"), SetOverride("a", PriorityClass.IDLE, 600.0)),
        (("o", "5"), SetOverride("a", PriorityClass.IDLE, 3600.0)),
        (("o", "e", "1"), SetOverride("a", PriorityClass.LATENCY_CRITICAL, 28800.0)),
        (("o", "x", "2"), SetOverride("a", PriorityClass.INTERACTIVE, None)),
        (("p", "1"), PinApp("a", PriorityClass.LATENCY_CRITICAL)),
        (("l", "3"), LabelGroup("a", PriorityClass.NORMAL)),
        (("m", "l"), LabelMoment("laggy")),
        (("m", "f"), LabelMoment("fine")),
        (("z",), Undo()),
        (("ctrl+y",), Redo()),
        (("a",), Pause(on=True)),
        (("D",), Rehearse(on=True)),
    ],
)
async def test_every_order_reaches_the_engine(keys, command):
    """Menus close after the choice and give the keys back to the list."""
    async with dashboard() as d:
        await d.press(*keys)
        await d.asked()
        assert d.client.asked == [command]
        assert not d.app.main.status.is_open
        await d.press("down")
        assert d.cursor == "b"


async def test_esc_and_meaningless_keys_leave_a_menu_without_an_order():
    async with dashboard() as d:
        for key in ("escape", "q", "f7", "9"):
            await d.press("c")
            assert d.app.main.status.is_open
            assert "class of Alpha" in d.status
            await d.press(key)
            assert not d.app.main.status.is_open
        assert d.client.asked == []
        assert d.app.is_running


async def test_keys_typed_quickly_reach_the_menu_that_the_first_opened():
    """All in the queue at once, as from a fast typist or a slow ssh: no letter of the filter acts on the list."""
    from textual.events import Key

    async with dashboard() as d:
        for key in ("slash", "c", "a", "z", "escape", "c", "5", "z", "o", "t", "4", "down", "q"):
            character = {"slash": "/"}.get(key, key if len(key) == 1 else None)
            d.app.post_message(Key(key, character))
        await d.until(d.client.closed.is_set)
        assert d.client.asked == [
            SetOverride("a", PriorityClass.IDLE),
            Undo(),
            SetOverride("a", PriorityClass.BACKGROUND, 600.0),
        ]
        assert d.cursor == "b"
        assert d.app.main.groups.view.filter == ""


async def test_an_order_is_about_all_that_are_marked_and_living():
    async with dashboard() as d:
        await d.press("space", "space")
        assert d.cursor == "c"
        assert "2 marked" in d.screen_text
        assert "*Alpha" in d.screen_text
        await d.press("c")
        assert "2 applications" in d.status
        await d.press("4")
        await d.asked(2)
        assert {(c.group, c.target) for c in d.client.asked} == {(g, PriorityClass.BACKGROUND) for g in "ab"}
        await d.press("o")
        await d.push(frame(A, C, seq=2))  # b exits while the menu is open
        await d.press("5")
        await d.asked(3)
        assert d.client.asked[2:] == [SetOverride("a", PriorityClass.IDLE, 3600.0)]
        assert "1 of 2 applications have exited" in d.screen_text
        await d.press("U")
        assert "marked" not in d.app.main.groups.lines[0].text


async def test_pin_of_marked_groups_unpins_only_when_all_are_pinned():
    pinned = replace(B, marks=frozenset({Mark.PINNED}))
    async with dashboard(A, pinned) as d:
        await d.press("space", "space", "p", "5")
        await d.asked(2)
        assert d.client.asked == [PinApp("a", PriorityClass.IDLE), PinApp("b", PriorityClass.IDLE)]


async def test_processes_unfold_below_their_group_and_orders_there_are_about_it():
    busy, quiet = process(77, "b", "busy --now"), process(78, "b", "quiet")
    shown = frame(A, B, processes=(busy,))
    async with dashboard(first=shown) as d:
        d.client.answer = lambda c: Reply(True, "ok", {"processes": [asdict(busy), asdict(quiet)]})
        await d.press("down", "right")
        await d.until(lambda: len(d.rows) == 4)
        assert d.rows == ["a", "b", "b#77.7700", "b#78.7800"]
        assert "77 busy --now" in d.screen_text
        await d.press("down", "down", "f7")
        await d.asked()
        assert d.client.asked == [SetOverride("b", PriorityClass.INTERACTIVE)]
        await d.press("left")
        assert (d.rows, d.cursor) == (["a", "b"], "b")


async def test_the_cursor_on_a_process_that_exits_is_nobodys():
    async with dashboard(first=frame(A, processes=(process(5, "a"),))) as d:
        await d.press("right", "down")
        assert d.cursor == "a#5.500"
        again = replace(process(5, "a"), start_ticks=900)
        await d.push(frame(A, processes=(again,), seq=2))
        assert d.cursor is None
        await d.press("f8")
        assert d.client.asked == []


@contextlib.contextmanager
def sleeper() -> Iterator[tuple[subprocess.Popen[bytes], ProcessFrame]]:
    """A real process, and how a frame shows it in group b."""
    child = subprocess.Popen(["sleep", "60"])
    try:
        yield child, replace(process(child.pid, "b"), start_ticks=start_ticks(child.pid) or 0)
    finally:
        child.kill()
        child.wait()


async def test_a_signal_to_all_processes_is_asked_twice():
    with sleeper() as (child, shown):
        async with dashboard() as d:
            d.client.answer = lambda c: Reply(True, "ok", {"processes": [asdict(shown)]})
            await d.press("down", "f9", "t")
            assert "TERM to all 2 processes of Beta: sure?" in d.status
            assert d.status.count("Beta") == 1
            await d.press("n")
            assert child.poll() is None
            await d.press("escape", "f9", "t", "y")
            await d.until(lambda: child.poll() == -signal.SIGTERM)
            await d.until(lambda: "sent SIGTERM to Beta (1 of 1 processes)" in d.status)


async def test_one_process_is_stopped_and_reniced_and_a_reused_pid_is_not():
    with sleeper() as (child, shown):
        async with dashboard(first=frame(B, processes=(shown,))) as d:
            d.client.answer = lambda c: Reply(True, "ok", {"processes": [asdict(shown)]})
            await d.press("down", "right", "down", "R", "5")
            await d.until(lambda: "has nice +10 by your hand" in d.status)
            assert os.getpriority(os.PRIO_PROCESS, child.pid) == 10
            other = replace(shown, start_ticks=1)
            d.client.answer = lambda c: Reply(True, "ok", {"processes": [asdict(other)]})
            await d.press("home", "K", "k", "y")
            await d.until(lambda: "exited meanwhile: nothing was done" in d.status)
            assert child.poll() is None


async def test_what_is_protected_gets_no_signal_from_here():
    guarded = replace(A, decision=replace(A.decision, protected=True))
    async with dashboard(guarded, B) as d:
        await d.press("f9")
        assert not d.app.main.status.is_open
        assert "protected" in d.status


async def test_pin_again_unpins():
    pinned = replace(A, marks=frozenset({Mark.PINNED}))
    async with dashboard(pinned, B) as d:
        await d.press("p")
        await d.asked()
        assert d.client.asked == [Unpin("a")]


async def test_pause_again_resumes():
    async with dashboard(first=frame(A, mode=Mode.PAUSED, mode_reason="by uid 0")) as d:
        assert "PAUSED" in d.screen_text
        await d.press("a")
        await d.asked()
        assert d.client.asked == [Pause(on=False)]


async def test_a_refusal_is_shown_and_never_read_as_markup():
    async with dashboard() as d:
        d.client.answer = lambda _: Reply(False, "not changed: [/nope] is [bold]protected[/]")
        await d.press("f7")
        await d.until(lambda: "[/nope] is [bold]protected[/]" in d.status)
        await d.until(lambda: "[/nope]" in d.screen_text.replace(d.status, ""))  # the toast


async def test_an_engine_that_cannot_be_asked_is_said():
    async with dashboard() as d:

        def broken(_: object) -> Reply:
            raise ConnectionResetError("peer has gone")

        d.client.answer = broken
        await d.press("z")
        await d.until(lambda: "peer has gone" in d.status)
        d.client.answer = lambda _: Reply(True, "again here")
        await d.press("z")
        await d.until(lambda: "again here" in d.status)


async def test_asking_does_not_happen_in_the_screens_thread():
    import threading

    async with dashboard() as d:
        await d.press("z")
        await d.asked()
        assert d.client.asking_thread not in {None, threading.get_ident()}


# --- the cursor is an identity -----------------------------------------------------------------------


async def test_a_new_order_does_not_move_the_cursor_to_another_group():
    """Alpha had the cursor and falls from first to last; the key still reaches Alpha."""
    async with dashboard() as d:
        assert d.cursor == "a"
        quiet = replace(A, group=replace(A.group, metrics=replace(A.group.metrics, cpu=0.0)))
        await d.push(frame(group("n", cpu=5.0), quiet, B, C, seq=2))
        assert d.rows == ["n", "b", "c", "a"]
        assert d.cursor == "a"
        await d.press("f7")
        await d.asked()
        assert d.client.asked[0].group == "a"


async def test_the_order_is_held_after_a_cursor_key_and_says_so():
    async with dashboard() as d:
        await d.press("down")
        for tick in range(HOLD_TICKS - 1):
            await d.push(frame(C, B, A, group("n", cpu=5.0), seq=tick + 2))
            assert d.rows == ["a", "b", "c", "n"]
            assert f"order held {HOLD_TICKS - 1 - tick}" in d.screen_text
        await d.push(frame(C, B, A, group("n", cpu=5.0), seq=9))
        assert d.rows == ["n", "a", "b", "c"]
        assert d.cursor == "b"
        assert "order held" not in d.screen_text


async def test_nobody_inherits_the_cursor_of_a_group_that_exits():
    async with dashboard() as d:
        await d.press("down")
        await d.push(frame(A, C, seq=2))
        assert d.cursor is None
        await d.press("f7")
        assert d.client.asked == []
        assert "no application is under the cursor" in d.status
        await d.press("down")
        assert d.cursor == "c"  # the neighbour that took its place


async def test_a_menu_of_a_group_that_exited_is_refused():
    async with dashboard() as d:
        await d.press("c")
        await d.push(frame(B, C, seq=2))
        await d.press("4")
        assert "Alpha has exited meanwhile: nothing was changed" in d.status
        assert d.client.asked == []


async def test_a_menu_keeps_its_group_while_the_list_moves():
    async with dashboard() as d:
        await d.press("o", "t")
        await d.push(frame(group("n", cpu=9.0), C, A, B, seq=7))
        await d.press("4")
        await d.asked()
        assert d.client.asked == [SetOverride("a", PriorityClass.BACKGROUND, 600.0)]


# --- looking -----------------------------------------------------------------------------------------


async def test_filter_follows_each_letter_and_esc_clears_it():
    async with dashboard() as d:
        await d.press("slash", "b", "e")
        assert d.rows == ["b"]
        assert d.cursor == "b"
        assert "filter" in d.status
        await d.press("enter")
        assert not d.app.main.status.is_open
        assert d.rows == ["b"]
        assert "1 of 3" in d.screen_text
        await d.press("escape")
        assert d.rows == ["a", "b", "c"]
        await d.press("f4", "c", "l", "a", "s", "s", "colon", "i", "d", "backspace", "d", "space", "exclamation_mark")
        assert d.rows == ["c"]
        await d.press("escape")
        assert d.rows == ["a", "b", "c"]


async def test_a_filter_without_matches_says_so():
    async with dashboard() as d:
        await d.press("slash", "x", "x", "enter")
        assert d.rows == []
        assert "no application matches" in d.screen_text
        await d.press("f7", "down", "space", "enter", "end")
        assert d.client.asked == []


async def test_pasting_into_the_filter():
    from textual.events import Paste

    async with dashboard() as d:
        await d.press("slash")
        d.app.post_message(Paste("bet\x1b\n"))
        await d.pilot.pause()
        assert d.rows == ["b"]


async def test_sorting_by_keys_menu_and_mouse():
    async with dashboard() as d:
        await d.press("N")
        assert d.rows == ["a", "b", "c"]
        await d.press("I")
        assert d.rows == ["c", "b", "a"]
        assert "sort NAME▼" in d.screen_text
        assert "APPLICATION▼" in d.app.main.groups.lines[1].text
        await d.press("I")
        assert "sort NAME▲" in d.screen_text
        for key, sort in (("q", SortKey.QUEUE), ("d", SortKey.DISK), ("n", SortKey.NETWORK), ("w", SortKey.WATTS)):
            await d.press("f6", "d", key)
            assert d.app.main.groups.view.sort is sort
        await d.press("f6", "k")
        assert d.app.main.groups.view.sort is SortKey.CLASS
        assert d.rows == ["a", "b", "c"]
        heading = d.app.main.groups.lines[1].text
        await d.pilot.click("#groups", offset=(heading.index("WAIT%") + 1, 1))
        await d.pilot.pause()
        assert d.app.main.groups.view.sort is SortKey.WAIT


async def test_folding_keeps_the_cursor_with_the_application():
    async with dashboard(A, PART, B) as d:
        assert d.rows == ["a", "a/x", "b"]
        await d.press("down", "left")
        assert d.rows == ["a", "b"]
        assert d.cursor == "a"
        assert "▸" in d.screen_text
        await d.press("right")
        assert d.rows == ["a", "a/x", "b"]
        await d.press("left")
        assert d.rows == ["a", "b"]
        await d.press("f5")
        assert d.rows == ["a", "a/x", "b"]
        await d.press("f5")
        assert d.rows == ["a", "b"]


async def test_the_list_scrolls_with_the_cursor():
    many = tuple(group(f"g{i:03}", cpu=1 - i / 200) for i in range(120))
    async with dashboard(*many, size=(80, 24)) as d:
        await d.press("end")
        assert d.cursor == "g119"
        assert "g119" in d.screen_text
        await d.press("pageup", "pageup")
        assert d.cursor is not None
        assert d.cursor in d.screen_text
        await d.press("home", "k")
        assert d.cursor == "g000"


async def test_a_click_puts_the_cursor_and_a_second_opens_details():
    async with dashboard() as d:
        await d.pilot.click("#groups", offset=(5, 3))
        await d.pilot.pause()
        assert d.cursor == "b"
        assert isinstance(d.app.screen, GroupsScreen)
        await d.pilot.click("#groups", offset=(5, 3), times=2)
        await d.until(lambda: isinstance(d.app.screen, GroupScreen))
        assert d.app.screen.id_of_group == "b"


async def test_details_show_reasons_and_processes_that_only_explain_knows():
    async with dashboard(first=frame(A, B, processes=(process(77, "a", "alpha --busy"),))) as d:
        from dataclasses import asdict

        quiet = process(78, "a", "alpha --quiet")
        d.client.answer = lambda c: Reply(True, "x", {"processes": [asdict(quiet)]} if c.op == "explain" else {})
        await d.press("i")
        await d.until(lambda: "alpha --quiet" in d.screen_text)
        for part in ("because of Alpha", "apps.yaml:7", "alpha --busy"):
            assert part in d.screen_text
        await d.press("i")
        assert "because of Alpha" not in d.screen_text


async def test_copy_takes_the_reasons():
    async with dashboard() as d:
        await d.press("y")
        assert "because of Alpha" in d.app.clipboard
        assert "copied" in d.status


async def test_help_is_made_from_the_bindings():
    async with dashboard(size=(100, 80)) as d:
        await d.press("f1")
        assert isinstance(d.app.screen, HelpScreen)
        assert "one class up until it exits" in d.screen_text
        await d.press("escape")
        assert d.app.screen is d.app.main


async def test_plots_and_back_and_no_order_meanwhile():
    """Keys that act on the cursor do nothing where the cursor is not seen."""
    async with dashboard() as d:
        for seq in range(2, 40):
            d.app.scene.history.add(frame(A, seq=seq))
        await d.press("tab")
        assert isinstance(d.app.screen, ResponsivenessScreen)
        await d.until(lambda: "wake-up latency" in d.screen_text)
        await d.press("right")
        await d.until(lambda: "pressure" in d.screen_text)
        await d.press("f7", "z", "p")
        assert d.client.asked == []
        d.client.push(frame(B, seq=99))
        await d.until(lambda: d.app.scene.frame is not None and d.app.scene.frame.seq == 99)
        await d.press("g")
        assert d.app.screen is d.app.main
        await d.until(lambda: d.rows == ["b"])


async def test_themes_go_round():
    async with dashboard() as d:
        assert d.app.theme == DARK.name
        await d.press("f2")
        assert d.app.theme == LIGHT.name
        assert "Alpha" in d.screen_text


async def test_the_palette_opens_and_lists_what_keys_do():
    async with dashboard() as d:
        await d.press("colon")
        await d.until(lambda: "CommandPalette" in type(d.app.screen).__name__)
        await d.press(*"boost")
        await d.until(lambda: "Boost" in d.screen_text)
        await d.press("escape")


# --- the connection and the end -------------------------------------------------------------------------


async def test_a_lost_connection_keeps_the_last_frame_and_says_so():
    async with dashboard() as d:
        d.client.push("the daemon has gone: trying again")
        await d.until(lambda: "the daemon has gone" in d.screen_text)
        assert "Alpha" in d.screen_text
        assert d.app.main.groups.dimmed
        d.client.push("")
        await d.until(lambda: "the daemon has gone" not in d.screen_text)
        assert not d.app.main.groups.dimmed


async def test_an_engine_that_dies_is_reported_and_the_dashboard_can_be_left():
    async with dashboard() as d:
        d.client.push(RuntimeError("[/nope] the loop broke"))
        await d.until(lambda: "the loop broke" in d.screen_text)
        await d.press("q")
        await d.until(lambda: not d.app.is_running)
        assert d.app.return_code == 1
        assert "RuntimeError" in d.app.failure


@pytest.mark.parametrize("key", ["q", "f10", "ctrl+c"])
async def test_quitting_waits_until_the_engine_has_restored(key):
    async with dashboard() as d:
        d.client.linger_s = 0.3
        await d.press(key)
        assert d.client.closed.is_set()
        assert not d.client.ended.is_set()
        assert "being undone" in d.status
        await d.press("q")  # impatience changes nothing
        await d.until(lambda: not d.app.is_running)
        assert d.client.ended.is_set()
        assert d.app.return_code == 0


async def test_a_crash_of_the_screen_still_closes_the_client():
    client = FakeClient()
    app = Dashboard(client)

    def broken(**_: object) -> None:
        raise ZeroDivisionError

    async def play() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            app.main.draw = broken  # type: ignore[method-assign]
            client.push(frame(A))
            await Driver(app, client, pilot).until(lambda: app.scene.frame is not None)
            await pilot.pause()

    with pytest.raises(ZeroDivisionError):
        await play()
    assert client.ended.wait(LIMIT_S)


@pytest.mark.parametrize(("news", "status", "said"), [(frame(B), 0, ""), (RuntimeError("the loop broke"), 1, "broke")])
def test_the_whole_program_ends_with_its_status(news, status, said, capsys, monkeypatch, tmp_path):
    """`run_dashboard` as the command line calls it, but for the terminal; what was chosen is kept where it says."""
    from smoothtask_tui import app as module

    client = FakeClient(frame(A), news)
    run = Dashboard.run

    async def play(pilot: Pilot[int]) -> None:
        await pilot.pause(0.2)
        await pilot.press("f2", "q")

    monkeypatch.setattr(Dashboard, "run", lambda self: run(self, headless=True, size=(80, 24), auto_pilot=play))
    monkeypatch.setattr(module, "guarded_terminal", contextlib.nullcontext)
    assert module.run_dashboard(client, paths=find_paths(state_dir=str(tmp_path), environ={})) == status
    assert client.ended.is_set()
    assert said in capsys.readouterr().err
    assert LIGHT.name in (tmp_path / "dashboard.json").read_text()


# --- sizes and hostile names -------------------------------------------------------------------------------

SIZES = [(40, 10), (60, 15), (79, 23), (80, 24), (120, 40), (160, 50), (200, 60), (300, 100)]


@pytest.mark.parametrize("size", SIZES)
async def test_every_size_shows_the_list_and_survives_a_resize(size):
    many = tuple(group(f"g{i:02}", cpu=1 - i / 100) for i in range(40))
    async with dashboard(size=size, first=frame(*many, events=(event("something happened"),))) as d:
        assert "g00" in d.screen_text
        assert "F1Help" in d.screen_text
        assert d.app.main.status.region.y == size[1] - 2
        for other in ((80, 24), (200, 60), size):
            await d.pilot.resize_terminal(*other)
            await d.pilot.pause()
            assert "g00" in d.screen_text
        await d.press("i", "c", "escape", "slash", "escape", "i")
        assert max(len(row) for row in d.screen_text.split("\n")) == size[0]


async def test_details_are_beside_the_list_on_a_wide_screen():
    async with dashboard(size=(200, 60), first=frame(A, B, events=(event("a class changed"),))) as d:
        main = d.app.main
        assert main.detail_open
        assert main.detail.region.x > main.groups.region.x
        assert "a class changed" in d.screen_text
        assert "wake-up latency p99" in d.screen_text


async def test_observing_without_psi_and_probe():
    shown = without_psi_and_probe(frame(A, mode=Mode.DRY_RUN, mode_reason="not root"))
    async with dashboard(first=shown, size=(80, 24)) as d:
        assert "observing only" in d.screen_text
        assert "not root" in d.screen_text
        assert "no wake-up latency" in d.screen_text


HOSTILE = [
    "[/nope]",
    "[bold red on blue]x[/]",
    "[@click=app.quit]quit[/]",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.exe",
    "名前の長いアプリケーション名前",
    "e\u0301\u0301\u0301",
    "",
    "a" * 300,
    "x\udc80y",
]


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 60)])
async def test_hostile_names_on_every_screen(size):
    names = [sanitise(n) for n in HOSTILE]
    groups = tuple(group(f"h{i}", label=n, cpu=1.0 - i / 20) for i, n in enumerate(names))
    shown = frame(
        *groups,
        processes=tuple(process(i + 1, f"h{i}", n) for i, n in enumerate(names)),
        events=tuple(event(n) for n in names),
    )
    async with dashboard(size=size, first=shown) as d:
        d.client.answer = lambda c: Reply(False, "".join(names))
        for i in range(len(names)):
            await d.press("c", "escape", "p", "escape", "f7", "down")
            assert all(cell_len(row) <= size[0] for row in d.screen_text.split("\n")), i
            assert not [c for c in d.screen_text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"]
        assert "[/nope]" in d.screen_text or size == (60, 15)
        await d.press("tab", "escape", "f1", "escape")


def test_the_dashboard_imports_nothing_heavy():
    """An attached one with a frame on its screen: plotext comes with the plots; arrays, store and models never."""
    import subprocess
    import sys

    code = """
import sys
import smoothtask.cli.verbs, smoothtask_tui.app
from smoothtask.control import client, protocol
from smoothtask_tui.demo import frame_at
line = protocol.encode_frame(frame_at(3))
assert protocol.decode_answer(line).frame is not None
print(*sys.modules)
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"plotext", "numpy", "yaml", "psutil", "sqlite3", "sqlmodel", "sqlalchemy", "onnxruntime", "catboost"}
    assert not heavy & set(loaded)
