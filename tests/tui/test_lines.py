"""Header, details, graphs and help as lines of text: what they say, and that they fit."""

import doctest
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from smoothtask.model.decision import Contention
from smoothtask.model.frame import Mark, Mode
from smoothtask.model.person import Source, SourceHealth
from smoothtask_tui import demo, fmt, graph
from smoothtask_tui.detaillines import detail_lines, reasons_text
from smoothtask_tui.headlines import header_lines
from smoothtask_tui.history import MAX_POINTS, SPAN_S, History, newest
from smoothtask_tui.line import Line, line, spread
from smoothtask_tui.plots import spells
from smoothtask_tui.scene import Scene
from smoothtask_tui.screens.help import help_lines
from smoothtask_tui.widgets.graph import graph_lines
from tui.fakes import frame, group, process, without_psi_and_probe

SIZES = [(60, 15), (80, 24), (100, 30), (120, 40), (200, 60), (300, 100)]

PRINTABLE = st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])
"""What `sanitise` lets through."""


def scene_at(tick: int, **more: object) -> Scene:
    scene = Scene(description="demo", **more)
    for t in range(max(0, tick - 30), tick + 1):
        scene.history.add(demo.frame_at(t))
    scene.frame = demo.frame_at(tick)
    return scene


def texts(lines: list[Line]) -> str:
    return "\n".join(x.text for x in lines)


