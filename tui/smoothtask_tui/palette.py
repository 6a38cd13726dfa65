"""Themes: what Textual's own widgets use, and the colours that roles of drawn lines have."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

GROUNDS = ("ground", "bar", "panel", "cursor")


@dataclass(frozen=True, slots=True)
class Palette:
    """Roles → colours of one theme: `#rrggbb`, or the names of a terminal's own. `class0` is IDLE."""

    name: str
    dark: bool
    ground: str
    bar: str
    panel: str
    cursor: str
    text: str
    dim: str
    faint: str
    accent: str
    good: str
    warn: str
    bad: str
    classes: tuple[str, str, str, str, str]
    graph: tuple[str, str, str]

    @property
    def is_ansi(self) -> bool:
        """Whether the terminal's own 16 colours are meant."""
        return not self.ground.startswith("#")

    @property
    def theme(self) -> Theme:
        """The same colours for Textual's widgets (palette, toasts, scroll bars)."""

        def named(colour: str) -> str:
            return f"ansi_{colour}" if self.is_ansi else colour

        return Theme(
            name=self.name,
            primary=named(self.accent),
            secondary=named(self.graph[1]),
            accent=named(self.accent),
            warning=named(self.warn),
            error=named(self.bad),
            success=named(self.good),
            foreground=named(self.text),
            background=named(self.ground),
            surface=named(self.bar),
            panel=named(self.panel),
            dark=self.dark,
            ansi=self.is_ansi,
            # What Textual's own styles ask of such a theme.
            variables=dict(BUILTIN_THEMES["ansi-dark"].variables) if self.is_ansi else {},
        )

    def colour(self, role: str) -> str:
        """The foreground of *role*; unknown roles are plain text."""
        if role.startswith("class"):
            return self.classes[int(role[5])]
        if role.startswith("graph"):
            return self.graph[int(role[5])]
        return {
            "dim": self.dim,
            "faint": self.faint,
            "accent": self.accent,
            "title": self.accent,
            "head": self.dim,
            "headsort": self.accent,
            "key": self.accent,
            "good": self.good,
            "warn": self.warn,
            "hot": self.warn,
            "bad": self.bad,
            "alert": self.bad,
            "part": self.dim,
        }.get(role, self.text)


BOLD = frozenset({"name", "title", "headsort", "key", "hot", "alert", "strong", "bad"})

DARK = Palette(
    name="smoothtask-dark",
    dark=True,
    ground="#0f1419",
    bar="#1a212b",
    panel="#161c24",
    cursor="#213248",
    text="#d5dbe3",
    dim="#93a0af",
    faint="#4d5866",
    accent="#5cc8ff",
    good="#7fd88f",
    warn="#ffb454",
    bad="#ff7575",
    classes=("#9aa5c6", "#e0a35c", "#aab4c0", "#5fd7c4", "#ff85c2"),
    graph=("#5cc8ff", "#ffb454", "#c792ea"),
)
LIGHT = Palette(
    name="smoothtask-light",
    dark=False,
    ground="#fbfbf8",
    bar="#e8eaed",
    panel="#f1f2f0",
    cursor="#d9e9f9",
    text="#1f2933",
    dim="#56626f",
    faint="#a3adb8",
    accent="#005fa8",
    good="#176b2e",
    warn="#8a5000",
    bad="#b3261e",
    classes=("#525d88", "#865007", "#47525e", "#00706a", "#a3206f"),
    graph=("#005fa8", "#b36b00", "#7b3fa0"),
)
CONTRAST = Palette(
    # Okabe and Ito's colours, which people with any colour vision can tell apart, on black.
    name="smoothtask-contrast",
    dark=True,
    ground="#000000",
    bar="#141414",
    panel="#0d0d0d",
    cursor="#002042",
    text="#ffffff",
    dim="#d0d0d0",
    faint="#8a8a8a",
    accent="#6cc0f0",
    good="#2fd6a5",
    warn="#f0e442",
    bad="#ff9a52",
    classes=("#9ad0f5", "#e69f00", "#ffffff", "#2fd6a5", "#f2a6d0"),
    graph=("#56b4e9", "#e69f00", "#f2a6d0"),
)
SIXTEEN = Palette(
    # For terminals that have no more, such as the console: the grounds are among the eight that can be grounds.
    name="smoothtask-16",
    dark=True,
    ground="black",
    bar="blue",
    panel="black",
    cursor="blue",
    text="bright_white",
    dim="white",
    faint="bright_black",
    accent="bright_cyan",
    good="bright_green",
    warn="bright_yellow",
    bad="bright_red",
    classes=("cyan", "yellow", "white", "bright_green", "bright_magenta"),
    graph=("bright_cyan", "yellow", "magenta"),
)
_D = "default"
MONO = Palette(
    # Bold, reverse and dim alone (NO_COLOR): shapes, letters and words say all that colours say.
    "smoothtask-mono", True, _D, _D, _D, _D, _D, _D, _D, _D, _D, _D, _D, (_D, _D, _D, _D, _D), (_D, _D, _D),
)  # fmt: skip
PALETTES = {p.name: p for p in (DARK, LIGHT, CONTRAST, SIXTEEN, MONO)}


def fitting(environment: Mapping[str, str]) -> Palette:
    """The palette for a terminal as *environment* tells of it (no-color.org; TERM, COLORTERM)."""
    if environment.get("NO_COLOR"):
        return MONO
    term, depth = environment.get("TERM", ""), environment.get("COLORTERM", "").casefold()
    if depth in {"truecolor", "24bit"} or "256" in term or "direct" in term:
        return DARK
    if term in {"vt100", "vt220"}:
        return MONO
    plain = {"linux", "xterm", "screen", "tmux", "ansi", "rxvt", "cons25", "xterm-16color", "putty", "konsole"}
    return SIXTEEN if term in plain or term.endswith("-16color") else DARK


@cache
def style(palette: Palette, role: str, ground: str) -> Style:
    """The style of *role* on *ground* (one of `GROUNDS`, or a role whose colour becomes the ground)."""
    if palette is MONO:
        reverse = ground in {"bar", "cursor"} or ground not in GROUNDS
        return Style(bold=role in BOLD or ground not in GROUNDS, dim=role == "faint", reverse=reverse)
    back = getattr(palette, ground) if ground in GROUNDS else palette.colour(ground)
    front = palette.colour(role)
    if ground not in GROUNDS:
        front = palette.ground
    return Style(color=front, bgcolor=back, bold=role in BOLD or ground not in GROUNDS)
