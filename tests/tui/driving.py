"""A running dashboard that a test drives by keys."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from textual.pilot import Pilot

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame
from smoothtask_tui.app import Dashboard
from smoothtask_tui.screens.save import screen_lines
from tui.fakes import FakeClient, frame, group

A = group("a", label="Alpha", cpu=0.9, target=PriorityClass.INTERACTIVE)
B = group("b", label="Beta", cpu=0.5)
C = group("c", label="Gamma", cpu=0.1, target=PriorityClass.IDLE)
PART = group("a/x", label="part x", cpu=0.2, parent="a")
LIMIT_S = 10.0


class Driver:
    """A running dashboard, its client and its keys."""

    def __init__(self, app: Dashboard, client: FakeClient, pilot: Pilot[int]) -> None:
        self.app, self.client, self.pilot = app, client, pilot

    async def until(self, true: Callable[[], bool]) -> None:
        """Until it is so; fails when it never is."""
        deadline = asyncio.get_running_loop().time() + LIMIT_S
        while not true():
            assert asyncio.get_running_loop().time() < deadline, self.screen_text
            await self.pilot.pause(0.01)

    async def push(self, shown: Frame) -> None:
        """Have *shown* drawn."""
        self.client.push(shown)
        await self.until(lambda: self.app.scene.frame is shown)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def asked(self, count: int = 1) -> None:
        await self.until(lambda: len(self.client.asked) >= count)
        await self.pilot.pause()

    @property
    def rows(self) -> list[str]:
        return [r.id for r in self.app.main.groups.listing.rows]

    @property
    def cursor(self) -> str | None:
        return self.app.main.groups.cursor

    @property
    def status(self) -> str:
        return self.app.status.lines[0].text

    @property
    def screen_text(self) -> str:
        return "\n".join(screen_lines(self.app.screen))


@contextlib.asynccontextmanager
async def dashboard(
    *groups: object, size: tuple[int, int] = (100, 30), first: Frame | None = None, **more: Any
) -> AsyncIterator[Driver]:
    shown = first or frame(*(groups or (A, B, C)))  # type: ignore[arg-type]
    client = FakeClient()
    app = Dashboard(client, **more)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, client, pilot)
        await driver.push(shown)
        yield driver
    assert client.ended.wait(LIMIT_S)
