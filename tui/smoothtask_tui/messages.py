"""What the parts of the dashboard tell each other."""

from typing import TYPE_CHECKING, Literal

from textual.message import Message

from smoothtask.model.command import Command, Reply
from smoothtask_tui.rows import SortKey

if TYPE_CHECKING:
    from smoothtask_tui.byhand import ByHand


class FrameWaiting(Message):
    """The mailbox holds a frame; sent once however many have come since."""


class LinkChanged(Message):
    """The connection was lost (*sentence* says how) or is back (empty)."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__()


class Replied(Message):
    """The engine has answered *command*."""

    def __init__(self, command: Command, reply: Reply) -> None:
        self.command = command
        self.reply = reply
        super().__init__()


class Ordered(Message):
    """A person wants *command* carried out."""

    def __init__(self, command: Command) -> None:
        self.command = command
        super().__init__()


class Answered(Message):
    """The engine has answered a question that a screen asked."""

    def __init__(self, command: Command, reply: Reply) -> None:
        self.command = command
        self.reply = reply
        super().__init__()


class UndoWanted(Message):
    """A person wants the newest deed taken back, or (*again*) done again."""

    def __init__(self, *, again: bool) -> None:
        self.again = again
        super().__init__()


class TrainingWanted(Message):
    """A person asks how far the training is, and wants one to begin when there is none; *sure*: they were asked."""

    def __init__(self, *, sure: bool = False) -> None:
        self.sure = sure
        super().__init__()


class RuleWanted(Message):
    """A person wants to make a rule from *group*."""

    def __init__(self, group: str) -> None:
        self.group = group
        super().__init__()


class RuleSaved(Message):
    """What came of saving a rule, of taking it back (`undo`), or of saving it again (`redo`)."""

    def __init__(self, reply: Reply, how: Literal["save", "undo", "redo"] = "save", *, lost: bool = False) -> None:
        """*lost*: it can never be taken back (or saved again) any more."""
        self.reply = reply
        self.how = how
        self.lost = lost
        super().__init__()


class RuleChosen(Message):
    """A person wants to see the groups that the rule *id_of_rule* of *layer* knows."""

    def __init__(self, layer: str, id_of_rule: str) -> None:
        self.layer, self.id_of_rule = layer, id_of_rule
        super().__init__()


class DoneByHand(Message):
    """A person wants something done to processes, with their own rights."""

    def __init__(self, what: "ByHand") -> None:
        self.what = what
        super().__init__()


class CursorMoved(Message):
    """The cursor is on another group, or on none."""

    def __init__(self, group: str | None) -> None:
        self.group = group
        super().__init__()


class DetailWanted(Message):
    """A person wants to know everything of *group*."""

    def __init__(self, group: str) -> None:
        self.group = group
        super().__init__()


class HeadingClicked(Message):
    """A person clicked a column's title."""

    def __init__(self, sort: SortKey) -> None:
        self.sort = sort
        super().__init__()
