"""Makes screenshots/*.png from a recorded scene of a real engine: `python tools/screenshots.py [FOLDER]`."""

import asyncio
import html
import io
import re
import sys
import tempfile
from pathlib import Path

import cairosvg
from PIL import Image
from rich.terminal_theme import TerminalTheme

from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.saving import OwnRules
from smoothtask.config.paths import find_paths
from smoothtask.model.frame import Frame
from smoothtask.store.log import SnapshotLog
from smoothtask_tui.app import Dashboard
from smoothtask_tui.palette import CONTRAST, DARK, LIGHT, MONO, SIXTEEN

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from scenes.play import Played, frames

SHOTS: tuple[tuple[str, tuple[int, int], str, tuple[str, ...]], ...] = (
    ("dashboard-80x24", (80, 24), DARK.name, ("down",)),
    ("dashboard-120x40", (120, 40), DARK.name, ("down",)),
    ("dashboard-200x60", (200, 60), DARK.name, ("down", "plus")),
    *(
        (f"{name}-{columns}x{rows}", (columns, rows), DARK.name, keys)
        for name, keys in {
            "class-menu": ("down", "c"),
            "group": ("down", "enter"),
            "responsiveness": ("g",),
            "history": ("H", "n"),
            "rules": ("r",),
            "make-rule": ("down", "A"),
            "types": ("down", "A", "t", "a", "u"),
            "columns": ("C",),
            "save-menu": ("down", "E"),
            "help": ("f1",),
        }.items()
        for columns, rows in ((80, 24), (120, 40), (200, 60))
    ),
    ("light-120x40", (120, 40), LIGHT.name, ("down",)),
    ("contrast-120x40", (120, 40), CONTRAST.name, ("down",)),
    ("sixteen-120x40", (120, 40), SIXTEEN.name, ("down",)),
    ("plots-no-colour-120x40", (120, 40), MONO.name, ("g",)),
)
"""Name, columns × rows, theme, keys pressed."""
VGA = TerminalTheme(
    (0, 0, 0),
    (255, 255, 255),
    [(0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170), (170, 170, 170)],
    [
        *((85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85)),
        *((85, 85, 255), (255, 85, 255), (85, 255, 255), (255, 255, 255)),
    ],
)
"""The 16 colours of the console, for which that theme is made."""
COLOURS = 128
"""Of a picture."""


BRAILLE = re.compile(
    r'<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*[⠀-⣿][^<]*)</text>'
)
TEXT = re.compile(r'<text([^>]*)x="([\d.]+)"(?=[^>]*textLength="([\d.]+)")([^>]*)>([^<]+)</text>')
LINE_HEIGHT, RISE = 24.4, 18.5
"""Of a line in Textual's SVG: its height, and how far its top is above the baseline."""


def draw_braille(svg: str) -> str:
    """*svg* with braille characters drawn as dots, beside the others of their line: few monospaced fonts have them."""
    return BRAILLE.sub(_dots, svg)


def place_each(svg: str) -> str:
    """*svg* with a place for each character: CairoSVG does not stretch text to its `textLength`."""
    return TEXT.sub(_placed, svg)


def _placed(found: re.Match[str]) -> str:
    text = html.unescape(found[5])
    cell = float(found[3]) / len(text)
    places = " ".join(f"{float(found[2]) + cell * i:.1f}" for i in range(len(text)))
    return f'<text{found[1]}x="{places}"{found[4]}>{html.escape(text)}</text>'


def _dots(found: re.Match[str]) -> str:
    style, text = found[1], html.unescape(found[6])
    left, top = float(found[2]), float(found[3]) - RISE
    cell = float(found[4]) / len(text)
    circles = []
    for i, character in enumerate(text):
        bits = ord(character) - 0x2800 if "\u2800" <= character <= "\u28ff" else 0
        for bit in range(8):
            if bits >> bit & 1:
                # Dots 1-3 and 4-6 go down the two columns; 7 and 8 are the last row.
                column, row = (bit - 6, 3) if bit >= 6 else divmod(bit, 3)
                cx, cy = left + cell * (i + 0.28 + 0.46 * column), top + LINE_HEIGHT * (row + 0.5) / 4
                circles.append(f'<circle class="{style}" cx="{cx:.1f}" cy="{cy:.1f}" r="2.2"/>')
    rest = html.escape(re.sub("[⠀-⣿]", "\u00a0", text))
    x, y, length, more = found[2], found[3], found[4], found[5]
    return "".join(circles) + f'<text class="{style}" x="{x}" y="{y}" textLength="{length}"{more}>{rest}</text>'


async def take(scene: list[Frame], log: Path, size: tuple[int, int], theme: str, keys: tuple[str, ...]) -> str:
    """One picture as SVG."""
    paths = find_paths(state_dir=str(log.parent), environ={})
    app = Dashboard(Played(scene[-1]), log_path=log, paths=paths, own_rules=rules_of_root(log.parent))
    for frame in scene:
        app.scene.history.add(frame)
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        if theme == SIXTEEN.name:  # else what writes the SVG has colours of its own for them
            app.ansi_color, app.ansi_theme_dark = False, VGA
        while app.scene.frame is None:
            await pilot.pause(0.05)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(1.0)
        await pilot.pause(0.5)
        return app.export_screenshot(title="smoothtask top")


def rules_of_root(folder: Path) -> OwnRules:
    """Root's own rules as on a machine that has none yet; *folder* is empty."""
    files = RuleFiles(folder / "rules.d", distro=folder / "rules.d", ananicy=None, homes=False)
    return OwnRules(files, Path("/etc/smoothtask/rules.d"), "user")


def record(scene: list[Frame], folder: Path) -> Path:
    """The scene as a snapshot log, for the history."""
    path = folder / "snapshots.db"
    log = SnapshotLog(path, salt_path=folder / "salt", anonymise=False, on_problem=print)
    for frame in scene:
        log.offer(frame)
    log.close()
    return path


def main() -> int:
    """Every picture."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "screenshots"
    folder.mkdir(exist_ok=True)
    scene = frames()
    with tempfile.TemporaryDirectory() as place:
        log = record(scene, Path(place))
        for name, size, theme, keys in SHOTS:
            svg = asyncio.run(take(scene, log, size, theme, keys))
            # The font that Textual names is fetched from the net; this one is everywhere.
            svg = draw_braille(svg.replace("Fira Code", "DejaVu Sans Mono"))
            png = cairosvg.svg2png(bytestring=place_each(svg).encode(), scale=1.0)
            # A third of the bytes, and nobody sees the difference: they are kept in the tree.
            Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(folder / f"{name}.png", optimize=True)
            print(folder / f"{name}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
