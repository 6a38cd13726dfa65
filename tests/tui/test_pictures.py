"""Each screen at three sizes, compared with what it looked like: text of a recorded scene, without colours.

`PICTURES=renew python -m pytest tests/tui/test_pictures.py` writes them again: look at the difference.
"""

import asyncio
import os
import sys
from datetime import UTC
from pathlib import Path

import pytest

from scenes.play import Played, frames
from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.saving import OwnRules
from smoothtask.config.paths import find_paths
from smoothtask.model.frame import Frame
from smoothtask.store.log import SnapshotLog
from smoothtask_tui.app import Dashboard, Drawing
from smoothtask_tui.export import as_text
from smoothtask_tui.screens.history import HistoryScreen
from smoothtask_tui.screens.making import MakeRuleScreen
from smoothtask_tui.screens.responsiveness import ResponsivenessScreen
from smoothtask_tui.screens.save import screen_lines

PICTURES = Path(__file__).parent / "pictures"
SIZES = ((60, 15), (80, 24), (200, 60))
SHOTS = {
    "groups": ("down", "plus"),
    "menu": ("down", "c"),
    "group": ("down", "enter"),
    "responsiveness": ("g",),
    "history": ("H",),
    "rules": ("r",),
    "make-rule": ("down", "A"),
    "types": ("down", "A", "t", "a", "u"),
    "columns": ("C",),
    "help": ("f1",),
}
LIMIT_S = 20.0
NOWHERE = Path("/nonexistent/rules.d")
NO_RULES = OwnRules(RuleFiles(NOWHERE, distro=NOWHERE, user=NOWHERE, ananicy=None, homes=False), NOWHERE, "user")
"""A path of the same length everywhere."""


@pytest.fixture(scope="module")
def scene() -> list[Frame]:
    return frames()


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """Clocks show the same everywhere."""
    for name, module in list(sys.modules.items()):
        if name.startswith("smoothtask_tui") and hasattr(module, "LOCAL_ZONE"):
            monkeypatch.setattr(module, "LOCAL_ZONE", UTC)


def is_told(screen) -> bool:
    """Whether what a screen asks for at its start is there."""
    if isinstance(screen, HistoryScreen):
        return screen.shown is not None
    return not isinstance(screen, MakeRuleScreen) or (screen.proposal is not None and bool(screen.kinds))


async def take(keys: tuple[str, ...], size: tuple[int, int], scene: list[Frame], place: Path) -> str:
    """The screen after *keys*, as text."""
    log = place / "snapshots.db"
    paths = find_paths(state_dir=str(place), environ={})
    app = Dashboard(Played(scene[-1]), log_path=log, paths=paths, own_rules=NO_RULES)
    for frame in scene:
        app.scene.history.add(frame)
    async with app.run_test(size=size) as pilot:
        deadline = asyncio.get_running_loop().time() + LIMIT_S

        async def settle(times: int) -> None:
            before, same = "", 0
            while same < times and asyncio.get_running_loop().time() < deadline:
                await pilot.pause(0.1)
                now = as_text(screen_lines(app.screen))
                same, before = (same + 1 if now == before else 0), now

        while app.scene.frame is None:
            await pilot.pause(0.02)
        await settle(1)
        for key in keys:
            await pilot.press(key)
            while not is_told(app.screen) and asyncio.get_running_loop().time() < deadline:
                await pilot.pause(0.05)
        await settle(3)
        if isinstance(app.screen, Drawing):
            app.screen.draw()  # as the next frame would
        if isinstance(app.screen, ResponsivenessScreen):
            app.screen.action_span(0)
        await settle(3)
        return as_text(screen_lines(app.screen)).replace(str(place), "/var/lib/smoothtask")


@pytest.fixture(scope="module")
def place(scene, tmp_path_factory) -> Path:
    """A state directory with the scene recorded."""
    folder = tmp_path_factory.mktemp("state")
    log = SnapshotLog(folder / "snapshots.db", salt_path=folder / "salt", anonymise=False, on_problem=print)
    for frame in scene[::10]:
        log.offer(frame)
    log.close()
    return folder


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", SHOTS)
async def test_it_looks_as_it_did(name, size, scene, place):
    text = await take(SHOTS[name], size, scene, place)
    picture = PICTURES / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("PICTURES") == "renew":
        PICTURES.mkdir(exist_ok=True)
        picture.write_text(text, encoding="utf-8")
    assert text == picture.read_text(encoding="utf-8")
