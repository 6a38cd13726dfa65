"""The rules that a person made in this session: saved with the person's own rights, taken back and saved again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from smoothtask.classifier.apart import RulesUnreadable, lint_apart
from smoothtask.classifier.kinds import descriptions
from smoothtask.classifier.layers import rule_files
from smoothtask.classifier.lint import Finding
from smoothtask.classifier.making import Draft, MakingError
from smoothtask.classifier.saving import ChangedMeanwhileError, OwnRules, Proposal, check, propose, save, take_back
from smoothtask.config.located import ConfigError
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Settings, load_settings
from smoothtask.model.command import Reply


def own_rules(paths: Paths) -> OwnRules:
    """Where the rules of whoever runs this process are; of a configuration that cannot be read, the defaults hold."""
    try:
        settings = load_settings(paths.config_file, required=paths.config_required)
    except (ConfigError, OSError):
        settings = Settings()
    return OwnRules.mine(rule_files(settings, paths))


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one step back or forth."""

    reply: Reply
    lost: bool = False
    """It cannot be done any more, now or later."""


@dataclass(slots=True)
class Made:
    """Every call reads or writes files, and belongs in a worker thread."""

    own: OwnRules
    done: list[Proposal] = field(default_factory=list)
    undone: list[Proposal] = field(default_factory=list)

    def propose(self, rule: Draft) -> Proposal | str:
        """What *rule* would change, or why it cannot."""
        try:
            return propose(self.own, rule)
        except ConfigError as error:
            return str(error.problems[0])
        except (MakingError, OSError) as error:
            return str(error)

    def ids(self) -> frozenset[str]:
        """Of the rules that are the person's own; none when they cannot be read."""
        try:
            return frozenset(self.own.ids())
        except MakingError:
            return frozenset()

    def kinds(self) -> dict[str, str]:
        """Every type that a rule may have, and what it is."""
        return descriptions([*(folder for _, folder in self.own.files.folders), self.own.folder])

    def check(self, proposal: Proposal) -> list[Finding] | str:
        """What is wrong with it, or why that cannot be found out."""
        try:
            return check(self.own, proposal)
        except (RulesUnreadable, OSError) as error:
            return str(error)

    def lint(self) -> list[Finding] | str:
        """What is wrong in all layers."""
        try:
            return lint_apart(self.own.files)
        except (RulesUnreadable, OSError) as error:
            return str(error)

    def save(self, proposal: Proposal) -> Reply:
        """Put it in place."""
        said = f"saved: {_what(proposal)} in {proposal.path}; undo takes it back"
        reply = _tried(lambda: save(proposal), said).reply
        if reply.ok:
            self.done.append(proposal)
            self.undone.clear()
        return reply

    def undo(self) -> Step:
        """Take back the newest one. What can never be does not stand in the way of the one before it."""
        if not self.done:
            return Step(Reply(False, "no rule was saved here that could be taken back"), lost=True)
        proposal = self.done[-1]
        step = _tried(lambda: take_back(proposal), f"undone: {_what(proposal)}; redo saves it again")
        return _moved(step, self.done, self.undone)

    def redo(self) -> Step:
        """Save again what was taken back; the same holds."""
        if not self.undone:
            return Step(Reply(False, "no rule was taken back here"), lost=True)
        proposal = self.undone[-1]
        step = _tried(lambda: save(proposal), f"saved again: {_what(proposal)}; undo takes it back")
        return _moved(step, self.undone, self.done)


def _what(proposal: Proposal) -> str:
    rule = proposal.rule
    return f"{rule.label} is always {rule.target.name} (rule {rule.id})"


def _moved(step: Step, source: list[Proposal], to: list[Proposal]) -> Step:
    """The newest of *source* goes on where it was done, and away where it is lost; else it can be tried again."""
    if step.reply.ok:
        to.append(source.pop())
    elif step.lost:
        source.pop()
    return step


def _tried(do: Callable[[], None], said: str) -> Step:
    try:
        do()
    except (MakingError, OSError) as error:
        return Step(Reply(False, str(error)), lost=isinstance(error, ChangedMeanwhileError))
    return Step(Reply(True, said))
