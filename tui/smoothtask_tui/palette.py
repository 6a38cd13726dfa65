"""Themes: what Textual's own widgets use, and the colours that roles of drawn lines have."""

from dataclasses import dataclass
from functools import cache

from rich.style import Style
from textual.theme import Theme

GROUNDS = ("ground", "bar", "panel", "cursor")


@dataclass(frozen=True, slots=True)
class Palette:
    """Roles → colours of one theme. `class0` is IDLE, `class4` is LATENCY_CRITICAL."""

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
    def theme(self) -> Theme:
        """The same colours for Textual's widgets (palette, toasts, scroll bars)."""
        return Theme(
            name=self.name,
            primary=self.accent,
            secondary=self.graph[1],
            accent=self.accent,
            warning=self.warn,
            error=self.bad,
            success=self.good,
            foreground=self.text,
            background=self.ground,
            surface=self.bar,
            panel=self.panel,
            dark=self.dark,
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
    cursor="#263850",
    text="#d5dbe3",
    dim="#8d99a8",
    faint="#4d5866",
    accent="#5cc8ff",
    good="#7fd88f",
    warn="#ffb454",
    bad="#ff6b6b",
    classes=("#8591b3", "#e0a35c", "#aab4c0", "#5fd7c4", "#ff85c2"),
    graph=("#5cc8ff", "#ffb454", "#c792ea"),
)
LIGHT = Palette(
    name="smoothtask-light",
    dark=False,
    ground="#fbfbf8",
    bar="#e8eaed",
    panel="#f1f2f0",
    cursor="#cfe3f7",
    text="#1f2933",
    dim="#56626f",
    faint="#a3adb8",
    accent="#005fa8",
    good="#1d7a36",
    warn="#9a5b00",
    bad="#b3261e",
    classes=("#5a6590", "#93580a", "#47525e", "#00706a", "#a3206f"),
    graph=("#005fa8", "#b36b00", "#7b3fa0"),
)
CONTRAST = Palette(
    # Okabe and Ito's colours, which people with any colour vision can tell apart, on black.
    name="smoothtask-contrast",
    dark=True,
    ground="#000000",
    bar="#1c1c1c",
    panel="#0d0d0d",
    cursor="#003a70",
    text="#ffffff",
    dim="#d0d0d0",
    faint="#8a8a8a",
    accent="#56b4e9",
    good="#2fd6a5",
    warn="#f0e442",
    bad="#ff8a3c",
    classes=("#9ad0f5", "#e69f00", "#ffffff", "#2fd6a5", "#f2a6d0"),
    graph=("#56b4e9", "#e69f00", "#f2a6d0"),
)
PALETTES = {p.name: p for p in (DARK, LIGHT, CONTRAST)}


@cache
def style(palette: Palette, role: str, ground: str) -> Style:
    """The style of *role* on *ground* (one of `GROUNDS`, or a role whose colour becomes the ground)."""
    back = getattr(palette, ground) if ground in GROUNDS else palette.colour(ground)
    front = palette.colour(role)
    if ground not in GROUNDS:
        front = palette.ground
    return Style(color=front, bgcolor=back, bold=role in BOLD or ground not in GROUNDS)
