"""Whatever the list does meanwhile, a key is about the application that had the cursor when it was pressed."""

import random

import pytest

from smoothtask.model.frame import Frame
from smoothtask_tui.screens.group import GroupScreen
from smoothtask_tui.screens.ordering import GroupsScreen
from tui.driving import Driver, dashboard
from tui.fakes import frame, group

NAMES = "abcdefgh"
AT_ONCE = ("f7", "f8")
MENUS = (("c", "4"), ("p", "2"), ("l", "3"), ("o", "5"))


def any_frame(chance: random.Random, seq: int) -> Frame:
    """Some of the groups, each as busy as it likes: every frame has another order."""
    living = [n for n in NAMES if chance.random() < 0.8]
    return frame(*(group(n, label=n.upper(), cpu=chance.random()) for n in living), seq=seq)


def asked_about(d: Driver, since: int) -> list[str]:
    return [c.group for c in d.client.asked[since:]]


@pytest.mark.parametrize("seed", range(2))
async def test_no_key_ever_acts_on_another_application(seed: int) -> None:
    """Re-sorted, new and exited groups, with and without a menu open, on the list and in the details."""
    chance = random.Random(seed)
    async with dashboard(first=any_frame(chance, 1), size=(100, 24)) as d:
        for seq in range(2, 20):
            if isinstance(d.app.screen, GroupScreen) and chance.random() < 0.3:
                await d.press("escape")
            elif isinstance(d.app.screen, GroupsScreen):
                await d.press(chance.choice(("down", "up", "down", "enter")))
            before, since = d.cursor, len(d.client.asked)
            on = d.app.screen
            subject = on.id_of_group if isinstance(on, GroupScreen) else before
            if chance.random() < 0.4:
                await d.press(chance.choice(AT_ONCE))
            else:
                menu, choice = chance.choice(MENUS)
                await d.press(menu)
                was_open = d.app.status.is_open
                await d.push(any_frame(chance, seq))
                assert d.app.status.is_open is was_open
                await d.press(choice if was_open else "f24")
            await d.app._orders.join()
            assert set(asked_about(d, since)) <= {subject}, (subject, d.screen_text)
            await d.push(any_frame(chance, 100 + seq))
            assert d.cursor in {before, None}
            if d.cursor is None and isinstance(d.app.screen, GroupsScreen):
                count = len(d.client.asked)
                await d.press("f7")
                await d.app._orders.join()
                assert len(d.client.asked) == count
        assert d.client.asked
