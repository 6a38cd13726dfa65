"""The screens; all but the list of groups are loaded when they are first named: none delays the first picture."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smoothtask_tui.screens.columns import ColumnsScreen as ColumnsScreen
    from smoothtask_tui.screens.group import GroupScreen as GroupScreen
    from smoothtask_tui.screens.help import HelpScreen as HelpScreen
    from smoothtask_tui.screens.history import HistoryScreen as HistoryScreen
    from smoothtask_tui.screens.making import MakeRuleScreen as MakeRuleScreen
    from smoothtask_tui.screens.responsiveness import ResponsivenessScreen as ResponsivenessScreen
    from smoothtask_tui.screens.rules import RulesScreen as RulesScreen
    from smoothtask_tui.screens.save import SaveScreen as SaveScreen

MODULES = {
    "ColumnsScreen": "columns",
    "GroupScreen": "group",
    "HelpScreen": "help",
    "HistoryScreen": "history",
    "MakeRuleScreen": "making",
    "ResponsivenessScreen": "responsiveness",
    "RulesScreen": "rules",
    "SaveScreen": "save",
}


def __getattr__(name: str) -> Any:
    """A screen by its name (PEP 562)."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
