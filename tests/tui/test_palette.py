"""Colours: which palette a terminal gets, and that each can be read."""

import pytest
from textual.color import Color

from smoothtask_tui.app import Dashboard
from smoothtask_tui.palette import CONTRAST, DARK, GROUNDS, LIGHT, MONO, PALETTES, SIXTEEN, fitting, style
from smoothtask_tui.plots import plot_colour
from smoothtask_tui.prefs import Prefs
from smoothtask_tui.remembered import read_prefs, write_prefs
from tui.driving import dashboard
from tui.fakes import FakeClient

ROLES = ["text", "dim", "accent", "good", "warn", "bad", *(f"class{i}" for i in range(5))]


@pytest.mark.parametrize(
    ("environment", "palette"),
    [
        ({}, DARK),
        ({"TERM": "xterm-256color"}, DARK),
        ({"TERM": "xterm-kitty"}, DARK),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, DARK),
        ({"TERM": "linux"}, SIXTEEN),
        ({"TERM": "screen"}, SIXTEEN),
        ({"TERM": "xterm-16color"}, SIXTEEN),
        ({"TERM": "vt100"}, MONO),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, MONO),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, DARK),
    ],
)
def test_a_terminal_gets_what_it_can_show(environment, palette):
    assert fitting(environment) is palette


@pytest.mark.parametrize(("palette", "least"), [(DARK, 4.5), (LIGHT, 4.5), (CONTRAST, 7.0)])
@pytest.mark.parametrize("role", ROLES)
def test_text_stands_out_from_every_ground(palette, least, role):
    """Contrast as WCAG 2 counts it: 4.5 for text, 7 for the theme of high contrast."""
    for ground in GROUNDS:
        front, back = Color.parse(palette.colour(role)), Color.parse(getattr(palette, ground))
        lighter, darker = sorted((_luminance(front), _luminance(back)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= least, (role, ground)


def _luminance(colour: Color) -> float:
    def linear(c: float) -> float:
        return c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4

    r, g, b = (linear(c / 255) for c in (colour.r, colour.g, colour.b))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("palette", list(PALETTES.values()), ids=str)
def test_every_palette_draws_and_plots(palette):
    for role in [*ROLES, "faint", "graph0", "graph2", "nonsense"]:
        for ground in (*GROUNDS, "bad"):
            assert style(palette, role, ground) is not None
    for colour in (palette.ground, palette.bad, palette.dim):
        assert plot_colour(colour) is not None


def test_without_colours_nothing_but_bold_dim_and_reverse_is_used():
    for role in ROLES:
        for ground in (*GROUNDS, "bad"):
            drawn = style(MONO, role, ground)
            assert drawn.color is None
            assert drawn.bgcolor is None
    assert style(MONO, "text", "cursor").reverse


@pytest.mark.parametrize("theme", [p.name for p in PALETTES.values()])
async def test_every_theme_shows_every_screen(theme):
    async with dashboard() as d:
        d.app.theme = theme
        for key in ("g", "f1", "C"):
            await d.press(key)
            assert d.screen_text.strip()
            await d.press("escape")
        await d.press("c")
        assert "class of" in d.status


async def test_no_colour_is_obeyed_and_not_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_COLOR", "1")
    path = tmp_path / "dashboard.json"
    write_prefs(path, Prefs(theme=LIGHT.name))
    app = Dashboard(FakeClient(), prefs_path=path)
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.theme == MONO.name
        await pilot.press("M")
        app.remember()
        drawn = [s.style for strip in app.screen._compositor.render_strips() for s in strip if s.style]
        assert drawn
        assert all((s.color is None or s.color.is_default) and (s.bgcolor is None or s.bgcolor.is_default)
                   for s in drawn)  # fmt: skip
    assert read_prefs(path).theme == LIGHT.name