@pytest.mark.parametrize("module", [fmt, graph])
def test_examples_in_the_documentation(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("tick", [10, demo.WAITING.start + 5])
def test_the_header_fits(width, height, tick):
    """No line is wider than the terminal, and small terminals keep room for the list."""
    lines = header_lines(scene_at(tick), width, height)
    assert len(lines) <= height // 3
    for header_line in lines[:1] if height < 30 else lines[2:]:
        assert header_line.cells <= width, header_line.text


def test_the_header_says_who_waits_and_why():
    said = texts(header_lines(scene_at(demo.WAITING.start + 5), 200, 60))
    assert "SOMEBODY WAITS" in said
    assert "cpu pressure 47 %" in said
    assert "ACTIVE" in said
    assert "p99" in said
    assert "self" in said


def test_before_the_first_frame_and_after_the_last():
    """Starting, lost with nothing to show, and lost with a frame that is old."""
    assert "STARTING" in texts(header_lines(Scene(description="x"), 80, 24))
    observing = Scene(description="x", observe_reason="not root")
    assert "not root" in texts(header_lines(observing, 80, 24))
    assert "gone" in texts(header_lines(Scene(description="x", lost="gone"), 80, 24))
    old = scene_at(10, lost="the daemon has ended")
    assert "the daemon has ended" in texts(header_lines(old, 80, 24))
    assert "LOST" in texts(header_lines(old, 80, 24))


@pytest.mark.parametrize(("mode", "word"), [(Mode.DRY_RUN, "OBSERVE"), (Mode.PAUSED, "PAUSED")])
def test_a_banner_says_that_nothing_is_applied(mode, word):
    scene = Scene(frame=frame(group("g"), mode=mode, mode_reason="no privilege"))
    for width, height in SIZES:
        said = texts(header_lines(scene, width, height))
        assert word in said
        assert "no privilege" in said


def test_missing_psi_and_probe_are_said():
    scene = Scene(frame=without_psi_and_probe(frame(group("g"))))
    said = texts(header_lines(scene, 120, 40))
    assert "not offered by this kernel" in said
    assert "off (no timer)" in said
    assert header_lines(scene, 60, 15)


def test_details_tell_the_chain_of_reasons_with_file_and_line():
    g = group("g", label="Firefox", marks=frozenset({Mark.PINNED, Mark.USER_OWNED}))
    said = texts(detail_lines(g, g.group.metrics, [process(4321, "g", "firefox -x")], 70))
    for part in ("because of Firefox", "apps.yaml:7", "pinned", "by hand", "4321", "firefox -x", "100 % is one core"):
        assert part in said
    assert "because of Firefox" in reasons_text(g)
    assert "apps.yaml:7" in reasons_text(g)


@settings(max_examples=100)
@given(
    st.text(alphabet=PRINTABLE, max_size=300),
    st.integers(60, 150),
)
def test_details_of_hostile_names_stay_in_their_panel(name, width):
    g = group("g", label=name)
    for detail_line in detail_lines(g, g.group.metrics, [process(1, "g", name)], width):
        assert detail_line.cells <= width, detail_line.text


@settings(max_examples=200)
@given(st.text(max_size=200), st.integers(1, 80), st.booleans())
def test_fit_is_exact(text, width, right):
    assert cell_len(fmt.fit(text, width, right=right)) == width


@settings(max_examples=200)
@given(st.floats(0, 1e18))
def test_numbers_stay_narrow(value):
    assert len(fmt.quantity(value)) <= 5
    assert len(fmt.duration(min(value, 1e9))) <= 6
    assert len(fmt.percent(min(value, 900.0))) <= 5


def test_a_graph_is_as_big_as_asked_and_full_at_the_top():
    lines = graph.area([0.0, 10.0, None, 5.0], 2, 10.0)
    assert [len(x) for x in lines] == [2, 2]
    assert lines[0][0] != " "
    assert graph.spark([None, -1.0, 99.0], 10.0) == " ▁█"


@given(st.lists(st.floats(0, 1e6), max_size=30), st.sampled_from([1.0, 2.0, 5.0, 20.0]))
def test_an_axis_holds_every_value(values, least):
    top = graph.nice_top(values, least)
    assert top >= max([least, *values])
    assert f"{top:e}"[0] in "125"


@pytest.mark.parametrize("size", [(40, 9), (70, 20)])
def test_graphs_mark_contention(size):
    scene = scene_at(demo.WAITING.start + 6)
    lines = graph_lines(scene.history, *size)
    assert len(lines) <= size[1] + 1
    assert "▲" in texts(lines)
    assert all(x.cells <= size[0] for x in lines)
    assert graph_lines(History(), *size)


def test_spells_of_contention_have_a_start_and_an_end():
    history = scene_at(demo.WAITING.stop + 3).history
    points = list(history.points)
    assert spells(points, points[-1].time) == [(-15.0, -3.0)]
    still = list(scene_at(demo.WAITING.start + 4).history.points)
    assert spells(still, still[-1].time) == [(-4.0, 0.0)]


def test_history_is_bounded_and_forgets_groups_that_exited():
    history = History()
    for seq in range(1, MAX_POINTS + 100):
        history.add(frame(group("a"), seq=seq))
    assert len(history.points) <= SPAN_S + 1
    history.add(frame(group("b"), seq=MAX_POINTS + 100))
    assert set(history.trends) == {"b"}
    history.add(frame(group("b"), seq=MAX_POINTS + 100))
    assert len(history.trends["b"]) == 1
    assert newest([1.0], 3) == [None, None, 1.0]
    assert newest([1.0, 2.0], 0) == []


@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_names_every_key(width):
    said = texts(help_lines(width))
    for key in ("F1 ? h", "F7 ]", "F8 [", "Ctrl+C", "Tab", "F4 / \\"):
        assert key in said
    assert all(x.cells <= width for x in help_lines(width)[3:])


def test_two_ends_of_a_line():
    assert spread(line("ab"), line("c"), 6).text == "ab   c"
    assert spread(line("ab"), line("c"), 3).text == "ab"


def test_contention_over_is_said():
    calm = frame(group("g"), contention=Contention(active=False, since_s=200.0, reasons=()))
    assert "smooth for 3m" in texts(header_lines(Scene(frame=calm), 120, 40))


@pytest.mark.parametrize("width", [80, 200])
def test_help_says_of_each_source_how_it_fares_and_what_to_do(width: int) -> None:
    sources = [
        Source("windows: sway", SourceHealth.WORKING, "windows and focus"),
        Source("sound: pulseaudio", SourceHealth.REFUSED, "it refuses us", "look at its cookie"),
        Source("input: evdev", SourceHealth.ABSENT, "no devices", "plug one in " * 20),
    ]
    lines = help_lines(width, sources)
    said = texts(lines)
    assert "✓ windows: sway" in said
    assert "! sound: pulseaudio" in said
    assert "it refuses us. To do: look at its cookie" in said
    assert "- input: evdev" in said
    assert all(x.cells <= width for x in lines[3:])


def test_help_says_how_each_part_works_here_the_model_too() -> None:
    parts = {"tasks": "bpf", "model": "off: model.onnx: is not the file that manifest.json names (SHA-256 differs)"}
    lines = help_lines(60, (), parts)
    assert "How it works here" in texts(lines)
    assert "SHA-256" in texts(lines)
    assert all(x.cells <= 60 for x in lines[3:])


def test_the_header_counts_breaks_of_sound_where_a_sound_server_is_known():
    scene = scene_at(5)
    unknown = replace(scene.frame, person=replace(scene.frame.person, xruns=None))
    scene.frame = unknown
    assert "XRUN" not in texts(header_lines(scene, 120, 40))
    heard = replace(scene.frame, person=replace(scene.frame.person, xruns=2, missing_cycles=1, sound="pipewire 1.4"))
    scene.history.add(heard)
    scene.frame = heard
    assert "XRUN 3 (3)" in texts(header_lines(scene, 120, 40))
